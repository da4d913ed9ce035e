"""The log of a server: one line of JSON for each thing that happened, on standard error."""

import sys
from typing import Any, Final

import structlog

LOG: Final[Any] = structlog.get_logger("maingate.server")


def configure() -> None:
    """Write the log of this process to its standard error, a line of JSON each."""
    structlog.configure(
        processors=[
            structlog.contextvars.merge_contextvars,
            structlog.processors.add_log_level,
            structlog.processors.TimeStamper(fmt="iso", utc=True),
            structlog.processors.format_exc_info,
            structlog.processors.JSONRenderer(),
        ],
        logger_factory=structlog.PrintLoggerFactory(sys.stderr),
        cache_logger_on_first_use=True,
    )
