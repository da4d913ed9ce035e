"""Reading YAML and JSON: the data, the lines, and the faults of the text."""

import json

import pytest
from hypothesis import given
from hypothesis import strategies as st

from maingate.errors import PlanError
from maingate.plan.readers import yaml_reader
from maingate.plan.readers.document import Document
from maingate.plan.readers.reader import read_document


def read(text: str | bytes, *, file: str = "p.yaml") -> Document:
    """Read a document."""
    return read_document(text if isinstance(text, bytes) else text.encode(), file=file)


def problem(text: str | bytes, *, file: str = "p.yaml") -> str:
    """Return the one problem of a text that cannot be read."""
    with pytest.raises(PlanError) as refused:
        read(text, file=file)
    (only,) = refused.value.problems
    return str(only)


def faults(document: Document) -> list[tuple[int, str, str]]:
    """Return line, message and hint of what is wrong with a document that can be read."""
    return [(line, found.message, found.hint) for line, found in document.faults]


def test_on_and_yes_are_words() -> None:
    """Plain words are text as in YAML 1.2; only true, false and null are more than that."""
    assert read("on: [task]\nx: yes\ny: off\nz: true\nn: ~\n").data == {
        "on": ["task"], "x": "yes", "y": "off", "z": True, "n": None,
    }  # fmt: skip


def test_numbers_and_dates() -> None:
    """Numbers are those of the core schema: no sexagesimals, no dates, and the spelling is remembered."""
    document = read("a: 1:30\nb: 2026-01-01\nc: 3.10\nd: 0o17\ne: 010\nf: 1e3\n1: 2\n")
    assert document.data == {"a": "1:30", "b": "2026-01-01", "c": 3.1, "d": 15, "e": 10, "f": 1000.0, "1": 2}
    assert document.spelling[("c",)] == "3.10"


def test_every_key_and_item_has_its_line() -> None:
    """Lines are those of keys and list items, also in flow style."""
    text = "a:\n  - x\n  - y: 1\nb: {c: 2,\n    d: 3}\n"
    assert read(text).lines == {
        ("a",): 1, ("a", 0): 2, ("a", 1): 3, ("a", 1, "y"): 3, ("b",): 4, ("b", "c"): 4, ("b", "d"): 5,
    }  # fmt: skip


def test_json_has_lines_too() -> None:
    """A JSON document gives the same as YAML, with any white space and escapes."""
    text = '{\n\t"a": ["\\ud83d\\ude00", 1.5, -2],\n\t"b": {"c": null}\n}\n'
    for file in ("p.json", "p.yaml"):
        document = read(text, file=file)
        assert document.data == {"a": ["😀", 1.5, -2], "b": {"c": None}}
        assert document.lines[("a", 1)] == 2
        assert document.lines[("b", "c")] == 3


def test_a_key_given_twice_is_told() -> None:
    """The second of two equal keys is a fault that names the line of the first."""
    assert faults(read("a: 1\nb: 2\na: {x: 3}\n")) == [(3, "'a' is given twice", "first on line 1")]
    assert faults(read('{"a": 1,\n"a": {"a": 2}}', file="p.json")) == [
        (2, "'a' is given twice", "first on line 1")
    ]


def test_a_key_without_value_is_told_and_null_is_not() -> None:
    """`scope:` with nothing behind it is an accident; a written null is not."""
    document = read("a:\nb: ~\nc: null\n")
    assert faults(document) == [(1, "'a' has no value", "give one, or remove the key")]
    assert document.data == {"b": None, "c": None}


def test_anchors_and_merge_keys_work() -> None:
    """An alias is what it stands for, and merged keys give way to a mapping's own."""
    document = read("a: &x {b: 1, c: 2}\nd: *x\ne: {<<: *x, c: 3}\nf: {<<: [*x, {g: 4}]}\n")
    assert document.data["d"] == {"b": 1, "c": 2}
    assert document.data["e"] == {"c": 3, "b": 1}
    assert document.data["f"] == {"b": 1, "c": 2, "g": 4}


