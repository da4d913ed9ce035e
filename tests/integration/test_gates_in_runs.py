"""What a plan says about gates, seen from outside: reuse, inputs, needs, environment, preparation."""

import signal
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from maingate.bootstrap import Maingate
from maingate.db.dao import gates as rows
from maingate.verdicts.records import CLASHED
from support.crashing import World, end_of, wait_until
from support.factories import GitRepo
from support.landing import Landed, land, one_each, write_plan


@pytest.fixture
def base(repo: GitRepo) -> GitRepo:
    """Give a repository with two folders."""
    repo.commit({"src/a.txt": "a\n", "docs/b.txt": "b\n", "req.txt": "1\n"}, "base")
    return repo


def count(path: Path) -> int:
    """Count the lines that a gate wrote: how often it ran."""
    return len(path.read_text().splitlines()) if path.exists() else 0


def run(base: GitRepo, gate: dict[str, Any], edits: dict[str, str], **plan: Any) -> Landed:
    """Land one workstream whose tasks are the edits, in order, with one gate."""
    patches = {}
    start = base.head()
    for at, (path, text) in enumerate(edits.items()):
        patches[f"p{at}"] = base.diff_of({path: text})
        base.commit({path: text})
    base.git("reset", "-q", "--hard", start)
    tasks = {name: {"patch": name} for name in patches}
    return land(base, patches, workstreams={"w": {"tasks": tasks}}, gates={"unit": gate}, **plan)


def test_a_gate_with_inputs_is_not_run_again_when_they_did_not_change(base: GitRepo, tmp_path: Path) -> None:
    """Only the first patch touches its inputs; the verdict holds for the second and for the landing."""
    ran = tmp_path / "ran"
    landed = run(
        base,
        {"run": f"echo x >> {ran}", "inputs": ["src/**"], "on": ["task", "landing"]},
        {"src/a.txt": "A\n", "docs/b.txt": "B\n"},
    )
    assert landed.state == "succeeded"
    assert count(ran) == 1
    assert landed.report["gates"]["reused"] == 2


def test_a_gate_that_needs_the_commit_is_asked_about_each(base: GitRepo, tmp_path: Path) -> None:
    """The landing's merge commit is another commit, though its tree is the same."""
    ran = tmp_path / "ran"
    gate = {
        "run": f"git log -1 --format=%s >> {ran}",
        "needs_commit": True,
        "on": ["task", "landing"],
    }
    run(base, gate, {"src/a.txt": "A\n"})
    assert ran.read_text().splitlines()[-1] == "Merge w into main"
    assert count(ran) == 2


def test_a_verdict_outlives_its_run(base: GitRepo, tmp_path: Path) -> None:
    """The same tree under the same gate is not tested again by the next run."""
    ran = tmp_path / "ran"
    gate = {"run": f"echo x >> {ran}"}
    run(base, gate, {"src/a.txt": "A\n"})
    base.git("reset", "-q", "--hard", "main~1")
    landed = run(base, gate, {"src/a.txt": "A\n"})
    assert landed.state == "succeeded"
    assert count(ran) == 1


def test_a_gate_only_on_landing_judges_the_merged_result_alone(base: GitRepo, tmp_path: Path) -> None:
    """`on: [landing]` skips the first level; the ledger says that no gate verified the patch."""
    ran = tmp_path / "ran"
    landed = run(
        base, {"run": f"echo x >> {ran}", "on": ["landing"]}, {"src/a.txt": "A\n", "docs/b.txt": "B\n"}
    )
    assert landed.state == "succeeded"
    assert count(ran) == 1


