"""A run's report as people read it."""

import io
from datetime import UTC, datetime
from typing import Any

import pytest
from rich.console import Console

from maingate.cli.text import local_time
from maingate.cli.views.hints import print_hints, refusal_of
from maingate.cli.views.report import MOST_LINES, print_report

Json = dict[str, Any]


def a_reason(code: str = "gate_failed", message: str = "gate unit failed with exit code 1") -> Json:
    """Arrange a reason."""
    return {"code": code, "message": message, "detail": {}}


def a_stream(name: str, state: str = "completed", reason: Json | None = None) -> Json:
    """Arrange a workstream."""
    landed = "a" * 40 if state == "completed" else None
    return {
        "id": f"ws_{name}",
        "name": name,
        "title": f"Title of {name}",
        "state": state,
        "reason": reason,
        "landed": landed,
    }


def a_task(
    name: str, state: str = "completed", *, patch: str | None = "committed", reason: Json | None = None
) -> Json:
    """Arrange a task and its patch."""
    made: Json = {
        "id": f"patch_{name}",
        "state": patch,
        "reason": reason,
        "commit": None,
        "method": "exact",
        "repairs": [],
    }
    return {
        "id": f"task_{name}",
        "name": name,
        "state": state,
        "reason": reason,
        "patch": made if patch else None,
    }


def a_report(streams: list[Json], tasks: list[Json], *, state: str = "succeeded") -> Json:
    """Arrange a report."""
    return {
        "run_id": "run_1",
        "name": "speed up",
        "state": state,
        "target": {"ref": "refs/heads/main", "old": "1" * 40, "new": "2" * 40, "tree": None},
        "workstreams": streams,
        "tasks": tasks,
        "gates": {"run": 12, "reused": 7, "passed": 11, "failed": 1, "flaky": 0},
        "seconds": 4.2,
    }


def printed(report: Json, *, width: int = 100, **how: bool) -> str:
    """Print a report without colours."""
    out = Console(file=io.StringIO(), width=width, markup=False, emoji=False)
    print_report(out, report, **how)
    print_hints(out, report)
    assert isinstance(out.file, io.StringIO)
    return out.file.getvalue()


def test_what_landed_and_what_did_not_are_told_apart_with_the_reason() -> None:
    """Each workstream stands in one of two lists; the reason is the patch's own."""
    report = a_report(
        [a_stream("parser"), a_stream("docs", "failed", a_reason("gate_failed", "its task failed"))],
        [a_task("parser/a"), a_task("docs/b", "failed", patch="quarantined", reason=a_reason())],
    )
    shown = printed(report)
    lines = [" ".join(line.split()) for line in shown.splitlines() if line.strip()]
    assert lines == [
        "✔ speed up succeeded in 4.2s run_1",
        "1 of 2 workstreams landed on main: 1111111111 → 2222222222",
        "landed patches commit title",
        "✔ parser 1 aaaaaaaaaa Title of parser",
        "did not land because",
        "✘ docs gate_failed gate unit failed with exit code 1",
        "12 gates run, 11 passed, 1 failed, 7 verdicts reused",
        "maingate patch show docs/b why it was refused, with the gate's output",
        "maingate quarantine all patches that were refused",
        "maingate status --all every task and its patch",
    ]


@pytest.mark.parametrize(
    ("code", "patch", "promised"),
    [
        ("conflict", "quarantined", ["patch show docs/b why it was refused", "quarantine all"]),
        ("format_invalid", "quarantined", ["patch show docs/b why it was refused", "quarantine all"]),
        (
            "base_red",
            "dropped",
            [
                "patch show docs/b why it was refused, with the gate's output",
                "patch list --state dropped patches",
            ],
        ),
    ],
)
def test_the_footer_promises_what_is_there(code: str, patch: str, promised: list[str]) -> None:
    """A gate's output where a gate spoke; the quarantine where something is in it, else what was dropped."""
    task = a_task("docs/b", "failed", patch=patch, reason=a_reason(code))
    shown = printed(a_report([a_stream("docs", "failed", a_reason(code))], [task]))
    lines = [" ".join(line.split()).removeprefix("maingate ") for line in shown.splitlines()]
    first = lines.index(next(line for line in lines if line.startswith("patch show")))
    assert lines[first] == promised[0]
    assert lines[first + 1].startswith(promised[1])
    assert lines[first + 2].startswith("status --all")


