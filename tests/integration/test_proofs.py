"""The three proofs in whole runs: the positions of the branch, those that were tested, and what is told."""

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from maingate.bootstrap import Maingate
from maingate.plan.choices import Proof
from maingate.queries.proof import proof_of
from support.factories import GitRepo
from support.landing import land

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
