"""The items of the inbox from their rows: what is open, what is superseded, and the command of each."""

from dataclasses import replace
from datetime import UTC, datetime, timedelta
from typing import Any, Final

import pytest

from maingate.db.dao.breakers import BreakerRow
from maingate.db.dao.overviews.refused_patches import RefusedPatch
from maingate.events import Severity
from maingate.ids import RunId
from maingate.landing.move_values import Behind
from maingate.monitoring.stuck_watch import Stuck
from maingate.queries.inbox.items import items_of, newest_attempts
from maingate.queries.inbox.values import (
    About,
    InboxCode,
    InboxItem,
    InboxRows,
    OpenRun,
    RedBase,
    UnapprovedPatch,
)
from maingate.reasons import Reason, ReasonCode
from maingate.state.circuit_breaker import BreakerState
from maingate.state.queue_control import OrderInForce, QueueControl, QueueOrder
from maingate.state.steps.step import Context
from maingate.state.tool_run import MICROS

NOW: Final = datetime(2026, 1, 1, 12, tzinfo=UTC)
RUN: Final = OpenRun(id="run_1", name="trial", since=NOW, is_alive=True)
TASK: Final = About(kind="task", id="task_1", name="w/t", run_id="run_1", run_name="trial")


def refused(code: ReasonCode = ReasonCode.GATE_FAILED, **values: object) -> RefusedPatch:
    """Arrange a refused patch."""
    made = RefusedPatch(
        id="patch_1",
        run_id=RunId("run_1"),
        run_name="trial",
        run_created_at=NOW,
        plan_file="/p/plan.yaml",
        target_ref="refs/heads/main",
        workstream="w",
        task="t",
        tool=None,
        change_key="c1",
        reason=Reason(code=code, message="it says no", detail={"gate": "unit", "base": "1" * 40}),
        since=NOW,
    )
    return replace(made, **values)  # type: ignore[arg-type]


def only(rows: InboxRows) -> InboxItem:
    """Return the one item."""
    (item,) = items_of(rows)
    return item


def test_an_item_is_json() -> None:
    """Its fields are those that the documentation names; a time has milliseconds."""
    assert only(InboxRows(now=NOW, quarantined=[refused()])).as_json() == {
        "code": "quarantined",
        "about": {
            "kind": "patch",
            "id": "patch_1",
            "name": "w/t",
            "run_id": "run_1",
            "run_name": "trial",
        },
        "why": "the patch of w/t is quarantined: gate_failed: it says no",
        "since": "2026-01-01T12:00:00.000Z",
        "command": "maingate patch recover patch_1",
        "severity": "warning",
    }


@pytest.mark.parametrize(
    ("code", "tool", "command"),
    [
        (ReasonCode.CONFLICT, None, "maingate patch recover patch_1"),
        (ReasonCode.GATE_TIMEOUT, None, "maingate patch recover patch_1"),
        (ReasonCode.GATE_FAILED, "fixer", "maingate patch recover patch_1 --tool fixer"),
        (ReasonCode.POLICY_VIOLATION, None, 'maingate patch drop patch_1 --reason "policy_violation"'),
        (ReasonCode.SCOPE_VIOLATION, None, 'maingate patch drop patch_1 --reason "scope_violation"'),
        (ReasonCode.FORMAT_INVALID, None, 'maingate patch drop patch_1 --reason "format_invalid"'),
        (ReasonCode.POLICY_VIOLATION, "fixer", "maingate patch recover patch_1 --tool fixer"),
    ],
)
def test_a_quarantined_patch_is_tried_again_or_dropped(
    code: ReasonCode, tool: str | None, command: str
) -> None:
    """A diff that is refused each time is dropped; a tool makes another one; others are tried again."""
    assert only(InboxRows(now=NOW, quarantined=[refused(code, tool=tool)])).command == command


