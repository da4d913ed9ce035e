"""A run goes by the record that it was admitted to: where that is not in place any more, no branch moves."""

import shutil
import sqlite3
from collections.abc import Callable
from contextlib import closing
from pathlib import Path

import pytest

from maingate.bootstrap import Maingate
from maingate.errors import UsageError
from support.crashing import World, check_the_record, end_of, landings, wait_until
from support.factories import GitRepo
from support.stories import Telling

OUTSIDE_FAULT = 4


def remove(state: Path, *names: str) -> None:
    """Remove files of the record."""
    for name in names:
        (state / name).unlink()


def replace_by_a_copy(state: Path) -> None:
    """Put a copy of the folder in its place."""
    state.rename(state.with_name("old"))
    shutil.copytree(state.with_name("old"), state)


def link_to_a_copy(state: Path) -> None:
    """Put a symbolic link to a copy of the folder in its place."""
    copy = shutil.copytree(state, state.with_name("copy"))
    state.rename(state.with_name("old"))
    state.symlink_to(copy)


def move_the_repository(state: Path) -> None:
    """Move the whole repository, and put a copy in its place."""
    repo = state.parent.parent
    repo.rename(repo.with_name("elsewhere"))
    shutil.copytree(repo.with_name("elsewhere"), repo)


def start_anew(state: Path) -> None:
    """Put an empty database in its place."""
    remove(state, "maingate.db", "maingate.db-wal", "maingate.db-shm")
    sqlite3.connect(state / "maingate.db").close()


def forget_the_run(state: Path) -> None:
    """Take the run's lease and identity out, as an older copy of the record has none."""
    with closing(sqlite3.connect(state / "maingate.db", isolation_level=None)) as raw:
        raw.execute("DELETE FROM leases")


def be_another(state: Path) -> None:
    """Give the record another identity."""
    with closing(sqlite3.connect(state / "maingate.db", isolation_level=None)) as raw:
        raw.execute("UPDATE record SET id = 'record_other'")


LOSSES: dict[str, Callable[[Path], object]] = {
    "the folder": shutil.rmtree,
    "the database": lambda state: remove(state, "maingate.db"),
    "its log": lambda state: remove(state, "maingate.db-wal"),
    "its index": lambda state: remove(state, "maingate.db-shm"),
    "all its files": lambda state: remove(state, "maingate.db", "maingate.db-wal", "maingate.db-shm"),
    "renamed": lambda state: state.rename(state.with_name("old")),
    "a copy": replace_by_a_copy,
    "a link to a copy": link_to_a_copy,
    "an empty one": start_anew,
    "a copy of the repository": move_the_repository,
    "older": forget_the_run,
    "of another identity": be_another,
}


@pytest.fixture
def held(tmp_path: Path) -> World:
    """Give a world whose one gate waits until it may go on."""
    world = World.create(tmp_path / "w", {"a.txt": "a\n"})
    gate = f"touch {world.folder}/begun; until test -e {world.folder}/go; do sleep 0.02; done"
    world.write_plan(
        {"p": world.repo.diff_of({"b.txt": "b\n"})},
        gates={"unit": {"run": gate}},
        workstreams={"one": {"tasks": {"t": {"patch": "p"}}}},
    )
    return world


@pytest.mark.parametrize("loss", LOSSES)
def test_a_run_whose_record_is_lost_stops_before_it_moves_a_branch(held: World, loss: str) -> None:
    """Whatever became of it: exit code 4, the branch is where it was, and the message says why."""
    state = held.repo.path / ".git" / "maingate"
    before = held.repo.head("main")
    run = held.run()
    wait_until((held.folder / "begun").exists, "a gate")
    LOSSES[loss](state)
    (held.folder / "go").touch()
    assert run.ended() == OUTSIDE_FAULT, run.said
    assert "Traceback" not in run.said
    assert "record" in run.said
    assert "succeeded" not in run.said
    for place in held.folder.glob("*/.git"):
        assert GitRepo(place.parent).head("main") == before


def test_a_record_that_is_put_back_is_gone_on_with(tell: Telling) -> None:
    """Nothing was lost: the run that stopped is resumed."""
    world = tell.held_up()
    state = world.repo.path / ".git" / "maingate"
    run = world.run()
    wait_until((world.folder / "begun").exists, "a gate")
    state.rename(state.with_name("old"))
    (world.folder / "go").touch()
    assert run.ended() == OUTSIDE_FAULT, run.said
    state.with_name("old").rename(state)
    assert end_of(world, world.finish()) == tell.story().end


def test_a_write_ahead_log_that_was_removed_is_written_back_by_the_run_that_has_it_open(held: World) -> None:
    """The run stops, and what it wrote is in the record nevertheless."""
    run = held.run()
    wait_until((held.folder / "begun").exists, "a gate")
    (held.repo.path / ".git" / "maingate" / "maingate.db-wal").unlink()
    (held.folder / "go").touch()
    assert run.ended() == OUTSIDE_FAULT, run.said
    assert held.finish() == 0
    assert len(landings(held.repo)) == 1
    check_the_record(held)


def test_a_link_to_the_folder_where_it_was_moved_is_the_same_record(held: World) -> None:
    """It is the files that count, not how they are found."""
    state = held.repo.path / ".git" / "maingate"
    run = held.run()
    wait_until((held.folder / "begun").exists, "a gate")
    state.rename(held.folder / "elsewhere")
    state.symlink_to(held.folder / "elsewhere")
    (held.folder / "go").touch()
    assert run.ended() == 0, run.said
    check_the_record(held)


@pytest.mark.parametrize("name", ["", "/cache", "/../linked/cache"])
def test_a_cache_among_the_files_of_a_work_tree_is_refused(
    repo: GitRepo, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, name: str
) -> None:
    """What lands would be written into the worktrees that gates judge; in `.git` no patch reaches them."""
    repo.commit({"a": "a\n"})
    repo.git("worktree", "add", "-q", "-b", "side", str(tmp_path / "linked"))
    monkeypatch.setenv("MAINGATE_CACHE_DIR", f"{repo.path}{name}")
    with pytest.raises(UsageError, match=r"cache_dir: .* lies in the work tree"):
        Maingate.open(repo.path)
    monkeypatch.setenv("MAINGATE_CACHE_DIR", f"{repo.path}/.git/cache")
    Maingate.open(repo.path).close()


@pytest.mark.parametrize("name", ["x.db", "below/x.db", "../linked/x.db", "../link/x.db"])
def test_a_database_among_the_files_of_a_work_tree_is_refused(
    repo: GitRepo, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, name: str
) -> None:
    """Where it is ignored, git puts a commit's file of that name in its place without a word."""
    repo.commit({"a": "a\n"})
    repo.git("worktree", "add", "-q", "-b", "side", str(tmp_path / "linked"))
    (tmp_path / "link").symlink_to(repo.path)
    monkeypatch.setenv("MAINGATE_DATABASE_URL", f"sqlite:///{repo.path}/{name}")
    with pytest.raises(UsageError, match=r"lies in the work tree.*name a file elsewhere"):
        Maingate.open(repo.path)
    assert not (repo.path / name).exists()
    monkeypatch.setenv("MAINGATE_DATABASE_URL", f"sqlite:///{repo.path}/.git/x.db")
    Maingate.open(repo.path).close()
