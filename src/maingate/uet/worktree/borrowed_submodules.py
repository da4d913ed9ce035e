"""Submodules whose remote is away: each gets the repository that a clone of it would have made.

`git submodule update` asks the remote of a submodule for a clone, even where the person's own clone of it
(`.git/modules`) has the commit. Where that fails, the git directory is made here, over the objects of the
person's clone, as the worktree itself is one over the repository. Git finds the commit in it and asks no
remote. No transport takes part, so none has to be allowed, for this submodule or for those below it.

A submodule of which a clone could be made is left alone: its remote has answered.
Standard library and few modules of ``git`` and ``uet`` only: a worker process imports this.
"""

import os
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from maingate.git.command import run_git
from maingate.git.remote_view import RemoteView, read_remote_view
from maingate.uet.worktree.nested_repositories import git_dir_of
from maingate.uet.worktree.slot_repository import VISIBLE_CONFIG, make_repository

_LINK: Final = "160000"
_KEY: Final = ("submodule.", ".path")


@dataclass(frozen=True, kw_only=True)
class _Submodule:
    """A submodule that a tree has and configures: its name, its path from the tree, and its commit."""

    name: str
    path: str
    commit: str


def borrow_submodules(tree: Path, *, newest_only: bool) -> bool:
    """Make the git directories of submodules that could not be cloned, from the clones that the person has.

    Args:
        tree: The top of a working tree in which `git submodule update --init` has failed.
        newest_only: Whether they get their newest commits alone.

    Returns:
        Whether there was any: then that command gets further.

    Raises:
        GitError: A repository cannot be read.
        OSError: A git directory cannot be made.
    """
    return _borrow_below(tree, "", newest_only=newest_only)


def _borrow_below(tree: Path, path: str, *, newest_only: bool) -> bool:
    """Make the git directories of the submodules of a repository at a path of the tree, and of theirs."""
    found = git_dir_of(os.fsencode(tree), os.fsencode(path))
    if found is None:
        return False
    git_dir, has_made = Path(os.fsdecode(found)), False
    for submodule in _submodules(tree / path, git_dir):
        place = f"{path}/{submodule.path}" if path else submodule.path
        if os.path.lexists(tree / place / ".git"):
            has_made |= _borrow_below(tree, place, newest_only=newest_only)
        else:
            has_made |= _make(git_dir, submodule, newest_only=newest_only)
    return has_made


def _make(git_dir: Path, submodule: _Submodule, *, newest_only: bool) -> bool:
    """Make the git directory of a submodule; return False where it is there, or no clone has the commit."""
    place = git_dir / "modules" / submodule.name
    source = None if os.path.lexists(place) else _clone_with(git_dir, submodule)
    if source is None:
        return False
    view = read_remote_view(source)
    if newest_only:
        view = RemoteView(config=view.config)
    make_repository(place, source, config=VISIBLE_CONFIG + view.config, head=submodule.commit)
    (place / "packed-refs").write_bytes(os.fsencode(view.refs))
    if newest_only:
        (place / "shallow").write_text(f"{submodule.commit}\n")
    return True


def _clone_with(git_dir: Path, submodule: _Submodule) -> Path | None:
    """Return the git directory of the person's clone of a submodule, if it has the commit."""
    for lender in _lenders(git_dir):
        clone = lender / "modules" / submodule.name
        if (clone / "HEAD").is_file():
            words = ("cat-file", "-e", f"{submodule.commit}^{{commit}}")
            if run_git(*words, git_dir=clone, check=False).code == 0:
                return clone
    return None


def _lenders(git_dir: Path) -> Iterator[Path]:
    """Yield the git directories whose objects a repository borrows."""
    try:
        lines = (git_dir / "objects" / "info" / "alternates").read_bytes().splitlines()
    except FileNotFoundError:
        return
    yield from (Path(os.fsdecode(line)).parent for line in lines if line.endswith(b"/objects"))


def _submodules(tree: Path, git_dir: Path) -> Iterator[_Submodule]:
    """Yield the submodules of a tree, those with an unsafe name (gitmodules(5)) left out."""
    if not (tree / ".gitmodules").is_file():
        return
    words = ("config", "--file", tree / ".gitmodules", "-z", "--get-regexp", r"^submodule\..*\.path$")
    configured = os.fsdecode(run_git(*words, git_dir=git_dir, check=False).stdout).split("\0")
    listed = os.fsdecode(run_git("ls-files", "--stage", "-z", git_dir=git_dir).stdout).split("\0")
    entries = (entry.partition("\t")[::2] for entry in listed if entry.startswith(_LINK))
    links = {path: entry.split(" ")[1] for entry, path in entries}
    for setting in configured:
        key, _, path = setting.partition("\n")
        name = key.removeprefix(_KEY[0]).removesuffix(_KEY[1])
        if path in links and name and ".." not in name.split("/") and not name.startswith("/"):
            yield _Submodule(name=name, path=path, commit=links[path])
