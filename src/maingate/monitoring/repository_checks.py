"""The checks of one repository and its record, in the order in which people read them."""

from collections.abc import Callable, Mapping, Sequence
from datetime import timedelta
from functools import partial
from typing import Final

from maingate.db import migrations
from maingate.monitoring.checks import alerts, disk, lease, pool, record, repository, stuck
from maingate.monitoring.finding import CheckFinding, Trouble, command_in
from maingate.monitoring.health import FRESH_FOR, Check
from maingate.repository_context import RepositoryContext

VITAL: Final = frozenset({"database", "repository"})
"""The parts without which nothing can be served."""

_WITHOUT_RECORD: Final = frozenset({"database", "disk"})
"""The parts that are examined whatever the schema of the database is."""

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
    for part in examined.keys() - _WITHOUT_RECORD:
        examined[part] = partial(examine_record, context, examined[part])
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


def examine_record(context: RepositoryContext, examine: Callable[[], CheckFinding]) -> CheckFinding:
    """Examine a part by what is on record, unless the record's schema is that of another program."""
    if context.database.revision() == migrations.HEAD:
        return examine()
    reason = "not examined: the schema of the database is another one than this program's"
    return CheckFinding(summary=reason, troubles=[Trouble(reason=reason)])
