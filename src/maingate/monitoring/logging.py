"""The log: a line for each event, for programs (JSON) or for people, appended to a file by a hook."""

import os
from collections.abc import Callable, Iterable, Sequence
from json.encoder import encode_basestring_ascii
from pathlib import Path
from typing import Any, Final, Literal

from maingate.events import Event, iso_millis
from maingate.uet.process.redaction import redact

LogFormat = Literal["json", "console"]

Fields = tuple[tuple[str, Any], ...]

HOOK: Final = "log"
"""The name of the hook."""

_BATCH: Final = 250
"""Events of a batch: so few that the threads of the run get on in between, and nothing looks for garbage."""


def _line_for_programs(fields: Fields) -> str:
    """Return the line in JSON; a busy run has thousands a second, for each of which an encoder is dear."""
    pairs = [
        f'"{name}": {value if type(value) is int else encode_basestring_ascii(value)}'
        for name, value in fields
        if value is not None
    ]
    return f"{{{', '.join(pairs)}}}"


def _renderer_for_people() -> Callable[[Fields], str]:
    from structlog.dev import ConsoleRenderer  # noqa: PLC0415 - takes 0.2 s, which the other style does not need

    render = ConsoleRenderer(colors=False, repr_native_str=True, sort_keys=False)
    return lambda fields: str(render(None, "", {name: value for name, value in fields if value is not None}))


class LogHook:
    """A hook that writes a line for each event.

    Args:
        path: The file; it is made when it is needed, readable by its owner only.
        style: The format of its lines.
        secrets: Values that are never written.
    """

    name = HOOK
    batch = _BATCH

    def __init__(self, path: Path, *, style: LogFormat, secrets: Iterable[str] = ()) -> None:
        self._path, self._secrets = path, tuple(secrets)
        self._rendered = _line_for_programs if style == "json" else _renderer_for_people()
        self._is_torn = False

    def take(self, batch: Sequence[Event]) -> None:
        """Append a line for each event, all of them in one write.

        Raises:
            OSError: The file cannot be written.
        """
        data = "".join(f"{self.line(event)}\n" for event in batch).encode()
        if self._is_torn:
            data = b"\n" + data
        descriptor = os.open(self._path, os.O_WRONLY | os.O_APPEND | os.O_CREAT | os.O_CLOEXEC, 0o600)
        try:
            view = memoryview(data)
            while view:
                view = view[os.write(descriptor, view) :]
                self._is_torn = bool(view)  # the rest may fail: a disk that gets full takes a part
        finally:
            os.close(descriptor)

    def line(self, event: Event) -> str:
        """Return the line of an event."""
        fields = _fields(event)
        if self._secrets:  # before they are written in the manner of JSON, which may change them
            fields = tuple(
                (name, redact(value, self._secrets) if isinstance(value, str) else value)
                for name, value in fields
            )
        return self._rendered(fields)


def _fields(event: Event) -> Fields:
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