@pytest.mark.parametrize(
    "rows",
    [
        InboxRows(now=NOW, quarantined=[refused(ReasonCode.ALREADY_APPLIED)]),
        InboxRows(now=NOW, quarantined=[refused(ReasonCode.EMPTY_PATCH)]),
        InboxRows(now=NOW, quarantined=[refused()], landed=frozenset({("c1", "refs/heads/main")})),
        InboxRows(now=NOW, quarantined=[refused()], tried_again=frozenset({"patch_1"})),
        InboxRows(
            now=NOW,
            quarantined=[refused(source="refs/heads/a")],
            merged=frozenset({("refs/heads/a", "refs/heads/main")}),
        ),
        InboxRows(now=NOW, runs=[RUN]),
        InboxRows(now=NOW, runs=[replace(RUN, is_alive=False, is_served=True)]),
        InboxRows(now=NOW, breakers=[BreakerRow(id="brk_1", tool="t")]),
        InboxRows(
            now=NOW, breakers=[BreakerRow(id="brk_1", tool="t", opened_at=NOW, state=BreakerState.HALF_OPEN)]
        ),
    ],
    ids=[
        *("already-applied", "empty", "landed", "tried-again", "merged", "alive", "served", "closed"),
        "half-open",
    ],
)
def test_a_matter_that_ended_is_no_item(rows: InboxRows) -> None:
    """Neither what nothing is missing of, nor what goes on by itself."""
    assert items_of(rows) == []


def test_a_change_on_another_target_does_not_count() -> None:
    """It is still missing on the target of the refused patch."""
    landed = frozenset({("c1", "refs/heads/other")})
    assert only(InboxRows(now=NOW, quarantined=[refused()], landed=landed)).about.id == "patch_1"


def test_only_the_newest_refusal_of_a_task_counts() -> None:
    """Given newest first; runs of another plan, or of none that is known, are other matters."""
    older = refused(id="patch_0", run_id="run_0")
    other = refused(id="patch_2", plan_file="/p/other.yaml")
    unknown = [refused(id=f"patch_{number}", plan_file=None) for number in (3, 4)]
    target = refused(id="patch_5", target_ref="refs/heads/other")
    found = newest_attempts([refused(), older, other, *unknown, target])
    assert [patch.id for patch in found] == ["patch_1", "patch_2", "patch_3", "patch_4", "patch_5"]


def test_only_the_refusals_of_the_newest_run_of_a_work_count() -> None:
    """Each run of it has another plan and may have other tasks; a recovery stands for its one patch."""
    agent: dict[str, Any] = {"source": "refs/heads/agent", "plan_file": "/uploads/1/plan.yaml"}
    again = refused(id="patch_0", run_id="run_3", task="u", is_recovery=True, **agent)
    newest = [refused(id=f"patch_{at}", run_id="run_2", task=f"t{at}", **agent) for at in (1, 2)]
    older = refused(id="patch_3", run_id="run_1", **agent | {"plan_file": "/uploads/2/plan.yaml"})
    others = [
        refused(id="patch_4", run_id="run_1", **agent, target_ref="refs/heads/other"),
        refused(id="patch_5", run_id="run_1", **agent | {"source": "refs/heads/agent-2"}),
    ]
    found = newest_attempts([again, *newest, older, *others])
    assert [patch.id for patch in found] == ["patch_0", "patch_1", "patch_2", "patch_4", "patch_5"]


AGENT: Final = "refs/heads/an agent"


@pytest.mark.parametrize(
    ("code", "branches", "step", "command"),
    [
        (
            ReasonCode.CONFLICT,
            {AGENT},
            "; branch an agent: rebase it on the target, and land it again",
            "maingate land 'an agent' --into main",
        ),
        (
            ReasonCode.GATE_FAILED,
            {AGENT},
            "; branch an agent: make the gate pass, commit, and land it again",
            "maingate land 'an agent' --into main",
        ),
        (
            ReasonCode.POLICY_VIOLATION,
            {AGENT},
            "; branch an agent: correct it, commit, and land it again",
            "maingate land 'an agent' --into main",
        ),
        (ReasonCode.CONFLICT, set(), "", 'maingate patch drop patch_1 --reason "conflict"'),
        (ReasonCode.GATE_FAILED, set(), "", "maingate patch recover patch_1"),
    ],
)
def test_the_work_of_a_branch_is_landed_again(
    code: ReasonCode, branches: set[str], step: str, command: str
) -> None:
    """The patch itself would be refused again; without the branch there is only the patch."""
    rows = InboxRows(now=NOW, quarantined=[refused(code, source=AGENT)], branches=frozenset(branches))
    item = only(rows)
    assert (item.why, item.command) == (f"the patch of w/t is quarantined: {code}: it says no{step}", command)


