"""Gates of a merged result of which one has failed: the others are given up, and asked when they count."""

from pathlib import Path

import pytest

from maingate.bootstrap import Maingate
from maingate.queries.proof import proof_of
from support.factories import GitRepo
from support.landing import Landed, land

ON_LANDING = ["landing"]


@pytest.fixture
def base(repo: GitRepo) -> GitRepo:
    """Give a repository with a file."""
    repo.commit({"README": "x\n"})
    return repo


def land_files(base: GitRepo, *names: str, gates: dict[str, str], workers: int) -> Landed:
    """Land a file each, with gates that run on the merged result alone."""
    patches = {name: base.diff_of({f"{name}.new": f"{name}\n"}) for name in names}
    plan = {name: {"run": run, "on": ON_LANDING} for name, run in gates.items()}
    return land(base, patches, gates=plan, workers=workers)


def count(path: Path) -> int:
    """Count the lines that a gate wrote."""
    return len(path.read_text().splitlines()) if path.exists() else 0


def test_a_gate_that_waits_is_not_started_after_a_failure(base: GitRepo, tmp_path: Path) -> None:
    """The quick one is asked first, by the times on record, though it is listed last."""
    slow, quick = tmp_path / "slow", tmp_path / "quick"
    gates = {
        "slow": f"echo x >> {slow}; sleep 0.3",
        "quick": f"echo x >> {quick}; test ! -e red.new",
    }
    assert land_files(base, "a", gates=gates, workers=1).state == "succeeded"
    assert (count(slow), count(quick)) == (1, 1)
    landed = land_files(base, "red", gates=gates, workers=1)
    assert landed.code("red") == "gate_failed"
    assert "does not pass quick" in str(landed.workstream("red")["reason"]["message"])
    assert (count(slow), count(quick)) == (
        1,
        6,
    )  # it failed, was confirmed three times, and passed without it


def test_a_gate_that_runs_is_stopped_after_a_failure(base: GitRepo, tmp_path: Path) -> None:
    """It would never end on the red tree; nothing waits for it."""
    begun = tmp_path / "begun"
    gates = {
        "slow": f"test -e red.new || exit 0; touch {begun}; exec sleep 3600",
        "quick": f"test -e red.new || exit 0; until test -e {begun}; do sleep 0.01; done; exit 1",
    }
    landed = land_files(base, "red", "right", gates=gates, workers=2)
    assert (landed.code("red"), landed.code("right")) == ("gate_failed", None)
    assert landed.workstream("right")["state"] == "completed"


@pytest.mark.parametrize("is_red", [False, True])
def test_what_was_given_up_is_asked_when_the_failure_was_a_flake(
    base: GitRepo, tmp_path: Path, is_red: bool
) -> None:
    """A position needs a pass of all its gates; one that fails then is named."""
    flaked, slow = tmp_path / "flaked", tmp_path / "slow"
    gates = {
        "quick": f"test -e {flaked} || {{ touch {flaked}; exit 1; }}",
        "slow": f"echo x >> {slow}; test ! -e red.new",
    }
    landed = land_files(base, "red" if is_red else "a", gates=gates, workers=1)
    if is_red:
        assert landed.code("red") == "gate_failed"
        assert landed.workstream("red")["reason"]["detail"]["gates"] == ["slow"]
        return
    assert (landed.state, count(slow)) == ("succeeded", 1)
    with Maingate.open(base.path) as maingate:
        told = proof_of(maingate.context, base.head())
    assert (told["proof"], told["missing"]) == ("commit", [])
    assert {gate["name"]: gate["state"] for gate in told["gates"]} == {"quick": "PASSED", "slow": "PASSED"}
