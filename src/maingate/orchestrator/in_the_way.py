"""Finding, before any gate runs, the files in a checkout that a patch would overwrite.

A patch says itself which files it makes. Where one of them is in a checkout of the target and nobody tracks
it, that checkout could not follow, and all work on the patch would be for nothing.
"""

import re
from collections.abc import Iterator
from pathlib import Path
from typing import Final

from maingate.errors import CheckoutError
from maingate.plan.loader import LoadedPlan
from maingate.reasons import Reason, ReasonCode
from maingate.uet.checkout import in_the_way
from maingate.uet.checkouts import Checkout, checkouts_of
from maingate.uet.intake import Intake, take_in
from maingate.uet.path_quoting import show_path, unquote_path
from maingate.uet.repository import Repository, Target

_NAMES: Final = re.compile(rb"^(?:\+\+\+ |rename to |copy to |diff --git .* )([^\n\x00]+)", re.MULTILINE)
_SHOWN: Final = 5
_LARGEST: Final = 64 << 20


def require_room(repository: Repository, target: Target, loaded: LoadedPlan) -> None:
    """Refuse a plan whose ready patches would make files that are in a checkout of the target already.

    Raises:
        CheckoutError: Some are.
    """
    tops = [each.top for each in checkouts_of(repository, target.ref) if each.is_there]
    tree = repository.tree_of(target.commit)
    found = [said for top in tops for said in _found(repository, top, tree, loaded)]
    if found:
        more = f"; and {len(found) - _SHOWN} more" if len(found) > _SHOWN else ""
        raise CheckoutError(
            f"{'; '.join(found[:_SHOWN])}{more}; move that away, or commit it, and run again; "
            "nothing was started"
        )


def refusal_of(repository: Repository, ref: str, intake: Intake) -> Reason | None:
    """Return why a patch could not land for what is in a checkout of its target; None when nothing is."""
    head = repository.ref_value(ref)
    checkouts = [each for each in checkouts_of(repository, ref) if each.is_there] if head else []
    for checkout in checkouts:
        blocked = list(
            in_the_way(repository, checkout.top, repository.tree_of(str(head)), _new_paths(intake))
        )
        if blocked:
            return _refusal(checkout, blocked)
    return None


def _refusal(checkout: Checkout, blocked: list[bytes]) -> Reason:
    names = [show_path(path) for path in blocked]
    shown = ", ".join(names[:_SHOWN]) + (f" and {len(names) - _SHOWN} more" if len(names) > _SHOWN else "")
    return Reason(
        code=ReasonCode.CHECKOUT_BLOCKED,
        message=f"it would overwrite what is in {checkout.top} and not tracked: {shown}; move that away, or "
        "commit it, then `maingate patch recover` makes another attempt",
        detail={"checkout": str(checkout.top), "paths": names},
    )


def _found(repository: Repository, top: Path, tree: str, loaded: LoadedPlan) -> Iterator[str]:
    """Say of each ready patch what it would overwrite."""
    for name, workstream in loaded.plan.workstreams.items():
        for task_name, task in workstream.tasks.items():
            if not task.patch:
                continue
            blocked = _blocked_by(repository, top, tree, loaded.patch_path(name, task_name))
            if blocked:
                shown = ", ".join(show_path(path) for path in blocked[:_SHOWN])
                yield f"{shown} in {top} is not tracked, and {name}/{task_name} would overwrite it"


def _blocked_by(repository: Repository, top: Path, tree: str, patch: Path) -> list[bytes]:
    """Return what a patch would overwrite: its text is read in full only where a quick look finds any."""
    try:
        diff = patch.read_bytes() if patch.stat().st_size <= _LARGEST else b""
    except OSError:  # is told where it is taken in
        return []
    if not any(in_the_way(repository, top, tree, _named(diff))):
        return []
    intake = take_in(diff, max_bytes=_LARGEST)
    return [] if isinstance(intake, Reason) else list(in_the_way(repository, top, tree, _new_paths(intake)))


def _named(diff: bytes) -> list[bytes]:
    """Return every path that a text may make, with and without the prefix that most tools write."""
    found: set[bytes] = set()
    for match in _NAMES.finditer(diff):
        quoted = unquote_path(match[1])
        name = quoted[0] if quoted is not None else match[1].partition(b"\t")[0].rstrip(b"\r ")
        found |= {name, name.partition(b"/")[2]}
    return [name for name in found if name and b".." not in name.split(b"/") and name[:1] != b"/"]


def _new_paths(intake: Intake) -> list[bytes]:
    return [change.new_path for change in intake.files if change.new_path is not None]
