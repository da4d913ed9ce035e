"""The three proofs in whole runs: the positions of the branch, those that were tested, and what is told."""

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from maingate.bootstrap import Maingate
from maingate.db.audit.record_check import verify
from maingate.plan.choices import Proof
from maingate.queries.proof import proof_of
from support.factories import GitRepo
from support.landing import Landed, land

NAMES = ("a", "b", "c")
Play = Callable[..., list[str]]


@pytest.fixture
def tested(tmp_path: Path) -> Path:
    """Give the file to which the gate writes the files that it sees."""
    return tmp_path / "tested"


@pytest.fixture
def play(repo: GitRepo, tested: Path) -> Play:
    """Give a way to land three workstreams by a plan; it returns the branch's positions, oldest first."""
    repo.commit({"README": "x\n"})

    def run(**plan: Any) -> list[str]:
        before = repo.head()
        patches = {name: repo.diff_of({f"{name}.new": f"{name}\n"}) for name in NAMES}
        gates = {"unit": {"run": f"echo $(ls | grep new) >> '{tested}'"}}
        assert land(repo, patches, workers=1, gates=gates, **plan).state == "succeeded"
        moves = repo.git("reflog", "show", "--format=%H", "main").splitlines()
        return moves[: moves.index(before)][::-1]

    return run


def new_files(repo: GitRepo, commit: str) -> str:
    """Return the files that a commit has of the workstreams."""
    names = repo.git("ls-tree", "--name-only", commit).split()
    return " ".join(name for name in names if name.endswith(".new"))


def kinds(repo: GitRepo, commits: list[str]) -> list[str]:
    """Return the kinds of the proofs of commits."""
    with Maingate.open(repo.path) as maingate:
        return [proof_of(maingate.context, commit)["proof"] for commit in commits]


def seen(tested: Path) -> list[str]:
    """Return what the gate has seen, once each."""
    return sorted(set(tested.read_text().splitlines()))


def test_by_commit_each_patch_and_each_position_is_tested(repo: GitRepo, play: Play, tested: Path) -> None:
    """Workstreams land one at a time."""
    positions = play(proof="commit")
    assert [new_files(repo, each) for each in positions] == ["a.new", "a.new b.new", "a.new b.new c.new"]
    assert seen(tested) == ["a.new", "a.new b.new", "a.new b.new c.new", "b.new", "c.new"]
    assert kinds(repo, positions) == ["commit"] * 3
    assert kinds(repo, [repo.head(f"{each}^2") for each in positions]) == ["commit"] * 3


@pytest.mark.parametrize("plan", [{}, {"proof": "ref"}, {"strict": True}])
def test_by_ref_each_position_is_tested(
    repo: GitRepo, play: Play, tested: Path, plan: dict[str, Any]
) -> None:
    """All workstreams land by one move; the commits inside are proven by the position that brought them."""
    (position,) = play(**plan)
    assert seen(tested) == [new_files(repo, position)] == ["a.new b.new c.new"]
    inside = repo.git("rev-list", "--first-parent", "--skip=1", "-2", position).split()
    assert kinds(repo, [position, *inside, repo.head(f"{position}^2")]) == ["commit", "ref", "ref", "ref"]
    with Maingate.open(repo.path) as maingate:
        told = proof_of(maingate.context, inside[0])
    assert [item["workstream"]["name"] for item in told["items"]] == list(NAMES)
    assert (told["position"]["new"], told["missing"], told["vouched_by"]) == (position, [], None)


@pytest.mark.parametrize("plan", [{"proof": "later"}, {"strict": False}])
def test_by_later_a_later_position_vouches_for_those_before_it(
    repo: GitRepo, play: Play, tested: Path, plan: dict[str, Any]
) -> None:
    """Each workstream lands by a move of its own, and only the last position was tested."""
    positions = play(**plan)
    assert [new_files(repo, each) for each in positions] == ["a.new", "a.new b.new", "a.new b.new c.new"]
    assert seen(tested) == ["a.new b.new c.new"]
    assert kinds(repo, positions) == ["later", "later", "commit"]
    with Maingate.open(repo.path) as maingate:
        told = proof_of(maingate.context, positions[0])
    assert [gate["state"] for gate in told["gates"]] == ["PASSED"]
    assert (told["position"]["new"], told["vouched_by"]["new"]) == (positions[0], positions[-1])


def test_the_repository_states_the_proof(repo: GitRepo, play: Play, tested: Path) -> None:
    """By the settings in the target's tree; a plan that states none has it."""
    repo.commit({"maingate.toml": f'proof = "{Proof.COMMIT}"\n'})
    assert len(play()) == 3
    assert "b.new" in seen(tested)


def in_a_row(repo: GitRepo, gate: str, **plan: Any) -> Landed:
    """Land one patch, and two in a row beside it, as a linear history."""
    repo.commit({"README": "x\n"})
    names = ("a", "b1", "b2")
    patches = {name: repo.diff_of({f"{name}.new": f"{name}\n"}) for name in names}
    streams = {
        "a": {"tasks": {"a": {"patch": "a"}}},
        "b": {"tasks": {name: {"patch": name} for name in ("b1", "b2")}, "critical": False},
    }
    gates = {"unit": {"run": gate}}
    return land(repo, patches, workstreams=streams, gates=gates, landing="rebase", workers=2, **plan)


def test_by_commit_each_commit_in_a_row_is_tested_where_it_lands(repo: GitRepo, tested: Path) -> None:
    """The target has moved, so the commits are others than the workstream had; each tree is tested once."""
    landed = in_a_row(repo, f"echo $(ls | grep new) >> '{tested}'", proof="commit")
    assert landed.state == "succeeded"
    commits = repo.git("rev-list", "--reverse", "-3", "main").split()
    on_main = ["a.new", "a.new b1.new", "a.new b1.new b2.new"]
    assert [new_files(repo, commit) for commit in commits] == on_main
    assert sorted(tested.read_text().splitlines()) == sorted([*on_main, "b1.new", "b1.new b2.new"])
    assert kinds(repo, commits) == ["commit"] * 3


def test_by_ref_a_commit_in_a_row_is_proven_by_the_position(repo: GitRepo, tested: Path) -> None:
    """No gate runs on it."""
    assert in_a_row(repo, f"echo $(ls | grep new) >> '{tested}'", proof="ref").state == "succeeded"
    assert "a.new b1.new" not in tested.read_text().splitlines()
    assert kinds(repo, [repo.head("main~1")]) == ["ref"]


def test_by_commit_none_lands_that_fails_before_the_last(repo: GitRepo, tested: Path) -> None:
    """The first of two fails on the target as it is now, and the second mends that: both are refused."""
    fails = "test -e a.new -a -e b1.new -a ! -e b2.new"
    landed = in_a_row(repo, f"echo $(ls | grep new) >> '{tested}'; ! {{ {fails}; }}", proof="commit")
    assert new_files(repo, repo.head("main")) == "a.new"
    assert landed.code("b") == "gate_failed"
    assert "b/b1" in landed.workstream("b")["reason"]["message"]
    with Maingate.open(repo.path) as maingate:
        assert verify(maingate.database).findings == ()
