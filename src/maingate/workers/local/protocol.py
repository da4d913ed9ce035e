"""Messages between a control process and its UET workers: JSON, one message per line.

The control process sends ``job``, ``cancel`` and ``shutdown``; a worker sends ``ready``, ``result`` and
``heartbeat``. A job carries the number of its attempt and the result brings it back (fencing), so that an
answer that is late, or to another question, is recognised. Any other message is not interpreted:
``WorkerProtocolError``, and the worker is ended.
"""

import json
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any, Final

from maingate.errors import WorkerProtocolError
from maingate.uet.capture import Capture, Captured
from maingate.uet.process.command import CommandLine, CommandResult, CommandSpec
from maingate.uet.process.resource_limits import ProcessLimits
from maingate.workers.jobs import Job

LONGEST_LINE: Final = 4 * 1024 * 1024
"""Bytes of a line above which it is not a message."""


@dataclass(frozen=True, kw_only=True)
class Ready:
    """A worker has a slot and waits for its first job."""

    pid: int


@dataclass(frozen=True, kw_only=True)
class Result:
    """A job is done and its process tree has ended."""

    job_id: str
    attempt: int
    outcome: CommandResult


@dataclass(frozen=True, kw_only=True)
class Heartbeat:
    """A worker is alive; ``job_id`` is what it works on."""

    job_id: str | None


@dataclass(frozen=True, kw_only=True)
class Cancel:
    """A job's result is not wanted any more."""

    job_id: str


@dataclass(frozen=True, kw_only=True)
class Shutdown:
    """A request to end after the current job."""


Message = Job | Ready | Result | Heartbeat | Cancel | Shutdown

_TYPES: Final[dict[str, type[Message]]] = {
    "job": Job,
    "ready": Ready,
    "result": Result,
    "heartbeat": Heartbeat,
    "cancel": Cancel,
    "shutdown": Shutdown,
}
_NAMES: Final = {kind: name for name, kind in _TYPES.items()}


def encode(message: Message) -> bytes:
    """Return the line, newline included."""
    fields = {"type": _NAMES[type(message)], **vars(message)}
    return json.dumps(fields, separators=(",", ":"), default=_plain).encode() + b"\n"


def decode(line: bytes) -> Message:
    """Read a line.

    Raises:
        WorkerProtocolError: It is not a message, or not one with the right fields.
    """
    try:
        value = json.loads(line)
        return _READERS[value.pop("type")](value)
    except (ValueError, KeyError, TypeError, AttributeError, RecursionError) as error:
        raise WorkerProtocolError(f"not a message of a worker: {line[:200]!r} ({error!r})") from error


def _plain(value: Any) -> Any:
    """Return the value in a form that JSON has."""
    return dict(value) if isinstance(value, Mapping) else vars(value)


def _job(value: dict[str, Any]) -> Job:
    command = dict(value.pop("command"))
    limits = ProcessLimits(**command.pop("limits"))
    spec = CommandSpec(
        **{**command, "run": _command(command["run"]), "expect": tuple(command["expect"]), "limits": limits}
    )
    return Job(
        **{
            **value,
            "command": spec,
            "requires": tuple(value["requires"]),
            "keep": tuple(value["keep"]),
            "prepare": tuple(map(_command, value["prepare"])),
            "capture": _capture(value["capture"]),
        }
    )


def _capture(value: dict[str, Any] | None) -> Capture | None:
    if value is None:
        return None
    return Capture(**{**value, "exclude": tuple(value.get("exclude", ()))})


def _captured(value: dict[str, Any] | None) -> Captured | None:
    if value is None:
        return None
    captured = Captured(**value)
    _check(vars(captured), {"bytes": int, "problem": str, "fault": str, "note": str})
    return captured


def _result(value: dict[str, Any]) -> Result:
    given = value.pop("outcome")
    outcome = CommandResult(**{**given, "captured": _captured(given.get("captured"))})
    _check(vars(outcome), _OUTCOME_TYPES)
    _check(value, {"job_id": str, "attempt": int})
    return Result(**value, outcome=outcome)


def _ready(value: dict[str, Any]) -> Ready:
    _check(value, {"pid": int})
    return Ready(**value)


def _heartbeat(value: dict[str, Any]) -> Heartbeat:
    _check(value, {"job_id": str | None})
    return Heartbeat(**value)


def _cancel(value: dict[str, Any]) -> Cancel:
    _check(value, {"job_id": str})
    return Cancel(**value)


def _shutdown(value: dict[str, Any]) -> Shutdown:
    return Shutdown(**value)


_OUTCOME_TYPES: Final[Mapping[str, Any]] = {
    "passed": bool,
    "exit_code": int | None,
    "signal": int | None,
    "timed_out": str | None,
    "cancelled": bool,
    "fault": str | None,
    "message": str,
    "seconds": float | int,
    "output_bytes": int,
    "excerpt": str,
    "leftovers_killed": int,
    "had_company": bool,
}
_READERS: Final[Mapping[str, Callable[[dict[str, Any]], Message]]] = {
    "job": _job,
    "ready": _ready,
    "result": _result,
    "heartbeat": _heartbeat,
    "cancel": _cancel,
    "shutdown": _shutdown,
}


def _check(value: Mapping[str, Any], types: Mapping[str, Any]) -> None:
    """Check the types of values: messages of a worker are written to the database as they are."""
    for name, kind in types.items():
        if not isinstance(value[name], kind):
            raise TypeError(f"{name} is {value[name]!r}")


def _command(value: Any) -> CommandLine:
    return value if isinstance(value, str) else tuple(value)
