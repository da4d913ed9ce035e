"""The checks of one repository by `maingate doctor`: all of its health, and what no probe needs to see."""

from collections.abc import Callable, Mapping, Sequence
from datetime import timedelta
from functools import partial
from typing import Final

from maingate.monitoring.doctor import leftovers, programs
from maingate.monitoring.finding import CheckFinding, Trouble, command_in
from maingate.monitoring.health import Check
from maingate.monitoring.repository_checks import checks_of, examine_record
from maingate.repository_context import RepositoryContext

TIME_OUT: Final = timedelta(seconds=20)
"""Time within which a check of the doctor must answer: people wait for it, not probes."""


def check_kind(context: RepositoryContext) -> CheckFinding:
    """Check for kinds of repositories that hinder some of the work: shallow clones and partial ones."""
    repository = context.repository
    root = str(repository.root)
    troubles = []
    if repository.is_shallow:
        reason = "it is a shallow clone: changes that landed before its history are not recognised"
        troubles.append(Trouble(reason=reason, command=f"git -C {root} fetch --unshallow"))
    if repository.is_partial:
        reason = "it is a partial clone: objects that it lacks are not fetched"
        troubles.append(Trouble(reason=reason, command=f"git -C {root} fetch --refetch --no-filter"))
    detail = {"bare": repository.is_bare, "copied_from": context.identity.copied_from}
    kind = "a bare repository" if repository.is_bare else "a repository with a work tree"
    return CheckFinding(summary=f"{kind} at {root}", troubles=troubles, detail=detail)


def check_settings(context: RepositoryContext) -> CheckFinding:
    """Check that the settings can be loaded, which validates them."""
    files = context.files
    stated = (
        [] if files is None else [str(path) for path in (files.tree, files.own) if path and path.exists()]
    )
    shown = context.settings.model_dump(mode="json", exclude_unset=True, exclude={"database_url"})
    where = " and ".join(stated) or "the defaults"
    return CheckFinding(summary=f"read from {where}", detail={"files": stated, "set": sorted(shown)})


_PARTS: Final[Mapping[str, Callable[[RepositoryContext], CheckFinding]]] = {
    "kind": check_kind,
    "settings": check_settings,
    "temporary": leftovers.check_temporary,
}
_PARTS_ON_RECORD: Final[Mapping[str, Callable[[RepositoryContext], CheckFinding]]] = {
    "worktrees": leftovers.check_slots,
    "dead": leftovers.check_dead,
    "checkouts": leftovers.check_checkouts,
    "programs": programs.check_programs,
}


def doctor_checks_of(context: RepositoryContext) -> Sequence[Check]:
    """Return all checks of a repository and its record."""
    remedy = command_in(context.repository.root, "health")
    examined = {name: partial(examine, context) for name, examine in _PARTS.items()}
    for name, examine in _PARTS_ON_RECORD.items():
        examined[name] = partial(examine_record, context, partial(examine, context))
    return [
        *checks_of(context),
        *(
            Check(name=name, examine=examine, remedy=remedy, timeout=TIME_OUT)
            for name, examine in examined.items()
        ),
    ]
