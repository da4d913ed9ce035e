"""The branch that patches land on, found by name or by the checkout."""

import difflib
import os
import re
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from maingate.errors import GitError, RepositoryError
from maingate.git.refs import RefStore
from maingate.wording import listed

BRANCHES: Final = "refs/heads/"
_BRANCHES_SHOWN: Final = 10


@dataclass(frozen=True, kw_only=True)
class Target:
    """The branch that patches land on: its full name and the commit it is at."""

    ref: str
    commit: str


def resolve_target(repository: RefStore, name: str | None, *, opened_at: Path) -> Target:
    """Find the branch to land on.

    Args:
        repository: The repository.
        name: A branch, short or in full; None means the one that is checked out.
        opened_at: The git directory whose HEAD names the checked-out branch.

    Raises:
        RepositoryError: There is no such branch, it has no commit, or it is not a branch.
    """
    refs = (_checked_out(opened_at),) if name is None else full_names(name)
    if not refs[0].startswith(BRANCHES):
        raise RepositoryError(
            f"the target {name} is not a branch: patches land on branches (refs/heads/…) only"
        )
    for ref in refs:
        if (commit := repository.ref_value(ref)) is not None:
            return Target(ref=repository.final_name(ref), commit=commit)
    raise RepositoryError(_why_none(repository, short_name(refs[-1])))


def short_name(ref: str) -> str:
    """Return a branch's short name."""
    return ref.removeprefix(BRANCHES)


def full_names(name: str) -> tuple[str, ...]:
    """Return the full names that the name of a branch may stand for, in the order in which they count.

    As for git, ``main``, ``heads/main`` and ``refs/heads/main`` are one branch, unless there is one whose own
    name is ``heads/main``.
    """
    if name.startswith("refs/"):
        return (name,)
    return (BRANCHES + name, "refs/" + name) if name.startswith("heads/") else (BRANCHES + name,)


def read_head(git_dir: Path) -> str | None:
    """Return the full name of the ref of a git directory's HEAD; None when it is detached.

    Without that file, as in an incomplete linked work tree, no branch is checked out: git treats such a HEAD
    as detached, too.

    Raises:
        GitError: It cannot be read.
    """
    try:
        said = os.fsdecode((git_dir / "HEAD").read_bytes()).strip()
    except (FileNotFoundError, IsADirectoryError):
        return None
    except OSError as error:
        raise GitError(
            f"{git_dir / 'HEAD'} cannot be read ({error.strerror}), so which branch is checked out there is "
            "not known: make it readable, or remove that work tree (`git worktree list` shows all of them)"
        ) from error
    return said.removeprefix("ref:").strip() if said.startswith("ref:") else None


def _checked_out(git_dir: Path) -> str:
    head = read_head(git_dir)
    if head is None:
        raise RepositoryError(
            f"no branch is checked out at {git_dir} (HEAD is detached): "
            "say which branch to land on with `target:`, or check one out"
        )
    return head


def _why_none(repository: RefStore, name: str) -> str:
    where = repository.git_dir
    if not repository.refs_under("refs/"):
        return f"{where} has no commits yet: make a first commit on {name}"
    if repository.ref_value(f"refs/tags/{name.removeprefix('tags/')}") is not None:
        return f"the target {name} is a tag, which never moves: name a branch"
    if repository.ref_value(f"refs/remotes/{name.removeprefix('remotes/')}") is not None:
        name = name.removeprefix("remotes/")
        local = name.partition("/")[2]
        return (
            f"the target {name} is a remote-tracking branch, which only `git fetch` may move: "
            f"make a local one with `git branch {local} {name}` and name that"
        )
    if re.fullmatch("[0-9a-f]{7,40}", name):
        return (
            f"the target {name} looks like a commit: name a branch, or make one with `git branch NAME {name}`"
        )
    remote = sorted(
        ref.removeprefix("refs/remotes/")
        for ref in repository.refs_under("refs/remotes/")
        if ref.split("/", 3)[3:] == [name]
    )
    if remote:
        return (
            f"{where} has no branch {name}, but {listed(remote)} is there: make a local one with"
            f" `git branch {name} {remote[0]}`"
        )
    branches = sorted(short_name(ref) for ref in repository.refs_under(BRANCHES))
    close = difflib.get_close_matches(name, branches, n=1)
    hint = f"did you mean {close[0]}?" if close else f"it has: {listed(branches, _BRANCHES_SHOWN) or 'none'}"
    return f"{where} has no branch {name} with a commit; {hint}"
