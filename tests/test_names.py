"""A class name means one thing, so that a search for it finds one definition."""

import re
from collections import defaultdict
from collections.abc import Mapping
from pathlib import Path
from typing import Final

SOURCE: Final = Path(__file__).parents[1] / "src" / "maingate"
CLASS: Final = re.compile(r"^ *class (\w+)[(\[:]", re.MULTILINE)
"""The head of a class; to parse all of Maingate for it takes two seconds."""

EXCUSED: Final[Mapping[str, frozenset[str]]] = {
    "client/results.py": frozenset({"Event", "EventTable", "Page", "Reason"}),
    "api/actions/idempotent_requests.py": frozenset({"Decision"}),
    "api/endpoints/patches.py": frozenset({"Approval"}),
    "api/schemas/base.py": frozenset({"Page", "Reason", "Target"}),
    "api/schemas/events.py": frozenset({"EventCount"}),
    "api/schemas/patches.py": frozenset({"PatchState", "Scope"}),
    "api/schemas/record.py": frozenset({"Repository"}),
    "api/schemas/workstreams_and_tasks.py": frozenset({"Tasks"}),
    "api/schemas/workforce.py": frozenset({"Breakers"}),
}
"""By module, the classes that may share the name of another: the public values of the Python client, and the
schemas of the HTTP interface, whose class names FastAPI publishes. Both have the name of the thing."""


def classes_by_name() -> Mapping[str, list[str]]:
    """Return the modules that define a class of each name."""
    found: defaultdict[str, list[str]] = defaultdict(list)
    for path in sorted(SOURCE.rglob("*.py")):
        for name in CLASS.findall(path.read_text(encoding="utf-8")):
            found[name].append(path.relative_to(SOURCE).as_posix())
    return found


def test_a_class_name_is_defined_once() -> None:
    """Two things have two names, also in two rooms; an exception that is not needed leaves the list."""
    repeated = {name: places for name, places in classes_by_name().items() if len(places) > 1}
    excused = [(place, name) for place, names in EXCUSED.items() for name in names]
    assert {
        name: kept
        for name, places in repeated.items()
        if len(kept := [place for place in places if (place, name) not in excused]) > 1
    } == {}
    assert [(place, name) for place, name in excused if place not in repeated.get(name, ())] == []
