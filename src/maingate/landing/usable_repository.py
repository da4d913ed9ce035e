"""Properties of a repository that keep patches from landing in it, found before anything starts."""

from typing import Final

from maingate.errors import RepositoryError
from maingate.git.command import run_git
from maingate.git.refs import PRIVATE_REFS
from maingate.git.repository import Repository
from maingate.git.targets import Target, short_name

_MISSING: Final = b"?"
"""The mark of `git rev-list` before a missing object."""


def require_usable(repository: Repository, target: Target) -> None:
    """Raise unless a repository can hold the refs of runs, and has all objects that gates will see.

    Raises:
        RepositoryError: It cannot, or has not; the message has the command that helps.
    """
    _require_room_for_refs(repository)
    if repository.is_partial:
        _require_whole(repository, target)


def _require_room_for_refs(repository: Repository) -> None:
    clash = PRIVATE_REFS.rstrip("/")
    if repository.ref_value(clash) is not None:
        raise RepositoryError(
            f"there is a ref called {clash}, so that there can be none below it, where runs keep their work: "
            f"move it with `git update-ref refs/heads/kept {clash}`, then `git update-ref -d {clash}`"
        )


def _require_whole(repository: Repository, target: Target) -> None:
    """Raise unless a partial clone has all files of the target: gates see the whole tree."""
    options = ("--objects", "--no-walk", "--missing=print")
    listed = run_git("rev-list", *options, target.commit, "--", git_dir=repository.git_dir).stdout
    missing = [line[1:].decode() for line in listed.splitlines() if line.startswith(_MISSING)]
    if missing:
        others = f" and {len(missing) - 1} more" if len(missing) > 1 else ""
        raise RepositoryError(
            f"{repository.git_dir} is a partial clone: it lacks object {missing[0]}{others} of "
            f"{short_name(target.ref)}, which gates have to see; `git fetch --refetch --no-filter` brings all"
        )
