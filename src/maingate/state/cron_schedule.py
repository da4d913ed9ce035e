"""Times by a line of cron: minute, hour, day of the month, month, day of the week. Pure.

Written here because what is asked is the last time *before* a moment, in forty lines, where the libraries
look ahead. Numbers, ``*``, lists, ranges and steps are understood; names of months and days are not. As in
cron, a day counts that fits either of the two days where both are given. A time that a change of the clocks
skips is taken an hour later, and one that it repeats counts once, the first time.
"""

from collections.abc import Iterator
from datetime import UTC, date, datetime, time, timedelta
from functools import lru_cache
from typing import Final
from zoneinfo import ZoneInfo

_FIELDS: Final = (
    ("minute", 0, 59),
    ("hour", 0, 23),
    ("day of the month", 1, 31),
    ("month", 1, 12),
    ("day of the week", 0, 7),
)


@lru_cache(maxsize=32)
def cron_fields(line: str) -> tuple[frozenset[int], ...]:
    """Return the numbers that each field of a line allows.

    Raises:
        ValueError: It is no such line; the message says where.
    """
    parts = line.split()
    if len(parts) != len(_FIELDS):
        raise ValueError(f"{line!r} has {len(parts)} fields, and a line of cron has five: {_names()}")
    return tuple(_numbers(part, *field) for part, field in zip(parts, _FIELDS, strict=True))


def _numbers(part: str, name: str, low: int, high: int) -> frozenset[int]:
    found: set[int] = set()
    for each in part.split(","):
        span, _, step = each.partition("/")
        first, _, last = (f"{low}-{high}" if span == "*" else span).partition("-")
        if not all(number.isdecimal() for number in (first, last or first, step or "1")) or step == "0":
            raise ValueError(f"{each!r} is no {name}: numbers, *, lists, ranges and steps are understood")
        end = int(last) if last else high if step else int(first)
        if not low <= int(first) <= end <= high:
            raise ValueError(f"{each!r} is no {name}: it goes from {low} to {high}")
        found.update(range(int(first), end + 1, int(step or 1)))
    return frozenset(found)


def _names() -> str:
    return ", ".join(name for name, *_ in _FIELDS)


def last_time(line: str, zone: ZoneInfo, before: datetime, *, within: timedelta) -> datetime | None:
    """Return the newest time of a line of cron that is not after a moment; None without one in that span."""
    local = before.astimezone(zone)
    for back in range(within.days + 2):
        for start in _times_of(line, local.date() - timedelta(days=back), zone):
            if start <= before:
                return start if before - start <= within else None
    return None


def _times_of(line: str, day: date, zone: ZoneInfo) -> Iterator[datetime]:
    """Yield the times of a line on a day, the latest first, in UTC: others cannot be compared in doubt."""
    minutes, hours, days, months, weekdays = cron_fields(line)
    is_free = [part.startswith("*") for part in line.split()[2:5:2]]
    fits = [day.day in days, not weekdays.isdisjoint({day.isoweekday(), day.isoweekday() % 7})]
    if day.month in months and (all(fits) if any(is_free) else any(fits)):
        for hour in sorted(hours, reverse=True):
            for minute in sorted(minutes, reverse=True):
                yield datetime.combine(day, time(hour, minute), zone).astimezone(UTC)
