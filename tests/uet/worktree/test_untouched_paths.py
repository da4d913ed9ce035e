"""Whatever is done to a file, a link or a folder after it was surveyed is noticed, however it is hidden."""

import os
import shutil
import time
from collections.abc import Callable
from pathlib import Path
from types import SimpleNamespace
from typing import Any
from unittest.mock import Mock

import pytest

from maingate.uet.worktree import untouched_paths
from maingate.uet.worktree.untouched_paths import UntouchedPaths
from support.worktree_files import let_the_clock_tick

SECOND = 1_000_000_000


def _swap_bytes(tree: Path) -> None:
    before = (tree / "src/a").stat()
    (tree / "src/a").write_text("A\n")
    os.utime(tree / "src/a", ns=(before.st_atime_ns, before.st_mtime_ns))


def _swap_file(tree: Path) -> None:
    shutil.copy2(tree / "src/a", tree / "src/copy")
    (tree / "src/copy").replace(tree / "src/a")


def _swap_for_a_twin(tree: Path) -> None:
    (tree / "twin").replace(tree / "src/a")


def _swap_folder(tree: Path) -> None:
    (tree / "src").rename(tree / "else")
    (tree / "src").symlink_to("else")


def _swap_link(tree: Path) -> None:
    (tree / "link").unlink()
    (tree / "link").symlink_to("twin")


def _back_and_forth(tree: Path) -> None:
    (tree / "src/a").rename(tree / "src/b")
    (tree / "src/b").rename(tree / "src/a")


CHANGES: dict[str, Callable[[Path], object]] = {
    "bytes, size and time as before": _swap_bytes,
    "a copy with the same time": _swap_file,
    "another file of the tree": _swap_for_a_twin,
    "a folder that became a link to itself": _swap_folder,
    "another target of a link": _swap_link,
    "a name that went and came": _back_and_forth,
    "rights of a file": lambda tree: (tree / "src/a").chmod(0o755),
    "rights of a folder": lambda tree: (tree / "src").chmod(0o700),
    "one more hard link": lambda tree: (tree.parent / "hard").hardlink_to(tree / "src/a"),
    "a new file": lambda tree: (tree / "src/new").touch(),
    "a new folder": lambda tree: (tree / "src/new").mkdir(),
    "a missing file": lambda tree: (tree / "src/a").unlink(),
    "a missing folder": lambda tree: shutil.rmtree(tree / "src"),
    "a time": lambda tree: os.utime(tree / "src/a", ns=(0, 0)),
}


@pytest.fixture
def tree(tmp_path: Path) -> Path:
    """Give a folder with a file, a folder and a link in it."""
    tree = tmp_path / "tree"
    (tree / "src").mkdir(parents=True)
    for name in ("src/a", "twin"):
        (tree / name).write_text("a\n")
        os.utime(tree / name, ns=(SECOND, SECOND))
    (tree / "link").symlink_to("src/a")
    return tree


def survey(tree: Path) -> UntouchedPaths:
    """Survey all there is of the tree but for what is only there to be swapped."""
    paths = [tree, *(tree / name for name in ("src", "src/a", "link"))]
    return UntouchedPaths([os.fsencode(path) for path in paths], clock=os.fsencode(tree.parent))


@pytest.mark.parametrize("change", CHANGES.values(), ids=CHANGES)
def test_what_was_old_is_known_by_its_stamps(
    tree: Path, change: Callable[[Path], object], monkeypatch: pytest.MonkeyPatch
) -> None:
    """Nothing that can be done to what was old leaves its stamps as they were; contents are not read."""
    monkeypatch.setattr(untouched_paths, "_youth", lambda _: lambda _: False)
    monkeypatch.setattr(untouched_paths, "_holding", lambda *_: pytest.fail("something was read"))
    still = survey(tree)
    let_the_clock_tick(tree.parent)
    assert still.holds()

    change(tree)

    assert not still.holds()


HIDDEN = {"bytes, size and time as before", "another target of a link", "a new file", "a missing file"}


@pytest.mark.parametrize("change", sorted(HIDDEN))
def test_what_was_young_is_known_by_what_it_holds(
    tree: Path, change: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A change right after the survey is noticed even when the clock did not tick, so that no stamp tells."""
    monkeypatch.setattr(untouched_paths, "_stamp", lambda info: info.st_mode)
    still = survey(tree)
    assert still.holds()

    CHANGES[change](tree)

    assert not still.holds()


def test_what_was_young_is_read_until_it_is_old(tree: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """It is compared once more when it is old; from then on its stamps are enough."""
    ages = {"young": True}
    monkeypatch.setattr(untouched_paths, "_youth", lambda _: lambda _: ages["young"])
    reading = Mock(wraps=untouched_paths._holding)
    monkeypatch.setattr(untouched_paths, "_holding", reading)
    still = survey(tree)
    assert reading.call_count == 4

    assert still.holds()
    assert reading.call_count == 8
    ages["young"] = False
    assert still.holds()
    assert reading.call_count == 12
    assert still.holds()
    assert reading.call_count == 12


@pytest.mark.parametrize("limit", ["FEW", "_FEW_BYTES"])
def test_too_much_that_is_young_proves_nothing(
    tree: Path, limit: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """What cannot be remembered cannot be compared."""
    monkeypatch.setattr(untouched_paths, limit, 1)

    assert not survey(tree).holds()


@pytest.mark.parametrize(
    ("age", "is_young"),
    [
        (0, True),
        (10_000_001, True),
        (60_000_001, False),
        (-5 * SECOND + 1, True),
    ],
    ids=["just now", "some ticks ago", "long ago", "in the future"],
)
def test_youth_is_a_matter_of_ticks(tmp_path: Path, age: int, is_young: bool) -> None:
    """What lies within a tick, with room to spare, or in the future could be changed under its own time."""
    judge = untouched_paths._youth(os.fsencode(tmp_path))
    now = tmp_path.stat().st_ctime_ns - 1_000_000
    changed = now - age + ((now - age) % SECOND == 0)

    assert judge(_info(changed)) is is_young


def test_whole_seconds_are_young_for_seconds(tmp_path: Path) -> None:
    """A file system that knows no fractions gives one time to all that happens within a second or two."""
    judge = untouched_paths._youth(os.fsencode(tmp_path))
    now = tmp_path.stat().st_ctime_ns // SECOND * SECOND

    assert judge(_info(now - 2 * SECOND))
    assert not judge(_info(now - 2 * SECOND + 1))
    assert not judge(_info(now - 4 * SECOND))


def test_the_clock_is_that_of_the_file_system(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """What was written just now is young, however far this machine's clock is ahead of the server's."""
    (tmp_path / "file").touch()
    ahead = time.time_ns() + 3600 * SECOND
    monkeypatch.setattr(time, "time_ns", lambda: ahead)

    assert untouched_paths._youth(os.fsencode(tmp_path))((tmp_path / "file").stat())


def _info(changed: int) -> Any:
    return SimpleNamespace(st_ctime_ns=changed)
