"""`maingate run`, as a process of its own on real repositories."""

import json
import os
import select
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import pytest

from maingate.bootstrap import Maingate
from maingate.db.dao import runs
from support.command_line import Invoke, Played, a_clean_environment, maingate, maingate_bytes, start_maingate
from support.factories import GitRepo

GOOD = "true"
ONE_FILE_ONLY = "test $(ls | wc -l) -eq 1"
"""A gate that passes on the base and fails with any file added."""


def a_plan(repo: GitRepo, patches: Mapping[str, bytes], *, gate: str = GOOD, critical: bool = True) -> Path:
    """Arrange a plan beside a repository: a workstream per patch."""
    folder = repo.path.parent
    lines = [
        "maingate: 1",
        "name: trial",
        "repo: repo",
        f"gates: {{check: {{run: {json.dumps(gate)}}}}}",
        "workstreams:",
    ]
    for name, diff in patches.items():
        (folder / f"{name}.patch").write_bytes(diff)
        lines += [
            f"  {name}:",
            f"    critical: {str(critical).lower()}",
            f"    tasks: {{t: {{patch: {name}.patch}}}}",
        ]
    plan = folder / "plan.yaml"
    plan.write_text("\n".join(lines) + "\n")
    return plan


@pytest.fixture
def base(repo: GitRepo) -> GitRepo:
    """Give a repository with one commit."""
    repo.commit({"a.txt": "one\n"})
    return repo


def test_a_run_that_succeeds_is_exit_0_and_moves_the_branch(
    base: GitRepo, hermetic_environment: Path
) -> None:
    """Lines of progress, the summary, and where to look; main and its checkout have the change.

    The record has the span of the program that started it, where its environment names one.
    """
    plan, caller = a_plan(base, {"add": base.diff_of({"b.txt": "two\n"})}), f"00-{1:032x}-{2:016x}-01"
    environment = {"TRACEPARENT": caller}
    done = maingate("run", str(plan), cwd=base.path, home=hermetic_environment, env=environment)
    assert (done.returncode, done.stderr) == (0, "")
    assert "workstream add landed" in done.stdout.splitlines()
    assert "1 of 1 workstream landed on main" in done.stdout
    assert "\x1b" not in done.stdout
    assert (base.path / "b.txt").read_text() == "two\n"
    with Maingate.open(base.path) as opened, opened.database.read() as conn:
        assert [run.traceparent for run in runs.recent(conn)] == [caller]


def test_a_run_that_fails_is_exit_1_and_says_why(base: GitRepo, hermetic_environment: Path) -> None:
    """A critical workstream that fails its gate fails the run; main stays."""
    before = base.head()
    plan = a_plan(base, {"add": base.diff_of({"b.txt": "two\n"})}, gate=ONE_FILE_ONLY)
    done = maingate("run", str(plan), cwd=base.path, home=hermetic_environment)
    assert done.returncode == 1
    assert "gate_failed" in done.stdout
    assert "maingate patch show add/t" in done.stdout
    assert base.head() == before


@pytest.mark.parametrize(("gate", "code"), [(GOOD, 0), (ONE_FILE_ONLY, 1)])
def test_a_run_keeps_its_exit_code_when_its_reader_left(
    base: GitRepo, hermetic_environment: Path, gate: str, code: int
) -> None:
    """`maingate run … | head -1` goes on to its end and tells how that was."""
    plan = a_plan(base, {"add": base.diff_of({"b.txt": "two\n"})}, gate=gate)
    read, write = os.pipe()
    os.close(read)
    try:
        done = maingate_bytes("run", str(plan), cwd=base.path, home=hermetic_environment, stdout=write)
    finally:
        os.close(write)
    assert (done.returncode, done.stderr) == (code, b"")


def test_json_is_one_document_and_progress_goes_to_standard_error(played: Played) -> None:
    """The report has every field of the public face; the news are on the other stream."""
    report = played.report
    assert set(report) >= {"run_id", "name", "state", "target", "workstreams", "tasks", "gates", "seconds"}
    assert set(report["target"]) == {"ref", "old", "new", "tree", "behind"}
    assert set(report["gates"]) == {"run", "reused", "passed", "failed", "flaky", "lost"}
    assert report["target"]["ref"] == "refs/heads/main"
    repo = GitRepo(played.stage.repository)
    assert (report["target"]["new"], report["target"]["tree"]) == (repo.head("main"), repo.tree("main"))
    landed = [stream for stream in report["workstreams"] if stream["state"] == "completed"]
    assert all(set(stream) >= {"id", "name", "reason", "landed"} for stream in landed)
    assert all(repo.git("merge-base", stream["landed"], "main") == stream["landed"] for stream in landed)
    assert report["seconds"] > 0
    assert "workstream quantities landed" in played.stderr.splitlines()


