"""Processes that begin at once in a repository where Maingate has not run: they agree on its identity."""

from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

from maingate.git.repository_identity import settle


def test_all_that_begin_at_once_have_one_identity(tmp_path: Path) -> None:
    """Each would make an id of its own, and the last one written would disown the runs of the others."""
    for number in range(20):
        git_dir = tmp_path / f"repository{number}"
        state = git_dir / "maingate"
        state.mkdir(parents=True)
        with ThreadPoolExecutor(8) as pool:
            made = [pool.submit(settle, git_dir, state, may_have_moved_far=True) for _ in range(8)]
        assert len({each.result().id for each in made}) == 1
