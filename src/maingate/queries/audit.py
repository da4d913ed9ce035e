"""The audit of the record: by itself, by the file of transitions, and by the branches."""

from typing import TypeAlias

from maingate.branch_audit import branch_check
from maingate.db.audit import record_check
from maingate.repository_context import RepositoryContext

AuditReport: TypeAlias = record_check.AuditReport
"""The result of an audit."""


def verify_record(context: RepositoryContext) -> AuditReport:
    """Check the record by itself and by the file of transitions."""
    return record_check.verify(context.database, log=context.paths.transitions)


def audit_record(
    context: RepositoryContext, *, against: str | None = None, others: bool = False
) -> AuditReport:
    """Check the record.

    Args:
        context: The repository and its record.
        against: A revision to hold it against; None for the branches of all targets that are there.
        others: Whether to accept landings by other records.

    Raises:
        RepositoryError: The revision means no commit.
        DatabaseError: The record could not be read.
    """
    held = branch_check.compare_branches(context.database, context.repository, against=against, others=others)
    report = record_check.verify(context.database, log=context.paths.transitions, anchors=held.anchors)
    return report.and_also(held.findings, held.notes)
