"""The check of the alerts that fire."""

from maingate.monitoring.alerts import FiringAlert, firing
from maingate.monitoring.finding import CheckFinding, Trouble, command_in
from maingate.repository_context import RepositoryContext


def check_alerts(context: RepositoryContext) -> CheckFinding:
    """Check that no alert fires, by the record: processes that run or serve evaluate the rules."""
    with context.database.read() as conn:
        found = firing(conn)
    return CheckFinding(
        summary="no alert fires",
        troubles=[_trouble(context, one) for one in found],
        detail={"firing": [one.as_json() for one in found]},
    )


def _trouble(context: RepositoryContext, one: FiringAlert) -> Trouble:
    command = command_in(context.repository.root, *one.rule.command)
    return Trouble(reason=f"{one.rule.name}: {one.text}", command=command)
