"""Paths that no patch may name, on any file system (git's ``is_ntfs_dotgit``).

NTFS ignores trailing spaces and dots, treats ``GIT~1`` as ``.git`` and the text behind a colon as a stream;
HFS+ ignores some code points; both ignore case; Windows treats a backslash as a slash.
"""

import re
import unicodedata
from functools import lru_cache
from typing import Final

SETTINGS: Final = b"maingate.toml"
"""The path of Maingate's own settings in a tree."""

_DRIVE: Final = re.compile(r"[A-Za-z]:(?:[\\/]|$)")
_SEPARATORS: Final = re.compile(r"[/\\]")
_IGNORED: Final = dict.fromkeys(
    [*range(0x200C, 0x2010), *range(0x202A, 0x202F), *range(0x206A, 0x2070), 0xFEFF]
)
_SHORT_GIT: Final = re.compile(r"git~[1-9]")
_GITMODULES: Final = re.compile(r"\.gitmodules|gitmod~[1-9]|gi7eba~[1-9]|gi7eb~[1-9]\d")
_SETTINGS: Final = re.compile(r"maingate\.toml|mainga~[1-9]\.tom|ma[0-9a-f]{4}~[1-9]\.tom")


def text_of(path: bytes) -> str:
    """Return a path as text; bytes that are not UTF-8 become surrogates."""
    return path.decode("utf-8", "surrogateescape")


def glob_text(path: bytes) -> str:
    """Return a path as text for globs, where a newline is an ordinary character, as for git."""
    return text_of(path).replace("\n", "\x01")


@lru_cache(maxsize=4096)
def plain_name(name: str) -> str:
    """Return a name as a file system reads it that ignores case, trailing dots and more."""
    stream = name.translate(_IGNORED).split(":", 1)[0]
    return unicodedata.normalize("NFKC", stream).casefold().rstrip(" .")


def path_fault(path: bytes) -> str | None:
    """Return the rule that a path breaks; None when it is inside the repository and not in ``.git``.

    Args:
        path: The path in the patch.

    Returns:
        One of ``absolute``, ``dot_components``, ``.git/**``.
    """
    text = text_of(path)
    if text.startswith(("/", "\\")) or _DRIVE.match(text):
        return "absolute"
    names = _SEPARATORS.split(text)
    if any(not name or name.rstrip(" ") in (".", "..") for name in names):
        return "dot_components"
    if any(is_dot_git(name) for name in names):
        return ".git/**"
    return None


def is_dot_git(name: str) -> bool:
    """Return whether a name means ``.git`` on some file system."""
    plain = plain_name(name)
    return plain == ".git" or _SHORT_GIT.fullmatch(plain) is not None


def is_gitmodules(path: bytes) -> bool:
    """Return whether a path is the file that configures submodules."""
    return _GITMODULES.fullmatch(plain_name(text_of(path))) is not None


def is_settings(path: bytes) -> bool:
    """Return whether a path is, on some file system, the root's ``maingate.toml``, or lies below it."""
    first = _SEPARATORS.split(text_of(path), maxsplit=1)[0]
    return _SETTINGS.fullmatch(plain_name(first)) is not None
