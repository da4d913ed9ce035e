"""Versions of the programs that gates declare: with another version, verdicts are found out anew.

The commands run once for a run, in the environment that the gate gets and in an empty folder: they are about
the machine, not about any tree.
"""

from collections.abc import Mapping
from pathlib import Path
from typing import Final

from maingate.errors import ProgramVersionError
from maingate.git.private_git import own_directory
from maingate.plan.definitions import GateDefinition
from maingate.uet.process.command import CommandSpec
from maingate.uet.process.command_run import run_command

VERSION_TIMEOUT: Final = 60.0
"""Seconds that a command has."""


def read_versions(
    gates: Mapping[str, GateDefinition], environment: Mapping[str, str]
) -> dict[str, tuple[str, ...]]:
    """Run the `versions` of gates and return what they printed, by the gates' names.

    Args:
        gates: The gates, by name.
        environment: The variables that gates get.

    Raises:
        ProgramVersionError: A command did not end well.
    """
    asking = {name: gate for name, gate in gates.items() if gate.versions}
    if not asking:
        return {}
    with own_directory() as folder:
        (folder / "empty").mkdir()
        return {
            name: tuple(_printed(name, gate, at, environment, folder) for at in range(len(gate.versions)))
            for name, gate in asking.items()
        }


def _printed(name: str, gate: GateDefinition, at: int, environment: Mapping[str, str], folder: Path) -> str:
    command, log = gate.versions[at], folder / "log"
    spec = CommandSpec(name=name, run=command, timeout=VERSION_TIMEOUT, env=gate.env)
    outcome = run_command(spec, cwd=folder / "empty", log_path=log, environment=environment)
    if not outcome.passed:
        raise ProgramVersionError(
            gate=name,
            command=command if isinstance(command, str) else " ".join(command),
            message=outcome.message.removeprefix(f"{name} "),
        )
    return log.read_text(errors="surrogateescape")
