"""Signs in a tool's output that its provider refused it: at a limit, or because it is down."""

import re
from collections.abc import Sequence
from datetime import datetime
from typing import Final, Literal

Failure = Literal["none", "failed", "rate_limited", "outage"]

LONGEST_WAIT: Final = 7 * 86_400.0
"""Maximum plausible wait in seconds; larger numbers are ignored."""

_RATE_LIMIT: Final = re.compile(
    r"""
    rate[\s_-]?limit(?!s?[\s_-]?(?:middleware|er\b|ing\b)) | too\ many\ requests
    | \b(?:HTTP|status|code|error)\W{0,12}429\b | \b429\b\W{0,4}(?:too|rate|resource|\{)
    | RESOURCE_EXHAUSTED | insufficient_quota | quota\ (?:exceeded|reached) | exceeded\ your\ current\ quota
    | (?:usage|session|weekly|daily|5-hour|hourly)\ limit\ (?:\w+\ )?(?:reached|exceeded|hit)
    | (?:hit|reached|exceeded)\ (?:your|the)\ (?:\w+\ )?(?:usage|session|weekly|daily)?\ ?limit
    | TooManyRequests
    """,
    re.IGNORECASE | re.VERBOSE,
)
_OUTAGE: Final = re.compile(
    r"""
    overloaded(?:_error)? | service\ (?:is\ )?(?:temporarily\ )?unavailable | ServiceUnavailable
    | \b(?:HTTP|status|code|error)\W{0,12}(?:500|502|503|504|529)\b
    | \b(?:502|503|504|529)\b\ (?:bad|service|gateway)
    | internal\ server\ error | InternalServerError | bad\ gateway | gateway\ time-?out
    | APIConnectionError | connection\ (?:refused|reset|error) | ECONN(?:REFUSED|RESET)
    | ENOTFOUND | EAI_AGAIN
    | ETIMEDOUT | getaddrinfo | network\ is\ unreachable | fetch\ failed | stream\ disconnected
    | could\ not\ resolve\ host | upstream\ connect\ error | model\ is\ overloaded
    """,
    re.IGNORECASE | re.VERBOSE,
)
_AFTER: Final = re.compile(
    r"""(?:retry[-_\s]?(?:after|in|delay)|try\ again\ in|resets?\ in|wait(?:ing)?(?:\ for)?|available\ in)
    \W{0,6}(?P<span>\d[\d.]*\s*[a-z]*(?:[\s,]*(?:and\s+)?\d[\d.]*\s*(?:d|h|m|s)[a-z]*)*)""",
    re.IGNORECASE | re.VERBOSE,
)
_PART: Final = re.compile(
    r"(\d+(?:\.\d+)?)\s*(ms|milliseconds?|s|secs?|seconds?|m|mins?|minutes?|h|hrs?|hours?|d|days?)?(?![a-z])",
    re.IGNORECASE,
)
_UNITS: Final = {"d": 86_400.0, "h": 3_600.0, "m": 60.0, "s": 1.0}
_EPOCH: Final = re.compile(r"limit reached\|(\d{10})")


def failure_of(text: str, *, patterns: Sequence[str] = (), generic: bool = True) -> Failure:
    """Return the kind of failure of a tool, from its output.

    Args:
        text: Its words about the failure.
        patterns: The plan's own expressions for a provider's refusal.
        generic: Whether common words of providers count as well.
    """
    if any(re.search(pattern, text) for pattern in patterns):
        return "rate_limited"
    if generic and _RATE_LIMIT.search(text):
        return "rate_limited"
    if generic and _OUTAGE.search(text):
        return "outage"
    return "failed"


def retry_after(text: str, *, now: datetime | None = None) -> float | None:
    """Return the seconds after which a provider accepts another try, if it reports them.

    Args:
        text: The tool's output.
        now: The time, for providers that name a moment instead.
    """
    if now is not None and (moment := _EPOCH.search(text)):
        return _believable(float(moment[1]) - now.timestamp())
    found = _AFTER.search(text)
    return None if found is None else _believable(_seconds(found["span"]))


def _seconds(span: str) -> float:
    total = 0.0
    for amount, unit in _PART.findall(span):
        unit = unit.lower() or "s"  # noqa: PLW2901 - the same unit, spelt one way
        total += float(amount) * (0.001 if unit.startswith(("ms", "milli")) else _UNITS[unit[0]])
    return total


def _believable(seconds: float) -> float | None:
    return seconds if 0 < seconds <= LONGEST_WAIT else None
