"""From a plan to the branch, whole: real git, real database, real worker processes."""

import os
import signal
import sys
import threading
from pathlib import Path

import pytest

from maingate.bootstrap import Maingate
from maingate.db.audit.record_check import verify
from maingate.db.dao import patches as ledger
from maingate.errors import InterruptedRunError, RepositoryError, RunBusyError
from maingate.ids import PatchId
from maingate.landing.owed_checkouts import PendingCheckout, UnfinishedMove, locked_record
from maingate.orchestrator.progress import SilentListener
from maingate.plan.loader import load_plan
from maingate.queries.details.patch import describe_patch
from maingate.state.run import RunState
from support.factories import GitRepo
from support.landing import land, one_each, write_plan


@pytest.fixture
def base(repo: GitRepo) -> GitRepo:
    """Give a repository with a few files."""
    repo.commit({"a.txt": "one\ntwo\nthree\n", "b.txt": "b\n", "dir/c.txt": "c\n"}, "base")
    return repo


def test_a_good_patch_lands_as_a_merge_of_its_own_commit(base: GitRepo) -> None:
    """The target gets one merge commit; the patch's commit carries author, message and trailers."""
    old = base.head()
    patch = base.diff_of({"a.txt": "one\n2\nthree\n"})
    workstreams = {
        "ws": {
            "title": "Better numbers",
            "tasks": {"t": {"patch": "p", "message": "a: use a digit", "author": "Grace <g@example.org>"}},
        }
    }
    landed = land(base, {"p": patch}, workstreams=workstreams)
    assert landed.state == "succeeded"
    assert base.git("log", "--format=%s", "-1", "main") == "Merge ws into main"
    assert base.git("rev-parse", "main^1") == old
    commit = landed.task("ws/t")["patch"]["commit"]
    assert base.git("rev-parse", "main^2") == commit
    assert base.git("log", "-1", "--format=%an <%ae>|%cn|%s", commit) == (
        "Grace <g@example.org>|Maingate|a: use a digit"
    )
    trailers = base.git("log", "-1", "--format=%(trailers:only)", commit)
    assert {line.split(":")[0] for line in trailers.splitlines()} == {
        "Maingate-Run",
        "Maingate-Task",
        "Maingate-Patch",
    }
    assert landed.report["target"] == {
        "ref": "refs/heads/main",
        "old": old,
        "new": base.head("main"),
        "tree": base.tree("main"),
        "behind": [],
    }


def test_the_checkout_follows_its_branch(base: GitRepo) -> None:
    """A clean checkout of the target shows what landed and stays clean; untracked files stay."""
    base.write({"mine.txt": "untracked"})
    land(base, {"p": base_patch(base)})
    assert (base.path / "a.txt").read_text() == "one\n2\nthree\n"
    assert base.git("status", "--porcelain") == "?? mine.txt"


def base_patch(repo: GitRepo) -> bytes:
    """Make a patch that changes the second line of a.txt, without touching the work tree."""
    assert repo.git("show", "HEAD:a.txt") == "one\ntwo\nthree"
    return b"diff --git a/a.txt b/a.txt\n--- a/a.txt\n+++ b/a.txt\n@@ -1,3 +1,3 @@\n one\n-two\n+2\n three\n"


@pytest.mark.parametrize("style", ["merge", "squash", "rebase"])
def test_every_style_lands_the_same_tree(base: GitRepo, style: str) -> None:
    """Styles differ in history only."""
    first = base.diff_of({"a.txt": "1\ntwo\nthree\n"})
    second = base.diff_of({"b.txt": "B\n"})
    old = base.head()
    workstreams = {"ws": {"title": "Two", "tasks": {"x": {"patch": "1"}, "y": {"patch": "2"}}}}
    landed = land(base, {"1": first, "2": second}, workstreams=workstreams, landing=style)
    assert landed.state == "succeeded"
    assert (base.path / "a.txt").read_text() == "1\ntwo\nthree\n"
    assert (base.path / "b.txt").read_text() == "B\n"
    count = {"merge": 3, "squash": 1, "rebase": 2}[style]
    assert base.git("rev-list", "--count", f"{old}..main") == str(count)


