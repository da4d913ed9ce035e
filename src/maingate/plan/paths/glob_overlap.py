"""Decision whether two gitignore-style globs can match the same path, by the globs alone.

A glob that is hard to decide (brackets, negations) counts as overlapping.
"""

from collections.abc import Sequence
from functools import lru_cache
from typing import Final

ANY_FOLDERS: Final = "**"
"""The part of a glob that matches any folders."""
_WILD: Final = frozenset("*?\\")
_STAR, _ONE = object(), object()
_Token = object | str


def may_overlap(globs_a: Sequence[str], globs_b: Sequence[str]) -> bool:
    """Return whether a path could match both lists; never False when one does.

    Args:
        globs_a: Globs as in a `.gitignore`; one that begins with ``!`` excludes paths and is ignored.
        globs_b: The same.
    """
    heads = heads_of(tuple(globs_b))
    return any(_heads_overlap(one, other) for one in heads_of(tuple(globs_a)) for other in heads)


@lru_cache(maxsize=65536)
def _parts(glob: str) -> tuple[str, ...]:
    """Return the folders and the name of a glob; the name may be a folder, too (gitignore(5))."""
    text = glob.rstrip("\n\r")
    while text.endswith(" ") and not text.endswith("\\ "):
        text = text[:-1]
    is_tied = "/" in text.rstrip("/")
    parts: list[str] = [] if is_tied else [ANY_FOLDERS]
    for part in text.strip("/").split("/"):
        if "[" in part or part.endswith("\\"):
            return (*parts, ANY_FOLDERS)
        if part:
            parts.append(part)
    return (*parts, ANY_FOLDERS)


@lru_cache(maxsize=65536)
def heads_of(globs: tuple[str, ...]) -> tuple[tuple[str, ...], ...]:
    """Return the parts of each glob before its first ``**``; excluding globs are left out."""
    parts = (_parts(glob) for glob in globs if not glob.startswith("!"))
    return tuple(each[: each.index(ANY_FOLDERS)] for each in parts)


def _heads_overlap(one: tuple[str, ...], other: tuple[str, ...]) -> bool:
    """Return whether a path matches both globs.

    Behind the first ``**`` of either everything matches: it matches the other's folders, and both may go
    deeper.
    """
    return all(names_overlap(a, b) for a, b in zip(one, other, strict=False))


def is_wild(name: str) -> bool:
    """Return whether a name has a wildcard."""
    return not _WILD.isdisjoint(name)


@lru_cache(maxsize=65536)
def names_overlap(one: str, other: str) -> bool:
    """Return whether a single name matches both globs."""
    if one == other:
        return True
    if _differ(one, other) or _differ(one[::-1], other[::-1]):
        return False
    a, b = _tokens(one), _tokens(other)
    reachable = {(0, 0)}
    waiting = [(0, 0)]
    while waiting:
        i, j = waiting.pop()
        if (i, j) == (len(a), len(b)):
            return True
        x = a[i] if i < len(a) else None
        y = b[j] if j < len(b) else None
        steps = []
        if x is _STAR:
            steps += [(i + 1, j), *([] if y is None else [(i, j + 1)])]
        if y is _STAR:
            steps += [(i, j + 1), *([] if x is None else [(i + 1, j)])]
        if x is not None and y is not None and (x is _ONE or y is _ONE or x == y):
            steps.append((i + 1, j + 1))
        for step in steps:
            if step not in reachable:
                reachable.add(step)
                waiting.append(step)
    return False


def _differ(one: str, other: str) -> bool:
    """Return whether two globs begin with different letters, before any wildcard."""
    for a, b in zip(one, other, strict=False):
        if a in _WILD or b in _WILD:
            return False
        if a != b:
            return True
    return False


def _tokens(glob: str) -> list[_Token]:
    tokens: list[_Token] = []
    characters = iter(glob)
    for character in characters:
        if character == "\\":
            tokens.append(next(characters, "\\"))
        else:
            tokens.append({"*": _STAR, "?": _ONE}.get(character, character))
    return tokens
