"""A workstream that is handed over says which run lands it, its place, or why that run does not land it."""

from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from maingate.db.dao.leases import Lease
from maingate.db.dao.queue_items import QueueItemRow
from maingate.ids import LeaseHolder
from maingate.orchestrator.core.queue.queue_view import HeldFor
from maingate.queries.waits.explain import why_waiting
from maingate.queries.waits.explanation import Explanation
from maingate.queries.waits.obstacles import OBSTACLES
from maingate.queries.waits.run_rows import RunRows
from maingate.queries.waits.server_line import NamedRun
from maingate.queries.waits.target_rows import Holder, TargetRows
from maingate.state.holds import HoldCode
from maingate.state.landing_terms import TermsDifference, TermsPart
from maingate.state.patch_ledger import PatchState
from maingate.state.queue_control import OrderInForce, QueueControl, QueueOrder
from maingate.state.queue_item import QueueItemState
from maingate.state.run import RunState
from maingate.state.task import TaskState
from maingate.state.workstream import WorkstreamState
from support.database_factories import make_patch, make_run, make_task, make_workstream

NOW = datetime(2026, 1, 1, 12, tzinfo=UTC)
SINCE = NOW + timedelta(minutes=5)
"""The time at which the workstream got its place."""
RUN = make_run(id="run_own", name="own", state=RunState.RUNNING, changed_at=NOW)
STREAM = make_workstream(RUN, id="ws_b", name="b", state=WorkstreamState.EXECUTING, changed_at=NOW)
TASK = make_task(STREAM, state=TaskState.VALIDATING, changed_at=NOW)
PATCH = make_patch(TASK, state=PatchState.APPLIED, changed_at=NOW)
OTHER = NamedRun(id="run_other", name="other")
UNTIL = "it has landed, or is refused"


def item(state: QueueItemState = QueueItemState.WAITING, **fields: Any) -> QueueItemRow:
    """Arrange the hand-over of the workstream."""
    place = round(SINCE.timestamp() * 1_000_000)
    return QueueItemRow(
        workstream_id="ws_b",
        run_id=RUN.id,
        offer="offer_1",
        place=place,
        place_in_run=0,
        state=state,
        **fields,
    )


def holder(run: NamedRun | None = OTHER, **fields: Any) -> Holder:
    """Arrange the process that holds the target."""
    lease = Lease(
        key="repo_1#refs/heads/main",
        holder=LeaseHolder("rollback_1" if run is None else run.id),
        host="h",
        pid=1,
        pid_started="1",
        token=1,
        acquired_at=NOW,
        expires_at=NOW,
    )
    return Holder(lease=lease, run=run, **fields)


def member(name: str, state: str = "waiting", **fields: Any) -> dict[str, Any]:
    """Return a workstream as a view has it."""
    about = {"id": f"ws_{name}", "name": name, "run_id": "run_other", "state": state, "held_by": None}
    return {**about, **fields}


def explained(
    handed: QueueItemRow | None, at_target: Holder | None, **rows: Any
) -> tuple[Explanation, Explanation]:
    """Return the explanations of the workstream and of its task."""
    given = RunRows(
        run=RUN,
        workstreams=[STREAM],
        tasks=[TASK],
        patches=[PATCH],
        gates=[],
        target=TargetRows(items={} if handed is None else {"ws_b": handed}, holder=at_target),
        **rows,
    )
    answers = why_waiting(given, is_alive=True)
    return answers[STREAM.id], answers[TASK.id]


def test_one_on_board_names_the_run_that_lands_it_and_its_place() -> None:
    """Its task waits for the same, and not for a free worker; it waits since it got its place."""
    view = {"members": [member("a", "proven"), member("b")]}
    stream, task = explained(item(), holder(view=view))
    assert stream.sentence == (
        "waits for run other (run_other), whose process lands on main: at place 2 of 2, waiting; "
        f"until {UNTIL}"
    )
    assert (stream.code, stream.since, stream.is_moving) == (HoldCode.HANDED_OVER, SINCE, False)
    assert stream.about == {"run": "run_other", "place": 2, "of": 2, "state": "waiting"}
    assert (task.code, task.what, task.kind) == (stream.code, stream.what, stream.kind)
    assert stream.kind == "run other (run_other), whose process lands on main"


@pytest.mark.parametrize(
    ("contains", "beside"),
    [
        (["ws_b"], "alone"),
        (["ws_a", "ws_b"], "with a"),
        ([*(f"ws_{at}" for at in range(9)), "ws_b"], "with ws_0, ws_1, ws_2, ws_3, ws_4 and 4 more"),
        (["ws_b", *(f"ws_{at}" for at in range(5))], "with ws_0, ws_1, ws_2, ws_3, ws_4"),
    ],
)
def test_one_that_is_tested_names_its_gates_and_those_beside_it(contains: list[str], beside: str) -> None:
    """It moves; of several tests the longest running one is told."""
    test = {"contains": contains, "since": "2026-01-01T12:06:00.000Z", "gates": ["unit", "lint"]}
    later = {"contains": ["ws_b"], "since": "2026-01-01T12:07:00.000Z", "gates": ["slow"]}
    view = {"members": [member("a", "testing"), member("b", "testing")], "tests": [test, later]}
    stream, _ = explained(item(), holder(view=view))
    assert stream.what.endswith(f"tested {beside} (unit, lint, running since 12:06:00 UTC)")
    assert stream.is_moving


