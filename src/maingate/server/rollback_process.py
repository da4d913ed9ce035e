"""The process of a rollback that is asked for over HTTP, because the server itself runs no gates.

It reads one JSON object from standard input, and writes one to standard output: the result, or the error.
"""

import json
import sys
from pathlib import Path
from typing import Any, Final

from maingate.bootstrap import Maingate
from maingate.errors import (
    InterruptedRunError,
    MaingateError,
    OutsideFaultError,
    TargetBusyError,
    UnknownEntityError,
    UsageError,
)
from maingate.events import iso_millis
from maingate.queries.rollbacks.rollback import choose_patches, rollback_json
from maingate.server import process_start

MODULE: Final = "maingate.server.rollback_process"

_KINDS: Final[tuple[type[MaingateError], ...]] = (
    UnknownEntityError,
    UsageError,
    InterruptedRunError,
    TargetBusyError,
    OutsideFaultError,
)
"""The errors that are told from each other; the first that fits counts."""


def roll_back(repository: Path, entity_id: str, *, reason: str, operator: str) -> dict[str, Any]:
    """Roll an entity back in a process of its own; return the public JSON form of the rollback.

    Args:
        repository: A path in its repository.
        entity_id: The patch, task, workstream or run.
        reason: Why.
        operator: The person.

    Raises:
        MaingateError: The errors of ``RollbackService.roll_back``.
        OutsideFaultError: The process could not be started, or was killed.
    """
    asked = {"repository": str(repository), "entity": entity_id, "reason": reason, "operator": operator}
    try:
        code, printed = process_start.run(MODULE, json.dumps(asked).encode())
    except OSError as error:
        raise OutsideFaultError(f"the process of the rollback cannot be started: {error}") from error
    if code:
        raise OutsideFaultError(
            f"the process of the rollback ended with exit code {code}; the log of the server says "
            "why. The same rollback again finishes what was begun"
        )
    told: dict[str, Any] = json.loads(printed)
    if "error" in told:
        raise _error(told["error"], told["message"])
    return told


def _error(kind: str, message: str) -> MaingateError:
    """Return the error that the process met."""
    if kind == UnknownEntityError.__name__:
        return UnknownEntityError("", message)
    if kind == TargetBusyError.__name__:
        what, _, remedy = message.rpartition("; ")
        return TargetBusyError(what, remedy)
    known = {each.__name__: each for each in (UsageError, InterruptedRunError, OutsideFaultError)}
    return known.get(kind, OutsideFaultError)(message)


def main() -> None:
    """Carry out the rollback that standard input describes."""
    asked = json.load(sys.stdin)
    try:
        told = _rolled_back(asked)
    except MaingateError as error:
        kind = next((each for each in _KINDS if isinstance(error, each)), OutsideFaultError)
        told = {"error": kind.__name__, "message": str(error)}
    sys.stdout.write(json.dumps(told, default=iso_millis))


def _rolled_back(asked: dict[str, str]) -> dict[str, Any]:
    with Maingate.open(Path(asked["repository"]), create=False) as maingate:
        choice = choose_patches(maingate.context, asked["entity"], run=None)
        outcome = maingate.rollback.roll_back(
            choice.patch_ids, label=choice.label, reason=asked["reason"], operator=asked["operator"]
        )
        return rollback_json(maingate.context, choice, outcome)


if __name__ == "__main__":
    main()
