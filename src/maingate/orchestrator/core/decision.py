"""The answer of the core to one event: rows and transitions of one transaction, and the effects after it."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Self

from maingate.commits import LandingIntent
from maingate.ids import WorkstreamId
from maingate.orchestrator.core.effects import Effect
from maingate.orchestrator.core.events import NewPatch
from maingate.orchestrator.core.queue_items import QueueStep
from maingate.recovery.breakers import BreakerUpdate
from maingate.state.holds import Hold
from maingate.state.operator_rules import Override, RequestAnswer
from maingate.state.steps.step import Head, Step
from maingate.state.tool_run import ToolRun


@dataclass(frozen=True, kw_only=True)
class OverrideRecord:
    """An operator's decision that was applied.

    Args:
        head: The task or workstream.
        state: Its state before.
        override: The decision.
        message: Why.
        operator: The operator's name.
    """

    head: Head
    state: str
    override: Override
    message: str
    operator: str


@dataclass(frozen=True, kw_only=True)
class GateEvidence:
    """An execution of a gate that speaks for or against a workstream.

    Args:
        workstream: The workstream.
        gate: The gate.
        tree: The tree that was judged.
        gate_id: The execution.
        is_reused: Whether it was not run for this workstream alone.
    """

    workstream: WorkstreamId
    gate: str
    tree: str
    gate_id: str
    is_reused: bool


@dataclass(kw_only=True)
class Decision:
    """Transitions and rows of one event, recorded in one transaction, and the effects that follow.

    Args:
        patches: New rows of the ledger with their diffs, written before the steps.
        steps: Transitions, in order, all in one transaction.
        evidence: The executions of gates that prove what is to land.
        intents: Landing intents to record in the same transaction.
        intents_landed: Intents whose candidate is on the target.
        intents_abandoned: Intents that will not be carried out.
        answers: Answers to requests.
        overrides: Applied decisions of operators.
        tool_runs: Ended attempts of tools.
        breakers: Changes of the tools' circuit breakers.
        holds: The holds that changed, by entity; None for one that is gone.
        queue: Steps of hand-overs to and from other runs' processes, in order.
        target: The target's new head; None when it did not move.
        speculative: Effects without durable consequences; started before the transaction commits.
        effects: Effects that start after the transaction commits.
    """

    patches: list[tuple[NewPatch, bytes]] = field(default_factory=list)
    steps: list[Step] = field(default_factory=list)
    evidence: list[GateEvidence] = field(default_factory=list)
    intents: list[LandingIntent] = field(default_factory=list)
    intents_landed: list[str] = field(default_factory=list)
    intents_abandoned: list[str] = field(default_factory=list)
    answers: list[RequestAnswer] = field(default_factory=list)
    overrides: list[OverrideRecord] = field(default_factory=list)
    tool_runs: list[ToolRun] = field(default_factory=list)
    breakers: list[BreakerUpdate] = field(default_factory=list)
    holds: Mapping[str, Hold | None] = field(default_factory=dict)
    queue: list[QueueStep] = field(default_factory=list)
    target: str | None = None
    speculative: list[Effect] = field(default_factory=list)
    effects: list[Effect] = field(default_factory=list)

    @property
    def writes(self) -> bool:
        """Return whether anything is to be recorded."""
        return bool(self.steps) or self.has_rows

    @property
    def has_rows(self) -> bool:
        """Return whether anything except transitions is to be recorded."""
        return self.target is not None or bool(
            self.patches
            or self.evidence
            or self.intents
            or self.intents_landed
            or self.intents_abandoned
            or self.answers
            or self.overrides
            or self.tool_runs
            or self.breakers
            or self.holds
            or self.queue
        )

    def __iadd__(self, other: "Decision") -> Self:
        """Append the decision about a later event."""
        for mine, theirs in _pairs(self, other):
            mine.extend(theirs)
        self.target = other.target or self.target
        return self


def _pairs(one: Decision, other: Decision) -> Sequence[tuple[list[Any], list[Any]]]:
    return [
        (one.patches, other.patches),
        (one.steps, other.steps),
        (one.evidence, other.evidence),
        (one.intents, other.intents),
        (one.intents_landed, other.intents_landed),
        (one.intents_abandoned, other.intents_abandoned),
        (one.answers, other.answers),
        (one.overrides, other.overrides),
        (one.tool_runs, other.tool_runs),
        (one.breakers, other.breakers),
        (one.queue, other.queue),
        (one.speculative, other.speculative),
        (one.effects, other.effects),
    ]
