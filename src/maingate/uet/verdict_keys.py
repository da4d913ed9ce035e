"""Under which key a verdict is known: (what the gate looks at, what the gate is, where it ran) (SSOT §2.3).

Two trees share a verdict when nothing that the gate declares as its ``inputs`` differs between them; a gate
without declared inputs looks at the whole tree. A gate that needs the commit itself (its history, its
message) is asked about every commit anew.
"""

import hashlib
import json
import platform
from collections.abc import Mapping, Sequence
from dataclasses import asdict

from pathspec import GitIgnoreSpec

from maingate.plan.model import GateDefinition, Plan
from maingate.uet.gate_runner import Limits
from maingate.uet.repository import Entry, Repository

KEY_VERSION = 3
"""Counts up whenever what a verdict means changes, so that old ones are not taken over."""


class VerdictKeys:
    """Makes the keys of one plan's verdicts.

    Args:
        repository: Where trees are read.
        plan: Whose gates they are.
        environment: What gates get of the environment.
        limits: What gates may use.
    """

    def __init__(
        self, *, repository: Repository, plan: Plan, environment: Mapping[str, str], limits: Limits
    ) -> None:
        self._repository = repository
        self._plan = plan
        surroundings = {
            "version": KEY_VERSION,
            "system": [platform.system(), platform.machine(), platform.release()],
            "environment": dict(environment),
            "limits": asdict(limits),
            "prepare": plan.prepare,
            "keep": [plan.keep.paths, plan.keep.shared],
        }
        self._gates = {
            name: _digest({"name": name, "gate": _question(definition), **surroundings})
            for name, definition in plan.gates.items()
        }
        self._inputs = {
            name: InputDigests(repository, definition.inputs)
            for name, definition in plan.gates.items()
            if definition.inputs is not None
        }
        self._prepare_inputs = InputDigests(repository, plan.prepare_inputs)

    def key(self, gate: str, commit: str, tree: str) -> str:
        """Make the key of a gate's verdict on a tree, which ``commit`` has."""
        seen: list[str] = [self._gates[gate], self._looked_at(gate, tree)]
        if self._plan.gates[gate].needs_commit:
            seen.append(commit)
        if gate in self._inputs:
            seen.append(self.prepare_digest(tree))
        return _digest(seen)

    def prepare_digest(self, tree: str) -> str:
        """Say in which state of its inputs a worktree must have been prepared for this tree."""
        if not self._plan.prepare:
            return ""
        return _digest([self._plan.prepare, self._prepare_inputs.of(tree)])

    def _looked_at(self, gate: str, tree: str) -> str:
        inputs = self._inputs.get(gate)
        return tree if inputs is None else inputs.of(tree)


class InputDigests:
    """Digests of what in a tree matches some globs; a directory that did not change is not looked at again.

    Args:
        repository: Where trees are read.
        globs: gitignore-style, as in the plan.
    """

    def __init__(self, repository: Repository, globs: Sequence[str]) -> None:
        self._repository = repository
        self._spec = GitIgnoreSpec.from_lines(globs)
        self._known: dict[tuple[bytes, str], str] = {}

    def of(self, tree: str) -> str:
        """Digest the paths, modes and contents that match; equal digests mean equal inputs."""
        return self._below(b"", tree)

    def _below(self, prefix: bytes, tree: str) -> str:
        known = self._known.get((prefix, tree))
        if known is None:
            found = [
                (name.hex(), entry.mode, said)
                for name, entry in self._repository.list_directory(tree)
                if (said := self._said(prefix + name, entry))
            ]
            known = self._known[prefix, tree] = _digest(found) if found else ""
        return known

    def _said(self, path: bytes, entry: Entry) -> str:
        if entry.is_tree:
            return self._below(path + b"/", entry.id)
        return entry.id if self._spec.match_file(path.decode(errors="surrogateescape")) else ""


def _question(definition: GateDefinition) -> object:
    """Say what the gate runs, without what does not change its verdict (place, retries)."""
    return definition.model_dump(
        mode="json", include={"run", "env", "expect", "timeout", "idle_timeout", "inputs"}
    )


def _digest(value: object) -> str:
    canonical = json.dumps(value, sort_keys=True, separators=(",", ":"), ensure_ascii=True)
    return hashlib.sha256(canonical.encode()).hexdigest()