@pytest.mark.parametrize("style", ["merge", "squash", "rebase"])
def test_a_workstream_is_merged_onto_what_landed_before_it(base: GitRepo, style: str) -> None:
    """Two independent workstreams both land, whichever was ready first."""
    patches = {"one": base.diff_of({"a.txt": "1\ntwo\nthree\n"}), "two": base.diff_of({"b.txt": "B\n"})}
    landed = land(base, patches, landing=style)
    assert landed.state == "succeeded"
    assert base.git("show", "main:a.txt") == "1\ntwo\nthree"
    assert base.git("show", "main:b.txt") == "B"


def test_of_two_that_conflict_the_later_one_is_quarantined(base: GitRepo) -> None:
    """The first lands, the second is refused with `conflict` and kept (bad input table)."""
    patches = {
        "one": base.diff_of({"a.txt": "1\ntwo\nthree\n"}),
        "two": base.diff_of({"a.txt": "I\ntwo\nthree\n"}),
    }
    landed = land(base, patches)
    assert landed.state == "failed"
    assert landed.workstream("one")["state"] == "completed"
    assert landed.code("two") == "conflict"
    assert landed.patch_state("two/t") == "quarantined"
    kept = base.path / ".git" / "maingate" / "quarantine" / f"{landed.task('two/t')['patch']['id']}.patch"
    assert kept.read_bytes() == patches["two"]


def test_of_two_green_alone_and_red_together_only_the_first_lands(base: GitRepo) -> None:
    """The gate judges the merged result, not the patch alone."""
    patches = {
        "one": base.diff_of({"a.txt": "bad\ntwo\nthree\n"}),
        "two": base.diff_of({"a.txt": "one\ntwo\nthree\nmore\n", "b.txt": "bad\n"}),
    }
    gate = [
        sys.executable,
        "-c",
        "import sys; sys.exit((open('a.txt').read() + open('b.txt').read()).count('bad') > 1)",
    ]
    landed = land(base, patches, gates={"unit": {"run": gate}})
    assert landed.workstream("one")["state"] == "completed"
    assert landed.code("two") == "gate_failed"
    assert landed.patch_state("two/t") == "quarantined"
    assert base.git("show", "main:b.txt") == "b"


def test_a_tree_is_not_tested_twice(base: GitRepo) -> None:
    """When the target has not moved, the landing takes over the verdict on the patch's own tree."""
    gate = {"run": "true", "on": ["task", "landing"]}
    landed = land(base, {"p": base_patch(base)}, gates={"unit": gate})
    counts = {"run": 1, "reused": 1, "passed": 1, "failed": 0, "flaky": 0, "lost": 0}
    assert landed.report["gates"] == counts


def test_a_red_base_blames_nobody(base: GitRepo) -> None:
    """A gate that fails without the patch too says nothing about the patch."""
    landed = land(base, {"p": base_patch(base)}, gates={"unit": {"run": "exit 3"}})
    assert landed.code("p/t") == "base_red"
    assert landed.patch_state("p/t") == "dropped"
    assert base.git("show", "main:a.txt") == "one\ntwo\nthree"


def test_each_patch_on_a_red_base_shows_what_the_gate_said_of_the_base(base: GitRepo) -> None:
    """Also where the verdict was there already, of another patch's base; it is the reason of all of them."""
    patches = {name: base.diff_of({f"{name}.txt": "x\n"}) for name in ("p", "q")}
    landed = land(base, patches, gates={"unit": {"run": "echo dark; exit 3"}}, workers=1)
    for name in patches:
        assert landed.code(f"{name}/t") == "base_red"
        with Maingate.open(base.path) as maingate, maingate.database.read() as conn:
            row = ledger.get(conn, PatchId(landed.task(f"{name}/t")["patch"]["id"]))
            shown = describe_patch(conn, maingate.context, row)["gates"]
        of_base = [gate for gate in shown if gate["judged"] == "base"]
        assert {(gate["state"], gate["output"].strip()) for gate in of_base} == {("FAILED", "dark")}


def test_a_flaky_gate_passes_and_is_recorded_as_flaky(base: GitRepo, tmp_path: Path) -> None:
    """A failure is confirmed once on the same tree; a pass then is a pass, not hidden.

    See docs/SPECIFICATION.md §2.3.
    """
    marker = tmp_path / "ran"
    gate = f"test -e {marker} || {{ touch {marker}; exit 1; }}"
    landed = land(base, {"p": base_patch(base)}, gates={"unit": {"run": gate}})
    assert landed.state == "succeeded"
    assert landed.report["gates"]["flaky"] == 1


