"""The beginning of a list, and how much more there is."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Final

EVERY: Final = 1_000_000_000
"""A limit above the length of any list."""


@dataclass(frozen=True, kw_only=True)
class Page:
    """The beginning of a list.

    Args:
        rows: Objects in the public JSON form.
        more: How many more there are.
    """

    rows: Sequence[dict[str, Any]]
    more: int