@pytest.mark.parametrize(
    ("text", "line", "said"),
    [
        ("a: 1\nb: c: d\n", 2, "text that has ': ' in it goes in quotes"),
        ("a: 1\n\tb: 2\n", 2, "indent with spaces"),
        ("a: *.py\n", 1, 'text that begins with * or & goes in quotes: "*.py"'),
        ("a: [1\nb: 2\n", 2, "close brackets and quotes"),
        ("a: 1\n---\nb: 2\n", 2, "a plan is one document"),
        ("a: 'x\n", 1, "is not YAML"),
        ("a: \x07\n", 1, "has a character that YAML does not allow"),
        ("a: @x\n", 1, "in quotes"),
        ("a:\n  b: 1\n c: 2\n", 3, "is not YAML"),
        ("a: &a [*a]\n", 1, "repeats without end"),
    ],
)
def test_a_text_that_is_no_yaml_names_the_line(text: str, line: int, said: str) -> None:
    """A syntax error is one problem with its line and what to do."""
    assert problem(text).startswith(f"p.yaml:{line}: ")
    assert said in problem(text)


@pytest.mark.parametrize(
    ("text", "line"),
    [
        ('{"a": 1,\n}', 2),
        ('{"a" 1}', 1),
        ("{a: 1}", 1),
        ("[1\n2]", 2),
        ('{"a": 1}\n{}', 2),
        ('{"a": "\n"}', 1),
        ('{"a": tru}', 1),
        ('{"a": "\\ud800"}', 1),
        ('{"a": "x', 1),
        ("", None),
        ('{"a": ' + "9" * 5000 + "}", 1),
    ],
)
def test_a_text_that_is_no_json_names_the_line(text: str, line: int | None) -> None:
    """A file called .json is JSON and nothing else."""
    assert problem(text, file="p.json").startswith("p.json: " if line is None else f"p.json:{line}: ")


def test_text_that_is_not_utf8_is_refused() -> None:
    """Bytes that are no text are told with their line; a byte-order mark is no harm."""
    assert problem(b"a: 1\nb: \xe4\n") == "p.yaml:2: is not UTF-8 text (name a plan file, saved as UTF-8)"
    assert read(b"\xef\xbb\xbfa: 1\n").data == {"a": 1}


@pytest.mark.parametrize("text", ["", "  \n\n", "\ufeff"])
def test_an_empty_file_is_told(text: str) -> None:
    """Nothing at all is its own problem."""
    assert problem(text) == "p.yaml: is empty (`maingate init` writes an example plan)"


def test_tags_and_complex_keys_are_told() -> None:
    """A tag means nothing in a plan, and a key is text."""
    assert faults(read("a: !x b\nc: !!python/none d\n")) == [
        (1, "the tag !x means nothing here", "text that begins with ! goes in quotes"),
        (2, "the tag !!python/none means nothing here", "text that begins with ! goes in quotes"),
    ]
    assert faults(read("? [a]\n: 1\n"))[0][1] == "a key must be text"


@pytest.mark.parametrize(
    "text", ["[" * 100_000 + "]" * 100_000, "- " * 100_000, "a: " + "{a: " * 300 + "}" * 300]
)
def test_a_text_that_is_nested_without_end_is_refused(text: str) -> None:
    """Depth is refused before a reader that recurses in C sees it."""
    assert "nested too deeply" in problem(text)


def test_json_nested_without_end_is_refused() -> None:
    """The JSON reader gives up in good order too."""
    assert "nested too deeply" in problem('{"a":' * 100_000, file="p.json")


def test_aliases_that_multiply_are_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    """A few lines that ask for a billion values get none."""
    monkeypatch.setattr(yaml_reader, "MOST_NODES", 10_000)  # a million take two seconds
    lines = ["a0: &a0 [x,x,x,x,x,x,x,x,x,x]"]
    lines += [f"a{n}: &a{n} [{','.join([f'*a{n - 1}'] * 10)}]" for n in range(1, 10)]
    assert "repeats without end" in problem("\n".join(lines))


_TEXT = st.text(st.characters(exclude_categories=["Cs"]))
_VALUES = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False, allow_infinity=False) | _TEXT,
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(_TEXT, inner, max_size=4),
    max_leaves=20,
)


@given(_VALUES, st.sampled_from([None, 1, "\t"]))
def test_json_reads_like_the_standard_library(value: object, indent: int | str | None) -> None:
    """Every document that the standard library writes gives the value back."""
    assert read(json.dumps(value, indent=indent), file="p.json").data == value
