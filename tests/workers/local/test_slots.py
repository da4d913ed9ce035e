"""Slots: no two runs of a repository have the same one, whatever becomes of the folders that they are in."""

import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from maingate.workers.local.slots import Slots


@pytest.fixture
def state(tmp_path: Path) -> Path:
    """Give the state folder of a repository."""
    (tmp_path / "state").mkdir()
    return tmp_path / "state"


@contextmanager
def taken(state: Path, cache: Path, count: int = 1) -> Iterator[list[int]]:
    """Take slots as a run does, and give their numbers."""
    slots = Slots(cache, state / "slots")
    slots.make()
    mine = [slots.take() for _ in range(count)]
    yield [slot.number for slot in mine]
    for slot in mine:
        slots.put_back(slot)
    slots.release()


def test_two_runs_have_different_slots(state: Path, tmp_path: Path) -> None:
    """What one has locked the other passes over, until it is released."""
    with taken(state, tmp_path / "cache", 2) as one, taken(state, tmp_path / "cache") as other:
        assert (one, other) == ([0, 1], [2])
    with taken(state, tmp_path / "cache") as later:
        assert later == [0]


def test_a_cache_that_is_cleared_under_a_run_frees_no_slot(state: Path, tmp_path: Path) -> None:
    """The locks are not in the cache."""
    with taken(state, tmp_path / "cache") as one:
        shutil.rmtree(tmp_path / "cache")
        with taken(state, tmp_path / "cache") as other:
            assert (one, other) == ([0], [1])


def test_runs_with_different_caches_share_no_number(state: Path, tmp_path: Path) -> None:
    """A slot's number is the repository's."""
    with taken(state, tmp_path / "cache") as one, taken(state, tmp_path / "another") as other:
        assert (one, other) == ([0], [1])


def test_a_state_folder_that_is_cleared_under_a_run_frees_no_slot(state: Path, tmp_path: Path) -> None:
    """A second lock lies beside the worktree."""
    with taken(state, tmp_path / "cache") as one:
        shutil.rmtree(state)
        state.mkdir()
        with taken(state, tmp_path / "cache") as other:
            assert (one, other) == ([0], [1])


def test_a_state_folder_that_is_gone_is_not_made_again(state: Path, tmp_path: Path) -> None:
    """A run whose state was moved away leaves room for it to come back."""
    state.rmdir()
    with pytest.raises(FileNotFoundError), taken(state, tmp_path / "cache"):
        pass
    assert not state.exists()


def test_unused_slots_are_those_that_nobody_holds(state: Path, tmp_path: Path) -> None:
    """Also one that has lost a lock, or its folder; what is no slot is none of them."""
    cache = tmp_path / "cache"
    with taken(state, cache, 4):
        pass
    (cache / "9").mkdir()
    (cache / "other").mkdir()
    (cache / "2.lock").unlink()
    with taken(state, cache), Slots(cache, state / "slots").unused() as unused:
        assert [slot.number for slot in unused] == [1, 2, 3, 9]
        with taken(state, cache) as other:
            assert other == [4]


def test_what_lies_between_the_slots_is_removed(state: Path, tmp_path: Path) -> None:
    """A gate that wrote above its slot changes nothing for those of later runs; slots and locks stay."""
    cache = tmp_path / "cache"
    with taken(state, cache):
        (cache / "0").mkdir()
    (cache / "node_modules").mkdir()
    (cache / "conftest.py").touch()
    (cache / "x.lock").symlink_to(state)

    with taken(state, cache):
        assert {path.name for path in cache.iterdir()} <= {"0", "0.lock"}
    assert (cache / "0").is_dir()
    assert state.is_dir()


def test_a_slot_whose_lock_was_removed_is_not_used_again(state: Path, tmp_path: Path) -> None:
    """A lock on a file that is gone keeps nobody out."""
    slots = Slots(tmp_path / "cache", state / "slots")
    slots.make()
    slot = slots.take()
    slot.path.mkdir()
    assert slot.is_whole
    shutil.rmtree(slot.path)
    assert (slot.is_held, slot.is_whole) == (True, False)
    shutil.rmtree(tmp_path / "cache")
    assert not slot.is_held
    slots.put_back(slot)
    again = slots.take()
    assert again.is_held
    again.let_go()


def test_a_slot_that_is_stuck_is_kept_from_the_next_worker(state: Path, tmp_path: Path) -> None:
    """Another one is taken, and at the end of the pool its lock goes with the others."""
    slots = Slots(tmp_path / "cache", state / "slots")
    stuck = slots.take()
    stuck.is_stuck = True
    slots.put_back(stuck)
    assert slots.take().number == 1
    slots.release()
    with taken(state, tmp_path / "cache") as later:
        assert later == [0]