def test_a_gate_sees_its_own_environment_and_not_the_persons(
    base: GitRepo, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """What the plan gives is there, what is not on the allow-list is not."""
    monkeypatch.setenv("MY_SECRET", "x")
    gate = {"run": f'echo "$CI-${{MY_SECRET:-none}}" > {tmp_path}/seen', "env": {"CI": "1"}}
    run(base, gate, {"src/a.txt": "A\n"})
    assert (tmp_path / "seen").read_text() == "1-none\n"


def test_a_worktree_is_prepared_once_and_again_when_its_inputs_change(base: GitRepo, tmp_path: Path) -> None:
    """What is prepared is kept between jobs (prepare, prepare_inputs, keep)."""
    ran = tmp_path / "ran"
    landed = run(
        base,
        {"run": "test -e built/it", "on": ["task", "landing"]},
        {"src/a.txt": "A\n", "docs/b.txt": "B\n", "req.txt": "2\n"},
        prepare=[f"mkdir -p built && touch built/it && echo x >> {ran}"],
        prepare_inputs=["req.txt"],
        keep=["built"],
        workers=1,
    )
    assert landed.state == "succeeded"
    assert count(ran) == 2


@pytest.mark.parametrize("is_red", [True, False])
def test_a_preparation_that_fails_blames_no_patch(base: GitRepo, is_red: bool) -> None:
    """It fails on the base too, and no advice about red gates is given, but what it printed."""
    gate = {"run": "true", "red_on_base": is_red}
    landed = run(base, gate, {"src/a.txt": "A\n"}, prepare=["echo no network; exit 7"])
    assert landed.code("w/p0") == "prepare_failed"
    assert landed.patch_state("w/p0") == "dropped"
    message = landed.task("w/p0")["reason"]["message"]
    assert "prepare exited with 7; it printed last: no network" in message
    assert "red_on_base" not in message


def test_a_patch_that_breaks_the_preparation_is_to_blame(base: GitRepo) -> None:
    """Without it the worktree can be prepared."""
    landed = run(base, {"run": "true"}, {"src/a.txt": "A\n"}, prepare=["! grep -q A src/a.txt"])
    assert (landed.code("w/p0"), landed.patch_state("w/p0")) == ("gate_failed", "quarantined")


@pytest.mark.parametrize("text", ["A\n", "mended\n"])
def test_a_gate_that_a_patch_is_to_mend_blames_what_leaves_it_red(
    base: GitRepo, tmp_path: Path, text: str
) -> None:
    """And the base, which is red as everybody knows, is not asked."""
    ran = tmp_path / "ran"
    gate = {"run": f"echo x >> {ran}; grep -q mended src/a.txt", "red_on_base": True, "retries": 0}
    landed = run(base, gate, {"src/a.txt": text})
    if text == "A\n":
        assert (landed.code("w/p0"), landed.patch_state("w/p0")) == ("gate_failed", "quarantined")
        assert count(ran) == 4, "once, and three times more to confirm it: nothing is known of the gate"
    else:
        assert landed.state == "succeeded"


def test_a_missing_program_blames_no_patch(base: GitRepo) -> None:
    """Nothing was found out about the tree (infrastructure fault)."""
    landed = run(base, {"run": "if true; then no-such-program-here; fi"}, {"src/a.txt": "A\n"})
    assert landed.code("w/p0") == "base_red"
    assert landed.patch_state("w/p0") == "dropped"


def test_a_patch_that_makes_its_gate_die_of_a_signal_is_blamed(base: GitRepo) -> None:
    """The base lives, with the patch it dies, twice."""
    landed = run(base, {"run": "grep -q A src/a.txt && kill -SEGV $$ || true"}, {"src/a.txt": "A\n"})
    assert landed.code("w/p0") == "gate_failed"
    assert landed.patch_state("w/p0") == "quarantined"


def test_exclusive_gates_never_run_beside_another(base: GitRepo, tmp_path: Path) -> None:
    """`exclusive: true` is alone on the machine's workers."""
    start = base.head()
    patches = {f"p{at}": base.diff_of({f"src/{at}.txt": "x\n"}) for at in range(4)}
    assert base.head() == start
    lock = tmp_path / "lock"
    gates = {
        "alone": {"run": f"mkdir {lock} && sleep 0.1 && rmdir {lock}", "exclusive": True, "on": ["task"]},
        "other": {"run": f"sleep 0.05 && test ! -e {lock}", "on": ["task"]},
    }
    landed = land(base, patches, gates=gates, workers=3)
    assert landed.state == "succeeded"
    assert landed.report["gates"]["flaky"] == 0


def test_what_a_gate_does_to_its_worktree_does_not_land(base: GitRepo) -> None:
    """It writes, stages, commits, tags, stashes and configures; the patch alone lands, the person's stays."""
    gate = (
        "echo dirt > src/a.txt; echo dirt > new.txt; git add -A; git commit -qm dirt; git tag dirty; "
        "echo more >> src/a.txt; git stash -q; git config user.name dirt; git branch dirt"
    )
    config = (base.path / ".git" / "config").read_bytes()
    landed = run(base, {"run": gate}, {"src/a.txt": "A\n", "docs/b.txt": "B\n"})
    assert landed.state == "succeeded"
    assert base.git("ls-tree", "-r", "--name-only", "main").splitlines() == [
        "docs/b.txt",
        "req.txt",
        "src/a.txt",
    ]
    assert base.git("show", "main:src/a.txt") == "A"
    assert base.git("tag") == ""
    assert base.git("branch", "--format=%(refname:short)") == "main"
    assert base.git("stash", "list") == ""
    assert (base.path / ".git" / "config").read_bytes() == config


def side_by_side(base: GitRepo, number: int) -> dict[str, bytes]:
    """Make so many patches that have nothing to do with each other."""
    return {f"p{at}": base.diff_of({f"src/{at}.txt": "x\n"}) for at in range(number)}


def clashing(tmp_path: Path, name: str, test: str = "true") -> str:
    """Write a gate that waits until another runs beside it, and fails while it does: both want one place.

    The first two that begin meet; who comes later, or has ended once, does not wait for anybody.
    """
    here, ran = f"{tmp_path}/here.{name}", f"{tmp_path}/ran.{name}"
    return (
        f"echo x >> {ran}; test $(wc -l < {ran}) -le 2 || {{ {test}; exit; }}; mkdir {here}.$$; "
        f"until test $(ls -d {here}.* | wc -l) -ge 2; do sleep 0.01; done; exit 9"
    )


def test_a_clash_of_two_gates_blames_nobody(base: GitRepo, tmp_path: Path) -> None:
    """What failed beside another runs again by itself; a pass then is a flaky one, with a remark."""
    patches = side_by_side(base, 2)
    landed = land(base, patches, gates={"unit": {"run": clashing(tmp_path, "unit"), "on": ["task"]}})
    assert landed.state == "succeeded"
    assert landed.report["gates"]["flaky"] == 2
    with Maingate.open(base.path, create=False) as maingate, maingate.database.read() as conn:
        gates = [gate for gate in rows.of_run(conn, landed.report["run_id"]) if gate.is_flaky]
    assert [str(gate.output).splitlines()[0] for gate in gates] == [CLASHED] * 2


def test_a_gate_that_clashes_is_told_once_and_runs_alone_from_then_on(base: GitRepo, tmp_path: Path) -> None:
    """By its name, with what to declare."""
    gate = clashing(tmp_path, "unit")
    landed = land(base, side_by_side(base, 5), gates={"unit": {"run": gate, "on": ["task"]}}, workers=2)
    assert (landed.state, landed.report["gates"]["flaky"]) == ("succeeded", 2)
    with Maingate.open(base.path, create=False) as maingate, maingate.database.read() as conn:
        told = conn.exec_driver_sql("SELECT reason FROM events WHERE event_type = 'warning'").scalars().all()
    (warning,) = told
    assert "gate unit failed 2 times beside other jobs and then passed alone" in str(warning)


def test_what_fails_by_itself_too_is_to_blame(base: GitRepo, tmp_path: Path) -> None:
    """The innocent one of two that clashed lands, the other is quarantined."""
    patches = side_by_side(base, 2)
    gate = clashing(tmp_path, "unit", "test ! -e src/1.txt")
    landed = land(base, patches, gates={"unit": {"run": gate, "on": ["task"]}}, workers=2)
    assert (landed.code("p0/t"), landed.code("p1/t")) == (None, "gate_failed")
    assert landed.patch_state("p1/t") == "quarantined"


def test_nothing_runs_beside_a_gate_that_is_confirmed(base: GitRepo, tmp_path: Path) -> None:
    """Though many others wait, and none of them is exclusive."""
    lock = tmp_path / "lock"
    gate = f"mkdir {lock} || exit 1; sleep 0.2; rmdir {lock}"
    landed = land(base, side_by_side(base, 6), gates={"unit": {"run": gate, "on": ["task"]}}, workers=3)
    assert landed.state == "succeeded"
    assert landed.report["gates"]["failed"] == 0


def test_a_timeout_beside_others_is_confirmed(base: GitRepo, tmp_path: Path) -> None:
    """A lock that another gate holds looks like a hanging patch."""
    ran = tmp_path / "ran"
    wait = f"until test $(wc -l < {ran}) -ge 2; do sleep 0.01; done; exec sleep 600"
    gate = f"echo x >> {ran}; test $(wc -l < {ran}) -gt 2 || {{ {wait}; }}"
    landed = land(base, side_by_side(base, 2), gates={"unit": {"run": gate, "timeout": 2, "on": ["task"]}})
    assert landed.state == "succeeded"
    assert landed.report["gates"]["flaky"] == 2


def test_a_timeout_is_tried_again_before_it_counts(base: GitRepo, tmp_path: Path) -> None:
    """As any failure: a machine that was busy or asleep is nobody's fault."""
    ran = tmp_path / "ran"
    gate = {"run": f"echo x >> {ran}; exec sleep 600", "timeout": 0.5, "red_on_base": True}
    landed = run(base, gate, {"src/a.txt": "A\n"})
    assert (landed.code("w/p0"), count(ran)) == ("gate_timeout", 4)


@pytest.mark.parametrize("on", ["task", "landing"])
@pytest.mark.parametrize("is_red", [False, True], ids=["with the patch", "without it too"])
def test_a_timeout_is_asked_of_the_base_before_anyone_is_blamed(
    base: GitRepo, tmp_path: Path, on: str, is_red: bool
) -> None:
    """In a workstream's lane and in the train alike: twice with the patch, and then without it."""
    ran = tmp_path / "ran"
    hangs = "true" if is_red else "test -e src/new.txt"
    script = (
        f"test -e src/new.txt && echo with >> {ran} || echo without >> {ran}; {hangs} && exec sleep 600; true"
    )
    landed = run(base, {"run": script, "timeout": 0.5, "on": [on]}, {"src/new.txt": "A\n"})
    told = ran.read_text().split()
    assert landed.report["reason"]["code"] == ("base_red" if is_red else "gate_timeout")
    assert told[:2] == ["with", "with"]
    assert "without" in told[2:]


def test_a_run_that_is_stopped_while_a_confirmation_waits_ends_and_goes_on(tmp_path: Path) -> None:
    """It waits for another gate, which waits for a person: one interrupt, and nothing waits for ever."""
    world = World.create(tmp_path / "world", {"f": "f\n"})
    slow = f"touch {tmp_path}/begun; until test -e {tmp_path}/go; do sleep 0.02; done"
    quick = f"echo x >> {tmp_path}/ran; test $(wc -l < {tmp_path}/ran) -ge 2"
    until = f"until test -e {tmp_path}/begun; do sleep 0.02; done"
    gate = f"if test -e src/0.txt; then {slow}; else {until}; {quick}; fi"
    world.write_plan(
        patches := side_by_side(world.repo, 2),
        gates={"unit": {"run": gate, "on": ["task"]}},
        workstreams=one_each(patches),
    )
    run = world.run()
    wait_until((tmp_path / "ran").exists, "the failure")
    run.send(signal.SIGINT)
    (tmp_path / "go").touch()
    run.ended()
    assert end_of(world, 0 if world.is_over else world.finish()).report["state"] == "succeeded"


@pytest.mark.parametrize("depth", ["shallow", "recursive"])
@pytest.mark.parametrize("prepare", [[], ["test -e sub/lib.txt && echo made > made"]])
def test_gates_have_the_submodules_that_the_plan_asks_for(
    base: GitRepo, tmp_path: Path, hermetic_environment: Path, depth: str, prepare: list[str]
) -> None:
    """From a relative address, and with the objects that the person's clone of it has."""
    (hermetic_environment / ".gitconfig").write_text('[protocol "file"]\n\tallow = always\n')
    lib = GitRepo.create(base.path.with_name("lib.git"))
    lib.commit({"lib.txt": "lib\n"}, "lib")
    base.git("-c", "protocol.file.allow=always", "submodule", "--quiet", "add", "../lib.git", "sub")
    base.git("commit", "-q", "-m", "submodule")
    seen = tmp_path / "seen"
    script = [
        f"cat sub/lib.txt >> {seen}",
        'test -z "$(git -C sub status --porcelain)$(git status --porcelain sub)"',
        'grep -q modules/sub "$(git -C sub rev-parse --absolute-git-dir)/objects/info/alternates"',
    ]
    gate = {"run": " && ".join(script)}
    landed = run(base, gate, {"src/a.txt": "A\n"}, submodules=depth, prepare=prepare)
    assert landed.state == "succeeded", landed.report
    assert seen.read_text().splitlines()[0] == "lib"


def test_a_submodule_that_cannot_be_had_blames_no_patch(base: GitRepo) -> None:
    """It cannot be had without the patch either."""
    base.write({".gitmodules": '[submodule "sub"]\n\tpath = sub\n\turl = ../none.git\n'})
    base.git("add", ".gitmodules")
    base.git("update-index", "--add", "--cacheinfo", f"160000,{base.head()},sub")
    base.git("commit", "-q", "-m", "submodule")
    (base.path / "sub").mkdir()
    landed = run(base, {"run": "true"}, {"src/a.txt": "A\n"}, submodules="recursive")
    assert landed.code("w/p0") == "prepare_failed"
    assert "none.git" in landed.task("w/p0")["reason"]["message"]


def test_what_cannot_be_removed_costs_a_slot_and_no_run(base: GitRepo, tmp_path: Path) -> None:
    """A job that leaves something mounted spoils its slot, and the next one is given another."""
    if subprocess.run(["unshare", "-m", "true"], check=False, capture_output=True).returncode != 0:
        pytest.skip("this user may not mount anything")
    plans = []
    for name, gate in {
        "one": "mkdir build && mount -t tmpfs none build && touch build/left",
        "two": "test ! -e build",
    }.items():
        patch = base.diff_of({f"src/{name}.txt": "x\n"})
        described = {
            "repo": str(base.path),
            "gates": {"unit": {"run": gate}},
            "workstreams": one_each({name: patch}),
        }
        plans.append(str(write_plan(tmp_path / name, described, {name: patch})))
    run_each = 'for plan in "$@"; do "$0" -m maingate run "$plan" --workers 1 || exit 1; done'
    done = subprocess.run(
        ["unshare", "-m", "sh", "-c", run_each, sys.executable, *plans], capture_output=True, check=False
    )
    assert done.returncode == 0, done.stdout + done.stderr
    assert base.git("show", "main:src/two.txt") == "x"
