"""The queue of a branch: workstreams left to right, and below them a bracket for each test.

A bracket goes over the workstreams that its test contains; one that the test leaves out, because it assumes
that it is bad, is struck through on it.
"""

from collections.abc import Mapping, Sequence
from typing import Any, Final

from markupsafe import Markup

from maingate.pages.drawing.graph import css_name
from maingate.pages.drawing.svg import element, joined, picture

MOST_DRAWN: Final = 16
"""Workstreams that are drawn; those behind are in the list alone."""
MOST_TESTS: Final = 12

_WIDTH: Final = 108
_HEIGHT: Final = 30
_GAP: Final = 10
_MARGIN: Final = 6
_ROW: Final = 34
_LABEL: Final = 250
_LETTERS: Final = 14

Json = Mapping[str, Any]


def draw_train(members: Sequence[Json], tests: Sequence[Json], *, target: str) -> Markup:
    """Draw the workstreams on board and the tests that run.

    Args:
        members: The workstreams on board, in order, as a report of the queue has them.
        tests: The tests, likewise.
        target: The name of the branch.
    """
    shown, rows = members[:MOST_DRAWN], tests[:MOST_TESTS]
    at = {member["id"]: _MARGIN + place * (_WIDTH + _GAP) for place, member in enumerate(shown, 1)}
    return picture(
        _box({"id": "", "name": target, "state": "target", "place": 0}, _MARGIN, link=None),
        joined(_box(member, at[member["id"]], link=f"/go/{member['id']}") for member in shown),
        joined(_bracket(test, at, 2 * _MARGIN + _HEIGHT + row * _ROW) for row, test in enumerate(rows)),
        width=2 * _MARGIN + (len(shown) + 1) * (_WIDTH + _GAP) + _LABEL,
        height=3 * _MARGIN + _HEIGHT + len(rows) * _ROW,
        label=f"The queue of {target}: {len(members)} workstreams on board, {len(tests)} tests",
        kind="train graph",
    )


def _box(member: Json, x: float, *, link: str | None) -> Markup:
    name = member["name"]
    text = name if len(name) <= _LETTERS else f"{name[: _LETTERS - 1]}…"
    inside = (
        element("title", f"{name}: {member['state']}"),
        element("rect", x=x, y=_MARGIN, width=_WIDTH, height=_HEIGHT, rx=5),
        element("text", text, x=x + 8, y=_MARGIN + _HEIGHT / 2 + 4),
    )
    kind = f"node s-{css_name(member['state'])}"
    if link is None:
        return element("g", *inside, class_=kind)
    return element("a", *inside, href=link, class_=kind)


def _bracket(test: Json, at: Mapping[str, float], y: float) -> Markup:
    """Return the bracket of a test: a line with a foot under each workstream that it contains."""
    feet = [at[one["id"]] + _WIDTH / 2 for one in test["contains"] if one["id"] in at]
    struck = [at[one["id"]] + _WIDTH / 2 for one in test["assumes_bad"] if one["id"] in at]
    begin, end = _MARGIN + _WIDTH / 2, max(feet, default=_MARGIN + _WIDTH / 2)
    label = f"{test['chance']:.0%} {', '.join(test['gates'])}"
    if test["purpose"] != "search":
        label = f"{label} ({test['purpose']})"
    return element(
        "g",
        element("title", _meaning(test)),
        element("path", d=f"M{begin:g} {y + 6:g}V{y + 14:g}H{end:g}V{y + 6:g}", class_="bracket"),
        joined(element("path", d=f"M{foot:g} {y + 6:g}V{y + 14:g}", class_="bracket") for foot in feet[:-1]),
        joined(
            element("path", d=f"M{x - 6:g} {y + 8:g}l12 12M{x + 6:g} {y + 8:g}l-12 12", class_="struck")
            for x in struck
        ),
        element("text", label, x=max([end, *struck]) + 14, y=y + 18, class_="note"),
        class_="test",
    )


def _meaning(test: Json) -> str:
    """Return the sentence for those who do not see the bracket."""
    contained = ", ".join(one["name"] for one in test["contains"]) or "the branch itself"
    bad = ", ".join(one["name"] for one in test["assumes_bad"])
    without = f", without {bad}" if bad else ""
    gates = ", ".join(test["gates"])
    return f"{contained}{without}: {gates}, needed with {test['chance']:.0%}"
