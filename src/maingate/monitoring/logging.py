"""The log: a line for each event, for programs (JSON) or for people, appended to a file by a hook."""

import os
from collections.abc import Callable, Iterable, Sequence
from pathlib import Path
from typing import Any, Final, Literal

from structlog.dev import ConsoleRenderer
from structlog.processors import JSONRenderer

from maingate.events import Event, iso_millis
from maingate.uet.process.redaction import redact

LogFormat = Literal["json", "console"]

HOOK: Final = "log"
"""The name of the hook; the position is that of the repository's one log."""

_RENDERERS: Final[dict[LogFormat, Callable[[], Any]]] = {
    "json": lambda: JSONRenderer(ensure_ascii=True),
    "console": lambda: ConsoleRenderer(colors=False, repr_native_str=True, sort_keys=False),
}


class LogHook:
    """A hook that writes a line for each event.

    Args:
        path: The file; it is made when it is needed, readable by its owner only.
        style: The format of its lines.
        secrets: Values that are never written.
    """

    name = HOOK

    def __init__(self, path: Path, *, style: LogFormat, secrets: Iterable[str] = ()) -> None:
        self._path, self._secrets = path, tuple(secrets)
        self._render = _RENDERERS[style]()

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

    def line(self, event: Event) -> str:
        """Return the line of an event."""
        return str(self._render(None, "", _fields(event)))


def _fields(event: Event) -> dict[str, Any]:
    """Return what is logged of an event; nothing that it lacks."""
    reason = event.reason or {}
    fields = {
        "timestamp": iso_millis(event.timestamp),
        "level": str(event.severity),
        "event": event.event_type,
        "seq": event.seq,
        "entity": event.entity_id,
        "from": event.from_state,
        "to": event.to_state,
        "trigger": event.trigger,
        "operator": event.operator,
        "code": reason.get("code"),
        "message": reason.get("message"),
        "run": event.run_id,
        "workstream": event.workstream_id,
        "task": event.task_id,
    }
    return {name: value for name, value in fields.items() if value is not None}
