"""Stored forms of values."""

import json

import pytest

from maingate.db.sql import columns
from maingate.db.sql.columns import JsonDocument, StoredObject

TEXT = '{"name":"load","tasks":{"b":1,"a":2}}'


def test_a_document_is_not_parsed_before_it_is_read(monkeypatch: pytest.MonkeyPatch) -> None:
    """Its row costs no more than its text, which is stored again as it was."""
    document = JsonDocument().decode(TEXT)
    monkeypatch.delattr(columns, "_parsed")
    assert JsonDocument().encode(document) == TEXT
    with pytest.raises(NameError):
        document.get("name")


def test_a_document_is_the_object_of_its_text() -> None:
    """It has its values in their order, and equals the same object however that came about."""
    document = StoredObject(TEXT)
    assert dict(document) == json.loads(TEXT) == document
    assert (list(document["tasks"]), len(document), document.get("gates")) == (["b", "a"], 2, None)
    assert JsonDocument().encode(json.loads(TEXT)) == TEXT
