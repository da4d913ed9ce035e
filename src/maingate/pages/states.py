"""States as they are shown: by colour, by a mark, and by their word."""

from collections.abc import Mapping
from typing import Final

from maingate.events import KIND_WORDS

TONES: Final[Mapping[str, str]] = {
    **dict.fromkeys(["succeeded", "completed", "committed", "passed", "verified", "closed"], "good"),
    **dict.fromkeys(["proven", "landing"], "good"),
    **dict.fromkeys(
        ["failed", "quarantined", "apply_failed", "open", "unresponsive", "error", "critical"], "bad"
    ),
    **dict.fromkeys(
        ["running", "executing", "validating", "applied", "busy", "initializing", "info", "testing"], "busy"
    ),
    **dict.fromkeys(["retrying", "blocked", "half_open", "rolled_back", "warning", "flaky", "held"], "warn"),
}
"""The tone of each state, in small letters; others are idle."""

MARKS: Final[Mapping[str, str]] = {
    "good": "\u2713",
    "bad": "\u2715",
    "busy": "\u25b8",
    "warn": "\u25d0",
    "idle": "\u25cb",
}
"""The mark of each tone, for readers who do not see its colour."""


def tone(state: str) -> str:
    """Return the tone of a state."""
    return TONES.get(str(state).lower(), "idle")


def worded(state: str) -> str:
    """Return a state, or a kind of entity, in words."""
    return KIND_WORDS.get(state) or str(state).lower().replace("_", " ")
