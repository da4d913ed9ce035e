"""The private git directory, and those that killed processes leave."""

import os
import subprocess
import sys
from pathlib import Path

import pytest

from maingate.git import private_git
from maingate.git.private_git import PrivateGitDir, remove_abandoned
from support.factories import GitRepo

pytestmark = pytest.mark.skipif(not sys.platform.startswith("linux"), reason="names processes by /proc")

MAKE_AND_DIE = """
import os, sys
from pathlib import Path
from maingate.git import private_git
private_git._MEMORY = Path(sys.argv[1])
made = private_git.PrivateGitDir(Path(sys.argv[2]))
print(made.path, flush=True)
os.kill(os.getpid(), 9)
"""


@pytest.fixture
def memory(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Return a place of its own for such directories."""
    place = tmp_path / "memory"
    place.mkdir()
    monkeypatch.setattr(private_git, "_MEMORY", place)
    return place


@pytest.fixture
def left(memory: Path, tmp_path: Path) -> Path:
    """Return the directory of a killed process, with a link to a person's objects."""
    objects = tmp_path / "objects"
    objects.mkdir()
    (objects / "precious").write_text("p")
    done = subprocess.run(
        [sys.executable, "-c", MAKE_AND_DIE, str(memory), str(objects)],
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == -9, done.stderr
    return Path(done.stdout.strip())


def test_what_a_killed_process_left_is_removed_and_not_what_it_points_to(left: Path, tmp_path: Path) -> None:
    """The objects are the repository's."""
    assert (left / "objects").is_symlink()
    assert remove_abandoned() == [left]
    assert not left.exists()
    assert (tmp_path / "objects" / "precious").read_text() == "p"


def test_what_a_living_process_uses_stays(memory: Path, tmp_path: Path) -> None:
    """This one lives."""
    made = PrivateGitDir(tmp_path)
    assert made.path.parent == memory
    assert remove_abandoned() == []
    assert made.path.is_dir()
    made.close()
    assert not made.path.exists()


def test_a_later_process_of_the_same_number_does_not_keep_it(left: Path) -> None:
    """The tick tells them apart."""
    _, processes, _, tick, rest = left.name.split("-")
    mine = left.rename(left.with_name(f"maingate-{processes}-{os.getpid()}-{tick}-{rest}"))
    assert remove_abandoned() == [mine]


@pytest.mark.parametrize(
    "name", ["maingate-abcd1234", "maingate-1-2-3-x", "maingate-demo-1", "other-1-2-3-x"]
)
def test_what_is_not_known_to_be_abandoned_stays(memory: Path, name: str) -> None:
    """An older version's, another container's, another user's."""
    (memory / name).mkdir()
    assert remove_abandoned() == []
    assert (memory / name).is_dir()


def test_a_link_or_a_directory_of_another_user_stays(
    left: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """They stay under any name."""
    link = left.with_name(left.name + "x")
    link.symlink_to(tmp_path / "objects")
    with monkeypatch.context() as another:
        another.setattr(os, "geteuid", lambda: 4711)
        assert remove_abandoned() == []
        assert left.is_dir()
    assert remove_abandoned() == [left]
    assert link.is_symlink()


def test_what_a_command_writes_where_it_runs_is_gone(memory: Path, repo: GitRepo) -> None:
    """A file below the folder of one git is never there for the next, nor in the git directory."""
    repo.commit({"config": "[core]\n\tbare = false\n", "deep/HEAD": "x\n"})
    private = PrivateGitDir(repo.path / ".git/objects")
    before = sorted(path.name for path in private.path.iterdir())
    with private.index_file() as index:
        private.git("read-tree", repo.tree(), index=index)
        private.git("--work-tree=.", "checkout-index", "-a", index=index)
    assert sorted(path.name for path in private.path.iterdir()) == before
    assert list(memory.iterdir()) == [private.path]
