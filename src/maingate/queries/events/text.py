"""Events and answers as text for other programs: CSV for spreadsheets, and a JSON object per line."""

import csv
import io
from collections.abc import Iterable, Sequence
from typing import Any, Final

from maingate.events import Event

COLUMNS: Final = (
    *("seq", "timestamp", "event_type", "severity", "entity_type", "entity_id", "from_state", "to_state"),
    *("trigger", "operator", "code", "message", "run_id", "workstream_id", "task_id"),
)
"""The columns of events in CSV."""

_FORMULA: Final = ("=", "+", "-", "@", "\t", "\r")
"""The letters with which a spreadsheet takes a cell for a formula."""


def csv_text(columns: Sequence[str], rows: Iterable[Sequence[Any]]) -> str:
    """Return rows as CSV; a text that a spreadsheet would take for a formula is quoted with an apostrophe."""
    text = io.StringIO()
    writer = csv.writer(text, lineterminator="\n")
    writer.writerow(columns)
    for row in rows:
        writer.writerow([_plain(value) for value in row])
    return text.getvalue()


def csv_of_events(shown: Iterable[Event]) -> str:
    """Return events as CSV."""
    return csv_text(COLUMNS, (list(flat(event).values()) for event in shown))


def flat(event: Event) -> dict[str, Any]:
    """Return the values of an event by `COLUMNS`."""
    values = event.as_json()
    values |= values["context"] | {name: (event.reason or {}).get(name) for name in ("code", "message")}
    return {name: values[name] for name in COLUMNS}


def _plain(value: object) -> object:
    return f"'{value}" if isinstance(value, str) and value.startswith(_FORMULA) else value