def test_what_changed_nothing_is_not_counted_as_landed() -> None:
    """A workstream of commands only is completed, and the target has nothing of it; no title, no column."""
    idle = a_stream("deploy") | {"landed": None, "title": "deploy"}
    report = a_report([idle], [a_task("deploy/a", patch=None)])
    report["target"]["new"] = report["target"]["old"]
    shown = printed(report)
    assert "0 of 1 workstream landed on main, 1 had nothing to land: stays at 1111111111" in shown
    assert "title" not in shown


def test_only_patches_that_landed_are_counted_as_patches() -> None:
    """A command and a point without work are no patches; one that was taken back later did land."""
    tasks = [
        a_task("parser/deploy", patch=None),
        a_task("parser/point", patch=None),
        a_task("parser/a"),
        a_task("parser/b", patch="rolled_back"),
        a_task("parser/c", "failed", patch="quarantined", reason=a_reason()),
    ]
    lines = [" ".join(line.split()) for line in printed(a_report([a_stream("parser")], tasks)).splitlines()]
    assert "✔ parser 2 aaaaaaaaaa Title of parser" in lines


def test_a_workstream_that_was_rolled_back_is_not_shown_as_landed() -> None:
    """It has a list of its own with the reason; one of which a patch is left has landed."""
    reason = a_reason("rolled_back", "ada: customers want points")
    report = a_report(
        [a_stream("parser"), a_stream("docs")],
        [
            a_task("parser/a", patch="rolled_back", reason=reason),
            a_task("docs/a", patch="rolled_back", reason=reason),
            a_task("docs/b"),
        ],
    )
    text = printed(report)
    assert "2 of 2 workstreams landed on main, 1 rolled back since" in text
    landed, back = text[text.index("landed  ") :].split("rolled back  ")
    assert ("docs" in landed, "parser" in landed) == (True, False)
    assert "ada: customers want points" in back


def test_gates_that_were_lost_are_told_apart_from_those_that_failed() -> None:
    """Only where there are any."""
    report = a_report([a_stream("parser")], [a_task("parser/a")])
    assert "lost" not in printed(report)
    report["gates"] |= {"run": 20, "lost": 8}
    assert "20 gates run, 11 passed, 1 failed, 8 lost without a verdict" in printed(report)


def test_what_the_tools_have_cost_is_told_with_the_budget() -> None:
    """Where they said what they cost."""
    report = a_report([a_stream("parser")], [a_task("parser/a")])
    assert "cost" not in printed(report)
    report["cost"] = {"spent_usd": 0.25, "budget_usd": None, "used_up": False}
    assert "the tools have cost $0.25\n" in printed(report)
    report["cost"] = {"spent_usd": 0.25, "budget_usd": 0.5, "used_up": False}
    assert "the tools have cost $0.25; the plan's budget is $0.50" in printed(report)


@pytest.mark.parametrize("is_used_up", [True, False])
def test_a_run_that_its_budget_stopped_says_how_to_go_on(is_used_up: bool) -> None:
    """To resume it without a larger one would stop it at once."""
    report = a_report([a_stream("parser", "executing")], [], state="running") | {"alive": False}
    report["cost"] = {"spent_usd": 0.5, "budget_usd": 0.5, "used_up": is_used_up}
    shown = printed(report, width=200)
    assert ("`maingate resume run_1 --budget-usd N` continues it, " in shown) is is_used_up
    assert ("`maingate resume run_1` continues it." in shown) is not is_used_up


