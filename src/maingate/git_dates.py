"""Dates as git keeps them: seconds since 1970 and a zone of four digits (git-commit(1), "Date Formats").

Python's dates end with the year 9999 and with zones of a day; git's do not. Git in turn keeps neither times
before 1970 nor the seconds of a zone.
"""

import re
from calendar import timegm
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta, timezone
from email.utils import parsedate_tz
from typing import Final

RAW_DATE: Final = re.compile(r"@?(-?\d{1,19})\s+([+-])(\d{1,4})(\d\d)")
"""Git's own form of a date: ``1700000000 +0100``; a zone can have more digits than git keeps."""
_ZONE: Final = re.compile(r"\s([+-])(\d\d):?(\d\d)(?::?(\d\d))?\s*(?:\([^()]*\)\s*)?$")
_NAME: Final = re.compile(r"\d\s+([A-Za-z]{1,5})\s*(?:\([^()]*\)\s*)?$")
_HALF_DAY: Final = re.compile(r"(:\d\d)\s*([AaPp])[Mm]\b")
_NAMED_ZONES: Final = """
    IDLW -12, NT -11, CAT -10, HST -10, HDT -9, YST -9, YDT -8, PST -8, PDT -7, MST -7, MDT -6, CST -6,
    CDT -5, EST -5, EDT -4, AST -3, ADT -2, WAT -1, UT 0, UTC 0, GMT 0, Z 0, WET 0, BST 1, MET 1, MEWT 1,
    CET 1, FWT 1, MEST 2, CEST 2, MESZ 2, FST 2, EET 2, EEST 3, WAST 7, WADT 8, CCT 8, JST 9, EAST 10,
    GST 10, EADT 11, NZT 12, NZST 12, IDLE 12, NZDT 13
"""
"""The zones that git knows by name, in hours; some are others than elsewhere."""
_HOURS_OF_NAMED: Final = {
    name: int(hours) for name, hours in (zone.split() for zone in _NAMED_ZONES.split(","))
}
_CYCLE: Final = 400
"""Years after which the calendar repeats."""
_SECONDS_OF_CYCLE: Final = 146_097 * 86_400
_HOURS_OF_DAY: Final = 24


@dataclass(frozen=True)
class GitDate:
    """A moment and a zone, as a commit has them.

    Args:
        seconds: Seconds since 1970; git cannot keep negative ones.
        zone: The offset from UTC, such as ``+0530``.
        loss: The part of the given date that git cannot keep; empty when it keeps all of it.
        stated: The given zone, when it has seconds.
    """

    seconds: int
    zone: str = "+0000"
    loss: str = field(default="", compare=False)
    stated: str = field(default="", compare=False)

    @classmethod
    def of(cls, moment: datetime) -> "GitDate":
        """Return an aware time; the seconds of its zone are lost.

        Raises:
            ValueError: The time has no zone.
        """
        offset = moment.utcoffset()
        if offset is None:
            raise ValueError(f"the time {moment} has no offset from UTC")
        minutes, seconds = divmod(abs(int(offset.total_seconds())), 60)
        zone = f"{'-' if offset < timedelta() else '+'}{minutes // 60:02d}{minutes % 60:02d}"
        return _date(int(moment.timestamp()), zone, f"{seconds:02d}" if seconds else "", moment)

    @property
    def is_storable(self) -> bool:
        """Return whether git can keep the moment."""
        return self.seconds >= 0

    def __str__(self) -> str:
        """Return git's own form."""
        return f"{self.seconds} {self.zone}"

    def as_plan_text(self) -> str:
        """Return the date for a plan: ISO 8601, or git's own form where that loses some."""
        if self.stated or not self.is_storable:
            return f"{self.seconds} {self.stated or self.zone}"
        try:
            offset = timedelta(hours=int(self.zone[1:3]), minutes=int(self.zone[3:5]))
            zone = timezone(-offset if self.zone[0] == "-" else offset)
            return datetime.fromtimestamp(self.seconds, zone).isoformat()
        except (ValueError, OverflowError, OSError):
            return str(self)


def read_date(text: str) -> GitDate:
    """Read a date: as in mail, ISO 8601, or git's own form; without a zone it is UTC.

    Raises:
        ValueError: It is none of them.
    """
    text = text.strip()
    if raw := RAW_DATE.fullmatch(text):
        return _raw(raw, text)
    try:
        found = datetime.fromisoformat(text)
    except ValueError:
        return _of_mail(text)
    return GitDate.of(found if found.tzinfo is not None else found.replace(tzinfo=UTC))


def _date(seconds: int, zone: str, more: str, shown: object) -> GitDate:
    """Return a date whose zone may have more digits, those of its seconds, which are lost."""
    zone = "+0000" if zone == "-0000" else zone  # as git writes it
    loss = f"the zone {zone}{more} has seconds: {zone}" if more else ""
    if seconds < 0:
        loss = f"the date {shown} is before 1970"
    return GitDate(seconds, zone, loss, f"{zone}{more}" if more else "")


def _raw(found: re.Match[str], text: str) -> GitDate:
    """Return git's own date; the zones of some old commits have seconds, ``+051800``, or lack a digit."""
    digits = found[3] + found[4]
    if len(digits) % 2:
        digits = f"0{digits}"
    return _date(int(found[1]), found[2] + digits[:4], digits[4:], text)


def _of_mail(text: str) -> GitDate:
    half = _HALF_DAY.search(text)
    parts = parsedate_tz(_HALF_DAY.sub(r"\1", text))
    if parts is None:
        raise ValueError(f"{text!r} is no date")
    year, month, day, hour, minute, second = parts[:6]
    if half is not None:
        hour = hour % 12 + (12 if half[2] in "Pp" else 0)
    if not (1 <= month <= 12 and 1 <= day <= 31 and hour < _HOURS_OF_DAY and minute < 60 and second <= 60):  # noqa: PLR2004 - the calendar
        raise ValueError(f"{text!r} is no date")
    cycles, within = divmod(year, _CYCLE)
    # The calendar is the same every 400 years; Python's ends with the year 9999.
    local = timegm((within + 5 * _CYCLE, month, 1, hour, minute, second, 0, 0, 0)) + (day - 1) * 86_400
    local += (cycles - 5) * _SECONDS_OF_CYCLE
    found = _ZONE.search(text)
    if found is None:
        return _in_named_zone(local, text)
    if int(found[2]) >= _HOURS_OF_DAY or int(found[3]) >= 60:  # noqa: PLR2004 - minutes
        return GitDate(local, loss=f"the zone {found[0].strip()} is none: read as UTC")
    east = int(found[2]) * 3600 + int(found[3]) * 60 + int(found[4] or 0)
    zone = f"{found[1]}{found[2]}{found[3]}"
    return _date(local - (-east if found[1] == "-" else east), zone, found[4] or "", text)


def _in_named_zone(local: int, text: str) -> GitDate:
    """Return a date whose zone is a name; without one, or with one that git does not know, it is UTC."""
    found = _NAME.search(text)
    hours = 0 if found is None else _HOURS_OF_NAMED.get(found[1].upper())
    if found is not None and hours is None:
        return GitDate(local, loss=f"the zone {found[1]} is not known: read as UTC")
    return _date(local - (hours or 0) * 3600, f"{hours or 0:+03d}00", "", text)
