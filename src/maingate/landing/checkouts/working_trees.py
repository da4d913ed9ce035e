"""The working trees of a repository: where they are, what is checked out there, and how git is asked there.

Here, and only here, git reads the person's configuration, because a working tree with ``core.autocrlf``,
filters or LFS looks changed to a git that does not know of them. Hooks and fsmonitor programs stay off.
"""

import os
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from maingate.errors import GitError
from maingate.git.command import Argument, GitResult, run_git
from maingate.git.repository import Repository
from maingate.git.targets import BRANCHES, read_head, short_name

_BRANCH_FILES: Final = ("rebase-merge/head-name", "rebase-apply/head-name", "BISECT_START")
_PLAIN_INDEX: Final = {"core.splitIndex": "false", "index.sparse": "false", "core.ignoreStat": "false"}
"""Settings by which git writes an index as one file with an entry for each path, and checks every file."""


@dataclass(frozen=True, kw_only=True)
class Checkout:
    """A working tree, whether it is there just now or not.

    Args:
        git_dir: Its own git directory: a linked one's is below the repository's.
        top: Where its files are.
        is_there: Whether they can be seen: a disk may be away, a folder moved or removed.
        is_locked: Whether `git worktree lock` keeps it although it may be away.
    """

    git_dir: Path
    top: Path
    is_there: bool = True
    is_locked: bool = False

    @property
    def index(self) -> Path:
        """Its index; the target of a link where it is one, because git locks that."""
        return Path(os.path.realpath(self.git_dir / "index"))

    def branch(self) -> str | None:
        """Return the branch that HEAD stands for; None when it is detached."""
        return read_head(self.git_dir)

    def git(
        self,
        *args: Argument,
        index: Path | None = None,
        tree: Path | None = None,
        env: Mapping[str, str] | None = None,
        input: bytes | None = None,  # noqa: A002 - the name subprocess has taught everyone
        check: bool = True,
        timeout: float | None = None,
    ) -> GitResult:
        """Run git on it with the person's configuration.

        Args:
            args: The words after ``git``.
            index: An index to use instead of its own.
            tree: A folder to use as its working tree.
            env: More variables.
            input: Bytes for standard input.
            check: Raise when the exit code is not 0.
            timeout: Seconds after which it is ended with all that it started.

        Raises:
            GitError: It could not be run, took too long, or failed and ``check`` was asked for.
        """
        settings = [word for name, value in _PLAIN_INDEX.items() for word in ("-c", f"{name}={value}")]
        own = {"GIT_WORK_TREE": str(tree or self.top), "GIT_INDEX_FILE": str(index or self.index)}
        return run_git(
            *settings,
            *args,
            git_dir=self.git_dir,
            cwd=tree or self.top,
            env={**own, **(env or {})},
            input=input,
            check=check,
            timeout=timeout,
            persons_config=True,
        )


def checkouts_of(repository: Repository, ref: str) -> list[Checkout]:
    """List the working trees that have a branch checked out, or are rebasing or bisecting it."""
    return [each for each in all_checkouts(repository) if ref in _branches_of(repository, each.git_dir)]


def checkouts_by_branch(repository: Repository) -> Mapping[str, Sequence[Checkout]]:
    """Return what `checkouts_of` lists for each branch of which there is one, by its full name."""
    found: dict[str, list[Checkout]] = {}
    for each in all_checkouts(repository):
        for ref in _branches_of(repository, each.git_dir):
            found.setdefault(ref, []).append(each)
    return found


def branch_of(repository: Repository, checkout: Checkout) -> str | None:
    """Return the branch that moves when a commit is made in a checkout; None when its HEAD is detached.

    HEAD may name a symbolic ref, such as an old name of a branch that was renamed; the branch it leads to is
    what is checked out.
    """
    named = checkout.branch()
    return None if named is None else _final(repository, named)


def all_checkouts(repository: Repository) -> Iterator[Checkout]:
    """Return every working tree that the repository knows of, the main one first."""
    if not repository.is_bare:
        yield Checkout(git_dir=repository.git_dir, top=repository.root, is_there=_is_folder(repository.root))
    for git_dir in sorted(repository.git_dir.glob("worktrees/*")):
        pointer = git_dir / "gitdir"
        if pointer.is_file():
            top = (git_dir / os.fsdecode(pointer.read_bytes()).strip()).parent.resolve()
            yield Checkout(
                git_dir=git_dir,
                top=top,
                is_there=_leads_back(top, git_dir),
                is_locked=(git_dir / "locked").exists(),
            )


def unusable_path(repository: Repository, ref: str, old: str, new: str) -> bytes | None:
    """Return a path in which two commits differ and that no checkout of a branch could ever hold, if any.

    Args:
        repository: Where the commits are.
        ref: The branch.
        old: Where it is.
        new: Where it would be moved to.
    """
    tops = [checkout.top for checkout in checkouts_of(repository, ref) if checkout.is_there]
    if not tops:
        return None
    longest_name = min(os.pathconf(top, "PC_NAME_MAX") for top in tops)
    longest_path = min(os.pathconf(top, "PC_PATH_MAX") for top in tops)
    for path, (_, now) in repository.changed_paths(repository.tree_of(old), repository.tree_of(new)).items():
        is_too_long = len(path) >= longest_path or max(map(len, path.split(b"/"))) > longest_name
        if now is not None and is_too_long:
            return path
    return None


def why_away(checkout: Checkout, ref: str) -> str:
    """Return a sentence about a working tree that cannot be seen, with the command that helps."""
    shown = short_name(ref)
    if not checkout.is_locked:
        return (
            f"{shown} is checked out in {checkout.top}, which does not exist: if it was moved, "
            "`git worktree repair NEW-PATH` finds it; if it was removed, `git worktree prune` forgets it"
        )
    return (
        f"{shown} is checked out in {checkout.top}, which does not exist and is locked: make its disk "
        f"available again, or remove it with `git worktree unlock {checkout.top}` and `git worktree prune`"
    )


def _is_folder(path: Path) -> bool:
    try:
        return path.is_dir()
    except OSError:
        return False


def _leads_back(top: Path, git_dir: Path) -> bool:
    """Return whether a folder is the linked working tree that it should be: an empty mount point is none."""
    try:
        said = os.fsdecode((top / ".git").read_bytes()).strip()
    except OSError:
        return False
    pointed = said.removeprefix("gitdir:").strip()
    return Path(os.path.realpath(top / pointed)) == Path(os.path.realpath(git_dir))


def _final(repository: Repository, ref: str) -> str:
    """Follow a symbolic ref; one that leads nowhere, such as an unborn branch, stands for itself."""
    try:
        return ref if repository.ref_value(ref) is None else repository.final_name(ref)
    except GitError:  # unreadable: is told where that branch is wanted
        return ref


def _branches_of(repository: Repository, git_dir: Path) -> set[str]:
    """Return the branches that a working tree counts as having checked out, as `git branch` sees it."""
    head = read_head(git_dir)
    found = set() if head is None else {head}
    for name in _BRANCH_FILES:
        path = git_dir / name
        if path.is_file():
            said = os.fsdecode(path.read_bytes()).strip()
            found.add(said if said.startswith("refs/") else BRANCHES + said)
    return {_final(repository, ref) for ref in found}