def test_a_tool_that_gave_nothing_is_pointed_to() -> None:
    """What it printed can be shown, beside a patch that was refused."""
    tasks = [
        a_task("parser/a", "failed", patch=None, reason=a_reason("tool_failed", "it exited with 1")),
        a_task("parser/b", "failed", patch="quarantined", reason=a_reason()),
    ]
    lines = printed(a_report([a_stream("parser", "failed")], tasks)).splitlines()
    shows = [" ".join(line.split()) for line in lines if "patch show" in line]
    assert shows == [
        "maingate patch show parser/a why it failed, with its output",
        "maingate patch show parser/b why it was refused, with the gate's output",
    ]


@pytest.mark.parametrize("reason", [None, a_reason("rejected", "by hand"), a_reason("dependency_failed")])
def test_a_task_that_printed_nothing_is_not_pointed_to(reason: Json | None) -> None:
    """A person decided, or it was never tried: there may be no attempt to show."""
    tasks = [a_task("parser/a", "failed", patch=None, reason=reason)]
    assert "patch show" not in printed(a_report([a_stream("parser", "failed")], tasks))


def test_a_long_reason_is_wrapped_not_cut() -> None:
    """Eighty columns are enough to read the whole reason."""
    why = "conflicts with what landed meanwhile in " + ", ".join(f"src/module_{n}.py" for n in range(12))
    report = a_report(
        [a_stream("docs", "failed", a_reason("conflict", why))],
        [a_task("docs/b", "failed", patch="quarantined", reason=a_reason("conflict", why))],
    )
    shown = printed(report, width=80)
    assert max(len(line) for line in shown.splitlines()) <= 80
    assert all(f"src/module_{n}.py" in shown for n in range(12))


def test_a_run_of_hundreds_is_summarised() -> None:
    """Two hundred landed workstreams do not become two hundred lines."""
    names = [f"w{n}" for n in range(200)]
    shown = printed(a_report([a_stream(name) for name in names], [a_task(f"{name}/t") for name in names]))
    assert "… and 160 more" in shown
    assert len(shown.splitlines()) < MOST_LINES + 12


def test_hostile_text_in_a_report_is_shown_not_obeyed() -> None:
    """Neither escape sequences nor markup in names, titles or messages reach the terminal."""
    evil = "a\x1b[2Jb[red]"
    report = a_report(
        [a_stream(evil, "failed", a_reason(message=evil))], [a_task(f"{evil}/t", "failed", patch=None)]
    )
    report["name"] = evil
    shown = printed(report) + printed(report, every_task=True)
    assert "\x1b" not in shown
    assert r"a\x1b[2Jb[red]" in shown


def test_a_task_that_was_passed_over_is_named() -> None:
    """A task that is not critical may fail while its workstream lands; that is not hidden."""
    report = a_report(
        [a_stream("parser")],
        [
            a_task("parser/a"),
            a_task("parser/b", "failed", patch="quarantined", reason=a_reason("conflict", "no")),
        ],
    )
    assert "✘  parser/b     conflict  no" in printed(report)


def test_a_run_under_way_says_so() -> None:
    """What has not ended is listed with its state; nothing is claimed to have landed."""
    report = a_report(
        [a_stream("parser", "executing")], [a_task("parser/a", "running", patch=None)], state="running"
    )
    report["target"]["new"] = report["target"]["old"]
    shown = printed(report)
    assert "speed up is running, 4.2s so far" in shown
    assert "main: stays at 1111111111" in shown
    assert "parser executing" in " ".join(shown.split())


def test_the_reason_nearest_to_the_patch_is_told() -> None:
    """A workstream's own reason counts only where no task explains it."""
    own = a_reason("dependency_failed", "parser failed")
    assert refusal_of(a_stream("docs", "skipped", own), [a_task("docs/b", "cancelled", patch=None)]) == own
    conflict = a_reason("conflict")
    failed = a_task("docs/b", "failed", patch="quarantined", reason=conflict)
    assert refusal_of(a_stream("docs", "failed", own), [failed]) == conflict