@pytest.mark.parametrize(
    ("held", "said"),
    [
        ({"name": "a", "why": "conflict"}, "at place 1 of 1, held: it conflicts with a"),
        ({"name": "a", "why": "same"}, "at place 1 of 1, held: it has the changes of a"),
        ({"name": "a", "why": "order"}, "at place 1 of 1, held: it lands after a"),
        (None, "at place 1 of 1, held: the queue is drained"),
    ],
)
def test_one_that_is_held_names_what_holds_it(held: dict[str, str] | None, said: str) -> None:
    """Whichever run that is of."""
    stream, _ = explained(item(), holder(view={"members": [member("b", "held", held_by=held)]}))
    assert stream.what.endswith(said)
    assert not stream.is_moving


def test_one_that_is_not_proved_alike_names_the_parts_and_the_next_step() -> None:
    """The run that holds the target is named, and that its own run takes it then."""
    differences = [
        TermsDifference(part=TermsPart.GATE, gate="unit"),
        TermsDifference(part=TermsPart.POLICY),
    ]
    kept = {"id": "ws_b", "name": "b", "run_id": RUN.id, "differences": [d.as_json() for d in differences]}
    stream, task = explained(item(), holder(view={"members": [member("a")], "kept_waiting": [kept]}))
    assert stream.sentence == (
        "waits for run other (run_other) to let main go, because the two are not proved alike: "
        "the gate unit is defined differently, `policy` differs; "
        "until nothing is on board there any more, and its own run takes main"
    )
    assert (stream.code, stream.since) == (HoldCode.TARGET, SINCE)
    assert stream.about == {
        "run": "run_other",
        "differences": [{"part": "gate", "gate": "unit"}, {"part": "policy", "gate": None}],
    }
    assert task.kind == stream.kind == "run other (run_other) to let main go"


@pytest.mark.parametrize(
    ("handed", "at_target", "code", "what"),
    [
        (
            item(),
            holder(),
            HoldCode.HANDED_OVER,
            "run other (run_other), which holds main, to take it on board",
        ),
        (
            item(),
            holder(is_leaving=True),
            HoldCode.TARGET,
            "run other (run_other) to let main go, because that begins nothing new",
        ),
        (item(), holder(None), HoldCode.TARGET, "main, where rollback_1 is at work"),
        (
            item(),
            None,
            HoldCode.TARGET,
            "main, which no process holds: the run that has waited longest takes it",
        ),
        (
            item(QueueItemState.LANDING),
            None,
            HoldCode.TARGET,
            "main, which no process holds: the one that was landing it has exited",
        ),
        (
            item(is_wanted_back=True),
            holder(),
            HoldCode.HANDED_OVER,
            "run other (run_other) to give it back, because a request about it waits",
        ),
        (
            item(QueueItemState.LANDING),
            holder(),
            HoldCode.HANDED_OVER,
            "main to be moved to it by run other (run_other)",
        ),
        (
            item(),
            holder(NamedRun(id=RUN.id, name="own")),
            HoldCode.NEXT_STEP,
            "its own run, which holds its target again, to go on with it",
        ),
        *(
            (item(state), holder(), HoldCode.NEXT_STEP, "the answer about it to be recorded")
            for state in (QueueItemState.LANDED, QueueItemState.REFUSED, QueueItemState.RETURNED)
        ),
    ],
)
def test_every_standing_of_a_hand_over_has_its_sentence(
    handed: QueueItemRow, at_target: Holder | None, code: HoldCode, what: str
) -> None:
    """Whoever holds the target, and whatever it has answered."""
    stream, _ = explained(handed, at_target)
    assert (stream.code, stream.what) == (code, what)


def test_an_order_about_the_queue_is_told_before_the_run_that_lands() -> None:
    """While it is paused, nothing lands by any process."""
    control = QueueControl(key="k", kind=QueueOrder.PAUSE, operator="ada", reason="", since=NOW)
    orders = [OrderInForce(control=control, since=NOW, until=None)]
    stream, task = explained(item(), holder(view={"members": [member("b")]}), orders=orders)
    assert stream.code is task.code is HoldCode.QUEUE


def test_an_own_workstream_on_board_names_the_test_of_its_merged_result() -> None:
    """The gates run on the result with others, so no gate is on record for the patch itself."""
    test = {"contains": ["ws_b", "ws_a"], "since": "2026-01-01T12:06:00.000Z", "gates": ["unit"]}
    members = [member("b", "testing"), member("a", "testing")]
    own = holder(NamedRun(id=RUN.id, name="own"), view={"members": members, "tests": [test]})
    _, task = explained(None, own)
    assert task.what == (
        "the gates on its merged result: at place 1 of 2, tested with a (unit, running since 12:06:00 UTC)"
    )
    assert (task.code, task.is_moving) == (HoldCode.GATES, True)
    _, task = explained(None, holder(NamedRun(id=RUN.id, name="own"), view={"members": [member("b")]}))
    assert (task.code, task.what) == (
        HoldCode.WORKER,
        "the gates on its merged result: at place 1 of 1, waiting",
    )
    _, task = explained(None, holder(view={"members": members}))
    assert task.what == "a free worker for its gates"


def test_there_are_words_for_each_obstacle() -> None:
    """Every face takes them from there."""
    assert OBSTACLES.keys() == {str(each) for each in HeldFor}