def test_branches_that_a_red_base_stopped_are_landed_again() -> None:
    """With one command, each once; not by the plan in the state folder."""
    patches = [
        refused(ReasonCode.BASE_RED, source=name, task=task)
        for name, task in (("refs/heads/a", "1"), ("refs/heads/a", "2"), ("refs/heads/b", "1"))
    ]
    red = RedBase(patches=patches, head="1" * 40, has_plan_file=True)
    branches = frozenset({"refs/heads/a", "refs/heads/b"})
    there = InboxRows(now=NOW, red_bases=[red], branches=branches)
    assert only(there).command == "maingate land a b --into main"
    gated = replace(there, own_gates={"run_1": {"unit": "pytest -q"}})
    assert only(gated).command == "maingate land a b --into main --gate 'unit=pytest -q'"
    assert "; mend main, or the gate if it tests what the patch brings, then try" in only(gated).why
    gone = InboxRows(now=NOW, red_bases=[red], branches=frozenset({"refs/heads/a"}))
    assert only(gone).command == "maingate run /p/plan.yaml"


@pytest.mark.parametrize(
    ("run", "code", "why", "command"),
    [
        (
            replace(RUN, is_alive=False),
            "stopped",
            "run trial is not running: its process exited",
            "maingate resume run_1",
        ),
        (
            replace(RUN, is_alive=False, stopped="the disk is full"),
            "stopped",
            "run trial is stopped: the disk is full",
            "maingate resume run_1",
        ),
        (
            replace(RUN, is_alive=False, spent_micros=3 * MICROS, budget_usd=2.5),
            "budget",
            "run trial is not running: its budget is used up",
            "maingate resume run_1 --budget-usd 6.00",
        ),
        (
            replace(RUN, spent_micros=2 * MICROS, budget_usd=2.5),
            "budget",
            "the tools of run trial have cost $2.00 of its budget of $2.50; it stops when that is used up",
            "maingate resume run_1 --budget-usd 5.00 --wait",
        ),
    ],
)
def test_a_run_that_stopped_or_will_stop(run: OpenRun, code: str, why: str, command: str) -> None:
    """The command continues it, with a larger budget where it needs one."""
    item = only(InboxRows(now=NOW, runs=[run]))
    assert (str(item.code), item.why, item.command) == (code, why, command)


@pytest.mark.parametrize("spent", [1.99, 2.5, 4.0])
def test_a_living_run_whose_budget_is_not_the_matter(spent: float) -> None:
    """Below 80 % nothing is near; from 100 % on its process works on a larger budget than the plan's."""
    run = replace(RUN, spent_micros=round(spent * MICROS), budget_usd=2.5)
    assert items_of(InboxRows(now=NOW, runs=[run])) == []


@pytest.mark.parametrize(
    ("head", "count", "has_file", "why", "command"),
    [
        (
            "1" * 40,
            1,
            True,
            "gate unit fails on main itself, so the patch of w/t did not land; mend main, then try it again",
            "maingate patch recover patch_1",
        ),
        (
            "2" * 40,
            3,
            True,
            (
                "gate unit failed on main before, so the patch of w/t and 2 more did not land; "
                "main has moved since: try them again"
            ),
            "maingate run '/p/a plan.yaml'",
        ),
        (
            None,
            2,
            False,
            (
                "gate unit failed on main before, so the patch of w/t and 1 more did not land; "
                "main has moved since: try them again"
            ),
            "maingate patch recover patch_1",
        ),
    ],
)
def test_a_red_base(head: str | None, count: int, has_file: bool, why: str, command: str) -> None:
    """One item for a gate: while the target is at the red commit it is to be mended first."""
    patches = [refused(ReasonCode.BASE_RED, plan_file="/p/a plan.yaml")] * count
    item = only(InboxRows(now=NOW, red_bases=[RedBase(patches=patches, head=head, has_plan_file=has_file)]))
    assert (item.why, item.command, item.severity) == (why, command, Severity.ERROR)


