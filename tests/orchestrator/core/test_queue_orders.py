"""The queue as it is shown, and under orders of people: without git or gates."""

from dataclasses import dataclass, field, replace
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from maingate.ids import WorkstreamId
from maingate.orchestrator.core.core import Core
from maingate.orchestrator.core.core_assembly import RunLimits
from maingate.orchestrator.core.effects import Effect, JudgeChain, LandCar, StopJudging, TakePatch
from maingate.orchestrator.core.events import QueueOrdersRead
from maingate.orchestrator.core.queue.queue_view import HeldBehind, HeldFor, MemberState, QueueView
from maingate.orchestrator.train.record import GatePast, TrainRecord
from maingate.orchestrator.train.values import Purpose, TrainPolicy
from maingate.orchestrator.train.virtual_run import TimeSpread
from maingate.state.queue_control import QueueLeave
from orchestrator.core.test_core import ROOM, picture_of
from orchestrator.core.test_landing_queue import Queue, landed, queue_of, states

NOW = datetime(2026, 1, 9, 12, tzinfo=UTC)
GATE = GatePast(seconds=60.0, slow=90.0, passes=10)
PAUSED = QueueOrdersRead(leave=QueueLeave(may_test=False, may_land=False))
FROZEN = QueueOrdersRead(leave=QueueLeave(may_land=False))
DRAINING = QueueLeave(is_draining=True)


@dataclass
class Stepped(Queue):
    """A queue whose effects are answered one after the other, as the test wants.

    Args:
        waiting: The effects that are not answered yet.
        slow: A workstream whose patch is never taken in.
    """

    waiting: list[Effect] = field(default_factory=list)
    slow: str = ""

    def begun(self, orders: QueueOrdersRead | None = None) -> Core:
        """Begin, and answer all but runs of gates and landings."""
        limits = RunLimits(
            worker_id="wrk_1",
            capacity=ROOM,
            window=3,
            gate_runs=self.workers,
            train=TrainPolicy(proof=self.proof),
            record=TrainRecord(gates={"unit": GATE, **self.record.gates}),
        )
        core = Core(picture_of(self.plan), limits, now=NOW)
        self.waiting = self.follow(core.begin(orders=orders))
        self.answer_all(core)
        return core

    def answer_all(self, core: Core, *kinds: type[Effect]) -> None:
        """Answer what waits, but of runs of gates and landings only those of some kinds."""
        while ready := [each for each in self.waiting if self._is_answered(core, each, kinds)]:
            self.waiting.remove(ready[0])
            event = self.answer(core, ready[0])
            if event is not None:
                self.waiting += self.follow(core.handle(event))

    def _is_answered(self, core: Core, effect: Effect, kinds: tuple[type[Effect], ...]) -> bool:
        if isinstance(effect, TakePatch):
            return core.task(effect.task).label != f"{self.slow}/t"
        return isinstance(effect, kinds) or not isinstance(effect, JudgeChain | LandCar)

    def order(self, core: Core, orders: QueueOrdersRead) -> None:
        """Let the core hear of orders."""
        self.waiting += self.follow(core.handle(orders))
        self.answer_all(core)

    def of(self, kind: type[Effect]) -> list[Any]:
        """Return the effects of a kind that wait."""
        return [each for each in self.waiting if isinstance(each, kind)]


def stepped(names: str, **rest: Any) -> Stepped:
    """Make a queue of workstreams of one ready patch and one gate on the merged result."""
    return Stepped(queue_of(names).plan, {}, seed=0, **rest)


def names_of(core: Core, view: QueueView) -> str:
    """Return the workstreams on board, in order."""
    return "".join(core.workstream(each.workstream).name for each in view.members)


def shown(view: QueueView) -> dict[str, MemberState]:
    """Return the state of each workstream of a view."""
    return {each.name: each.state for each in view.members}


def id_of(core: Core, name: str) -> WorkstreamId:
    """Return the id of a workstream."""
    return core.run.workstreams[name].id


def test_the_view_says_what_is_tested_with_whom_since_when_and_what_for() -> None:
    """One worker: all at once, needed for certain, and expected to land when it is over."""
    queue = stepped("abc", workers=1)
    core = queue.begun()
    view = core.queue_view(NOW + timedelta(seconds=20))
    assert names_of(core, view) == "abc"
    assert shown(view) == dict.fromkeys("abc", MemberState.TESTING)
    [test] = view.tests
    assert [core.workstream(each).name for each in test.contains] == ["a", "b", "c"]
    assert (test.without, test.purpose, test.chance, test.gates) == ((), Purpose.SEARCH, 1.0, ("unit",))
    assert test.since == NOW
    assert view.members[0].expected == TimeSpread(p50=40.0, p90=70.0)
    assert view.blocker is None
    assert view.conflicts == ()


