"""Graphs: each node behind all that it needs."""

import pytest

from maingate.pages.drawing.graph import Node, draw_graph, layers


def node(name: str, *needs: str) -> Node:
    """Return a node that needs others."""
    return Node(id=name, name=name, state="completed", link=f"/go/{name}", needs=needs)


def names(nodes: list[Node]) -> list[list[str]]:
    """Return the names in each layer."""
    return [[each.id for each in layer] for layer in layers(nodes)]


def test_a_node_is_behind_all_that_it_needs() -> None:
    """It stands one layer behind the last of them, wherever the plan lists it."""
    assert names([node("d", "b", "c"), node("a"), node("b", "a"), node("c", "b")]) == [
        ["a"],
        ["b"],
        ["c"],
        ["d"],
    ]


def test_nodes_of_a_layer_stand_by_their_needs() -> None:
    """Lines cross less; equal ones keep the order of the plan."""
    nodes = [node("a"), node("b"), node("y", "b"), node("x", "a"), node("z", "b")]
    assert names(nodes) == [["a", "b"], ["x", "y", "z"]]


def test_needs_outside_of_the_graph_are_left_out() -> None:
    """A task may need one of another workstream."""
    assert names([node("a", "elsewhere")]) == [["a"]]


def test_a_cycle_is_refused() -> None:
    """Plans have none; a graph of one would never end."""
    with pytest.raises(ValueError, match="cycle"):
        layers([node("a", "b"), node("b", "a")])


def test_a_picture_has_a_link_for_each_node_and_a_line_for_each_need() -> None:
    """The whole name is there for those who point at it; a long one is cut in the box."""
    long = "n" * 40
    made = draw_graph([node("a"), node(long, "a")], label="Workstreams")
    assert made.count("<a ") == 2
    assert made.count("<path ") == 1
    assert f"<title>{long}: completed</title>" in made
    assert f">{'n' * 20}…</text>" in made


def test_nodes_that_need_nothing_fill_several_columns() -> None:
    """One column of many boxes would waste the page."""
    assert 'width="1028"' in draw_graph([node(str(number)) for number in range(12)], label="x")


def test_an_empty_graph_is_a_picture_too() -> None:
    """Nothing is divided by nothing."""
    assert draw_graph([], label="x").startswith("<svg ")