def test_a_gate_that_needs_a_failed_one_is_not_run(base: GitRepo, tmp_path: Path) -> None:
    """BLOCKED, with no execution (docs/SPECIFICATION.md §2.3)."""
    gates = {
        "lint": {"run": "! grep -q 2 a.txt"},
        "unit": {"run": f"touch {tmp_path}/unit-ran", "needs": ["lint"], "on": ["task"]},
    }
    landed = land(base, {"p": base_patch(base)}, gates=gates)
    assert landed.code("p/t") == "gate_failed"
    assert not (tmp_path / "unit-ran").exists()


def test_a_gate_that_hangs_is_a_timeout(base: GitRepo) -> None:
    """Past its timeout a gate has failed (docs/SPECIFICATION.md §2.3)."""
    gates = {"unit": {"run": "grep -q 2 a.txt && exec sleep 600 || true", "timeout": 1}}
    landed = land(base, {"p": base_patch(base)}, gates=gates)
    assert landed.code("p/t") == "gate_timeout"


def test_a_gate_that_hangs_without_the_patch_blames_nobody(base: GitRepo) -> None:
    """The base is asked after a timeout as after any failure."""
    landed = land(base, {"p": base_patch(base)}, gates={"unit": {"run": "exec sleep 600", "timeout": 0.3}})
    assert (landed.code("p/t"), landed.patch_state("p/t")) == ("base_red", "dropped")


def test_a_squashed_commit_names_all_who_wrote_it(base: GitRepo) -> None:
    """Several authors, and those whom their messages name, become trailers; Maingate is the author then."""
    diff = {name: base.diff_of({f"{name}.txt": f"{name}\n"}) for name in "xyz"}
    tasks = {
        "x": {"patch": "x", "author": "Ada <ada@example.org>"},
        "y": {
            "patch": "y",
            "author": "Bob <bob@example.org>",
            "message": "b\n\nCo-authored-by: Eve <e@x.org>\n",
        },
        "z": {"patch": "z", "author": "Ada <ada@example.org>"},
    }
    assert land(base, diff, workstreams={"w": {"tasks": tasks}}, landing="squash").state == "succeeded"
    told = base.git("log", "-1", "--format=%(trailers:key=Co-authored-by,valueonly)", "main").split("\n")
    assert told == ["Ada <ada@example.org>", "Bob <bob@example.org>", "Eve <e@x.org>"]


def test_a_squashed_commit_keeps_bodies_and_trailers(base: GitRepo) -> None:
    """What its commits say is said by it, each trailer once; the person who commits is no co-author."""
    base.git("config", "user.name", "Ada")
    base.git("config", "user.email", "ada@example.org")
    diff = {name: base.diff_of({f"{name}.txt": f"{name}\n"}) for name in "xy"}
    tasks = {
        "x": {"patch": "x", "message": "one\n\nBecause.\n\nFixes: #1\n", "author": "Bob <bob@example.org>"},
        "y": {
            "patch": "y",
            "message": "two\n\nFixes: #1\nReviewed-by: Eve <e@x.org>\n",
            "author": "Ada <ada@example.org>",
        },
    }
    streams = {"w": {"title": "Both", "tasks": tasks}}
    assert land(base, diff, workstreams=streams, landing="squash").state == "succeeded"
    said = base.git("log", "-1", "--format=%B", "main")
    assert said.startswith("Both\n\n* one\n\nBecause.\n\n* two\n\nFixes: #1\nReviewed-by: Eve <e@x.org>\n")
    assert base.git("log", "-1", "--format=%an|%(trailers:key=Co-authored-by,valueonly)", "main").strip() == (
        "Ada|Bob <bob@example.org>"
    )


def test_a_squashed_commit_of_one_author_is_theirs(base: GitRepo) -> None:
    """Then no trailer says so again, also when a message names them."""
    diff = {name: base.diff_of({f"{name}.txt": f"{name}\n"}) for name in "xy"}
    ada = {"author": "Ada <ada@example.org>"}
    tasks = {
        "x": {"patch": "x", **ada},
        "y": {"patch": "y", **ada, "message": "b\n\nco-authored-by: Ada <ada@example.org>\n"},
    }
    assert land(base, diff, workstreams={"w": {"tasks": tasks}}, landing="squash").state == "succeeded"
    assert base.git("log", "-1", "--format=%an%(trailers:key=Co-authored-by)", "main") == "Ada"


