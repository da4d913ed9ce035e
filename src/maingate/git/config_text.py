"""Lines of git's configuration files (git-config, "Syntax")."""

from collections.abc import Iterable


def section_lines(section: str, name: str, pairs: Iterable[tuple[str, str]]) -> str:
    """Return a section with its settings; any name and any value is quoted so that git reads it back."""
    lines = [f"\t{key} = {_quoted(value)}\n" for key, value in pairs]
    return f"[{section} {_quoted(name)}]\n{''.join(lines)}"


def _quoted(value: str) -> str:
    escaped = value.replace("\\", "\\\\").replace('"', '\\"').replace("\n", "\\n")
    return f'"{escaped}"'
