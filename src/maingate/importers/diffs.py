"""Diffs, as far as importers need them: their start in a text, and contents that policies forbid."""

import re
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Final

_START: Final = re.compile(
    rb"^(?:diff --git (?P<title>.*)|Index: .*\n(?:=|--- |diff |RCS )|--- (?=.*\n\+\+\+ )"
    rb"|diff -.*\n(?:--- |diff -|Only in ))",
    re.MULTILINE,
)
_GOES_ON: Final = re.compile(
    rb".*\n(?:(?:old|new|deleted|copy|rename|similarity|dissimilarity|index) |GIT |Binary |diff |--- )"
)
_SIGNATURE: Final = re.compile(rb"(?<=\n)-- \r?\n\d[^\n]*\n*\Z")
_BINARY: Final = re.compile(rb"^(?:GIT binary patch|Binary files .* differ)\r?$", re.MULTILINE)
_SUBMODULE: Final = re.compile(
    rb"^(?:(?:new file|deleted file|new|old) mode 160000|index [0-9a-f]+\.\.[0-9a-f]+ 160000)\r?$",
    re.MULTILINE,
)


@dataclass(frozen=True, kw_only=True)
class Contents:
    """Contents of a diff that a policy forbids by default."""

    binary: bool
    submodules: bool


def parted(raw: bytes) -> tuple[bytes, bytes]:
    """Split a text into the words before the first diff and the diff, which may be empty."""
    start = next((found for found in _START.finditer(raw) if _is_start(raw, found)), None)
    return (raw, b"") if start is None else (raw[: start.start()], raw[start.start() :])


def _is_start(raw: bytes, found: re.Match[bytes]) -> bool:
    """Return whether a diff begins there; a ``diff --git`` that names one file does, however it goes on."""
    title = found["title"]
    if title is None or _GOES_ON.match(raw, found.start()):
        return True
    name, middle = title.strip(), len(title.strip()) // 2
    return b'"' in name or b"/" in name.partition(b" ")[0] or name[:middle] == name[middle + 1 :]


def without_surroundings(raw: bytes) -> bytes:
    """Return a mail's diff without diffstat before and signature behind it.

    The signature is git's own (``-- `` and a version): no line of a diff begins with a digit outside a hunk's
    text, so nothing of a diff can be mistaken for it.
    """
    return _SIGNATURE.sub(b"", parted(raw)[1])


def contents_of(diff: bytes) -> Contents:
    """Return the contents of a diff. Text of files cannot be mistaken: a sign precedes it in a diff."""
    return Contents(binary=_BINARY.search(diff) is not None, submodules=_SUBMODULE.search(diff) is not None)


_HUNK: Final = re.compile(rb"@@ -\d+(?:,(\d+))? \+\d+(?:,(\d+))? @@")
_PATH: Final = re.compile(rb"(?:(?:---|\+\+\+) (?P<side>.+)|(?:rename|copy) (?:from|to) (?P<moved>.+))")
_BOTH: Final = re.compile(rb'diff --git (?:a/(?P<old>.+) b/(?P<new>.+)|"a/(?P<quoted>.+)" "b/(?P<other>.+)")')
_ESCAPED: Final = re.compile(rb'\\([0-7]{3}|[abfnrtv"\\])')
_ESCAPES: Final = {b"a": 7, b"b": 8, b"f": 12, b"n": 10, b"r": 13, b"t": 9, b"v": 11, b'"': 34, b"\\": 92}


def paths_of(diff: bytes) -> list[str]:
    """Return the paths that a git diff touches, old and new names, in order.

    Lines of hunks are counted, so that no text of a file is taken for a header.
    """
    found: dict[str, None] = {}
    left = [0, 0]
    for line in diff.split(b"\n"):
        if max(left) > 0:
            left[0] -= line[:1] != b"+" and line[:1] != b"\\"
            left[1] -= line[:1] != b"-" and line[:1] != b"\\"
        elif hunk := _HUNK.match(line):
            left = [int(hunk[1] or 1), int(hunk[2] or 1)]
        else:
            for path in _paths_in(line.rstrip(b"\r")):
                found.setdefault(path.decode(errors="surrogateescape"))
    return list(found)


def _paths_in(line: bytes) -> Iterator[bytes]:
    if both := _BOTH.fullmatch(line):
        if both["quoted"] is not None:
            yield from (_unescaped(both["quoted"]), _unescaped(both["other"]))
        elif both["old"] == both["new"]:
            yield both["new"]
    elif (named := _PATH.fullmatch(line)) and (path := _named(named)) is not None:
        yield path


def _named(found: re.Match[bytes]) -> bytes | None:
    name = (found["moved"] or found["side"]).split(b"\t")[0]
    if name.startswith(b'"') and name.endswith(b'"'):
        name = _unescaped(name[1:-1])
    if found["moved"] is not None:
        return name
    return None if name == b"/dev/null" else name.partition(b"/")[2] or name


def _unescaped(name: bytes) -> bytes:
    return _ESCAPED.sub(
        lambda found: bytes([_ESCAPES[found[1]] if found[1] in _ESCAPES else int(found[1], 8) & 255]), name
    )
