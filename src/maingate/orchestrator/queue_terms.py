"""The terms on which the workstreams of one run land, made of its plan, its settings and its gates' keys."""

from collections.abc import Iterable, Sequence
from itertools import chain

from maingate.commits import LandingInput
from maingate.plan.choices import Proof
from maingate.plan.model import Plan
from maingate.settings import Settings
from maingate.state.landing_terms import GateTerms, LandingTerms, TermsDifference, TermsPart
from maingate.verdicts.input_digests import digest_of
from maingate.verdicts.keys import VerdictKeys


class QueueTerms:
    """The terms on which a run's workstreams land: those of one run may land by another's process if equal.

    Args:
        plan: The plan.
        settings: The settings of the process.
        keys: The keys of its verdicts.
    """

    def __init__(self, plan: Plan, settings: Settings, keys: VerdictKeys) -> None:
        self._judges_patches = plan.promise is Proof.COMMIT
        self._ground = {
            TermsPart.PROOF: digest_of(plan.promise),
            TermsPart.SIGN: digest_of(settings.sign),
            TermsPart.COMMITTER: digest_of(settings.committer),
            TermsPart.POLICY: digest_of(settings.policy.model_dump(mode="json")),
        }
        self._gates = {
            name: GateTerms(definition=digest_of(gate.model_dump(mode="json")), question=keys.question(name))
            for name, gate in plan.gates.items()
        }

    def asked(self, landing: LandingInput) -> Sequence[str]:
        """Return the gates that a workstream, and by proof each of its patches, must pass."""
        of_patches = landing.patch_gates.values() if self._judges_patches else ()
        return sorted({*landing.gates, *chain.from_iterable(of_patches)})

    def of(self, gates: Iterable[str]) -> LandingTerms:
        """Return the terms on which workstreams with some gates land here, without gates that are unknown."""
        known = {name: self._gates[name] for name in gates if name in self._gates}
        return LandingTerms(ground=self._ground, gates=known)

    def unlike(self, kept: str, gates: Sequence[str]) -> Sequence[TermsDifference]:
        """Return how the terms of another run's workstream differ from those of this run.

        Args:
            kept: Its terms, as they are kept.
            gates: The gates that it must pass.
        """
        wanted = LandingTerms.from_text(kept)
        return (
            [TermsDifference(part=TermsPart.PROGRAM)]
            if wanted is None
            else wanted.differences(self.of(gates))
        )
