"""The log: a line for each event, for programs (JSON) or for people, appended to a file by a hook."""

import os
from collections.abc import Callable, Iterable, Sequence
from json.encoder import encode_basestring_ascii
from pathlib import Path
from typing import Any, Final, Literal

from maingate.events import Event, iso_millis
from maingate.uet.process.redaction import redact

LogFormat = Literal["json", "console"]

HOOK: Final = "log"
"""The name of the hook; the position is that of the repository's one log."""

_BATCH: Final = 250
"""Events of a batch: so few that the threads of the run get on in between, and nothing looks for garbage."""


def _line_for_programs(event: Event) -> str:
    """Return the line in JSON; a busy run has thousands a second, for each of which an encoder is dear."""
    pairs = [
        f'"{name}": {value if type(value) is int else encode_basestring_ascii(value)}'
        for name, value in _fields(event)
        if value is not None
    ]
    return f"{{{', '.join(pairs)}}}"


def _renderer_for_people() -> Callable[[Event], str]:
    from structlog.dev import ConsoleRenderer  # noqa: PLC0415 - takes 0.2 s, which the other style does not need

    render = ConsoleRenderer(colors=False, repr_native_str=True, sort_keys=False)
    return lambda event: str(
        render(None, "", {name: value for name, value in _fields(event) if value is not None})
    )


class LogHook:
    """A hook that writes a line for each event.

    Args:
        path: The file; it is made when it is needed, readable by its owner only.
        style: The format of its lines.
        secrets: Values that are never written.

    Attributes:
        line: Returns the line of an event.
    """

    name = HOOK
    batch = _BATCH

    def __init__(self, path: Path, *, style: LogFormat, secrets: Iterable[str] = ()) -> None:
        self._path, self._secrets = path, tuple(secrets)
        self.line = _line_for_programs if style == "json" else _renderer_for_people()

    def take(self, batch: Sequence[Event]) -> None:
        """Append a line for each event, all of them in one write.

        Raises:
            OSError: The file cannot be written.
        """
        data = redact("".join(f"{self.line(event)}\n" for event in batch).encode(), self._secrets)
        descriptor = os.open(self._path, os.O_WRONLY | os.O_APPEND | os.O_CREAT | os.O_CLOEXEC, 0o600)
        try:
            view = memoryview(data)
            while view:
                view = view[os.write(descriptor, view) :]
        finally:
            os.close(descriptor)


def _fields(event: Event) -> tuple[tuple[str, Any], ...]:
    """Return the names and values that are logged; the values that the event lacks are None."""
    reason = event.reason or {}
    return (
        ("timestamp", iso_millis(event.timestamp)),
        ("level", event.severity),
        ("event", event.event_type),
        ("seq", event.seq),
        ("entity", event.entity_id),
        ("from", event.from_state),
        ("to", event.to_state),
        ("trigger", event.trigger),
        ("operator", event.operator),
        ("code", reason.get("code")),
        ("message", reason.get("message")),
        ("run", event.run_id),
        ("workstream", event.workstream_id),
        ("task", event.task_id),
    )
