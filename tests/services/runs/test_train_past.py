"""The past of real runs, as the train of the next run is told of it."""

from pathlib import Path

import pytest

from maingate.bootstrap import Maingate
from maingate.services.runs.train_past import train_record
from support.factories import GitRepo
from support.landing import land

GATE = """\
set -eu
echo $(ls | grep new) >> '{seen}'
if test -e '{flake}'; then rm '{flake}'; exit 1; fi
test ! -e red.new
"""


@pytest.fixture
def folder(repo: GitRepo, tmp_path: Path) -> Path:
    """Give the folder with what the gate has seen; it fails once while `flake` is there."""
    repo.commit({"README": "x\n"})
    return tmp_path


def run(repo: GitRepo, folder: Path, *names: str) -> None:
    """Run a plan with a workstream for each name, which adds a file."""
    gate = GATE.format(seen=folder / "seen", flake=folder / "flake")
    patches = {name: repo.diff_of({f"{name}.new": f"{name}\n"}) for name in names}
    land(repo, patches, workers=1, gates={"unit": {"run": gate, "on": ["landing"]}})


@pytest.mark.usefixtures("folder")
def test_a_repository_without_a_past_expects_nothing(repo: GitRepo) -> None:
    """Its record is empty."""
    with Maingate.open(repo.path) as maingate:
        record = train_record(maingate.context)
    assert (record.refused, record.landed, record.gates) == (0, 0, {})


def test_the_past_has_ends_times_and_flakes(repo: GitRepo, folder: Path) -> None:
    """Of workstreams and of each gate."""
    (folder / "flake").touch()
    run(repo, folder, "a")
    run(repo, folder, "red")
    run(repo, folder, "b")
    with Maingate.open(repo.path) as maingate:
        record = train_record(maingate.context)
    assert (record.refused, record.landed) == (1, 2)
    unit = record.gates["unit"]
    assert (unit.flakes, unit.passes >= 2, unit.seconds > 0) == (1, True, True)
    assert unit.failures >= 3  # the flake, and the red one twice


@pytest.mark.parametrize(("has_flaked", "runs"), [(False, 4), (True, 6)])
def test_a_failure_is_confirmed_more_often_where_gates_have_flaked(
    repo: GitRepo, folder: Path, has_flaked: bool, runs: int
) -> None:
    """Three times where none ever did, and few passes are on record."""
    if has_flaked:
        (folder / "flake").touch()
    run(repo, folder, "a")
    run(repo, folder, "red")
    assert (folder / "seen").read_text().splitlines().count("a.new red.new") == runs
