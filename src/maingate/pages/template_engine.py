"""Templates: all values are escaped and printable, and times, durations and sizes are written in one way."""

from collections.abc import Mapping
from datetime import UTC, datetime
from functools import cache
from typing import Any, Final
from urllib.parse import quote, urlencode

from jinja2 import Environment, PackageLoader, StrictUndefined

from maingate.pages.assets import address
from maingate.pages.printable import finalized
from maingate.pages.states import MARKS, tone, worded
from maingate.queries.waits.obstacles import OBSTACLES

_MINUTE: Final = 60
_TENTHS: Final = 9.95


@cache
def templates() -> Environment:
    """Return the templates of all pages."""
    made = Environment(
        loader=PackageLoader("maingate.pages"),
        autoescape=True,
        undefined=StrictUndefined,
        finalize=finalized,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    made.filters |= {"when": when, "iso": iso, "lasted": lasted, "worded": worded, "segment": segment}
    made.globals |= {"asset": address, "tone": tone, "marks": MARKS, "query": query, "obstacles": OBSTACLES}
    return made


def rendered(name: str, values: Mapping[str, Any]) -> str:
    """Return a page as HTML.

    Args:
        name: The name of its template.
        values: The values that it shows.
    """
    return templates().get_template(name).render(values)


def moment(value: datetime | str | None) -> datetime | None:
    """Return a time that is stated as such, or as text."""
    if value is None or isinstance(value, datetime):
        return value
    return datetime.fromisoformat(value)


def when(value: datetime | str | None) -> str:
    """Return a time for people, in UTC, without the present year."""
    at = moment(value)
    if at is None:
        return "\u2013"
    at = at.astimezone(UTC)
    return at.strftime("%d %b %H:%M:%S" if at.year == datetime.now(UTC).year else "%d %b %Y %H:%M")


def iso(value: datetime | str | None) -> str:
    """Return a time for programs."""
    at = moment(value)
    return "" if at is None else at.astimezone(UTC).isoformat(timespec="milliseconds")


def lasted(seconds: float | None) -> str:
    """Return a duration for people: ``0.4 s``, ``12 s``, ``3 min 05 s``, ``2 h 10 min``."""
    if seconds is None:
        return "\u2013"
    if seconds < _TENTHS:
        return f"{seconds:.1f} s"
    minutes, rest = divmod(round(seconds), _MINUTE)
    hours, minutes = divmod(minutes, _MINUTE)
    if hours:
        return f"{hours} h {minutes:02d} min"
    return f"{minutes} min {rest:02d} s" if minutes else f"{rest} s"


def segment(text: str) -> str:
    """Return text as one segment of an address."""
    return quote(text, safe="")


def query(**values: Any) -> str:
    """Return the query of an address; empty values are left out."""
    stated = {key: value for key, value in values.items() if value not in {None, ""}}
    return f"?{urlencode(stated)}" if stated else "?"
