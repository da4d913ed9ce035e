"""View of a trial: the conflicts with the target and among workstreams, before anything has run."""

from collections.abc import Iterator, Mapping, Sequence
from itertools import groupby
from typing import TYPE_CHECKING, Any, Final

from maingate.cli.text import count, safe
from maingate.wording import first_lines, listed

if TYPE_CHECKING:
    from rich.console import Console

_PATHS: Final = 5
_TITLES: Final = {
    "refused": "could not land as it is now",
    "held": "would be held until what is ahead has landed or left",
    "clear": "would land ahead of what is held",
    "already_applied": "on the target already",
    "untried": "not tried, or not all of it",
}
"""The titles of the groups, in the order in which they are shown."""


def print_trial(out: "Console", trial: Mapping[str, Any]) -> None:
    """Print a trial in its public JSON form."""
    for line in trial_lines(trial):
        out.print(line, soft_wrap=True)


def trial_lines(trial: Mapping[str, Any]) -> list[str]:
    """Return the lines of a trial in its public JSON form."""
    branch = safe(trial["target"]["ref"].removeprefix("refs/heads/"))
    lines = [line for state in _TITLES for line in _group(state, trial)] + _passed_over(trial)
    if not trial["conflicts"]:
        lines.insert(0, f"  no conflicts on {branch} at {trial['target']['commit'][:10]}")
    if left := trial["pairs_left_out"]:
        lines.append(
            f"  {count(left, 'pair')} more change the same files and were not tried with one another"
        )
    return lines


def _group(state: str, trial: Mapping[str, Any]) -> list[str]:
    by_item = {name: list(each) for name, each in groupby(trial["conflicts"], lambda found: found["item"])}
    items = [item for item in trial["items"] if item["state"] == state]
    if state == "clear":
        items = [item for item in items if item["name"] in by_item]
    if not items:
        return []
    told = [line for item in items for line in _lines_of(item, by_item.get(item["name"], ()))]
    return [f"  {_TITLES[state]}:", *first_lines(told, rest=" lines; --json lists them all")]


def _passed_over(trial: Mapping[str, Any]) -> list[str]:
    """Return the lines about patches whose workstreams land without them."""
    items = [item for item in trial["items"] if item["state"] != "already_applied"]
    told = [f"    {safe(why['message'])}" for item in items for why in item["passed_over"]]
    return ["  passed over:", *first_lines(told, rest=" lines; --json lists them all")] if told else []


def _lines_of(item: Mapping[str, Any], conflicts: Sequence[Mapping[str, Any]]) -> Iterator[str]:
    """Yield the lines of an item: each conflict with the other's name and the paths, or else its reason."""
    name = safe(item["name"])
    for found in conflicts:
        other = safe(found["with"].removeprefix("refs/heads/"))
        paths = listed([safe(path) for path in found["paths"]], _PATHS)
        yield f"    {name} conflicts with {other} in {paths}"
    if not conflicts:
        reason = item["reason"]["message"] if item["reason"] else item["untried"]
        yield f"    {name}: {safe(str(reason))}"
