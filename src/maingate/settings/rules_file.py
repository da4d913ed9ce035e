"""The rules of a repository as a file of settings states them, before a plan inherits and checks them."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from maingate.settings.problems import Location


@dataclass(frozen=True, kw_only=True)
class RulesFile:
    """The rules that one file states.

    Args:
        name: The file for people.
        values: The rules, with the keys of a plan.
        lines: The line of each key of the file.
        is_of_a_tree: Whether commits can change the file.
    """

    name: str
    values: Mapping[str, Any]
    lines: Mapping[Location, int]
    is_of_a_tree: bool
