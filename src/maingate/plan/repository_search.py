"""Search for the repository of a plan, by folders only; git checks whether it can be used."""

from collections.abc import Iterable
from pathlib import Path


def repository_candidates(repo: str | None, plan_file: Path, cwd: Path) -> list[Path]:
    """Return the folders in or around which a plan's repository is searched, first choice first.

    Args:
        repo: The plan's `repo`; None when it has none.
        plan_file: The plan file; `repo` is relative to its folder.
        cwd: The working directory.
    """
    folder = (cwd / plan_file).parent
    return [folder / expanded(repo)] if repo is not None else [folder, cwd]


def expanded(path: str) -> Path:
    """Return a path with `~` expanded; unchanged when there is no such home."""
    try:
        return Path(path).expanduser()
    except RuntimeError:
        return Path(path)


def enclosing_root(folders: Iterable[Path]) -> Path | None:
    """Return the root of the first repository in or around one of the folders, or None.

    A root has `.git` in it (a folder, or a file in linked worktrees and submodules) or is a bare repository.
    """
    for folder in folders:
        absolute = folder.absolute()
        for around in (absolute, *absolute.parents):
            if (around / ".git").exists() or _is_bare(around):
                return around
    return None


def _is_bare(folder: Path) -> bool:
    return (folder / "HEAD").is_file() and (folder / "objects").is_dir() and (folder / "refs").is_dir()
