"""Reading of a plain repository without loading the library.

Any other repository, and any fault, has no answer here; the library then decides.
"""

import hashlib
import os
import re
import stat
import zlib
from pathlib import Path
from typing import Final

from maingate.git.command import run_git

_TELLING: Final = r"^(core\.(bare|worktree|repositoryformatversion)|extensions\..*)$"
_PLAIN: Final = frozenset({b"core.bare\nfalse", b"core.repositoryformatversion\n0"})
_CORE: Final = re.compile(rb"\[core\]\n(?:\t\w+ = \w+\n)*")
_STATED: Final = (b"\n\tbare = false\n", b"\n\trepositoryformatversion = 0\n")
_OTHERS: Final = (b"include", b"extensions", b"worktree", b"\\")
"""Texts without one of which no configuration can say that its repository is another than a plain one."""
_ID: Final = re.compile("[0-9a-f]{40}")


def plain_git_dir(path: Path) -> Path | None:
    """Return the git directory of the work tree that a path is in; None where only the library can tell.

    Plain is a `.git` folder of this user's, on the path's own file system, at the top of its only work tree:
    neither bare nor linked nor pointed elsewhere, and with no extension.
    """
    here = path.resolve()
    try:
        device = here.stat().st_dev
        for folder in (here, *here.parents):
            if os.path.lexists(folder / "HEAD") or folder.stat().st_dev != device:
                return None
            if os.path.lexists(folder / ".git"):
                return folder / ".git" if _is_plain(folder) else None
    except OSError:
        return None
    return None


def loose_commit(git_dir: Path, commit: str) -> bytes | None:
    """Return the content of a commit that has a file of its own and is undamaged."""
    if not _ID.fullmatch(commit):
        return None
    try:
        raw = zlib.decompress((git_dir / "objects" / commit[:2] / commit[2:]).read_bytes())
    except (OSError, zlib.error):
        return None
    head, _, content = raw.partition(b"\0")
    is_sound = hashlib.sha1(raw, usedforsecurity=False).hexdigest() == commit
    return content if is_sound and head == b"commit %d" % len(content) else None


def _is_plain(top: Path) -> bool:
    """Return whether a folder is the top of the only work tree of a plain repository of this user's."""
    git_dir = top / ".git"
    for folder in (top, git_dir):
        found = folder.lstat()
        if not stat.S_ISDIR(found.st_mode) or found.st_uid != os.geteuid():
            return False
    parts = [git_dir / "objects", git_dir / "refs"]
    if os.path.lexists(git_dir / "commondir") or not all(map(Path.is_dir, parts)):
        return False
    if not (git_dir / "HEAD").is_file() or not (git_dir / "config").is_file():
        return False
    if _states_it_as_git_does((git_dir / "config").read_bytes()):
        return True
    words = ("--file", git_dir / "config", "--includes", "--null", "--get-regexp", _TELLING)
    said = run_git("config", *words, git_dir=git_dir, check=False)
    return said.code == 0 and set(said.stdout.split(b"\0")) - {b""} == _PLAIN


def _states_it_as_git_does(config: bytes) -> bool:
    """Return whether a configuration begins as `git init` writes it and has nothing that could say otherwise.

    Of any other git is asked, in a process that costs as much as a third of a command that reads.
    """
    core, text = _CORE.match(config), config.lower()
    if core is None or any(each in text for each in _OTHERS):
        return False
    is_stated = all(each in core[0] for each in _STATED)
    return is_stated and text.count(b"bare") == text.count(b"repositoryformatversion") == 1
