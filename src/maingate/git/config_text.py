"""Lines and values of git's configuration files (git-config, "Syntax" and "Values")."""

import re
from collections.abc import Iterable
from typing import Final

_TRUE: Final = re.compile(r"true|yes|on|[-+]?0*[1-9]\d*[kmg]?", re.IGNORECASE)


def section_lines(section: str, name: str, pairs: Iterable[tuple[str, str]]) -> str:
    """Return a section with its settings; any name and any value is quoted so that git reads it back."""
    lines = [f"\t{key} = {quoted(value)}\n" for key, value in pairs]
    return f"[{section} {quoted(name)}]\n{''.join(lines)}"


def is_true(value: str) -> bool:
    """Return whether git takes a value for true."""
    return _TRUE.fullmatch(value) is not None


def quoted(value: str) -> str:
    """Return a name or a value as git reads it back, whatever is in it."""
    escaped = value.replace("\\", "\\\\").replace('"', '\\"').replace("\n", "\\n")
    return f'"{escaped}"'
