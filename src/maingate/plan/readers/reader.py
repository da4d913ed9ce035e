"""Reading of a plan file's bytes, YAML or JSON, into a document."""

import codecs
from typing import Final

from maingate.errors import PlanError, Problem
from maingate.plan.readers.document import Document, Unreadable
from maingate.plan.readers.json_reader import read_json
from maingate.plan.readers.yaml_reader import read_yaml

LARGEST_FILE: Final = 32 * 1024 * 1024
"""Most bytes of a plan file; a larger file is no plan."""


def is_json(file: str) -> bool:
    """Return whether a file of that name is only JSON; any other is YAML or JSON."""
    return file.endswith(".json")


def read_document(raw: bytes, *, file: str) -> Document:
    """Read YAML or JSON.

    Args:
        raw: The file's bytes: UTF-8, with or without a byte-order mark.
        file: The file's name, for messages; with the suffix ``.json`` only JSON is tried.

    Raises:
        PlanError: It cannot be read as either; has one problem with the line of the fault.
    """
    try:
        text = _decode(raw)
        if is_json(file):
            return read_json(text)
        if text.lstrip().startswith("{"):
            try:
                return read_json(text)
            except Unreadable:
                return read_yaml(text)
        return read_yaml(text)
    except Unreadable as error:
        last = raw.count(b"\n") + (not raw.endswith(b"\n"))
        line = None if error.line is None else min(error.line, last)
        problem = Problem(file=file, line=line, message=error.message, hint=error.hint)
        raise PlanError([problem]) from error


def _decode(raw: bytes) -> str:
    if len(raw) > LARGEST_FILE:
        raise Unreadable(None, f"is {len(raw):,} bytes long, more than any plan", "name a plan file")
    try:
        text = raw.removeprefix(codecs.BOM_UTF8).decode()
    except UnicodeDecodeError as error:
        line = raw.count(b"\n", 0, error.start) + 1
        raise Unreadable(line, "is not UTF-8 text", "name a plan file, saved as UTF-8") from error
    if not text.strip():
        raise Unreadable(None, "is empty", "`maingate init` writes an example plan")
    return text
