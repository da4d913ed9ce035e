"""The command that checks the submodules of a worktree out. Standard library only: workers import this."""

from collections.abc import Sequence
from typing import Final

_BORROW: Final = (
    *("-c", "submodule.alternateLocation=superproject"),
    *("-c", "submodule.alternateErrorStrategy=info"),
)
"""Options by which a submodule borrows the objects that the person's own clone of it has."""
_UPDATE: Final = ("git", *_BORROW, "submodule", "--quiet", "update", "--init")
_NEWEST_ONLY: Final = "--depth=1"


def update_command(depth: str) -> tuple[str, ...]:
    """Return the command that checks the submodules of a worktree out.

    Args:
        depth: ``shallow`` for those of the tree alone and only their newest commits, ``recursive`` for all of
            theirs too, with their histories.
    """
    return (*_UPDATE, _NEWEST_ONLY) if depth == "shallow" else (*_UPDATE, "--recursive")


def is_update(command: str | Sequence[str]) -> bool:
    """Return whether a command that prepares a worktree is one of ``update_command``."""
    return command in {update_command("shallow"), update_command("recursive")}


def has_newest_only(command: str | Sequence[str]) -> bool:
    """Return whether such a command gets the newest commits alone."""
    return _NEWEST_ONLY in command
