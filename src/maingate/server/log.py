"""The log of a server: a line for each thing that happened, on standard error.

Programs get JSON; a terminal gets the same values in a form for people.
"""

import json
import sys
from collections.abc import MutableMapping
from typing import Any, Final

import structlog

LOG: Final[Any] = structlog.get_logger("maingate.server")


def configure() -> None:
    """Write the log of this process to its standard error."""
    structlog.configure(
        processors=[
            structlog.contextvars.merge_contextvars,
            structlog.processors.add_log_level,
            structlog.processors.TimeStamper(fmt="iso", utc=True),
            structlog.processors.format_exc_info,
            _line_for_people if sys.stderr.isatty() else structlog.processors.JSONRenderer(),
        ],
        logger_factory=structlog.PrintLoggerFactory(sys.stderr),
        cache_logger_on_first_use=True,
    )


def _line_for_people(_logger: object, _method: str, entry: MutableMapping[str, Any]) -> str:
    """Return an entry as its time (UTC), its event, and its values; names of others stay escaped."""
    when, event, level = (str(entry.pop(key)) for key in ("timestamp", "event", "level"))
    values = [f"{key}={json.dumps(value, default=str)}" for key, value in entry.items()]
    return " ".join([when[11:19], event, *([] if level == "info" else [level]), *values])
