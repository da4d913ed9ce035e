"""A graph of things and their needs, in layers from left to right.

Each node stands one layer behind the last of those that it needs. Within a layer nodes are ordered by the
mean place of their neighbours in the layer before, which leaves few crossings; equal ones keep the order of
the plan.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final

from markupsafe import Markup

from maingate.pages.drawing.svg import element, joined, picture

MOST_NODES: Final = 100
"""Nodes that are drawn; a graph of more is shown as a list."""

_WIDTH: Final = 168
_HEIGHT: Final = 30
_GAP_X: Final = 44
_GAP_Y: Final = 12
_MARGIN: Final = 6
_COLUMNS: Final = 5
"""Columns of nodes that do not need each other."""
_TALLEST: Final = 20
"""Nodes one below the other; a layer of more has several columns, since its nodes do not need each other."""
_LETTERS: Final = 21
"""Letters of a name that fit into a node."""


@dataclass(frozen=True, kw_only=True)
class Node:
    """A node of a graph.

    Args:
        id: Its identity.
        name: Its name.
        state: Its state, which gives its colour.
        link: Where it leads.
        needs: The nodes that it needs; those that are not in the graph are left out.
        note: A short text behind its name, such as the number of its tasks.
        part: The element of the page that the link changes, where it leads to the same page.
    """

    id: str
    name: str
    state: str
    link: str
    needs: Sequence[str] = ()
    note: str = ""
    part: str | None = None


def layers(nodes: Sequence[Node]) -> Sequence[Sequence[Node]]:
    """Return the nodes in layers, each behind all that it needs.

    Args:
        nodes: The nodes of a graph without cycles.
    """
    by_id = {node.id: node for node in nodes}
    depth: dict[str, int] = {}
    waiting = list(nodes)
    while waiting:
        known = [node for node in waiting if all(need in depth for need in node.needs if need in by_id)]
        if not known:
            raise ValueError("the graph has a cycle")
        for node in known:
            depth[node.id] = 1 + max((depth[need] for need in node.needs if need in by_id), default=-1)
        waiting = [node for node in waiting if node.id not in depth]
    found: list[list[Node]] = [[] for _ in range(max(depth.values(), default=-1) + 1)]
    for node in nodes:
        found[depth[node.id]].append(node)
    return _ordered(found)


def _ordered(found: list[list[Node]]) -> Sequence[Sequence[Node]]:
    place: dict[str, float] = {}
    for layer in found:
        layer.sort(key=lambda node: _mean([place[need] for need in node.needs if need in place]))
        place |= {node.id: number for number, node in enumerate(layer)}
    return found


def _mean(places: Sequence[float]) -> float:
    return sum(places) / len(places) if places else 0.0


def draw_graph(nodes: Sequence[Node], *, label: str) -> Markup:
    """Draw a graph.

    Args:
        nodes: The nodes of a graph without cycles, at most `MOST_NODES`.
        label: Its meaning.
    """
    ordered = layers(nodes)
    if len(ordered) == 1:
        ordered = [nodes[column::_COLUMNS] for column in range(min(_COLUMNS, len(nodes)))]
    ordered = [layer[at : at + _TALLEST] for layer in ordered for at in range(0, len(layer), _TALLEST)]
    at = {
        node.id: (_MARGIN + column * (_WIDTH + _GAP_X), _MARGIN + row * (_HEIGHT + _GAP_Y))
        for column, layer in enumerate(ordered)
        for row, node in enumerate(layer)
    }
    tallest = max((len(layer) for layer in ordered), default=0)
    return picture(
        joined(_edge(at[need], at[node.id]) for node in nodes for need in node.needs if need in at),
        joined(_box(node, at[node.id]) for node in nodes),
        width=2 * _MARGIN + len(ordered) * (_WIDTH + _GAP_X) - _GAP_X if ordered else 2 * _MARGIN,
        height=2 * _MARGIN + tallest * (_HEIGHT + _GAP_Y) - _GAP_Y if ordered else 2 * _MARGIN,
        label=label,
        kind="graph",
    )


def _edge(start: tuple[float, float], end: tuple[float, float]) -> Markup:
    x1, y1 = start[0] + _WIDTH, start[1] + _HEIGHT / 2
    x2, y2 = end[0], end[1] + _HEIGHT / 2
    half = (x1 + x2) / 2
    return element("path", d=f"M{x1:g} {y1:g}C{half:g} {y1:g} {half:g} {y2:g} {x2:g} {y2:g}", class_="edge")


def _box(node: Node, at: tuple[float, float]) -> Markup:
    x, y = at
    shown = node.name if len(node.name) <= _LETTERS else f"{node.name[: _LETTERS - 1]}…"
    return element(
        "a",
        element("title", f"{node.name}: {node.state} {node.note}".rstrip()),
        element("rect", x=x, y=y, width=_WIDTH, height=_HEIGHT, rx=5),
        element("text", shown, x=x + 9, y=y + _HEIGHT / 2 + 4),
        element("text", node.note, x=x + _WIDTH - 8, y=y + _HEIGHT / 2 + 4, text_anchor="end", class_="note"),
        href=node.link,
        data_part=node.part,
        class_=f"node s-{css_name(node.state)}",
    )


def css_name(state: str) -> str:
    """Return a state as part of a class: the states of gates are in capitals."""
    return state.lower().replace("_", "-")
