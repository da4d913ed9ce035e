"""What a control process and its UET workers say to each other: JSON, one message per line.

The control process sends ``job``, ``cancel`` and ``shutdown``; a worker sends ``ready``, ``result`` and
``heartbeat``. A job carries the number of its attempt and the result brings it back (fencing): what was
answered too late, or to another question, is recognised. What is no message of these is not interpreted:
``WorkerProtocolError``, and the worker is ended.
"""

import json
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Final

from maingate.errors import WorkerProtocolError
from maingate.uet.capture import PATIENCE, Capture, Captured
from maingate.uet.process.gate_runner import GateOutcome, GateSpec, Limits

LONGEST_LINE: Final = 4 * 1024 * 1024
"""Bytes of a line above which it is no message of ours."""

Command = str | tuple[str, ...]


@dataclass(frozen=True, kw_only=True)
class GateJob:
    """One gate to run on one commit.

    Args:
        job_id: Names the job; the same job has the same id in all its attempts.
        commit: Full id of the commit to run on; the source repository has it and keeps it.
        gate: What to run.
        log_path: Where the output goes; an older log is replaced.
        attempt: Number of the attempt, told back with the result.
        priority: Higher ones go first; equal ones in the order of asking.
        exclusive: No other job of the pool may run meanwhile.
        requires: Capabilities that a worker must have to take it.
        affinity: What a worker must be bound to, to take it.
        keep: Untracked paths at which every job finds what ``prepare`` left there.
        keep_shared: Every job finds there what the job before left instead.
        prepare: Commands to run before the job. Where something is kept, once per worktree, and again when
            ``prepare_digest`` is another; only what ``keep`` names outlasts them then.
        prepare_digest: Digest of the content of the plan's ``prepare_inputs`` at the commit.
        prepare_timeout: Seconds for each of these commands.
        capture: What is taken from what the command leaves, which is a tool then; None for a gate.
    """

    job_id: str
    commit: str
    gate: GateSpec
    log_path: Path
    attempt: int = 1
    priority: int = 0
    exclusive: bool = False
    requires: tuple[str, ...] = ()
    affinity: Mapping[str, str] = field(default_factory=dict)
    keep: tuple[str, ...] = ()
    keep_shared: bool = False
    prepare: tuple[Command, ...] = ()
    prepare_digest: str = ""
    prepare_timeout: float = 1800.0
    capture: Capture | None = None

    @property
    def longest(self) -> float:
        """Seconds that its commands may take, all of them, and until they are ended when they take longer."""
        preparing = len(self.prepare) * (self.prepare_timeout + self.gate.grace)
        return self.gate.timeout + self.gate.grace + preparing + (PATIENCE if self.capture else 0)


@dataclass(frozen=True, kw_only=True)
class Ready:
    """A worker has a slot and waits for its first job."""

    pid: int


@dataclass(frozen=True, kw_only=True)
class Result:
    """A job is done and its process tree has ended."""

    job_id: str
    attempt: int
    outcome: GateOutcome


@dataclass(frozen=True, kw_only=True)
class Heartbeat:
    """A worker is alive; ``job_id`` is what it works on."""

    job_id: str | None


@dataclass(frozen=True, kw_only=True)
class Cancel:
    """Nobody wants to know a job's result any more."""

    job_id: str


@dataclass(frozen=True, kw_only=True)
class Shutdown:
    """Finish what you do, then end."""


Message = GateJob | Ready | Result | Heartbeat | Cancel | Shutdown

_TYPES: Final[dict[str, type[Message]]] = {
    "job": GateJob,
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
    """Return what JSON has a form for."""
    if isinstance(value, Path):
        return str(value)
    return dict(value) if isinstance(value, Mapping) else vars(value)


def _job(value: dict[str, Any]) -> GateJob:
    gate = dict(value.pop("gate"))
    limits = Limits(**gate.pop("limits"))
    spec = GateSpec(
        **{**gate, "run": _command(gate["run"]), "expect": tuple(gate["expect"]), "limits": limits}
    )
    return GateJob(
        **{
            **value,
            "gate": spec,
            "log_path": Path(value["log_path"]),
            "requires": tuple(value["requires"]),
            "keep": tuple(value["keep"]),
            "prepare": tuple(map(_command, value["prepare"])),
            "capture": _capture(value["capture"]),
        }
    )


def _capture(value: dict[str, Any] | None) -> Capture | None:
    if value is None:
        return None
    return Capture(
        **{**value, "diff_path": Path(value["diff_path"]), "exclude": tuple(value.get("exclude", ()))}
    )


def _captured(value: dict[str, Any] | None) -> Captured | None:
    if value is None:
        return None
    captured = Captured(**value)
    _check(vars(captured), {"bytes": int, "problem": str})
    return captured


def _result(value: dict[str, Any]) -> Result:
    given = value.pop("outcome")
    outcome = GateOutcome(**{**given, "captured": _captured(given.get("captured"))})
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
    """Refuse a value of another type: what comes from a worker is written to the database as it is."""
    for name, kind in types.items():
        if not isinstance(value[name], kind):
            raise TypeError(f"{name} is {value[name]!r}")


def _command(value: Any) -> Command:
    return value if isinstance(value, str) else tuple(value)