def test_a_view_is_another_when_more_than_times_differ() -> None:
    """So it is written when something has happened, not as time goes by."""
    queue = stepped("abc", workers=1)
    core = queue.begun()
    before = core.queue_view(NOW)
    assert core.queue_view(NOW + timedelta(minutes=5)) == before
    queue.answer_all(core, JudgeChain)
    assert core.queue_view(NOW) != before


def test_what_passed_is_proven_and_then_landing() -> None:
    """While the queue is frozen it stays proven; then the target is moved."""
    queue = stepped("ab", workers=1)
    core = queue.begun(FROZEN)
    queue.answer_all(core, JudgeChain)
    assert shown(core.queue_view(NOW)) == dict.fromkeys("ab", MemberState.PROVEN)
    queue.order(core, QueueOrdersRead())
    assert shown(core.queue_view(NOW)) == dict.fromkeys("ab", MemberState.LANDING)
    queue.answer_all(core, LandCar)
    assert core.queue_view(NOW).members == ()
    assert landed(core) == "ab"


def test_a_conflict_says_with_whom() -> None:
    """It is held until the other has left; both are a pair that cannot be merged."""
    queue = stepped("abc", conflicting={("a", "b")})
    core = queue.begun()
    view = core.queue_view(NOW)
    held = next(each for each in view.members if each.name == "b")
    assert held.state is MemberState.HELD
    assert held.held == HeldBehind(workstream=id_of(core, "a"), name="a", why=HeldFor.CONFLICT)
    assert held.expected is None
    assert view.conflicts == ((id_of(core, "b"), id_of(core, "a")),)


def test_a_test_that_assumes_a_culprit_says_whom_it_leaves_out() -> None:
    """When `ab` has failed and `a` has passed, idle workers test what is behind `b` without it."""
    queue = stepped("abcd", red_sets=[{"b"}], workers=3)
    core = queue.begun()
    seen: list[tuple[list[str], list[str]]] = []
    while runs := queue.of(JudgeChain):
        for test in core.queue_view(NOW).tests:
            bad = [core.workstream(each).name for each in test.without]
            seen.append(([core.workstream(each).name for each in test.contains], bad))
        queue.waiting.remove(runs[0])
        event = queue.answer(core, runs[0])
        assert event is not None
        queue.waiting += queue.follow(core.handle(event))
        queue.answer_all(core, LandCar)
    assert any(bad == ["b"] and "b" not in contains for contains, bad in seen)
    assert states(core) == {"a": "landed", "b": "gate_failed", "c": "landed", "d": "landed"}


def test_a_pause_starts_no_test_and_stops_none() -> None:
    """The test under way ends, and its verdict is kept: it lands when the pause is over, without another."""
    queue = stepped("abc", workers=1)
    core = queue.begun()
    [running] = queue.of(JudgeChain)
    queue.order(core, PAUSED)
    assert queue.waiting == [running]
    queue.answer_all(core, JudgeChain)
    assert queue.waiting == []
    queue.order(core, QueueOrdersRead())
    queue.answer_all(core, LandCar)
    assert (landed(core), len(queue.runs)) == ("abc", 1)


def test_a_queue_that_is_paused_from_the_beginning_tests_nothing() -> None:
    """The next process obeys before it does anything."""
    queue = stepped("abc")
    core = queue.begun(PAUSED)
    assert queue.waiting == []
    queue.order(core, QueueOrdersRead())
    queue.answer_all(core, JudgeChain, LandCar)
    assert landed(core) == "abc"


def test_a_freeze_lets_tests_go_on() -> None:
    """All is known when the freeze is over: the rest lands, the culprit is refused, and no test is run."""
    record = TrainRecord(gates={"unit": replace(GATE, passes=50)})
    queue = stepped("abcd", red_sets=[{"b"}], workers=1, record=record)
    core = queue.begun(FROZEN)
    queue.answer_all(core, JudgeChain)
    assert landed(core) == ""
    assert shown(core.queue_view(NOW))["a"] is MemberState.PROVEN
    runs = len(queue.runs)
    queue.order(core, QueueOrdersRead())
    queue.answer_all(core, LandCar)
    assert (landed(core), len(queue.runs)) == ("acd", runs)
    assert states(core)["b"] == "gate_failed"


