"""Values of queries as plain JSON values."""

import json
from datetime import datetime
from typing import Any

from maingate.events import iso_millis


def plain(value: dict[str, Any]) -> dict[str, Any]:
    """Return an object with times as text and bytes as text with escapes."""
    made: dict[str, Any] = json.loads(json.dumps(value, default=_plain))
    return made


def _plain(value: Any) -> Any:
    if isinstance(value, datetime):
        return iso_millis(value)
    if isinstance(value, bytes):
        return value.decode(errors="backslashreplace")
    if isinstance(value, (set, frozenset)):
        return sorted(value)
    return str(value)
