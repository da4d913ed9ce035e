"""The checks of one repository and its record, in the order in which people read them."""

from collections.abc import Callable, Mapping, Sequence
from datetime import timedelta
from functools import partial
from typing import Final

from maingate.monitoring.checks import alerts, disk, lease, pool, record, repository, stuck
from maingate.monitoring.finding import CheckFinding, command_in
from maingate.monitoring.health import FRESH_FOR, Check
from maingate.repository_context import RepositoryContext

VITAL: Final = frozenset({"database", "repository"})
"""The parts without which nothing can be served."""

AUDIT_FRESH_FOR: Final = timedelta(seconds=30)
"""Time for which the position of the audit is given again."""

_PARTS: Final[Mapping[str, Callable[[RepositoryContext], CheckFinding]]] = {
    "database": record.check_database,
    "repository": repository.check_repository,
    "disk": disk.check_disk,
    "lease": lease.check_leases,
    "pool": pool.check_pool,
    "queue": pool.check_queue,
    "breakers": pool.check_breakers,
    "stuck": stuck.check_stuck,
    "followers": record.check_followers,
    "alerts": alerts.check_alerts,
}


def checks_of(context: RepositoryContext, name: str = "") -> Sequence[Check]:
    """Return the checks of a repository and its record.

    Args:
        context: The repository and its record.
        name: The name of the repository; empty where there is only one.
    """
    examined: dict[str, Callable[[], CheckFinding]] = {
        part: partial(examine, context) for part, examine in _PARTS.items()
    }
    examined["audit"] = record.AuditPosition(context)
    return [
        Check(
            name=part,
            repository=name,
            examine=examine,
            remedy=command_in(context.repository.root, "doctor"),
            is_vital=part in VITAL,
            fresh_for=AUDIT_FRESH_FOR if part == "audit" else FRESH_FOR,
        )
        for part, examine in examined.items()
    ]