def test_an_earlier_attempt_does_not_explain_how_a_later_one_ended() -> None:
    """Its patch is still the task's; a person, or the tool of another attempt, ended the task."""
    conflict, enough = a_reason("conflict"), a_reason("cancelled", "enough")
    cancelled = a_task("docs/b", "cancelled", patch="quarantined", reason=enough)
    cancelled["patch"]["reason"] = conflict
    assert refusal_of(a_stream("docs", "cancelled", enough), [cancelled]) == enough
    spent = a_reason("budget_exceeded")
    failed = a_task("docs/b", "failed", patch="quarantined", reason=spent)
    failed["patch"]["reason"] = conflict
    assert refusal_of(a_stream("docs", "failed", enough), [failed]) == spent


def test_commands_are_never_cropped() -> None:
    """On any terminal the closing hints are the whole commands; what they tell stands below them there."""
    name = "a-workstream-with-a-long-name/and-a-task-with-one-too"
    reason = a_reason(message="why it was refused " * 6)
    report = a_report(
        [a_stream(name.partition("/")[0], "failed", reason)],
        [a_task(name, "failed", patch="quarantined", reason=reason)],
    )
    for width in (40, 59, 60, 80, 200):
        lines = [line.strip() for line in printed(report, width=width).splitlines()]
        assert any(line.startswith(f"maingate patch show {name}") for line in lines), width


def test_on_a_narrow_terminal_titles_and_reasons_have_lines_of_their_own() -> None:
    """Below sixty columns nothing is squeezed into a column of some letters."""
    report = a_report([a_stream("parser")], [a_task("parser/a")])
    report["workstreams"][0]["title"] = "Make the parser faster by far"
    shown = printed(report, width=40)
    assert "✔  parser  1  aaaaaaaaaa\n    Make the parser faster by far" in shown


def test_a_command_in_a_reason_is_never_broken() -> None:
    """What is to be copied stands on one line, in the column where it fits and below it where it does not."""
    stream = a_stream("parser", "executing")
    command = "`maingate resume run_01M83N3WRNYSSJPC7WN5S73685`"
    stream["waiting"] = {
        "for": "a process: its own has exited",
        "since": "",
        "until": command,
        "moving": False,
        "kind": "a process",
    }
    report = a_report([stream], [a_task("parser/a", "running", patch=None)], state="running")
    for width in (40, 60, 72, 80, 100, 200):
        assert command in printed(report, width=width), width


def test_a_run_whose_process_is_gone_says_that_nothing_is_under_way() -> None:
    """A state that nobody will ever change is not shown as progress."""
    report = a_report([a_stream("parser", "executing")], [a_task("parser/a", "running")], state="running")
    shown = printed({**report, "alive": False})
    assert "not running: its process exited. `maingate resume run_1` continues it." in shown
    assert "so far" not in shown
    assert "not running" not in printed({**report, "alive": True})


@pytest.mark.parametrize(
    ("message", "shown"),
    [
        ("main is gone", "stopped: main is gone; `maingate resume run_1` continues it"),
        (
            "x; `maingate resume run_1` goes on from here",
            "stopped: x; `maingate resume run_1` goes on from here",
        ),
    ],
)
def test_a_run_that_stopped_says_why_and_how_to_go_on(message: str, shown: str) -> None:
    """The reason that its process gave as it ended stays to be read; the way on is said once."""
    report = a_report([a_stream("parser", "executing")], [], state="running")
    said = printed({**report, "alive": False, "stopped": {"message": message, "at": "…"}})
    assert f"  {shown}\n" in said
    assert "not running" not in said


# -- what waits, and what is stuck ---------------------------------------------------------------------------


def waiting(what: str, *, kind: str = "", is_moving: bool = False) -> Json:
    """Arrange why something is where it is."""
    moment = "2026-01-01T12:00:00.000Z"
    return {"for": what, "since": moment, "until": "it ends", "moving": is_moving, "kind": kind or what}