def test_a_non_critical_failure_is_passed_over(base: GitRepo) -> None:
    """The others of its workstream land without it."""
    good, bad = base.diff_of({"b.txt": "B\n"}), b"garbage that is no diff\n"
    workstreams = {"ws": {"tasks": {"bad": {"patch": "bad", "critical": False}, "good": {"patch": "good"}}}}
    landed = land(base, {"good": good, "bad": bad}, workstreams=workstreams)
    assert landed.state == "succeeded"
    assert landed.code("ws/bad") == "format_invalid"
    assert landed.patch_state("ws/good") == "committed"


def test_what_needs_a_failure_is_skipped_with_the_reason(base: GitRepo) -> None:
    """Dependents end, they do not hang (docs/SPECIFICATION.md §1, rule 6)."""
    workstreams = one_each({"bad": b"", "good": b""})
    workstreams["good"]["needs"] = ["bad"]
    landed = land(
        base, {"bad": b"garbage\n", "good": base.diff_of({"b.txt": "B\n"})}, workstreams=workstreams
    )
    assert landed.workstream("good")["state"] == "skipped"
    assert landed.code("good") == "dependency_failed"
    assert landed.task("good/t")["state"] == "cancelled"


def test_a_dependent_workstream_builds_on_what_it_needs(base: GitRepo) -> None:
    """It begins on the landed result of what it needs."""
    first = base.diff_of({"new.txt": "1\n"})
    base_commit = base.commit({"new.txt": "1\n"})
    second = base.diff_of({"new.txt": "2\n"})
    base.git("reset", "-q", "--hard", f"{base_commit}~1")
    workstreams = one_each({"first": first, "second": second})
    workstreams["second"]["needs"] = ["first"]
    landed = land(base, {"first": first, "second": second}, workstreams=workstreams)
    assert landed.state == "succeeded"
    assert base.git("show", "main:new.txt") == "2"


def test_already_applied_and_empty_have_codes_of_their_own(base: GitRepo) -> None:
    """What is there already is not a conflict; nothing at all is not a format error."""
    patch = base.diff_of({"b.txt": "B\n"})
    base.commit({"b.txt": "B\n"})
    landed = land(base, {"again": patch, "empty": b"  \n"})
    assert landed.code("again/t") == "already_applied"
    assert landed.code("empty/t") == "empty_patch"


def test_a_dirty_checkout_of_the_target_is_refused_and_nothing_is_made(base: GitRepo) -> None:
    """Before anything starts, with a sentence that says what to do."""
    plan = write_plan(
        base.path.parent / "plan",
        {"repo": str(base.path), "workstreams": one_each({"p": b""}), "name": "x"},
        {"p": base_patch(base)},
    )
    base.write({"a.txt": "dirty\n"})
    loaded = load_plan(plan)
    with Maingate.for_plan(loaded) as maingate:
        with pytest.raises(RepositoryError, match="commit or stash"):
            maingate.admission.admit(loaded)
        with maingate.database.read() as conn:
            assert conn.exec_driver_sql("SELECT count(*) FROM runs").scalar() == 0


def test_two_runs_on_one_target_are_at_work_at_once(base: GitRepo) -> None:
    """The second hands its workstream to the process of the first, or lands it when that is gone."""
    plan = write_plan(
        base.path.parent / "plan",
        {"repo": str(base.path), "workstreams": one_each({"p": b""}), "name": "x"},
        {"p": base_patch(base)},
    )
    loaded = load_plan(plan)
    with Maingate.for_plan(loaded) as one, Maingate.for_plan(loaded) as two:
        first, second = one.admission.admit(loaded), two.admission.admit(loaded)
        with pytest.raises(RunBusyError, match=rf"{first} is at work"):
            two.execution.take_hold(first)
        assert one.execution.execute(first) is RunState.SUCCEEDED
        one.close()
        assert two.execution.execute(second) is RunState.SUCCEEDED
        [workstream] = two.report(second)["workstreams"]
        assert workstream["state"] == "completed"


