"""Untracked files in a checkout that a patch would overwrite, found before any gate runs.

A patch says itself which files it makes. Where one of them is in a checkout of the target and is not
tracked, that checkout could not follow, and all work on the patch would be for nothing. So the patch is
refused as soon as it is taken in and the policy has accepted it. The plan as a whole is not: others need
not wait for that file, and a patch that is refused anyway must not keep a run from starting.
"""

from typing import Final

from maingate.git.repository import Repository
from maingate.landing.checkouts.checkout_state import in_the_way
from maingate.landing.checkouts.working_trees import Checkout, checkouts_of
from maingate.patches.intake import Intake
from maingate.patches.text.quoting import show_path
from maingate.reasons import Reason, ReasonCode

_SHOWN: Final = 5
_SUBMODULE: Final = 0o160000


def refusal_of(repository: Repository, ref: str, intake: Intake) -> Reason | None:
    """Return the refusal of a patch that would overwrite untracked files of a checkout; else None."""
    head = repository.ref_value(ref)
    checkouts = [each for each in checkouts_of(repository, ref) if each.is_there] if head else []
    for checkout in checkouts:
        tree = repository.tree_of(str(head))
        blocked = list(in_the_way(repository, checkout.top, tree, _new_paths(repository, tree, intake)))
        if blocked:
            return _refusal(checkout, blocked)
    return None


def _refusal(checkout: Checkout, blocked: list[bytes]) -> Reason:
    names = [show_path(path) for path in blocked]
    shown = ", ".join(names[:_SHOWN]) + (f" and {len(names) - _SHOWN} more" if len(names) > _SHOWN else "")
    return Reason(
        code=ReasonCode.CHECKOUT_BLOCKED,
        message=f"it would overwrite untracked files in {checkout.top}: {shown}; move them away, or "
        "commit them, then `maingate patch recover` tries again",
        detail={"checkout": str(checkout.top), "paths": names},
    )


def _new_paths(repository: Repository, tree: str, intake: Intake) -> list[bytes]:
    """List the paths that will be written to; the files in a moved submodule stay, as with `git checkout`."""
    return [
        change.new_path
        for change in intake.files
        if change.new_path is not None
        and not (change.new_mode in {None, _SUBMODULE} and _is_submodule(repository, tree, change.new_path))
    ]


def _is_submodule(repository: Repository, tree: str, path: bytes) -> bool:
    entry = repository.entry_at(tree, path)
    return entry is not None and entry.mode == _SUBMODULE
