"""The person's own checkouts: looked at before a run, moved along with their branch, never worked in.

Here, and only here, git reads the person's configuration, because a working tree with ``core.autocrlf``,
filters or LFS looks changed to a git that does not know of them. Hooks and fsmonitor programs stay off.
"""

import os
import re
import shutil
import stat
import time
from collections.abc import Iterator
from datetime import timedelta
from pathlib import Path
from typing import Final

import pygit2

from maingate.errors import GitError
from maingate.uet.git import GitResult, failure, run_git
from maingate.uet.private_git import own_directory
from maingate.uet.repository import Repository
from maingate.uet.targets import BRANCHES, read_head

_IN_PROGRESS: Final = {
    "MERGE_HEAD": "a merge is in progress",
    "CHERRY_PICK_HEAD": "a cherry-pick is in progress",
    "REVERT_HEAD": "a revert is in progress",
    "rebase-merge": "a rebase is in progress",
    "rebase-apply": "a rebase or `git am` is in progress",
    "BISECT_LOG": "a bisection is in progress",
}
_BRANCH_FILES: Final = ("rebase-merge/head-name", "rebase-apply/head-name", "BISECT_START")
_SHOWN: Final = 20
_LOCK_WAIT: Final = timedelta(seconds=5)
_LOCK_POLL: Final = timedelta(milliseconds=50)
_REFRESH: Final = ("update-index", "-q", "--refresh")
_HAS_CHANGES: Final = 1
"""What `git update-index --refresh` exits with where files differ from the index."""
_STATUS: Final = (
    "status",
    "--porcelain=v1",
    "-z",
    "--no-renames",
    "--untracked-files=no",
    "--ignore-submodules=dirty",
)


def checked_out_at(repository: Repository, ref: str) -> Path | None:
    """Return the working tree that has a branch checked out, or is rebasing or bisecting it; None if none."""
    for git_dir, worktree in _worktrees(repository):
        if worktree.is_dir() and ref in _branches_of(git_dir):
            return worktree
    return None


def is_dirty(worktree: Path) -> bool:
    """Has a working tree uncommitted changes, or something in progress? See ``dirt``."""
    return bool(dirt(worktree))


def dirt(worktree: Path) -> tuple[str, ...]:
    """Say what in a working tree is not committed: staged or unstaged changes, a merge or rebase in progress.

    Untracked files do not count. At most the first twenty changes are listed.

    Raises:
        GitError: git cannot look at it.
    """
    git_dir = _git_dir_of(worktree)
    found = [said for name, said in _IN_PROGRESS.items() if (git_dir / name).exists()]
    records = _git(worktree, *_STATUS).stdout.split(b"\0")
    changed = [os.fsdecode(record[3:]) for record in records if record]
    found += [f"{path} has uncommitted changes" for path in changed[:_SHOWN]]
    if len(changed) > _SHOWN:
        found.append(f"and {len(changed) - _SHOWN} more files have uncommitted changes")
    return tuple(found)


def fast_forward_blockers(repository: Repository, worktree: Path, old: str, new: str) -> tuple[str, ...]:
    """Say what keeps a working tree from being moved from one commit to another; nothing when it could be.

    Tried on a copy of the index: the person's own is neither locked nor changed.
    """
    git_dir = _git_dir_of(worktree)
    busy = [said for name, said in _IN_PROGRESS.items() if (git_dir / name).exists()]
    if busy:
        return tuple(busy)
    index = git_dir / "index"
    with own_directory() as directory:
        copy = directory / "index"
        if index.exists():
            shutil.copyfile(index, copy)
        env = {"GIT_INDEX_FILE": str(copy)}
        if _is_there_already(worktree, new, env):
            return ()
        refreshed = _git(worktree, *_REFRESH, env=env, check=False)
        if refreshed.code not in {0, _HAS_CHANGES}:
            raise failure(_REFRESH, refreshed)
        tried = _read_tree(worktree, old, new, "-n", env=env)
    return tuple(dict.fromkeys([*_complaints(tried), *_in_the_way(repository, worktree, old, new)]))