def test_a_plan_with_mistakes_is_exit_2_with_all_of_them_and_creates_nothing(
    base: GitRepo, hermetic_environment: Path
) -> None:
    """Every problem is a line of the paragraph; with --json standard output stays empty."""
    plan = base.path.parent / "plan.yaml"
    task = "workstreams:\n  w:\n    tasks:\n      t: {patch: no.patch}\n"
    plan.write_text(f"maingate: 1\nname: x\nrepo: repo\ncolour: red\n{task}")
    done = maingate("run", str(plan), "--json", cwd=base.path, home=hermetic_environment)
    assert (done.returncode, done.stdout) == (2, "")
    assert "colour" in done.stderr
    assert "no.patch" in done.stderr
    assert not (base.path / ".git" / "maingate").exists()


@pytest.mark.parametrize("as_json", [False, True])
def test_dry_run_says_what_would_run_and_creates_nothing(
    invoke: Invoke, base: GitRepo, as_json: bool
) -> None:
    """The order, the gates and the target; no state, no ref, no change."""
    plan = a_plan(base, {"add": base.diff_of({"b.txt": "two\n"}), "more": base.diff_of({"c.txt": "three\n"})})
    result = invoke("run", plan, "--dry-run", *(["--json"] if as_json else []), cwd=base.path)
    assert (result.exit_code, result.stderr) == (0, "")
    if as_json:
        shown = json.loads(result.stdout)
        assert shown["target"] == {"ref": "refs/heads/main", "commit": base.head()}
        assert [stream["name"] for stream in shown["workstreams"]] == ["add", "more"]
        assert shown["workstreams"][0]["tasks"] == [
            {"name": "add/t", "from": "add.patch", "gates": ["check"]}
        ]
    else:
        assert result.stdout.index("add/t") < result.stdout.index("more/t")
    assert not (base.path / ".git" / "maingate").exists()
    assert base.git("for-each-ref", "--format=%(refname)") == "refs/heads/main"


def test_a_large_plan_is_counted_not_listed(invoke: Invoke, base: GitRepo) -> None:
    """A dry run of thousands of tasks is a page; needs and gates are named shortly; JSON has everything."""
    gates = {f"g{number}": {"run": "true", "on": ["task"]} for number in range(300)}
    noops = {f"t{number}": {"noop": True} for number in range(300)}
    streams: dict[str, Any] = {f"w{number}": {"tasks": noops} for number in range(10)}
    streams["last"] = {"needs": list(streams), "tasks": {"p": {"patch": "p.patch"}}}
    (base.path.parent / "p.patch").write_bytes(base.diff_of({"b.txt": "two\n"}))
    plan = base.path.parent / "large.json"
    plan.write_text(json.dumps({"maingate": 1, "gates": gates, "workstreams": streams}))
    shown = invoke("run", str(plan), "--dry-run", cwd=base.path).stdout
    assert len(shown.splitlines()) < 120
    assert "more lines" in shown
    checked = invoke("plan", "check", str(plan), cwd=base.path).stdout
    assert "after w0, w1, w2, w3, w4 and 5 more; gates to land: " in checked
    assert max(map(len, checked.splitlines())) < 250
    full = json.loads(invoke("run", str(plan), "--dry-run", "--json", cwd=base.path).stdout)
    assert sum(len(stream["tasks"]) for stream in full["workstreams"]) == 3001


@pytest.mark.parametrize("dry_run", [False, True])
def test_a_target_with_uncommitted_changes_is_exit_2(invoke: Invoke, base: GitRepo, dry_run: bool) -> None:
    """The dry run refuses what the run would refuse."""
    plan = a_plan(base, {"add": base.diff_of({"b.txt": "two\n"})})
    base.write({"a.txt": "mine\n"})
    result = invoke("run", plan, *(["--dry-run"] if dry_run else []), cwd=base.path)
    assert (result.exit_code, result.stdout) == (2, "")
    assert "a.txt" in result.stderr or "uncommitted" in result.stderr or "not committed" in result.stderr


