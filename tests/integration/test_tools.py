"""Patches made by tools, end to end: real processes that behave well, badly, or not at all."""

import json
import signal
import sqlite3
import textwrap
from collections import Counter
from collections.abc import Iterator, Mapping
from contextlib import closing
from pathlib import Path
from typing import Any

import pytest

from maingate.bootstrap import Maingate
from maingate.db.audit import record_check
from maingate.db.dao import breakers, patches, runs, tasks, tool_runs
from maingate.db.dao.history import events
from maingate.errors import InterruptedRunError
from maingate.ids import RunId
from maingate.plan.loader import load_plan
from maingate.reasons import ReasonCode
from maingate.state.machines import MACHINES
from maingate.state.task import TaskState
from support.crashing import KILLED, Command, World, wait_for
from support.factories import GitRepo
from support.landing import Landed, land, write_plan
from support.pools import processes_of

TRUE = ["true"]


@pytest.fixture
def base(repo: GitRepo, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[GitRepo]:
    """Give a repository; what is tried again is tried again soon, and nothing is left when the test ends."""
    for name, value in {
        "MAINGATE_RETRY_DELAY": "0.01",
        "MAINGATE_RETRY_DELAY_MAX": "0.05",
        "MAINGATE_BREAKER_COOLDOWN": "0.3",
        "MAINGATE_RATE_LIMIT_REST": "0.1",
        "XDG_CACHE_HOME": str(tmp_path / "cache"),
    }.items():
        monkeypatch.setenv(name, value)
    repo.commit({"readme": "base\n"}, "base")
    yield repo
    assert processes_of(tmp_path) == []


def a_tool(folder: Path, code: str) -> list[str]:
    """Write a tool; it has ``task``, ``attempt``, ``prompt`` and ``memory``, a folder that outlasts it."""
    script = folder / f"tool-{len(list(folder.glob('tool-*')))}.py"
    head = f"""
        import os, pathlib, random, signal, subprocess, sys, time
        task, attempt = os.environ["MAINGATE_TASK"], int(os.environ["MAINGATE_ATTEMPT"])
        prompt = pathlib.Path(sys.argv[1]).read_text()
        memory = pathlib.Path({str(folder)!r})
    """
    script.write_text(textwrap.dedent(head) + textwrap.dedent(code))
    return ["python3", str(script), "{prompt_file}"]


def run(base: GitRepo, tools: Mapping[str, Any], asked: Mapping[str, Any], **plan: Any) -> Landed:
    """Run a plan of one workstream ``w`` with tool tasks."""
    streams = plan.pop("workstreams", {"w": {"tasks": asked}})
    return land(base, {}, workstreams=streams, tools=tools, gates=plan.pop("gates", {}), **plan)


def history(base: GitRepo) -> list[str]:
    """List the subjects and authors on the target, newest first."""
    return base.git("log", "--format=%an: %s", "main").splitlines()


def content(base: GitRepo, path: str) -> str:
    """Read a file on the target."""
    return base.git("show", f"main:{path}")


def test_what_a_tool_leaves_is_landed_as_its_own(base: GitRepo, tmp_path: Path) -> None:
    """Edits, new files, modes, binary files, and the commits that it made itself: all are one patch."""
    code = """
        pathlib.Path("readme").write_text("changed\\n")
        pathlib.Path("new").mkdir()
        pathlib.Path("new/run.sh").write_text("#!/bin/sh\\n")
        os.chmod("new/run.sh", 0o755)
        subprocess.run(["git", "add", "-A"], check=True)
        subprocess.run(["git", "commit", "-qm", "mine"], check=True)
        subprocess.run(["git", "checkout", "-qb", "elsewhere"], check=True)
        subprocess.run(["git", "config", "core.hooksPath", "/nowhere"], check=True)
        pathlib.Path("new/later").write_text("not committed\\n")
        subprocess.Popen(["sleep", "600"])
    """
    landed = run(base, {"agent": {"run": a_tool(tmp_path, code)}}, {"t": {"tool": "agent", "prompt": "do"}})
    assert landed.state == "succeeded"
    assert content(base, "new/later") == "not committed"
    assert base.git("ls-tree", "main", "new/run.sh").startswith("100755")
    assert "agent: mine" in history(base)
    assert base.git("branch", "--list", "elsewhere") == ""


MESSAGE = (
    "topic: do it\n\nBecause.\n\n--- a line like a diff's\n---\nFrom: none\n\nCo-authored-by: Bob <b@x.org>\n"
)


def test_the_message_of_a_tools_own_commits_is_that_of_its_patch(base: GitRepo, tmp_path: Path) -> None:
    """Unless the plan has one; several are one text; its author is the tool."""
    code = f"""
        commit = ["git", "-c", "user.name=Me", "-c", "user.email=me@x", "commit", "-q"]
        pathlib.Path(task.replace("/", "-")).write_text("x\\n")
        subprocess.run(["git", "add", "-A"], check=True)
        subprocess.run([*commit, "--cleanup=verbatim", "-m", {MESSAGE!r}], check=True)
        subprocess.run([*commit, "--allow-empty", "-m", "More of it"], check=True)
    """
    landed = run(
        base,
        {"agent": {"run": a_tool(tmp_path, code)}},
        {
            "a": {"tool": "agent", "prompt": "do"},
            "b": {"tool": "agent", "prompt": "do", "message": "the plan's"},
        },
        landing="rebase",
    )
    assert landed.state == "succeeded"
    assert history(base)[:2] == ["agent: the plan's", "agent: topic: do it"]
    said = base.git("log", "-1", "--format=%B", "main~1")
    assert said.startswith(
        "topic: do it\n\nBecause.\n\n --- a line like a diff's\n ---\n From: none\n\n"
        "Co-authored-by: Bob <b@x.org>\n\nMore of it\n\nMaingate-Run: "
    )
    assert landed.task("w/a")["patch"]["repairs"] == []


def test_a_tool_is_told_what_was_wrong_with_its_patch(base: GitRepo, tmp_path: Path) -> None:
    """A retry has the gate's output and the refused diff in its prompt; the first attempt has neither."""
    code = """
        (memory / f"prompt-{attempt}").write_text(prompt)
        pathlib.Path("answer").write_text("42\\n" if "expected 42" in prompt else "41\\n")
    """
    gate = {"run": 'test ! -e answer || test "$(cat answer)" = 42 || { echo expected 42; exit 1; }'}
    landed = run(
        base,
        {"agent": {"run": a_tool(tmp_path, code)}},
        {"t": {"tool": "agent", "prompt": "give the answer"}},
        gates={"answer": gate},
    )
    assert landed.state == "succeeded"
    first, second = ((tmp_path / f"prompt-{number}").read_text() for number in (1, 2))
    assert first.strip() == "give the answer"
    assert "give the answer" in second
    assert "expected 42" in second
    assert "+41" in second
    with Maingate.open(base.path) as maingate, maingate.database.read() as conn:
        ledger = patches.of_run(conn, str(landed.report["run_id"]))
    assert [str(patch.state) for patch in ledger] == ["quarantined", "committed"]
    assert ledger[1].replaces == ledger[0].id


def test_a_tool_may_mend_what_is_red_already(base: GitRepo, tmp_path: Path) -> None:
    """A gate that is there to be made green blames what leaves it red, and the tool has another attempt."""
    code = "pathlib.Path('answer').write_text('42' if 'expected 42' in prompt else '41')"
    gate = {"run": 'test "$(cat answer)" = 42 || { echo expected 42; exit 1; }', "red_on_base": True}
    tools = {"agent": {"run": a_tool(tmp_path, code)}}
    landed = run(base, tools, {"t": {"tool": "agent", "prompt": "x"}}, gates={"answer": gate})
    assert landed.state == "succeeded"
    assert landed.task("w/t")["retry_count"] == 1


def test_a_tool_is_not_asked_again_where_the_base_is_red(base: GitRepo, tmp_path: Path) -> None:
    """Nobody is to blame, and nothing that it makes would be judged any better: that only costs."""
    code = "(memory / f'asked-{attempt}').touch(); pathlib.Path('answer').write_text('42')"
    tools = {"agent": {"run": a_tool(tmp_path, code)}}
    landed = run(base, tools, {"t": {"tool": "agent", "prompt": "x"}}, gates={"broken": {"run": "exit 1"}})
    assert landed.code("w/t") == "base_red"
    assert landed.patch_state("w/t") == "dropped"
    assert [path.name for path in tmp_path.glob("asked-*")] == ["asked-1"]


def test_a_tool_that_goes_round_in_circles_is_stopped(base: GitRepo, tmp_path: Path) -> None:
    """The third time that it gives the same answer among five, whatever it gave in between."""
    code = "pathlib.Path('answer').write_text('left' if attempt % 2 else 'right')"
    gate = {"run": "! grep -qE 'left|right' answer 2>/dev/null"}
    asked = {"t": {"tool": "agent", "prompt": "x", "max_retries": 9}}
    landed = run(base, {"agent": {"run": a_tool(tmp_path, code)}}, asked, gates={"answer": gate})
    reason = landed.task("w/t")["reason"]
    assert (reason["code"], reason["detail"]) == ("policy_violation", {"rule": "oscillation"})
    assert landed.task("w/t")["retry_count"] == 4
    assert landed.patch_state("w/t") == "quarantined"


@pytest.mark.parametrize(
    ("code", "reason"),
    [
        ("sys.exit(3)", ReasonCode.TOOL_FAILED),
        ("pass", ReasonCode.TOOL_FAILED),
        ("pathlib.Path('secrets').mkdir(); pathlib.Path('secrets/key').write_text('x')", "policy_violation"),
        ("pathlib.Path('other').write_text('x')", ReasonCode.SCOPE_VIOLATION),
        ("pathlib.Path('tests').mkdir(); pathlib.Path('tests/t').write_text('x')", "policy_violation"),
        (
            "pathlib.Path('src').mkdir(); open('src/x', 'w').write('x'); time.sleep(60)",
            ReasonCode.TOOL_TIMEOUT,
        ),
        ("subprocess.run(['git', 'init', '-q', 'src/nested']); open('src/nested/f', 'w')", "tool_failed"),
    ],
)
def test_what_a_tool_must_not_do_fails_its_task(
    base: GitRepo, tmp_path: Path, code: str, reason: str
) -> None:
    """Nothing of it lands, and the reason says what it was."""
    has_time = reason != ReasonCode.TOOL_TIMEOUT
    tool = {"run": a_tool(tmp_path, code), "timeout": "60s" if has_time else "1s"}
    asked = {
        "t": {
            "tool": "agent",
            "prompt": "do",
            "scope": ["src/**", "tests/**", "secrets/**"],
            "max_retries": 0,
        }
    }
    before = base.git("rev-parse", "main")
    landed = run(base, {"agent": tool}, asked, policy={"protect": ["tests/**"]})
    assert landed.state == "failed"
    assert landed.code("w/t") == reason
    assert base.git("rev-parse", "main") == before


def test_a_prompt_that_no_argument_can_hold_is_told(base: GitRepo) -> None:
    """It fails for that reason and not for a lost worker."""
    asked = {"t": {"tool": "agent", "prompt": "x" * 200_000, "max_retries": 0}}
    landed = run(base, {"agent": {"run": ["echo", "{prompt}"]}}, asked)
    assert landed.code("w/t") == "tool_failed"
    assert "too long" in landed.task("w/t")["reason"]["message"]


def test_what_a_tool_left_that_was_ended_is_saved(base: GitRepo, tmp_path: Path) -> None:
    """Its work up to then is a file beside its log."""
    code = "pathlib.Path('half').write_text('done\\n'); sys.stdout.flush(); time.sleep(60)"
    tool = {"run": a_tool(tmp_path, code), "timeout": "1s"}
    landed = run(base, {"agent": tool}, {"t": {"tool": "agent", "prompt": "do", "max_retries": 0}})
    with Maingate.open(base.path) as maingate, maingate.database.read() as conn:
        (ended,) = tool_runs.of_run(conn, str(landed.report["run_id"]))
    assert ended.outcome == "timed_out"
    assert "+done" in Path(ended.diff_path or "").read_text()


def test_tools_without_scopes_work_side_by_side_and_a_conflict_is_made_again(
    base: GitRepo, tmp_path: Path
) -> None:
    """Both edit the same line at the same time; the second begins again on the first's, and is told."""
    code = """
        name = task.split("/")[1]
        (memory / f"{name}-{attempt}").write_text(prompt)
        while not all((memory / f"{other}-1").exists() for other in "ab"):
            time.sleep(0.01)
        line = pathlib.Path("readme").read_text().strip()
        pathlib.Path("readme").write_text(f"{line} {name}\\n")
    """
    task = {"tool": "agent", "prompt": "do"}
    landed = run(base, {"agent": {"run": a_tool(tmp_path, code)}}, {"a": task, "b": task})
    assert landed.state == "succeeded"
    assert content(base, "readme") == "base a b"
    assert "the patch does not fit what is there" in (tmp_path / "b-2").read_text()
    assert not (tmp_path / "a-2").exists()


def test_a_secret_reaches_only_the_tool_that_names_it(
    base: GitRepo, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Its value is nowhere in what is kept: neither in logs nor in the record."""
    value = "hunter2-hunter2-hunter2"
    monkeypatch.setenv("API_KEY", value)
    code = """
        pathlib.Path(task.split("/")[1]).write_text(f"{'API_KEY' in os.environ}\\n")
        print("the key is", os.environ.get("API_KEY"))
    """
    tools = {
        "one": {"run": a_tool(tmp_path, code), "secrets": ["API_KEY"]},
        "two": {"run": a_tool(tmp_path, code)},
    }
    asked = {"a": {"tool": "one", "prompt": "x"}, "b": {"tool": "two", "prompt": "x"}}
    landed = run(base, tools, asked, overlap="allow")
    assert landed.state == "succeeded"
    assert (content(base, "a"), content(base, "b")) == ("True", "False")
    kept = [path for path in (base.path / ".git" / "maingate").rglob("*") if path.is_file()]
    assert kept
    assert not [path for path in kept if value.encode() in path.read_bytes()]


def test_a_run_that_has_cost_enough_is_resumed_with_more(base: GitRepo, tmp_path: Path) -> None:
    """It stops where it is; nothing has failed."""
    said = {"type": "result", "subtype": "success", "is_error": False, "total_cost_usd": 0.6, "result": "ok"}
    (tmp_path / "bin").mkdir()
    claude = tmp_path / "bin" / "claude"
    claude.write_text(f"#!/bin/sh\ntouch \"${{MAINGATE_TASK#*/}}\"\necho '{json.dumps(said)}'\n")
    claude.chmod(0o755)
    plan = {
        "repo": str(base.path),
        "target": "main",
        "tools": {"claude": {"preset": "claude", "env": {"PATH": f"{tmp_path}/bin:/usr/bin:/bin"}}},
        "budget_usd": 1.0,
        "workstreams": {
            "w": {"tasks": {name: {"tool": "claude", "prompt": "x", "scope": ["**"]} for name in "abc"}}
        },
    }
    loaded = load_plan(write_plan(tmp_path / "plan", plan, {}))
    with Maingate.for_plan(loaded) as maingate:
        run_id = maingate.admission.admit(loaded)
        with pytest.raises(InterruptedRunError, match=r"cost \$1\.20 of the \$1\.00"):
            maingate.execution.execute(run_id, workers=2)
        with maingate.database.read() as conn:
            first, second, third = (task.state for task in tasks.of_run(conn, run_id))
        assert (first, second, third) == (TaskState.VALIDATING, TaskState.VALIDATING, TaskState.QUEUED)
        assert str(maingate.execution.execute(run_id, workers=2, budget_usd=5.0)) == "succeeded"


def begun(folder: Path, plan: Mapping[str, Any], marker: Path) -> tuple[World, Command]:
    """Begin a run in a process of its own, and wait until a tool is at work."""
    world = World(folder=folder)
    world.write_plan({}, **plan)
    command = world.run()
    wait_for(command, marker.exists)
    return world, command


def test_a_tool_whose_control_process_is_killed_begins_again(base: GitRepo, tmp_path: Path) -> None:
    """What it had done by then is no part of the patch; its process ends; the attempt is not counted."""
    code = """
        pathlib.Path(f"from-{attempt}").write_text("x")
        if attempt == 1:
            (memory / "began").write_text("x")
            subprocess.Popen(["sleep", "600"])
            time.sleep(600)
    """
    plan = {
        "tools": {"agent": {"run": a_tool(tmp_path, code)}},
        "workstreams": {"w": {"tasks": {"t": {"tool": "agent", "prompt": "x", "max_retries": 0}}}},
    }
    _, process = begun(tmp_path, plan, tmp_path / "began")
    process.send(signal.SIGKILL)
    assert process.ended() == KILLED
    with Maingate.open(base.path) as maingate:
        (row,) = maingate.execution.interrupted()
        assert str(maingate.execution.execute(RunId(row.id), workers=2)) == "succeeded"
        with maingate.database.read() as conn:
            (task,) = tasks.of_run(conn, row.id)
    assert (task.attempt, task.retry_count, task.lost_count) == (2, 0, 1)
    assert base.git("ls-tree", "--name-only", "main").splitlines() == ["from-2", "readme"]


def test_a_task_that_is_cancelled_ends_its_tool(base: GitRepo, tmp_path: Path) -> None:
    """With all that it has started; the run goes on with the rest."""
    code = """
        if task == "w/slow":
            (memory / "began").write_text("x")
            subprocess.Popen(["sleep", "600"])
            time.sleep(600)
        pathlib.Path("done").write_text("x")
    """
    plan = {
        "tools": {"agent": {"run": a_tool(tmp_path, code)}},
        "workstreams": {
            "w": {"tasks": {"slow": {"tool": "agent", "prompt": "x", "critical": False}}},
            "v": {"tasks": {"quick": {"tool": "agent", "prompt": "x"}}},
        },
        "overlap": "allow",
    }
    _, process = begun(tmp_path, plan, tmp_path / "began")
    with Maingate.open(base.path) as maingate:
        with maingate.database.read() as conn:
            newest = runs.newest(conn)
            assert newest is not None
            (slow,) = (task for task in tasks.of_run(conn, newest.id) if task.name == "slow")
        assert "cancelled" in maingate.operator.cancel(slow.id, message="too slow", operator="ada")
    assert process.ended() == 0
    assert content(base, "done") == "x"


def test_a_patch_is_applied_when_it_is_approved(base: GitRepo, tmp_path: Path) -> None:
    """The run waits for it; one person counts once."""
    code = "pathlib.Path('made').write_text('x'); (memory / 'began').write_text('x')"
    plan = {
        "tools": {"agent": {"run": a_tool(tmp_path, code)}},
        "policy": {"reviewers": 2},
        "workstreams": {"w": {"tasks": {"t": {"tool": "agent", "prompt": "x"}}}},
    }
    world, process = begun(tmp_path, plan, tmp_path / "began")
    wait_for(process, lambda: world.rows("SELECT 1 FROM patches WHERE state = 'validated'"))
    assert approved_by(world, "ada") == 0
    approved_by(world, "ada")
    assert world.rows("SELECT operator FROM approvals") == [("ada",)]
    assert world.rows("SELECT state FROM patches") == [("validated",)]
    assert process.is_running
    assert approved_by(world, "bob") == 0
    assert process.ended() == 0
    assert content(base, "made") == "x"


def approved_by(world: World, operator: str) -> int:
    """Approve the patch in somebody's name, and return the exit code."""
    return world.start("patch", "approve", "w/t", "--operator", operator).ended()


def many_tasks() -> dict[str, Any]:
    """Plan thirty-six tasks of three tools, each with a file of its own."""
    tools = ["steady", "steady", "shaky", "shaky", "shaky", "broken"]
    return {
        f"t{number}": {
            "tool": tools[number % len(tools)],
            "prompt": f"write {number}",
            "scope": [f"out/{number}"],
            "critical": False,
            "max_retries": 8,
        }
        for number in range(36)
    }


def test_three_dozen_tasks_with_everything_going_wrong(base: GitRepo, tmp_path: Path) -> None:
    """Failures, hangs, rate limits and a tool that is down: all is explained at the end, nothing is left."""
    code = """
        dice = random.Random(f"{task} {attempt}").random()
        out = pathlib.Path("out"); out.mkdir(exist_ok=True)
        if dice < 0.3:
            (out / "half").write_text("x"); print("boom"); sys.exit(1)
        if dice < 0.4:
            subprocess.Popen(["sleep", "600"]); time.sleep(600)
        if dice < 0.5:
            print("HTTP 429 too many requests"); sys.exit(1)
        (out / prompt.split()[1]).write_text(task)
    """
    down = """
        calls = memory / "calls"
        with calls.open("a") as file:
            file.write("x")
        if len(calls.read_text()) <= 7:
            sys.exit(1)
        out = pathlib.Path("out"); out.mkdir(exist_ok=True)
        (out / prompt.split()[1]).write_text(task)
    """
    good = """
        out = pathlib.Path("out"); out.mkdir(exist_ok=True)
        (out / prompt.split()[1]).write_text(task)
    """
    tools = {
        "steady": {"run": a_tool(tmp_path, good)},
        "shaky": {"run": a_tool(tmp_path, code), "timeout": "1s", "rate_limit": ["HTTP 429"]},
        "broken": {"run": a_tool(tmp_path, down)},
    }
    landed = run(base, tools, many_tasks(), workers=4)
    with Maingate.open(base.path) as maingate:
        run_id = str(landed.report["run_id"])
        with maingate.database.read() as conn:
            ended = tasks.of_run(conn, run_id)
            attempts = tool_runs.of_run(conn, run_id)
            put_off = tool_runs.put_off_by_task(conn, run_id)
            opened = events.query(conn, type="circuit_breaker_state_transition", limit=1000)
            standing = {row.tool: str(row.state) for row in breakers.all_of(conn)}
        assert record_check.verify(maingate.database, log=maingate.paths.transitions).is_intact
    assert landed.state == "succeeded"
    assert all(MACHINES["task"].is_terminal(task.state) for task in ended)
    assert all(task.reason is not None for task in ended if task.state is not TaskState.COMPLETED)
    done = {task.name for task in ended if task.state is TaskState.COMPLETED}
    assert len(done) > 30
    assert set(base.git("ls-tree", "--name-only", "main", "out/").splitlines()) == {
        f"out/{name[1:]}" for name in done
    }
    outcomes = Counter(attempt.outcome for attempt in attempts)
    assert all(outcomes[kind] for kind in ("patch", "failed", "timed_out", "rate_limited"))
    assert sum(put_off.values()) == outcomes["rate_limited"]
    trips = [event.entity_id for event in opened if event.to_state == "OPEN"]
    assert len(trips) >= 2
    assert standing["broken"] == "CLOSED"
    check_nothing_is_left(base, tmp_path)


def check_nothing_is_left(base: GitRepo, folder: Path) -> None:
    """Neither work in slots nor open rows outlast a run."""
    slots = folder / "cache" / "maingate" / "worktrees"
    assert not list(slots.rglob("scratch/tmp/*"))
    queries = {
        "workers": "state <> 'shutdown'",
        "uet_workers": "state <> 'TERMINATED'",
        "gates": "state IN ('PENDING', 'RUNNING')",
        "intents": "state = 'pending'",
    }
    with closing(sqlite3.connect(base.path / ".git" / "maingate" / "maingate.db")) as database:
        for table, is_open in queries.items():
            assert database.execute(f"SELECT count(*) FROM {table} WHERE {is_open}").fetchone() == (0,), table


def test_what_a_tool_leaves_goes_through_the_filters_of_the_person(
    base: GitRepo, tmp_path: Path, hermetic_environment: Path
) -> None:
    """The gate sees what is shown, the branch gets what is stored; a filter that is missing blames nobody."""
    rotate = "tr a-z n-za-m"
    (hermetic_environment / ".gitconfig").write_text(
        f'[filter "crypt"]\n\tclean = {rotate}\n\tsmudge = {rotate}\n\trequired = true\n'
    )
    base.commit({".gitattributes": "*.secret filter=crypt\n*.bin filter=lfs\n"}, "attributes")
    tool = {"run": a_tool(tmp_path, "pathlib.Path(prompt).write_text('secret\\n')")}
    gates = {"shown": {"run": "test ! -e a.secret || grep -qx secret a.secret"}}

    done = run(
        base,
        {"maker": tool},
        {},
        gates=gates,
        workstreams={
            "a": {"tasks": {"t": {"tool": "maker", "prompt": "a.secret"}}},
            "b": {"tasks": {"t": {"tool": "maker", "prompt": "b.bin", "max_retries": 3}}},
        },
    )

    assert (done.state, done.code("b/t")) == ("failed", "filter_failed")
    assert content(base, "a.secret") == "frperg"
    assert "b.bin" not in base.git("ls-tree", "--name-only", "main").splitlines()


def test_what_is_not_in_a_tools_patch_is_told(base: GitRepo, tmp_path: Path) -> None:
    """A warning names it, and the record of the attempt has it too."""
    code = """
        def git(*words):
            subprocess.run(["git", *words], check=True)
        git("init", "-q", "vendor")
        git("checkout", "-qb", "topic")
        pathlib.Path("new").write_text("new\\n")
        git("add", "new")
        git("commit", "-qm", "new")
        git("checkout", "-q", "--detach", "HEAD~1")
    """
    done = run(base, {"maker": {"run": a_tool(tmp_path, code)}}, {"t": {"tool": "maker", "prompt": "do it"}})

    assert done.state == "succeeded"
    assert content(base, "new") == "new"
    note = (
        "repositories of their own are not in the patch: vendor; "
        "the patch is the branch topic of its clone; the worktree was as before"
    )
    with closing(sqlite3.connect(base.path / ".git" / "maingate" / "maingate.db")) as database:
        warned = database.execute("SELECT reason FROM events WHERE event_type = 'warning'").fetchall()
        told = database.execute("SELECT message FROM tool_runs").fetchall()
    assert [f"w/t, attempt 1: {note}" in reason for (reason,) in warned] == [True]
    assert told == [(note,)]


def test_a_ready_patch_in_plain_text_does_not_land(
    base: GitRepo, tmp_path: Path, hermetic_environment: Path
) -> None:
    """A diff that shows what the filter shows is refused; one of what is stored lands."""
    (hermetic_environment / ".gitconfig").write_text(
        '[filter "crypt"]\n\tclean = sed s/^plain:/stored:/\n\tsmudge = sed s/^stored:/plain:/\n'
    )
    base.commit({".gitattributes": "*.secret filter=crypt\n"}, "attributes")
    for name, content in (("raw", "plain: x"), ("right", "stored: x")):
        (tmp_path / f"{name}.diff").write_text(
            f"--- /dev/null\n+++ b/{name}.secret\n@@ -0,0 +1 @@\n+{content}\n"
        )
    done = run(
        base,
        {},
        {},
        workstreams={
            name: {"tasks": {"t": {"patch": str(tmp_path / f"{name}.diff")}}} for name in ("raw", "right")
        },
    )
    assert (done.code("raw/t"), done.patch_state("raw/t")) == ("format_invalid", "quarantined")
    assert "raw.secret, which the filter crypt stores otherwise" in done.task("raw/t")["reason"]["message"]
    assert base.git("ls-tree", "--name-only", "main").splitlines() == [
        ".gitattributes",
        "readme",
        "right.secret",
    ]
