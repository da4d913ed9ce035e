"""The view of a queue: the workstreams on board, tests under way, holds, and expected times.

A value for people and programs, made of the state of the queue when it is asked for; it decides nothing.
"""

from collections.abc import Callable, Collection, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from enum import StrEnum
from statistics import median
from typing import Final

from maingate.ids import RunId, WorkstreamId
from maingate.orchestrator.core.queue.board import LandingBoard, Member
from maingate.orchestrator.core.snapshot import WorkstreamNode
from maingate.orchestrator.train.chains import CandidateChain
from maingate.orchestrator.train.expected_time import ExpectedItem, expected_times
from maingate.orchestrator.train.record import TrainRecord
from maingate.orchestrator.train.values import Purpose, WantedRun
from maingate.orchestrator.train.virtual_run import TimeSpread
from maingate.state.queue_control import QueueLeave

_MAY_PROVE: Final = frozenset({Purpose.SEARCH, Purpose.CONFIRM})
"""Purposes of tests after which workstreams may land."""

_MOST_TIMES: Final = 50
"""Newest runs of gates of this process whose times count where the record has none."""


class MemberState(StrEnum):
    """The states of a workstream in the queue; programs may rely on these words."""

    WAITING = "waiting"
    """No test that contains it runs, and it is not proven."""
    HELD = "held"
    """Another workstream must leave first."""
    TESTING = "testing"
    """Tests run that contain it."""
    PROVEN = "proven"
    """The gates passed on it with all that is ahead of it."""
    LANDING = "landing"
    """The target is about to be moved to it."""


class HeldFor(StrEnum):
    """The reasons for which one workstream waits until another has left; programs may rely on these words."""

    CONFLICT = "conflict"
    """They cannot be merged."""
    SAME = "same"
    """It would change nothing once the other has landed."""
    ORDER = "order"
    """The other has a place ahead of it, and is not done yet."""


@dataclass(frozen=True, kw_only=True, slots=True)
class HeldBehind:
    """The workstream that another one waits for, and why."""

    workstream: WorkstreamId
    name: str
    why: HeldFor


@dataclass(frozen=True, kw_only=True, slots=True)
class QueueMember:
    """A workstream in the queue.

    Args:
        held: The one that must leave first; None when none must.
        expected: Seconds until it lands, from the moment of the view on; None where that is not known.
    """

    workstream: WorkstreamId
    name: str
    run: RunId
    state: MemberState
    held: HeldBehind | None = None
    expected: TimeSpread | None = field(default=None, compare=False)


@dataclass(frozen=True, kw_only=True, slots=True)
class QueueTest:
    """Gates that run on a merged result.

    Args:
        contains: Its workstreams, in order; none for the target itself.
        without: Workstreams ahead of the last that it leaves out, because it assumes that they are bad.
        purpose: The reason for it.
        chance: The probability that its verdict is needed, in steps of five hundredths.
        since: When it was asked for.
        gates: Its gates.
    """

    id: str
    contains: tuple[WorkstreamId, ...]
    without: tuple[WorkstreamId, ...]
    purpose: Purpose
    chance: float
    since: datetime
    gates: tuple[str, ...]


@dataclass(frozen=True, kw_only=True, slots=True)
class QueueView:
    """The queue of a target at one moment. Two of them are equal when only expected times differ.

    Args:
        members: The workstreams on board in the order in which they land, then those that are done and held
            up by one that is not.
        tests: The tests under way, the longest running first.
        blocker: The workstream with a place that is not done yet, and holds up those behind it; None without.
        conflicts: Pairs of workstreams that cannot be merged.
        leave: The steps that orders of people leave to the queue, as far as it has heard of them.
    """

    members: tuple[QueueMember, ...]
    tests: tuple[QueueTest, ...]
    blocker: HeldBehind | None
    conflicts: tuple[tuple[WorkstreamId, WorkstreamId], ...]
    leave: QueueLeave