def test_someone_else_who_moves_the_target_is_landed_upon(base: GitRepo, tmp_path: Path) -> None:
    """The candidate is rebuilt on the new head; both changes are there, and the merged result was tested."""
    other = tmp_path / "other"
    base.git("worktree", "add", "-q", "--detach", str(other), "main")
    marker = tmp_path / "pushed"
    push = (
        f"test -e {marker} || {{ touch {marker}; cd {other}; echo pushed > pushed.txt; git add .; "
        f"git -c user.name=x -c user.email=x@y commit -qm push; git update-ref refs/heads/main HEAD; }}"
    )
    base.git("checkout", "-q", "-b", "elsewhere")
    landed = land(base, {"p": base_patch(base)}, gates={"unit": {"run": push}})
    assert landed.state == "succeeded"
    assert base.git("show", "main:pushed.txt") == "pushed"
    assert base.git("show", "main:a.txt") == "one\n2\nthree"


def test_the_record_of_a_run_is_whole(base: GitRepo) -> None:
    """Every chain verifies, and the transitions file has every row of the ledger."""
    land(base, {"p": base_patch(base), "bad": b"garbage\n"}, gates={"unit": {"run": "true"}})
    with Maingate.open(base.path) as maingate:
        report = verify(maingate.database, log=maingate.paths.transitions)
        assert report.is_intact, report.findings
        lines = maingate.paths.transitions.read_text().splitlines()
        with maingate.database.read() as conn:
            rows = conn.exec_driver_sql("SELECT value FROM counters").scalar()
        assert len(lines) == rows


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT, signal.SIGKILL])
def test_a_gate_whose_worker_is_ended_has_not_passed(base: GitRepo, tmp_path: Path, number: int) -> None:
    """Somebody ends the worker under a red gate, every time: nobody is to blame, and nothing lands."""
    gate = f"echo x >> {tmp_path}/ran; kill -{int(number)} $PPID; sleep 30; exit 1"
    old = base.head("main")
    landed = land(base, {"p": base_patch(base)}, gates={"unit": {"run": gate}})
    assert base.head("main") == old
    assert landed.code("p/t") == "worker_lost"
    assert landed.patch_state("p/t") == "dropped"
    assert landed.report["gates"]["passed"] == 0
    assert len((tmp_path / "ran").read_text().splitlines()) >= 2


def test_a_gate_whose_worker_is_ended_once_is_run_again(base: GitRepo, tmp_path: Path) -> None:
    """The second worker finds the gate green; the loss is no flake and blames nobody."""
    gate = f"test -e {tmp_path}/ran || {{ touch {tmp_path}/ran; kill -TERM $PPID; sleep 30; }}"
    landed = land(base, {"p": base_patch(base)}, gates={"unit": {"run": gate}})
    assert landed.state == "succeeded"
    assert landed.report["gates"]["flaky"] == 0


def test_a_run_that_is_interrupted_finishes_running_gates_and_starts_none(
    base: GitRepo, tmp_path: Path
) -> None:
    """Once drains: the gates under way end, no other begins, nothing lands in part, it can be resumed."""
    patches = {f"p{at}": base.diff_of({f"new{at}.txt": "x\n"}) for at in range(6)}
    started, go_on = tmp_path / "started", tmp_path / "go-on"
    os.mkfifo(go_on)
    gate = f"echo x >> {started}; kill -INT {os.getpid()}; read x < {go_on}"
    plan = {"repo": str(base.path), "name": "x", "workstreams": one_each(patches)}
    plan["gates"] = {"unit": {"run": gate}}
    loaded = load_plan(write_plan(tmp_path / "plan", plan, patches))
    feeder = threading.Thread(target=lambda: go_on.write_text("x\nx\n"))

    class Feeding(SilentListener):
        def notice(self, text: str) -> None:  # noqa: ARG002 - that it stops is enough
            feeder.start()

    old = base.head("main")
    with Maingate.for_plan(loaded) as maingate:
        run_id = maingate.admission.admit(loaded)
        with pytest.raises(InterruptedRunError):
            maingate.execution.execute(run_id, workers=1, listener=Feeding())
        feeder.join()
        assert maingate.report(run_id)["state"] == "running"
    assert started.read_text() == "x\n"
    assert base.head("main") == old


