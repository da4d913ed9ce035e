"""YAML as people expect it: ``on`` is a word, not a boolean, and a key given twice is a fault.

PyYAML follows YAML 1.1, in which the key ``on:`` reads as true and ``1:30`` as 90. Here scalars are typed by
the core schema of YAML 1.2 (https://yaml.org/spec/1.2.2/#103-core-schema); merge keys (``<<``) work.
"""

import re
from collections.abc import Callable, Iterator, Mapping
from typing import Any, Final

import yaml

from maingate.plan.readers.document import Document, Unreadable
from maingate.settings.problems import Location, Mistake

MOST_NODES: Final = 1_000_000
"""Most values of a document with its aliases expanded; a few lines of aliases can expand to billions."""

DEEPEST: Final = 200
"""Most levels of a document. libyaml's composer is recursive C: ten thousand levels crash the process."""

_TAG: Final = "tag:yaml.org,2002:"
_Base: Any = getattr(yaml, "CSafeLoader", yaml.SafeLoader)


_CORE_SCHEMA: Final = (
    ("null", r"~|null|Null|NULL|", ["~", "n", "N", ""]),
    ("bool", r"true|True|TRUE|false|False|FALSE", [*"tTfF"]),
    ("int", r"[-+]?[0-9]+|0o[0-7]+|0x[0-9a-fA-F]+", [*"-+0123456789"]),
    (
        "float",
        r"[-+]?(\.[0-9]+|[0-9]+(\.[0-9]*)?)([eE][-+]?[0-9]+)?|[-+]?\.(inf|Inf|INF)|\.(nan|NaN|NAN)",
        [*"-+.0123456789"],
    ),
    ("merge", r"<<", ["<"]),
)


def add_core_schema(resolver: Any) -> None:
    """Add the core schema's meanings of plain scalars to a loader or dumper class."""
    for name, pattern, first_letters in _CORE_SCHEMA:
        resolver.add_implicit_resolver(_TAG + name, re.compile(rf"(?:{pattern})\Z"), first_letters)


class _CoreLoader(_Base):  # type: ignore[misc]  # whichever of the two loaders this PyYAML has
    yaml_implicit_resolvers: Final[dict[str, Any]] = {}


add_core_schema(_CoreLoader)


def read_yaml(text: str) -> Document:
    """Read one YAML document.

    Raises:
        Unreadable: It is not YAML, not one document, or too large.
    """
    builder = _Builder()
    data = builder.value(_compose(text), ())
    return Document(
        data=data,
        lines=builder.lines,
        spelling=builder.spelling,
        faults=tuple(builder.faults),
        broken=frozenset(builder.broken),
    )


def _compose(text: str) -> yaml.Node | None:
    loader = _CoreLoader(text)
    try:
        _refuse_depth(text)
        node: yaml.Node | None = loader.get_single_node()
    except yaml.MarkedYAMLError as error:
        mark = error.problem_mark or error.context_mark
        raise Unreadable(None if mark is None else mark.line + 1, *_explained(error)) from error
    except yaml.reader.ReaderError as error:
        line = text.count("\n", 0, error.position) + 1
        raise Unreadable(
            line, "has a character that YAML does not allow", "remove control characters"
        ) from error
    finally:
        loader.dispose()
    return node


def _refuse_depth(text: str) -> None:
    """Refuse a document that is too deep to be composed; its events are read without recursion."""
    depth = 0
    for event in yaml.parse(text, Loader=_CoreLoader):
        depth += isinstance(event, yaml.CollectionStartEvent) - isinstance(event, yaml.CollectionEndEvent)
        if depth > DEEPEST:
            raise Unreadable(_line(event), "is nested too deeply", "a plan is a few levels deep")


_HINTS: Final = (
    ("found a tab", "indent with spaces"),
    ("cannot start any token", "indent with spaces, and put text that begins with %, @ or ` in quotes"),
    (
        "mapping values are not allowed",
        "text that has ': ' in it goes in quotes; keys of one level start in one column",
    ),
    ("expected alphabetic or numeric", 'text that begins with * or & goes in quotes: "*.py"'),
    ("while scanning an alias", 'text that begins with * goes in quotes: "*.py"'),
    ("undefined alias", 'text that begins with * goes in quotes: "*.py"'),
    ("could not find expected ':'", "a key ends in ':'; the lines of one level start in one column"),
    ("did not find expected", "close brackets and quotes; the lines of one level start in one column"),
    ("but found another document", "a plan is one document: remove the '---'"),
)


def _explained(error: yaml.MarkedYAMLError) -> tuple[str, str]:
    said = " ".join(part for part in (error.context, error.problem) if part)
    hint = next((hint for sign, hint in _HINTS if sign in said), "")
    return f"is not YAML: {error.problem or error.context}", hint


