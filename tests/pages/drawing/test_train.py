"""The picture of a queue: boxes in order, a bracket for each test, and a cross on what it assumes bad."""

import re
from typing import Any

from maingate.pages.drawing.train import MOST_DRAWN, draw_train


def member(name: str, state: str = "testing") -> dict[str, Any]:
    """Return a workstream on board."""
    return {"id": f"ws_{name}", "name": name, "state": state}


def a_test(*names: str, without: str = "", purpose: str = "search") -> dict[str, Any]:
    """Return a test."""
    return {
        "contains": [{"id": f"ws_{name}", "name": name} for name in names],
        "assumes_bad": [{"id": f"ws_{name}", "name": name} for name in without],
        "chance": 0.85,
        "gates": ["unit", "lint"],
        "purpose": purpose,
    }


def places(picture: str) -> list[float]:
    """Return the left edges of the boxes."""
    return [float(found) for found in re.findall(r'<rect x="([0-9.]+)"', picture)]


def test_workstreams_stand_in_order_behind_the_branch() -> None:
    """Each leads to its page, and has the colour of its state."""
    picture = draw_train([member("a", "proven"), member("b")], [], target="main")
    assert len(places(picture)) == 3
    assert places(picture) == sorted(places(picture))
    assert re.findall(r'class="node (s-\w+)"', picture) == ["s-target", "s-proven", "s-testing"]
    assert re.findall(r'href="([^"]+)"', picture) == ["/go/ws_a", "/go/ws_b"]
    assert "The queue of main: 2 workstreams on board, 0 tests" in picture


def test_a_bracket_goes_over_what_its_test_contains_and_strikes_out_what_it_assumes_bad() -> None:
    """The words say the same to those who do not see it."""
    shown = [member("a"), member("b"), member("c")]
    picture = draw_train(shown, [a_test("a", "c", without="b")], target="main")
    assert picture.count('class="struck"') == 1
    assert picture.count('class="bracket"') == 2
    assert "a, c, without b: unit, lint, needed with 85%" in picture
    assert ">85% unit, lint<" in picture


def test_a_a_test_the_branch_itself_has_a_bracket_too() -> None:
    """It contains no workstream; its purpose is said."""
    picture = draw_train([member("a")], [a_test(purpose="base")], target="main")
    assert "the branch itself: unit, lint" in picture
    assert "85% unit, lint (base)" in picture


def test_more_than_fit_are_left_to_the_list() -> None:
    """A bracket ends at the last one that is drawn."""
    names = [f"w{number}" for number in range(MOST_DRAWN + 10)]
    picture = draw_train([member(name) for name in names], [a_test(*names)], target="main")
    assert len(places(picture)) == MOST_DRAWN + 1


def test_names_are_text() -> None:
    """They are of plans."""
    picture = draw_train([member('<b onload="x">')], [a_test("<i>")], target="<main>")
    assert "<b" not in picture
    assert "<i>" not in picture