def test_the_heaviest_comes_first_and_the_oldest_among_equals() -> None:
    """Every other kind of item, with its command."""
    stuck = Stuck(
        machine="task", entity_id="task_1", since=NOW, threshold=timedelta(minutes=30), context=Context()
    )
    opened = BreakerRow(
        id="brk_1", tool="fixer", failures=5, opened_at=NOW, reason=None, state=BreakerState.OPEN
    )
    checkout = Behind(ref="refs/heads/main", top="/r", old="1" * 40, new="2" * 40, what="w", since=NOW)
    rows = InboxRows(
        now=NOW + timedelta(minutes=40),
        stuck=[(TASK, stuck)],
        unapproved=[
            UnapprovedPatch(
                about=replace(TASK, kind="patch", id="patch_9"), missing=2, since=NOW - timedelta(hours=1)
            )
        ],
        breakers=[opened],
        behind=[checkout],
    )
    assert [(str(item.code), item.why, item.command) for item in items_of(rows)] == [
        (
            "breaker_open",
            "tool fixer is paused (circuit breaker open): it failed 5 times in a row",
            'maingate breaker reset fixer --reason "mended"',
        ),
        ("checkout", str(checkout), "maingate checkout repair"),
        ("approval", "w/t waits for 2 more approvals", "maingate patch approve patch_9"),
        (
            "stuck",
            "task w/t has made no progress for 40 min; the limit is 30 min",
            'maingate cancel task_1 --reason "stuck"',
        ),
    ]


@pytest.mark.parametrize(("minutes", "severity"), [(60, Severity.WARNING), (61, Severity.CRITICAL)])
def test_twice_the_limit_is_critical(minutes: int, severity: Severity) -> None:
    """An entity that is stuck for more than twice its limit is critical (docs/SPECIFICATION.md §7.4)."""
    stuck = Stuck(
        machine="task", entity_id="task_1", since=NOW, threshold=timedelta(minutes=30), context=Context()
    )
    rows = InboxRows(now=NOW + timedelta(minutes=minutes), stuck=[(TASK, stuck)])
    assert only(rows).severity is severity


def test_a_stuck_workstream_that_another_run_lands_says_so() -> None:
    """It makes no progress of its own: the run whose process has it is named."""
    stream = replace(TASK, kind="workstream", id="ws_1")
    stuck = Stuck(
        machine="workstream", entity_id="ws_1", since=NOW, threshold=timedelta(minutes=30), context=Context()
    )
    waits = {"ws_1": "run other (run_2), whose process lands on main: at place 2 of 3, waiting"}
    rows = InboxRows(now=NOW + timedelta(minutes=40), stuck=[(stream, stuck)], handed_over=waits)
    assert only(rows).why.endswith(f"; it waits for {waits['ws_1']}")


def test_a_queue_that_waits_for_a_person_is_an_item() -> None:
    """A freeze is none: time ends it."""

    def order(kind: QueueOrder, **fields: Any) -> OrderInForce:
        plain: dict[str, Any] = {"key": "repo_1#refs/heads/a b", "operator": "ada", "reason": "release"}
        return OrderInForce(
            control=QueueControl(kind=kind, since=NOW, **(plain | fields)), since=NOW, until=None
        )

    freeze = order(QueueOrder.FREEZE, until=NOW)
    item = only(InboxRows(now=NOW, orders=[freeze, order(QueueOrder.PAUSE)]))
    assert (item.code, item.about.kind, item.about.id) == (InboxCode.QUEUE, "target", "refs/heads/a b")
    assert item.why == "the queue of a b is paused by ada since 2026-01-01 12:00:00 UTC: release"
    assert item.command == "maingate queue resume 'a b'"
