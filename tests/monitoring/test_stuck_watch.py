"""What does not move for too long is noticed once, and again only after it moved."""

from collections.abc import Sequence
from datetime import UTC, datetime, timedelta

from hypothesis import given
from hypothesis import strategies as st

from maingate.events import Severity
from maingate.monitoring.stuck_watch import Stuck, StuckLimits, StuckWatch, overdue, stuck_event
from maingate.settings import Settings
from maingate.state.patch_ledger import PatchState
from maingate.state.steps.step import Context, Step
from maingate.state.task import TaskState
from maingate.state.workstream import WorkstreamState
from support.database_factories import make_patch, make_run, make_task, make_workstream

NOW = datetime(2026, 1, 1, 12, tzinfo=UTC)
PATIENCE = StuckLimits(task=timedelta(minutes=30), workstream=timedelta(hours=1), worker=timedelta(minutes=2))
TASK = Context(run_id="run_1", workstream_id="ws_1", task_id="task_1")
STREAM = Context(run_id="run_1", workstream_id="ws_1")
MACHINE_OF = {"ws_1": "workstream", "task_1": "task", "patch_1": "patch_ledger"}


def a_watch() -> StuckWatch:
    """Arrange a watch over a workstream, its task and its patch."""
    return StuckWatch(patience=PATIENCE, context_of=lambda name: STREAM if name == "ws_1" else TASK)


def a_step(entity_id: str, to: str) -> Step:
    """Arrange a committed transition."""
    return Step(head_id=entity_id, machine=MACHINE_OF[entity_id], to=to, trigger="any")


def minutes(number: float) -> datetime:
    """Give the time so many minutes later."""
    return NOW + timedelta(minutes=number)


def names(found: Sequence[Stuck]) -> list[str]:
    """Name what was found."""
    return [stuck.entity_id for stuck in found]


def test_a_task_that_runs_too_long_is_reported_once() -> None:
    """Not at the threshold, but past it; then not again while it stays."""
    watch = a_watch()
    watch.told([a_step("task_1", "running")], NOW)
    assert watch.due(minutes(30)) == []
    assert watch.due(minutes(31)) == [
        Stuck(machine="task", entity_id="task_1", since=NOW, threshold=PATIENCE.task, context=TASK)
    ]
    assert watch.due(minutes(90)) == []


def test_another_attempt_is_another_episode() -> None:
    """It moved on and runs again: its time begins anew."""
    watch = a_watch()
    watch.told([a_step("task_1", "running")], NOW)
    assert names(watch.due(minutes(31))) == ["task_1"]
    watch.told([a_step("task_1", "retrying"), a_step("task_1", "queued")], minutes(32))
    assert watch.due(minutes(120)) == []
    watch.told([a_step("task_1", "running")], minutes(120))
    assert names(watch.due(minutes(151))) == ["task_1"]


def test_a_workstream_is_stirred_by_its_tasks_and_patches() -> None:
    """Each of their changes is a change of the workstream that executes."""
    watch = a_watch()
    watch.told([a_step("ws_1", "executing")], NOW)
    watch.told([a_step("task_1", "validating")], minutes(50))
    watch.told([a_step("patch_1", "applied")], minutes(100))
    assert watch.due(minutes(160)) == []
    assert names(watch.due(minutes(161))) == ["ws_1"]
    watch.told([a_step("patch_1", "verified")], minutes(170))
    assert watch.due(minutes(171)) == []
    assert names(watch.due(minutes(231))) == ["ws_1"]
    watch.told([a_step("ws_1", "validating")], minutes(232))
    assert watch.due(minutes(999)) == []


def test_a_silent_worker_is_reported_once_until_it_is_heard_of() -> None:
    """Its silence is given as an age; one sign of life begins a new episode."""
    watch = a_watch()
    assert watch.due(minutes(0), {"wrk_1": timedelta(minutes=2)}) == []
    assert names(watch.due(minutes(1), {"wrk_1": timedelta(minutes=3)})) == ["wrk_1"]
    assert watch.due(minutes(2), {"wrk_1": timedelta(minutes=4)}) == []
    assert names(watch.due(minutes(6), {"wrk_1": timedelta(minutes=3)})) == ["wrk_1"]
    assert watch.due(minutes(7), {"wrk_1": timedelta(seconds=1)}) == []
    assert names(watch.due(minutes(10), {"wrk_1": timedelta(minutes=3)})) == ["wrk_1"]


def test_what_was_under_way_already_gets_its_full_time() -> None:
    """After a resume the waits begin with what was found, not with what was before the crash."""
    run = make_run()
    stream = make_workstream(run, state=WorkstreamState.EXECUTING)
    task = make_task(stream, state=TaskState.RUNNING)
    watch = a_watch()
    watch.found([stream.head, task.head], NOW)
    assert watch.due(minutes(29)) == []
    assert names(watch.due(minutes(31))) == [task.id]
    assert names(watch.due(minutes(61))) == [stream.id]