@pytest.mark.parametrize("names", ["a", "ac", ""])
def test_a_drain_lands_what_was_on_board_and_takes_nothing_new(names: str) -> None:
    """Another process has said what that was; the rest waits, and lands when the drain is over."""
    queue = stepped("abcd", workers=2)
    core = queue.begun()
    kept = frozenset(id_of(core, name) for name in names)
    queue.order(core, QueueOrdersRead(leave=DRAINING, on_board=kept))
    queue.answer_all(core, JudgeChain, LandCar)
    assert landed(core) == names
    view = core.queue_view(NOW)
    assert shown(view) == {name: MemberState.HELD for name in "abcd" if name not in names}
    queue.order(core, QueueOrdersRead())
    queue.answer_all(core, JudgeChain, LandCar)
    assert sorted(landed(core)) == [*"abcd"]


def test_a_drain_of_which_nothing_was_said_keeps_what_is_on_board_and_says_so() -> None:
    """It is written by the shell, so that the next process lands the same."""
    queue = stepped("ab")
    core = queue.begun()
    assert core.kept_by_drain is None
    queue.order(core, QueueOrdersRead(leave=DRAINING))
    assert core.kept_by_drain == {id_of(core, "a"), id_of(core, "b")}
    queue.order(core, QueueOrdersRead(leave=DRAINING, on_board=core.kept_by_drain))
    assert core.kept_by_drain is None


def test_orders_stop_no_test_that_is_still_wanted() -> None:
    """Neither a pause nor a freeze nor a drain cancels one."""
    for orders in (PAUSED, FROZEN, QueueOrdersRead(leave=DRAINING)):
        queue = stepped("abcd", workers=3)
        core = queue.begun()
        queue.order(core, orders)
        assert queue.of(StopJudging) == []


def test_one_that_is_promoted_lands_first_and_one_that_is_demoted_last() -> None:
    """The last one that was promoted comes before those that were before it."""
    queue = stepped("abcd", workers=1)
    core = queue.begun(PAUSED)
    ranks: dict[str, int] = {id_of(core, "c"): -1, id_of(core, "d"): -2, id_of(core, "a"): 1}
    queue.order(core, QueueOrdersRead(ranks=ranks))
    assert names_of(core, core.queue_view(NOW)) == "dcba"
    queue.answer_all(core, JudgeChain, LandCar)
    assert landed(core) == "dcba"


def test_a_promotion_amid_tests_and_landings_loses_nothing() -> None:
    """Whatever is under way when it comes, each workstream lands once."""
    for moment in range(6):
        queue = stepped("abcde", workers=2, red_sets=[{"b"}])
        core = queue.begun()
        for _ in range(moment):
            if wanted := [*queue.of(LandCar), *queue.of(JudgeChain)]:
                queue.waiting.remove(wanted[0])
                event = queue.answer(core, wanted[0])
                assert event is not None
                queue.waiting += queue.follow(core.handle(event))
                queue.answer_all(core)
        queue.order(core, QueueOrdersRead(ranks={id_of(core, "e"): -1, id_of(core, "a"): 1}))
        queue.answer_all(core, JudgeChain, LandCar)
        assert sorted(landed(core)) == [*"acde"]
        assert states(core)["b"] == "gate_failed"


def test_one_that_is_not_done_holds_up_none_where_it_is_demoted() -> None:
    """Its place is behind all others then, so none waits for it."""
    queue = stepped("abc", slow="a")
    core = queue.begun(PAUSED)
    view = core.queue_view(NOW)
    first = id_of(core, "a")
    assert view.blocker == HeldBehind(workstream=first, name="a", why=HeldFor.ORDER)
    assert shown(view) == dict.fromkeys("bc", MemberState.HELD)
    assert {each.held for each in view.members} == {view.blocker}
    queue.order(core, QueueOrdersRead(leave=PAUSED.leave, ranks={id_of(core, "c"): -1}))
    assert shown(core.queue_view(NOW)) == {"c": MemberState.WAITING, "b": MemberState.HELD}
    queue.order(core, QueueOrdersRead(leave=PAUSED.leave, ranks={first: 1}))
    assert core.queue_view(NOW).blocker is None
    assert names_of(core, core.queue_view(NOW)) == "bc"