@pytest.mark.parametrize("style", ["merge", "squash", "rebase"])
def test_what_the_person_takes_off_the_target_meanwhile_stays_off(base: GitRepo, style: str) -> None:
    """A target that is rewritten during the run gets the patch alone, not what it had before."""
    kept = base.head()
    base.commit({"secret.txt": "s\n"}, "a mistake")
    base.git("checkout", "-q", "-b", "elsewhere")
    gate = f"git --git-dir={base.path}/.git update-ref refs/heads/main {kept}"
    landed = land(base, {"p": base_patch(base)}, gates={"unit": {"run": gate}}, landing=style)
    assert landed.state == "succeeded"
    assert base.git("show", "main:a.txt") == "one\n2\nthree"
    assert "secret.txt" not in base.git("log", "--name-only", "--format=", "main")


@pytest.mark.parametrize("style", ["merge", "squash", "rebase"])
@pytest.mark.parametrize(
    ("scope", "policy", "code"),
    [
        (None, {}, None),
        (["a.txt", "else*"], {"allow": ["*.txt"]}, None),
        (["a.txt"], {}, "scope_violation"),
        (None, {"forbid": ["elsewhere.txt"]}, "policy_violation"),
    ],
    ids=["no-policy", "permitted", "scope", "forbidden"],
)
def test_a_rename_on_the_target_leads_a_patch_to_where_its_policy_lets_it(
    base: GitRepo, scope: list[str] | None, policy: dict[str, object], code: str | None, style: str
) -> None:
    """Policy judges what the merge changes; the workstream lands as git merges it, or says why not."""
    moved = base.diff_of({"a.txt": None, "elsewhere.txt": "one\ntwo\nthree\n"}, "-M")
    workstreams = one_each({"move": b"", "edit": b""})
    workstreams["edit"]["policy"] = policy
    if scope is not None:
        workstreams["edit"]["tasks"]["t"]["scope"] = scope
    patches = {"move": moved, "edit": base_patch(base)}
    landed = land(base, patches, workstreams=workstreams, landing=style)
    assert landed.code("edit") == code
    text = "one\ntwo\nthree" if code else "one\n2\nthree"
    assert base.git("show", "main:elsewhere.txt") == text
    if code is not None:
        assert "elsewhere.txt" in landed.workstream("edit")["reason"]["message"]


def test_two_gates_with_one_command_are_both_asked(base: GitRepo) -> None:
    """The command may tell them apart by the name that it is given."""
    command = 'test "$MAINGATE_GATE" = lint || ! grep -q 2 a.txt'
    gates = {"lint": {"run": command}, "unit": {"run": command}}
    landed = land(base, {"p": base_patch(base)}, gates=gates)
    assert landed.code("p/t") == "gate_failed"


def test_a_gate_cannot_hide_files_from_later_gates(base: GitRepo) -> None:
    """What it writes beside its worktree is not what the next checkout goes by."""
    spoil = (
        "cd ../control && git config core.sparseCheckout true && mkdir -p info && "
        "printf '/*\\n!/red.txt\\n' > info/sparse-checkout && echo '*.txt export-ignore' > info/attributes"
    )
    patches = {"one": base_patch(base), "two": base.diff_of({"red.txt": "x\n"})}
    landed = land(
        base, patches, gates={"unit": {"run": f"({spoil}); test ! -e red.txt", "on": ["task"]}}, workers=1
    )
    assert landed.workstream("one")["state"] == "completed"
    assert landed.code("two/t") == "gate_failed"


def test_a_checkout_that_a_killed_process_left_behind_is_brought_along(base: GitRepo) -> None:
    """The branch had landed, the checkout not yet: the next run finishes that instead of calling it dirt."""
    plan = {"repo": str(base.path), "name": "x", "workstreams": one_each({"p": b""})}
    loaded = load_plan(write_plan(base.path.parent / "plan", plan, {"p": base_patch(base)}))
    old = base.head()
    with Maingate.for_plan(loaded) as maingate:
        run_id = maingate.admission.admit(loaded)
        maingate.execution.execute(run_id)
        base.git("read-tree", "-m", "-u", "HEAD", old)
        owed = PendingCheckout(git_dir=str(base.path / ".git"), top=str(base.path))
        with locked_record(maingate.repository, "refs/heads/main") as held_record:
            held_record.write(
                UnfinishedMove(ref="refs/heads/main", old=old, new=base.head(), checkouts=(owed,))
            )
        assert base.git("status", "--porcelain") == "M  a.txt"
        maingate.admission.examine(loaded)
    assert base.git("status", "--porcelain") == ""
    assert (base.path / "a.txt").read_text() == "one\n2\nthree\n"