def a_waiting_task(name: str, what: str, *, kind: str = "", state: str = "queued", **fields: Any) -> Json:
    """Arrange a task that waits."""
    return {**a_task(name, state, patch=None), "waiting": waiting(what, kind=kind), "stuck": None, **fields}


def a_report_of_waiting_tasks() -> Json:
    """Arrange many that wait alike, some that do not, and two in trouble that wait for the same, too."""
    alike = [
        a_waiting_task(f"w{n}/t", f"a free worker, behind w{n}/s at place 1", kind="a free worker")
        for n in range(37)
    ]
    tried_again = a_waiting_task(
        "again/t", "a free worker", reason=a_reason("tool_failed", "it exited with 1"), state="retrying"
    )
    refused = a_waiting_task("refused/t", "a free worker")
    refused["patch"] = {
        "id": "p",
        "state": "apply_failed",
        "reason": a_reason("conflict", "no"),
        "commit": None,
    }
    needing = [a_waiting_task(f"n/{n}", f"the task m{n}", kind="tasks that they need") for n in range(3)]
    tasks = [*alike, tried_again, refused, *needing]
    return a_report([a_stream("w0", "executing")], tasks, state="running")


def test_many_tasks_that_wait_for_the_same_thing_are_one_line_and_all_are_named() -> None:
    """Thirty-seven lines that say the same become one; three keep theirs, and trouble always does."""
    shown = printed(a_report_of_waiting_tasks(), width=120, every_task=True)
    assert "37 tasks wait for a free worker:" in shown
    assert " ".join(f"w{n}/t," for n in range(36)) + " w36/t" in " ".join(shown.split())
    assert "behind w5/s" not in shown
    lines = [line.split()[1] for line in shown.splitlines() if "; until it ends" in line]
    assert lines == ["again/t", "refused/t", "n/0", "n/1", "n/2"]


def test_the_summary_counts_what_waits_and_leaves_out_where_nobody_is_at_work() -> None:
    """Without `--all` the counts are enough; in an abandoned run everything waits for the one thing told."""
    report = a_report_of_waiting_tasks()
    lines = [line.strip() for line in printed(report).splitlines()]
    assert [line for line in lines if "wait for" in line] == [
        "37 tasks wait for a free worker",
        "3 tasks wait for tasks that they need",
    ]
    assert "wait for" not in printed({**report, "alive": False})


def test_workstreams_that_wait_alike_are_counted_and_the_others_listed() -> None:
    """The one that works keeps its line."""
    streams = [
        {**a_stream(f"w{n}", "validating"), "waiting": waiting(f"w{n - 1}", kind="those that land before")}
        for n in range(1, 9)
    ]
    working = {**a_stream("w0", "validating"), "waiting": waiting("gates unit", is_moving=True)}
    shown = " ".join(printed(a_report([working, *streams], [], state="running")).split())
    assert "w0 validating works: gates unit; until it ends" in shown
    assert "8 workstreams wait for those that land before w1, w2, w3 and 5 more" in shown
    assert "waits for" not in shown


def test_what_is_stuck_is_marked_with_since_when_and_its_limit() -> None:
    """In the summary and in the list of all tasks, though many others wait for the same."""
    report = a_report_of_waiting_tasks()
    stuck = {"since": "2026-01-01T12:00:00.000Z", "seconds": 2712.0, "threshold": 1800.0}
    report["tasks"][5]["stuck"] = stuck
    report["workstreams"][0] |= {"waiting": waiting("its tasks", is_moving=True), "stuck": stuck}
    since = local_time(datetime(2026, 1, 1, 12, tzinfo=UTC))
    said = f"stuck: no progress for 45m12s, since {since}; the limit is 30m00s; "
    summary = " ".join(printed(report, width=300).split())
    assert f"⚠ w0 executing {said}works: its tasks" in summary
    assert f"⚠ w5/t queued {said}waits for a free worker, behind w5/s" in summary
    assert "36 tasks wait for a free worker" in summary
    everything = " ".join(printed(report, width=300, every_task=True).split())
    assert f"⚠ w5/t queued - - {said}" in everything
