"""``maingate doctor``: examine the machine, the repository and its record, and name what mends each fault."""

from typing import TYPE_CHECKING

import typer

from maingate.cli.commands.health import print_report
from maingate.cli.exit_codes import ExitCode
from maingate.cli.output import print_json
from maingate.cli.record_reading import AsJson
from maingate.errors import MaingateError, NoStateError

if TYPE_CHECKING:
    from maingate.monitoring.finding import CheckFinding
    from maingate.monitoring.health import Check, Report


def doctor(as_json: AsJson = False) -> None:
    """Examine Python, git, the repository, its settings and record, worktrees, programs, and leftovers.

    Every finding comes with a command that mends it. Nothing is changed.

    Exit codes: 0 nothing was found, 1 something was found.
    """
    report = _examined()
    if as_json:
        print_json(report.as_json())
    else:
        print_report(report)
    if report.troubles:
        raise typer.Exit(ExitCode.REFUSED)


def _examined() -> "Report":
    from maingate.bootstrap import Maingate
    from maingate.monitoring.doctor.host import host_checks
    from maingate.monitoring.doctor.repository import doctor_checks_of
    from maingate.monitoring.finding import CheckFinding
    from maingate.monitoring.health import HealthChecks

    try:
        maingate = Maingate.open(create=False, migrate=False)
    except NoStateError as error:
        return HealthChecks([*host_checks(), _told(CheckFinding(summary=str(error)))]).report()
    except MaingateError as error:
        return HealthChecks([*host_checks(), _told(CheckFinding.failed(str(error)))]).report()
    with maingate:
        return HealthChecks([*host_checks(), *doctor_checks_of(maingate.context)]).report()


def _told(finding: "CheckFinding") -> "Check":
    """Return a check whose finding is known: the repository could not be opened, or has no record yet."""
    from maingate.monitoring.health import Check

    return Check(name="repository", examine=lambda: finding)