@dataclass(frozen=True, kw_only=True)
class QueueFacts:
    """The state of a queue, as its sight needs it.

    Args:
        board: The workstreams in order.
        root: The chain of the target's head.
        running: The tests under way.
        held: Workstreams that conflict with one ahead, with that one.
        conflicts: Items by what they cannot be merged with, or would change nothing after.
        repeats: Those of these that would change nothing.
        leave: The steps that orders of people leave to the queue.
        landing: The workstreams whose landing is under way.
        item: Returns what a workstream would land as.
        risk: The probability that a workstream is refused.
        flake_rate: The probability that gates fail on a tree that is right.
    """

    board: LandingBoard
    root: CandidateChain
    running: Mapping[str, WantedRun]
    held: Mapping[WorkstreamId, WorkstreamId]
    conflicts: Mapping[str, Collection[str]]
    repeats: Collection[str]
    leave: QueueLeave
    landing: Collection[WorkstreamId]
    item: Callable[[Member], str]
    risk: float
    flake_rate: float


@dataclass(frozen=True, kw_only=True, slots=True)
class _AskedGates:
    gates: tuple[str, ...]
    since: datetime


class QueueSight:
    """Makes views of a queue, and keeps what only they need.

    Args:
        record: The past, which has the times of gates.
        workers: How many runs of gates may be under way at once.
        node: Returns a workstream.
        id_of: Returns the workstream of an item.
    """

    def __init__(
        self,
        *,
        record: TrainRecord,
        workers: int,
        node: Callable[[WorkstreamId], Member],
        id_of: Callable[[str], WorkstreamId],
    ) -> None:
        self._record, self._workers = record, workers
        self._node, self._id_of = node, id_of
        self._asked: dict[str, _AskedGates] = {}
        self._seconds: list[float] = []

    def begin(self, test: str, gates: tuple[str, ...], now: datetime) -> None:
        """Note that a test was asked for."""
        self._asked[test] = _AskedGates(gates=gates, since=now)

    def end(self, test: str, *, seconds: float) -> None:
        """Note that a test has ended, and how long its gates took."""
        if self._asked.pop(test, None) is not None:
            self._seconds = [*self._seconds[1 - _MOST_TIMES :], seconds]

    def look(self, queue: QueueFacts, now: datetime) -> QueueView:
        """Return the view of a queue."""
        self._asked = {test: self._asked[test] for test in queue.running if test in self._asked}
        tests = sorted((self._test(*each) for each in queue.running.items()), key=lambda test: test.since)
        on_board = [workstream for workstream in queue.board.on_board if not workstream.has_ended]
        blocker = queue.board.blocker
        tested = {member for test in tests for member in test.contains}
        standing = _Standing(queue, tested, proven=self._proven(queue, on_board))
        times = self._expected(queue, on_board, _deciding(tests), now)
        blocks = None if blocker is None or blocker.has_ended else self._behind(blocker.id, HeldFor.ORDER)
        members = [self._member(ws, standing, expected) for ws, expected in zip(on_board, times, strict=True)]
        members += [
            QueueMember(workstream=ws.id, name=ws.name, run=ws.run, state=MemberState.HELD, held=blocks)
            for ws in queue.board.held_up()
        ]
        return QueueView(
            members=tuple(members),
            tests=tuple(tests),
            blocker=blocks,
            conflicts=self._conflicts(queue),
            leave=queue.leave,
        )

    def _member(self, workstream: Member, standing: "_Standing", expected: TimeSpread | None) -> QueueMember:
        queue = standing.queue
        obstacle = queue.held.get(workstream.id)
        is_repeat = obstacle is not None and queue.item(workstream) in queue.repeats
        return QueueMember(
            workstream=workstream.id,
            name=workstream.name,
            run=workstream.run,
            state=standing.of(workstream.id),
            held=None
            if obstacle is None
            else self._behind(obstacle, HeldFor.SAME if is_repeat else HeldFor.CONFLICT),
            expected=expected,
        )

    def _behind(self, obstacle: WorkstreamId, why: HeldFor) -> HeldBehind:
        return HeldBehind(workstream=obstacle, name=self._node(obstacle).name, why=why)

    def _test(self, test: str, wanted: WantedRun) -> QueueTest:
        asked = self._asked[test]
        return QueueTest(
            id=test,
            contains=tuple(self._id_of(item) for item in wanted.chain.items()),
            without=tuple(sorted(self._id_of(item) for item in wanted.without)),
            purpose=wanted.purpose,
            chance=round(wanted.chance * 20) / 20,
            since=asked.since,
            gates=asked.gates,
        )

    def _proven(self, queue: QueueFacts, on_board: Sequence[Member]) -> Collection[WorkstreamId]:
        """Return the workstreams up to the last place on which the gates passed."""
        proven: list[WorkstreamId] = []
        passed: list[WorkstreamId] = []
        chain: CandidateChain | None = queue.root
        for workstream in on_board:
            if workstream.id in queue.held:
                continue
            if isinstance(workstream, WorkstreamNode) and workstream.lane is None:
                break
            chain = chain.find(queue.item(workstream)) if chain is not None else None
            if chain is None:
                break
            passed.append(workstream.id)
            if chain.has_passed:
                proven = [*passed]
        return frozenset(proven)

    def _conflicts(self, queue: QueueFacts) -> tuple[tuple[WorkstreamId, WorkstreamId], ...]:
        return tuple(
            (self._id_of(item), self._id_of(other))
            for item, others in queue.conflicts.items()
            if item not in queue.repeats
            for other in sorted(others)
        )

    # -- expected times --------------------------------------------------------------------------------------

    def _expected(
        self,
        queue: QueueFacts,
        on_board: Sequence[Member],
        since: Mapping[WorkstreamId, datetime],
        now: datetime,
    ) -> list[TimeSpread | None]:
        """Return the seconds until each workstream on board lands; None where no gate has a known time."""
        times = {gates: self._round_time(gates) for gates in {ws.gates for ws in on_board}}
        if None in times.values():
            return [None] * len(on_board)
        free = [ws for ws in on_board if ws.id not in queue.held]
        items = [
            ExpectedItem(
                risk=queue.risk if ws.gates else 0.0,
                round_time=times[ws.gates] or TimeSpread(p50=0.0, p90=0.0),
                elapsed=(now - since[ws.id]).total_seconds() if ws.id in since else None,
            )
            for ws in free
        ]
        found = expected_times(items, workers=self._workers, flake_rate=queue.flake_rate)
        bands = dict(zip((ws.id for ws in free), found, strict=True))
        return [bands.get(ws.id) for ws in on_board]

    def _round_time(self, gates: tuple[str, ...]) -> TimeSpread | None:
        if not gates:
            return TimeSpread(p50=0.0, p90=0.0)
        if self._record.knows_times:
            return TimeSpread(p50=self._record.seconds_of(gates), p90=self._record.slow_seconds_of(gates))
        if not self._seconds:
            return None
        return TimeSpread(p50=median(self._seconds), p90=max(self._seconds))


def _deciding(tests: Sequence[QueueTest]) -> Mapping[WorkstreamId, datetime]:
    """Return since when each workstream is in a test after which it may land, the longest running first."""
    deciding = [test for test in tests if test.purpose in _MAY_PROVE and not test.without]
    return {member: test.since for test in reversed(deciding) for member in test.contains}


@dataclass(frozen=True)
class _Standing:
    """The facts from which the states of members follow."""

    queue: QueueFacts
    tested: Collection[WorkstreamId]
    proven: Collection[WorkstreamId]

    def of(self, workstream: WorkstreamId) -> MemberState:
        """Return the state of a workstream on board."""
        if workstream in self.queue.landing:
            return MemberState.LANDING
        if workstream in self.queue.held:
            return MemberState.HELD
        if workstream in self.proven:
            return MemberState.PROVEN
        return MemberState.TESTING if workstream in self.tested else MemberState.WAITING