_MEANINGS: Final[Mapping[str, Callable[[str], object]]] = {
    "null": lambda _: None,
    "bool": lambda text: text.lower() == "true",
    "int": lambda text: int(text, {"0o": 8, "0x": 16}.get(text[:2], 10)),
    "float": lambda text: float(re.sub(r"\.(?=inf|nan)", "", text.lower())),
}


class _Builder:
    """A builder of values from nodes; it notes lines, spellings and faults, which only the nodes have."""

    def __init__(self) -> None:
        self.lines: dict[Location, int] = {}
        self.spelling: dict[Location, str] = {}
        self.faults: list[tuple[int, Mistake]] = []
        self.broken: set[Location] = set()
        self._count = 0
        self._open: set[int] = set()

    def value(self, node: yaml.Node | None, place: Location) -> Any:
        if node is None:
            return None
        self._count += 1
        if self._count > MOST_NODES or id(node) in self._open:
            raise Unreadable(_line(node), "an alias (*) repeats without end", "write the values out")
        if isinstance(node, yaml.ScalarNode):
            return self._scalar(node, place)
        self._open.add(id(node))
        made = (
            self._mapping(node, place) if isinstance(node, yaml.MappingNode) else self._sequence(node, place)
        )
        self._open.discard(id(node))
        return made

    def _sequence(self, node: yaml.Node, place: Location) -> list[Any]:
        for index, item in enumerate(node.value):
            self.lines[*place, index] = _line(item)
        return [self.value(item, (*place, index)) for index, item in enumerate(node.value)]

    def _mapping(self, node: yaml.MappingNode, place: Location) -> dict[str, Any]:
        made: dict[str, Any] = {}
        first: dict[str, int] = {}
        for key, value in self._own_pairs(node, place):
            where = (*place, key.value)
            if key.value in first:
                self._fault(
                    _line(key), where, f"{key.value!r} is given twice", f"first on line {first[key.value]}"
                )
                continue
            first[key.value] = self.lines[where] = _line(key)
            if _is_blank(value):
                self._fault(_line(key), where, f"{key.value!r} has no value", "give one, or remove the key")
                self.broken.add(where)
                continue
            made[key.value] = self.value(value, where)
        for key, value in self._merged_pairs(node, place):
            if key.value not in first:
                first[key.value] = self.lines[(*place, key.value)] = _line(key)
                made[key.value] = self.value(value, (*place, key.value))
        return made

    def _own_pairs(
        self, node: yaml.MappingNode, place: Location
    ) -> Iterator[tuple[yaml.ScalarNode, yaml.Node]]:
        for key, value in node.value:
            if not isinstance(key, yaml.ScalarNode):
                self._fault(
                    _line(key),
                    place,
                    "a key must be text",
                    'text that begins with { or [ goes in quotes: "{x}"',
                )
            elif key.tag != _TAG + "merge":
                yield key, value

    def _merged_pairs(
        self, node: yaml.MappingNode, place: Location
    ) -> Iterator[tuple[yaml.ScalarNode, yaml.Node]]:
        for key, value in node.value:
            if key.tag != _TAG + "merge":
                continue
            for source in value.value if isinstance(value, yaml.SequenceNode) else [value]:
                if not isinstance(source, yaml.MappingNode) or source is node:
                    self._fault(_line(key), place, "'<<' takes in keys of another mapping", "write <<: *name")
                    continue
                yield from self._own_pairs(source, place)
                yield from self._merged_pairs(source, place)

    def _scalar(self, node: yaml.ScalarNode, place: Location) -> object:
        kind, text = node.tag.removeprefix(_TAG), node.value
        if kind in ("str", "merge"):
            return text
        self.spelling[place] = text
        if kind not in _MEANINGS:
            shown = kind if kind.startswith("!") else f"!!{kind}"
            hint = "text that begins with ! goes in quotes"
            self._fault(_line(node), place, f"the tag {shown} means nothing here", hint)
            return text
        try:
            return _MEANINGS[kind](text)
        except ValueError:
            self._fault(
                _line(node), place, f"{text[:20]!r}… is not a number that can be used", "put text in quotes"
            )
            return text

    def _fault(self, line: int, place: Location, message: str, hint: str) -> None:
        self.faults.append((line, Mistake(location=place, message=message, hint=hint)))


def _line(node: Any) -> int:
    return int(node.start_mark.line) + 1


def _is_blank(node: yaml.Node) -> bool:
    """Return whether a value was left out (``scope:``), as opposed to a written ``null`` or ``~``."""
    return isinstance(node, yaml.ScalarNode) and node.tag == _TAG + "null" and not node.value
