"""What a process had in hand when it was ended."""

from contextlib import suppress
from pathlib import Path

from maingate.orchestrator.shell.items_in_hand import InHand


def killed(path: Path, *keys: str) -> None:
    """Be a process that is killed with these in hand."""
    with path.open("a") as file:
        file.writelines(["=\n", *(f"+{key}\n" for key in keys)])


def test_what_was_in_hand_when_the_process_was_killed_is_counted(tmp_path: Path) -> None:
    """Each time; what was done before it was killed, and what it never began, are not."""
    path = tmp_path / "run"
    with InHand(path).holding(["done"]):
        pass
    for _ in range(3):
        killed(path, "a", "b")
    killed(path, "b")
    found = InHand(path)
    assert [found.losses([key]) for key in ("a", "b", "done", "other")] == [3, 4, 0, 0]
    assert found.losses(["a", "b"]) == 4
    assert found.losses([]) == 0


def test_one_success_and_what_was_lost_is_forgotten(tmp_path: Path) -> None:
    """A kill from outside hits whatever is at work; that must not add up."""
    path = tmp_path / "run"
    killed(path, "a")
    with InHand(path).holding(["a"]):
        pass
    assert InHand(path).losses(["a"]) == 0


def test_what_fails_or_is_broken_off_is_neither_lost_nor_forgotten(tmp_path: Path) -> None:
    """The process lives: what it had in hand has other ways to be counted."""
    path = tmp_path / "run"
    killed(path, "a")
    with suppress(ZeroDivisionError), InHand(path).holding(["a"]):
        1 / 0  # noqa: B018 - it is to fail
    assert InHand(path).losses(["a"]) == 1


def test_the_file_goes_with_the_run(tmp_path: Path) -> None:
    """A run that has ended needs it no more; a run that has not keeps it."""
    path = tmp_path / "run"
    life = InHand(path)
    with life.holding(["a"]):
        pass
    life.close(is_over=False)
    assert path.exists()
    life.close(is_over=True)
    assert not path.exists()
