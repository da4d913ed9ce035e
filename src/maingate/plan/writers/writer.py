"""Plans as text, in the notation of their file's name; reading the text gives the same plan."""

import json
from collections.abc import Sequence
from typing import Any

from maingate.plan.readers.reader import is_json
from maingate.plan.writers.yaml_writer import write_yaml


def write_document(data: Any, *, file: str, comments: Sequence[str] = ()) -> str:
    """Return plan data as text: JSON for a name that ends in ``.json``, else YAML.

    Args:
        data: The plan, keys in the order in which they are written.
        file: The file's name.
        comments: Lines for its head, in YAML; JSON has no comments.
    """
    if is_json(file):
        return json.dumps(data, indent=2, ensure_ascii=False) + "\n"
    return "".join(map(_comment, comments)) + write_yaml(data)


def _comment(line: str) -> str:
    """Return a comment line of the plan's head; characters that would end it are shown as `?`."""
    return f"# {''.join(letter if letter.isprintable() else '?' for letter in line)}\n"
