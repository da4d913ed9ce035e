"""The format of a repository (gitrepository-layout): the extensions of it that can be worked with.

A repository that says it is of another format is refused when it is opened, by every command alike and before
anything of it is read. Half of the work would be done by programs that know the format, and the other half
not.
"""

import os
from pathlib import Path
from typing import Final

from maingate.errors import UnknownFormatError
from maingate.git.command import run_git

_HARMLESS: Final = frozenset(
    {"noop", "preciousobjects", "partialclone", "worktreeconfig", "relativeworktrees"}
)
"""Extensions that change nothing about how objects and refs are read and written."""

BEYOND_THE_LIBRARY: Final = ("partialclone",)
"""Those of them that the library refuses unless it is told: to it, an object that is not there is missing."""

_KINDS: Final = {"objectformat": "sha1", "refstorage": "files"}
"""Extensions that choose a format, with the one that can be worked with."""

_REMEDIES: Final = {
    "objectformat": (
        "its objects are named by {value}. Maingate works with SHA-1 repositories only: libgit2, by which it "
        "reads and writes objects, knows no others, and git converts none. Move the work into a SHA-1 "
        "repository: `git init --object-format=sha1 NEW`, then `git fast-export --all --signed-tags=strip "
        "--reencode=no | git -C NEW fast-import` (all ids change, and signatures are lost)"
    ),
    "refstorage": (
        "its refs are stored as {value}. Maingate reads refs as files: libgit2, by which it does, knows no "
        "other way. `git refs migrate --ref-format=files` (git 2.46 or newer) converts it, and nothing is "
        "lost"
    ),
    "compatobjectformat": (
        "its objects have a second name by {value}, which libgit2, by which Maingate writes objects, does "
        "not record. If nothing needs those names: `git config --unset extensions.compatObjectFormat`"
    ),
}
"""The matter with a format, and the way out of it."""


def require_known_format(git_dir: Path) -> None:
    """Raise unless a repository is of a format that can be worked with.

    Args:
        git_dir: Its common git directory.

    Raises:
        UnknownFormatError: It is of another one; the message has the reason and the way out.
    """
    for name, value in _extensions_of(git_dir):
        if name in _HARMLESS or value.lower() == _KINDS.get(name):
            continue
        raise UnknownFormatError(f"{git_dir} cannot be worked with: {_reason(name, value)}")


def _extensions_of(git_dir: Path) -> list[tuple[str, str]]:
    """Return the names, in small letters, and the values of the extensions that count, as git sees it.

    In version 0 of the format unknown ones are ignored, and known ones count all the same or are a fault that
    git would name.
    """
    words = ("config", "--file", git_dir / "config", "--includes", "--null")
    said = run_git(*words, "--get-regexp", r"^extensions\.", git_dir=git_dir, check=False).stdout
    version = run_git(*words, "--get", "core.repositoryFormatVersion", git_dir=git_dir, check=False).stdout
    found = []
    for entry in filter(None, os.fsdecode(said).split("\0")):
        key, _, value = entry.partition("\n")
        name = key.removeprefix("extensions.")
        if version.strip(b"\0\n") not in {b"", b"0"} or name in _HARMLESS or name in _REMEDIES:
            found.append((name, value))
    return found


def _reason(name: str, value: str) -> str:
    if (known := _REMEDIES.get(name)) is not None:
        return known.format(value=value)
    return (
        f"it has the extension {name} ({value or 'true'}), by which git says that programs which do not know "
        "it must keep out. Maingate does not know it"
    )