def test_what_an_order_held_is_stuck_only_as_long_after_it() -> None:
    """Being held counts as progress up to the moment that it was."""
    stream = make_workstream(make_run(), state=WorkstreamState.EXECUTING)
    watch = a_watch()
    watch.found([stream.head], NOW)
    assert names(watch.due(minutes(61))) == [stream.id]
    watch.excuse([stream.id, "ws_unknown"], minutes(61))
    assert watch.due(minutes(121)) == []
    assert names(watch.due(minutes(122))) == [stream.id]


def test_rows_alone_tell_what_is_stuck() -> None:
    """For reading: a workstream whose patch moved lately is not stuck, whatever its own row says."""
    run = make_run()
    still = make_workstream(run, state=WorkstreamState.EXECUTING, changed_at=NOW)
    moving = make_workstream(run, state=WorkstreamState.EXECUTING, changed_at=NOW)
    task = make_task(moving, state=TaskState.RUNNING, changed_at=NOW)
    patch = make_patch(task, state=PatchState.APPLIED, changed_at=minutes(60))
    rows = [patch, task, moving, still]
    found = overdue(rows, PATIENCE, now=minutes(61))
    assert {name: (stuck.since, stuck.threshold) for name, stuck in found.items()} == {
        still.id: (NOW, PATIENCE.workstream),
        task.id: (NOW, PATIENCE.task),
    }
    assert found[task.id].as_json(minutes(61)) == {
        "since": "2026-01-01T12:00:00.000Z",
        "seconds": 3660.0,
        "threshold": 1800.0,
    }


def test_the_event_says_since_when_and_how_long_it_may() -> None:
    """A warning about the entity, in its context."""
    stuck = Stuck(machine="task", entity_id="task_1", since=NOW, threshold=PATIENCE.task, context=TASK)
    event = stuck_event(stuck, minutes(31))
    assert (event.event_type, event.severity, event.timestamp) == ("stuck", Severity.WARNING, minutes(31))
    assert (event.entity_type, event.entity_id) == ("task", "task_1")
    assert (event.run_id, event.workstream_id, event.task_id) == ("run_1", "ws_1", "task_1")
    assert event.metadata == {"since": "2026-01-01T12:00:00.000Z", "threshold": 1800.0}
    assert event.reason is None
    assert not event.is_transition


def test_patience_comes_from_the_settings() -> None:
    """The three thresholds of the settings."""
    assert StuckLimits.of(Settings()) == PATIENCE


_MOVES = st.tuples(
    st.sampled_from(
        [
            ("task_1", "running"),
            ("task_1", "validating"),
            ("task_1", "retrying"),
            ("patch_1", "applied"),
            ("ws_1", "executing"),
            ("ws_1", "validating"),
        ]
    ),
    st.integers(min_value=0, max_value=50),
)


@given(st.lists(_MOVES, max_size=30))
def test_each_episode_is_reported_exactly_once_when_it_is_past_its_time(
    moves: list[tuple[tuple[str, str], int]],
) -> None:
    """Asked every minute, the watch says what a plain reading of the whole history says."""
    watch, history, reported = a_watch(), list[tuple[str, str, int]](), set[tuple[str, int]]()
    at = 0
    for (entity_id, to), wait in [*moves, (("patch_1", "verified"), 200)]:
        for minute in range(at, at + wait):
            found = {
                (name, last) for name in names(watch.due(minutes(minute))) for last in [_last(history, name)]
            }
            assert found == _expected(history, minute) - reported
            assert not found & reported
            reported |= found
        at += wait
        watch.told([a_step(entity_id, to)], minutes(at))
        history.append((entity_id, to, at))
        reported = {one for one in reported if one in _expected(history, at)}


def _state(history: list[tuple[str, str, int]], entity_id: str) -> str:
    return next((to for name, to, _ in reversed(history) if name == entity_id), "")


def _last(history: list[tuple[str, str, int]], entity_id: str) -> int:
    """Give the minute at which an entity, or for a workstream anything of it, last moved."""
    return max(at for name, _, at in history if entity_id in (name, "ws_1"))


def _expected(history: list[tuple[str, str, int]], minute: int) -> set[tuple[str, int]]:
    wanted = set()
    for entity_id, state, patience in (("task_1", "running", 30), ("ws_1", "executing", 60)):
        if _state(history, entity_id) == state and minute - _last(history, entity_id) > patience:
            wanted.add((entity_id, _last(history, entity_id)))
    return wanted