def fast_forward_checkout(
    repository: Repository, worktree: Path, old: str, new: str, *, lock_wait: timedelta = _LOCK_WAIT
) -> tuple[str, ...]:
    """Bring a working tree and its index from one commit to another, after its branch has been moved there.

    Nothing is overwritten that git or a look at the files says is not in ``old``. Doing it twice is harmless.

    Args:
        repository: The repository that the working tree belongs to.
        worktree: The top of the working tree.
        old: The commit it was at.
        new: The commit its branch is at now.
        lock_wait: How long to wait for another git that holds the index.

    Returns:
        Nothing when it is done, else sentences that say why nothing was changed.
    """
    if _is_there_already(worktree, new):
        return ()
    if blockers := tuple(_in_the_way(repository, worktree, old, new)):
        return blockers
    give_up = time.monotonic() + lock_wait.total_seconds()
    is_first = True
    while True:
        _git(worktree, *_REFRESH, check=False)
        tried = _read_tree(worktree, old, new)
        is_worth_another = is_first or "index.lock" in tried.stderr  # git itself may fail once
        if tried.code == 0 or not is_worth_another or time.monotonic() > give_up:
            return _complaints(tried)
        is_first = False
        time.sleep(_LOCK_POLL.total_seconds())


def _worktrees(repository: Repository) -> Iterator[tuple[Path, Path]]:
    """Give the git directory and the top of each working tree."""
    if not repository.is_bare:
        yield repository.git_dir, repository.root
    for git_dir in sorted(repository.git_dir.glob("worktrees/*")):
        pointer = git_dir / "gitdir"
        if pointer.is_file():
            yield git_dir, (git_dir / os.fsdecode(pointer.read_bytes()).strip()).parent.resolve()


def _branches_of(git_dir: Path) -> set[str | None]:
    """Return the branches that a working tree counts as having checked out, as `git branch` sees it."""
    found = {read_head(git_dir)}
    for name in _BRANCH_FILES:
        path = git_dir / name
        if path.is_file():
            said = os.fsdecode(path.read_bytes()).strip()
            found.add(said if said.startswith("refs/") else BRANCHES + said)
    return found


def _in_the_way(repository: Repository, worktree: Path, old: str, new: str) -> Iterator[str]:
    """Give what a new file would overwrite; `git read-tree` would not mind if it is ignored."""
    before, after = repository.tree_of(old), repository.tree_of(new)
    for path, (was, now) in sorted(repository.changed_paths(before, after).items()):
        if was is None and now is not None:
            for there in _untracked_at(repository, before, worktree, path):
                yield f"{os.fsdecode(there)} is not tracked and would be overwritten"


def _untracked_at(repository: Repository, tree: str, worktree: Path, path: bytes) -> Iterator[bytes]:
    parts = path.split(b"/")
    top = os.fsencode(worktree)
    for length in range(1, len(parts) + 1):
        prefix = b"/".join(parts[:length])
        mode = _mode_of(os.path.join(top, prefix))  # noqa: PTH118 - names are bytes
        if mode is None:
            return
        if not stat.S_ISDIR(mode):
            if repository.entry_at(tree, prefix) is None:
                yield prefix
            return
    yield from _untracked_below(repository, tree, top, path)


def _untracked_below(repository: Repository, tree: str, top: bytes, path: bytes) -> Iterator[bytes]:
    for directory, _, names in os.walk(os.path.join(top, path)):  # noqa: PTH118 - names are bytes
        for name in names:
            there = os.path.relpath(os.path.join(directory, name), top)  # noqa: PTH118 - names are bytes
            if repository.entry_at(tree, there) is None:
                yield there


def _mode_of(path: bytes) -> int | None:
    try:
        return os.lstat(path).st_mode
    except (FileNotFoundError, NotADirectoryError):
        return None


def _is_there_already(worktree: Path, commit: str, env: dict[str, str] | None = None) -> bool:
    """Is the index that of the commit?"""
    options = ("diff-index", "--cached", "--quiet", "--ignore-submodules=none", commit, "--")
    return _git(worktree, *options, env=env, check=False).code == 0


def _read_tree(
    worktree: Path, old: str, new: str, *options: str, env: dict[str, str] | None = None
) -> GitResult:
    words = ("read-tree", *options, "-m", "-u", "--no-recurse-submodules", old, new)
    return _git(worktree, *words, env=env, check=False)


def _complaints(result: GitResult) -> tuple[str, ...]:
    if result.code == 0:
        return ()
    lines = [re.sub("^(error|fatal): ", "", line).strip() for line in result.stderr.splitlines()]
    return tuple(line for line in lines if line) or (f"`git read-tree` exited with {result.code}",)


def _git_dir_of(worktree: Path) -> Path:
    """Find the git directory of a working tree.

    Raises:
        GitError: It is none.
    """
    found = pygit2.discover_repository(str(worktree))
    if found is None:
        raise GitError(f"{worktree} is not a git repository")
    return Path(found)


def _git(worktree: Path, *args: str, env: dict[str, str] | None = None, check: bool = True) -> GitResult:
    return run_git(*args, cwd=worktree, env=env, check=check, persons_config=True)
