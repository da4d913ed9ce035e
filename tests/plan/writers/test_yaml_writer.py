"""Plans written as YAML read back as they were."""

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from maingate.plan.readers.reader import read_document
from maingate.plan.writers.yaml_writer import write_yaml
from support.examples import examples

_TEXT = st.text(st.characters(exclude_categories=["Cs"]), min_size=1)


@settings(max_examples=examples(100))
@given(
    st.dictionaries(st.from_regex(r"[a-z0-9.e-]{1,6}", fullmatch=True), _TEXT | st.lists(_TEXT), min_size=1)
)
def test_any_text_survives(data: dict[str, object]) -> None:
    """Every commit message is read back letter by letter."""
    assert read_document(write_yaml(data).encode(), file="p.yaml").data == data


@pytest.mark.parametrize(
    "text",
    [
        *(
            "on",
            "1e5",
            "0o17",
            "3.10",
            "~",
            "<<",
            "a: b",
            "*.py",
            "- x",
            "---",
            "a\n---\nb",
            "x \ny",
            "\nx",
            " x\ny",
        ),
        *("a\tb\n", "diff --git a/x b/x\n", "\x85", "\u2028", "a\r\nb", "#x", "{", "2026-01-01", "1:30", "="),
        *("x\n\n\n", "key:\n  - y"),
    ],
)
def test_text_that_looks_like_something_else_survives(text: str) -> None:
    """Text that either version of YAML takes for more than text is quoted."""
    assert read_document(write_yaml({"a": text}).encode(), file="p.yaml").data == {"a": text}


def test_messages_are_written_as_blocks() -> None:
    """Text of several lines is written as people would."""
    assert write_yaml({"message": "one\n\ntwo: three\n"}) == "message: |\n  one\n\n  two: three\n"