def test_a_hostile_name_never_reaches_the_terminal_raw(
    invoke: Invoke, base: GitRepo, hermetic_environment: Path
) -> None:
    """A path full of escape sequences is shown as escapes wherever it is mentioned."""
    evil = "\x1b]0;owned\x07\x1b[2J.txt"
    plan = a_plan(base, {"evil": base.diff_of({evil: "x\n"})}, gate=ONE_FILE_ONLY)
    shown = maingate_bytes("run", str(plan), cwd=base.path, home=hermetic_environment).stdout
    for command in (["status", "--all"], ["patch", "show", "evil/t"], ["events"], ["quarantine"]):
        result = invoke(*command, cwd=base.path)
        assert result.exit_code == 0
        shown += result.output_bytes
    assert b"owned" in shown
    assert b"\x1b" not in shown
    assert b"\x07" not in shown


def test_on_a_terminal_progress_is_live(base: GitRepo, hermetic_environment: Path) -> None:
    """A bar, the workstream and the running gate are drawn, and taken off again before the summary.

    The gate runs until it has been seen, however late the screen is drawn on a busy machine.
    """
    seen = base.path.parent / "seen"
    gate = f"for i in $(seq 600); do test -e {seen} && exit 0; sleep 0.05; done; exit 1"
    plan = a_plan(base, {"add": base.diff_of({"b.txt": "two\n"})}, gate=gate)
    leader, follower = os.openpty()
    process = subprocess.Popen(
        [sys.executable, "-m", "maingate", "run", str(plan)],
        cwd=base.path,
        env=a_clean_environment(hermetic_environment) | {"TERM": "xterm", "COLUMNS": "80", "LINES": "24"},
        stdin=subprocess.DEVNULL,
        stdout=follower,
        stderr=subprocess.STDOUT,
    )
    os.close(follower)
    shown = read_all(leader, when_shown={"▸ gate": seen.touch, "  gate check": seen.touch})
    assert process.wait(timeout=30) == 0
    assert "0/1 tasks" in shown
    assert "  ▸ " in shown
    assert "1 of 1 workstream landed on main" in shown.rpartition("  ▸ ")[2]


def test_interrupted_once_it_stops_as_cancelled_with_exit_3(
    base: GitRepo, hermetic_environment: Path
) -> None:
    """Ctrl-C ends the run in an orderly way: a report, the code 3, and no process left."""
    marker = base.path.parent / "started"
    gate = f"touch {marker}; exec {sys.executable} -c 'import time; time.sleep(30)'"
    before = base.head()
    plan = a_plan(base, {"add": base.diff_of({"b.txt": "two\n"})}, gate=gate)
    process = start_maingate("run", str(plan), "--json", cwd=base.path, home=hermetic_environment)
    wait_for(marker)
    process.send_signal(signal.SIGINT)
    said = ""
    while "again" not in said:
        said = process.stderr.readline()
        assert said, "it ended without saying that it drains"
    process.send_signal(signal.SIGINT)
    stdout, stderr = process.communicate(timeout=30)
    assert process.returncode == 3
    assert json.loads(stdout)["state"] in ("canceled", "running")
    assert "interrupted" in stderr
    assert base.head() == before


def wait_for(path: Path) -> None:
    """Wait until another process has made a file."""
    deadline = time.monotonic() + 30
    while not path.exists():
        if time.monotonic() > deadline:
            raise AssertionError(f"{path} never appeared")
        select.select([], [], [], 0.02)


def read_all(leader: int, *, when_shown: Mapping[str, Callable[[], None]]) -> str:
    """Read what was written to a terminal until its last writer has gone; act on what it shows."""
    shown = b""
    while True:
        try:
            chunk = os.read(leader, 65536)
        except OSError:
            break
        if not chunk:
            break
        shown += chunk
        for text, act in when_shown.items():
            if text.encode() in shown:
                act()
    os.close(leader)
    return shown.decode()


def test_a_run_without_gates_says_so_loudly(base: GitRepo, hermetic_environment: Path) -> None:
    """On standard error, before anything of it runs; --no-gate makes it quiet."""
    patch = base.diff_of({"a.txt": "two\n"})
    plan = a_plan(base, {"good": patch})
    plan.write_text(plan.read_text().replace("gates: {check:", "# gates: {check:"))
    other = plan.with_name("other.yaml")
    other.write_text(plan.read_text().replace("good.patch", "more.patch"))
    plan.with_name("more.patch").write_bytes(b"--- a/a.txt\n+++ b/a.txt\n@@ -1 +1 @@\n-two\n+three\n")
    for file, option, is_loud in ((plan, "--json", True), (other, "--no-gate", False)):
        done = maingate("run", str(file), option, cwd=base.path, home=hermetic_environment)
        assert done.returncode == 0
        assert ("warning: NO GATES" in done.stderr) is is_loud
