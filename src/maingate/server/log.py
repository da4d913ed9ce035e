"""The log of a server: a line for each thing that happened, on standard error.

Programs get JSON; a terminal gets the same values in a form for people.
"""

import json
import logging
import sys
from collections.abc import Iterator, MutableMapping
from contextlib import contextmanager
from typing import Any, Final

import structlog

from maingate.server.log_writer import LogWriter

LOG: Final[Any] = structlog.get_logger("maingate.server")

_COMMON: Final[Any] = (
    structlog.processors.add_log_level,
    structlog.processors.TimeStamper(fmt="iso", utc=True),
    structlog.processors.format_exc_info,
)


class _Lines:
    """The logger that structlog passes its lines to.

    Args:
        writer: Writes them.
    """

    def __init__(self, writer: LogWriter) -> None:
        self._writer = writer

    def msg(self, line: str) -> None:
        """Write a line."""
        self._writer.write(f"{line}\n")

    debug = info = warning = error = critical = msg


@contextmanager
def written_log() -> Iterator[None]:
    """Write the log of this process, and the warnings of libraries, to its standard error in the context."""
    renderer: Any = _line_for_people if sys.stderr.isatty() else structlog.processors.JSONRenderer()

    def note(count: int) -> str:
        said: Any = {"event": "log_lines_dropped", "count": count}
        for processor in (*_COMMON, renderer):
            said = processor(None, "warning", said)
        return f"{said}\n"

    writer = LogWriter(sys.stderr.fileno(), note=note)
    structlog.configure(
        processors=[structlog.contextvars.merge_contextvars, *_COMMON, renderer],
        logger_factory=lambda *_: _Lines(writer),
        cache_logger_on_first_use=True,
    )
    handler = logging.StreamHandler(writer)
    handler.setFormatter(
        structlog.stdlib.ProcessorFormatter(
            foreign_pre_chain=[structlog.stdlib.add_logger_name, *_COMMON],
            processors=[structlog.stdlib.ProcessorFormatter.remove_processors_meta, renderer],
        )
    )
    logging.getLogger().addHandler(handler)
    try:
        yield
    finally:
        writer.close()


def _line_for_people(_logger: object, _method: str, entry: MutableMapping[str, Any]) -> str:
    """Return an entry as its time (UTC), its event, and its values; names of others stay escaped."""
    when, event, level = (str(entry.pop(key)) for key in ("timestamp", "event", "level"))
    values = [f"{key}={json.dumps(value, default=str)}" for key, value in entry.items()]
    return " ".join([when[11:19], event, *([] if level == "info" else [level]), *values])
