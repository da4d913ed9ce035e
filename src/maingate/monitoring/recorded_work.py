"""The work on record: times of gates, tools and commands, and how workstreams and gates ended."""

from collections import defaultdict
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from typing import Final

from maingate.db.rollups import store
from maingate.db.schema.rollup_kinds import EMPTY, EventKind, Histogram, Measure, MeasureKind
from maingate.plan.choices import TaskKind
from maingate.reasons import ReasonCode
from maingate.repository_context import RepositoryContext
from maingate.state.gate import GateState
from maingate.state.workstream import WorkstreamState

GATE, TOOL, COMMAND = "gate", "tool", "command"

_OF_GATES: Final = frozenset({ReasonCode.GATE_FAILED, ReasonCode.GATE_TIMEOUT})


@dataclass(frozen=True, kw_only=True)
class RecordedWork:
    """The work on record.

    Args:
        times: The histograms by ``gate``, ``tool`` or ``command``, and name.
        failed: Workstreams that failed.
        refused: Those of them that gates refused.
        ended: Workstreams that failed or landed.
        passes: Executions that passed, by gate.
        flakes: Those of them that passed only when they were run again.
        failures: Executions that failed, by gate, without those that were stopped.
    """

    times: Mapping[tuple[str, str], Histogram] = field(default_factory=dict)
    failed: int = 0
    refused: int = 0
    ended: int = 0
    passes: Mapping[str, int] = field(default_factory=dict)
    flakes: Mapping[str, int] = field(default_factory=dict)
    failures: Mapping[str, int] = field(default_factory=dict)


def recorded_work(context: RepositoryContext) -> RecordedWork:
    """Return the work on record: all that was ever counted."""
    store.catch_up(context.database, at=context.clock.now(), tail=store.LONG_TAIL)
    with context.database.read() as conn:
        totals = store.totals(conn)
    times: dict[tuple[str, str], Histogram] = defaultdict(lambda: EMPTY)
    for kind, histogram in totals.measures.items():
        if (key := _key(kind)) is not None:
            times[key] += histogram
    events = totals.events.items()
    failed = [each for each in events if _is_end(each[0], "workstream", WorkstreamState.FAILED)]
    landed = [each for each in events if _is_end(each[0], "workstream", WorkstreamState.COMPLETED)]
    passed = [each for each in events if _is_end(each[0], "test_gate", GateState.PASSED)]
    red = [each for each in events if _is_end(each[0], "test_gate", GateState.FAILED)]
    return RecordedWork(
        times=dict(times),
        failed=_sum(failed),
        refused=_sum(each for each in failed if each[0].reason in _OF_GATES),
        ended=_sum(failed) + _sum(landed),
        passes=_by_gate(passed),
        flakes=_by_gate(each for each in passed if each[0].mark),
        failures=_by_gate(each for each in red if each[0].reason != ReasonCode.CANCELLED),
    )


def _is_end(kind: EventKind, machine: str, state: str) -> bool:
    return (kind.entity_type, kind.to_state) == (machine, str(state))


def _sum(events: Iterable[tuple[EventKind, int]]) -> int:
    return sum(number for _, number in events)


def _by_gate(events: Iterable[tuple[EventKind, int]]) -> Mapping[str, int]:
    found: dict[str, int] = defaultdict(int)
    for kind, number in events:
        found[kind.gate] += number
    return dict(found)


def _key(kind: MeasureKind) -> tuple[str, str] | None:
    if kind.measure == Measure.TOOL:
        return TOOL, kind.tool
    if kind.measure != Measure.STATE:
        return None
    if (kind.entity_type, kind.state) == ("test_gate", str(GateState.RUNNING)):
        return GATE, kind.gate
    is_command = (kind.entity_type, kind.state, kind.variant) == ("task", "running", str(TaskKind.COMMAND))
    return (COMMAND, "") if is_command else None
