"""The terms on which a workstream lands, part by part, and how those of two runs differ. Pure.

A process lands the workstream of another run only if it would prove and land it the same. Each part is a
digest, so that terms can be compared, and say in which part they differ, without saying what they are.
"""

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from enum import StrEnum
from typing import Any, Self

from maingate.wording import short


class TermsPart(StrEnum):
    """The parts in which the terms of two runs can differ; programs may rely on them."""

    PROOF = "proof"
    """The promise about each position of the branch."""
    SIGN = "sign"
    """The signing of commits."""
    COMMITTER = "committer"
    """The committer of landed commits."""
    POLICY = "policy"
    """The policy of the settings."""
    GATE = "gate"
    """The definition of a gate that both have."""
    SURROUNDINGS = "surroundings"
    """The surroundings of a gate that is defined the same: variables, programs, limits, `prepare`."""
    MISSING_GATE = "missing_gate"
    """A gate that the run which holds the target does not have."""
    PROGRAM = "program"
    """The version of the program, so that the others cannot be compared."""


@dataclass(frozen=True, kw_only=True)
class TermsDifference:
    """A part in which the terms of two runs differ.

    Args:
        part: The part.
        gate: The gate that it is about; None for a part that is about none.
    """

    part: TermsPart
    gate: str | None = None

    @classmethod
    def from_json(cls, value: Mapping[str, Any]) -> Self:
        """Read the public JSON form."""
        return cls(part=TermsPart(value["part"]), gate=value["gate"])

    def as_json(self) -> dict[str, Any]:
        """Return the public JSON form."""
        return {"part": str(self.part), "gate": self.gate}

    @property
    def sentence(self) -> str:
        """The difference for people."""
        gate = short(self.gate or "")
        match self.part:
            case TermsPart.GATE:
                return f"the gate {gate} is defined differently"
            case TermsPart.SURROUNDINGS:
                return (
                    f"the gate {gate} runs in other surroundings "
                    "(variables, versions of programs, limits, `prepare`)"
                )
            case TermsPart.MISSING_GATE:
                return f"that run has no gate {gate}"
            case TermsPart.PROGRAM:
                return "the versions of Maingate differ"
        return f"`{self.part}` differs"


@dataclass(frozen=True, kw_only=True)
class GateTerms:
    """The digests of one gate.

    Args:
        definition: That of its definition.
        question: That of all that its verdict depends on beside the tree, its definition among it.
    """

    definition: str
    question: str


@dataclass(frozen=True, kw_only=True)
class LandingTerms:
    """The terms of some workstreams.

    Args:
        ground: The digest of each part that is about no gate.
        gates: The gates that they must pass.
    """

    ground: Mapping[TermsPart, str]
    gates: Mapping[str, GateTerms]

    def as_text(self) -> str:
        """Return the form in which they are kept."""
        gates = {name: [gate.definition, gate.question] for name, gate in self.gates.items()}
        return json.dumps({"ground": dict(self.ground), "gates": gates}, sort_keys=True)

    @classmethod
    def from_text(cls, text: str) -> Self | None:
        """Return terms as they are kept; None for those of another version of the program."""
        try:
            kept = json.loads(text)
            return cls(
                ground={TermsPart(part): digest for part, digest in kept["ground"].items()},
                gates={
                    name: GateTerms(definition=definition, question=question)
                    for name, (definition, question) in kept["gates"].items()
                },
            )
        except (ValueError, TypeError, KeyError, AttributeError):
            return None

    def differences(self, own: "LandingTerms") -> Sequence[TermsDifference]:
        """Return how these differ from those of the run that is to land on them."""
        found = [
            TermsDifference(part=part)
            for part in sorted(self.ground.keys() | own.ground.keys())
            if self.ground.get(part) != own.ground.get(part)
        ]
        return [*found, *(one for name in sorted(self.gates) if (one := self._gate(name, own)) is not None)]

    def _gate(self, name: str, own: "LandingTerms") -> TermsDifference | None:
        wanted, there = self.gates[name], own.gates.get(name)
        if there is None:
            return TermsDifference(part=TermsPart.MISSING_GATE, gate=name)
        if wanted.definition != there.definition:
            return TermsDifference(part=TermsPart.GATE, gate=name)
        if wanted.question != there.question:
            return TermsDifference(part=TermsPart.SURROUNDINGS, gate=name)
        return None
