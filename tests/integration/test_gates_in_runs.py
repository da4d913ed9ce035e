"""What a plan says about gates, seen from outside: reuse, inputs, needs, environment, preparation."""

from pathlib import Path
from typing import Any

import pytest

from factories import GitRepo
from landing import Landed, land


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
        base, {"run": f"echo x >> {ran}", "inputs": ["src/**"]}, {"src/a.txt": "A\n", "docs/b.txt": "B\n"}
    )
    assert landed.state == "succeeded"
    assert count(ran) == 1
    assert landed.report["gates"]["reused"] == 2


def test_a_gate_that_needs_the_commit_is_asked_about_each(base: GitRepo, tmp_path: Path) -> None:
    """The landing's merge commit is another commit, though its tree is the same."""
    ran = tmp_path / "ran"
    run(base, {"run": f"git log -1 --format=%s >> {ran}", "needs_commit": True}, {"src/a.txt": "A\n"})
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
        {"run": "test -e built/it"},
        {"src/a.txt": "A\n", "docs/b.txt": "B\n", "req.txt": "2\n"},
        prepare=[f"mkdir -p built && touch built/it && echo x >> {ran}"],
        prepare_inputs=["req.txt"],
        keep=["built"],
        workers=1,
    )
    assert landed.state == "succeeded"
    assert count(ran) == 2


def test_a_preparation_that_fails_blames_no_patch(base: GitRepo) -> None:
    """It fails on the base too."""
    landed = run(base, {"run": "true"}, {"src/a.txt": "A\n"}, prepare=["exit 7"])
    assert landed.code("w/p0") == "base_red"
    assert landed.patch_state("w/p0") == "dropped"


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
        assert count(ran) == 2, "once, and once more to confirm it"
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
