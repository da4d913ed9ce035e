"""Plans written in the notation of their name read back as they were."""

import json

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from maingate.plan.readers.reader import read_document
from maingate.plan.writers.writer import write_document
from support.examples import examples

_TEXT = st.text(st.characters(exclude_categories=["Cs"]), min_size=1)


@pytest.mark.parametrize("file", ["plan.json", "plan.yaml", "plan.yml", "plan", "plan.JSON", "json"])
@settings(max_examples=examples(100))
@given(data=st.dictionaries(_TEXT, _TEXT | st.lists(_TEXT), min_size=1), comment=_TEXT)
def test_what_is_written_is_what_is_read(file: str, data: dict[str, object], comment: str) -> None:
    """The reader recognises the notation for every name; no comment becomes data."""
    text = write_document(data, file=file, comments=[comment])
    assert read_document(text.encode(), file=file).data == data


def test_the_name_says_which_notation() -> None:
    """JSON, which has no comments, for a name on ``.json``; else YAML."""
    data = {"maingate": 1, "name": "ä"}
    assert json.loads(write_document(data, file="p.json", comments=["c"])) == data
    assert write_document(data, file="p.yaml", comments=["a\nb"]) == "# a?b\nmaingate: 1\nname: ä\n"
