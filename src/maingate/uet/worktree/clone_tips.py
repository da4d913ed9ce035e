"""The commits at which the branches, stashes and worktrees of a tool's clone are, read without git.

The clone is the tool's: its configuration, hooks and links are not to be obeyed. So the files of its refs are
read as files, no link is followed, and nothing is believed but full ids of objects.

Standard library only: a worker process imports this.
"""

# Names on disk are bytes, which pathlib cannot hold.
# ruff: noqa: PTH118

import os
import re
import stat
from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Final

_OID: Final = re.compile(rb"[0-9a-f]{40}")
_PACKED: Final = re.compile(rb"^([0-9a-f]{40}) refs/(\S+)$", re.MULTILINE)
_LOGGED: Final = re.compile(rb"^[0-9a-f]{40} ([0-9a-f]{40}) ", re.MULTILINE)
_LINK: Final = b"ref: refs/heads/"
_MOST_BYTES: Final = 16 * 1024 * 1024
_MOST_REFS: Final = 10_000


@dataclass(frozen=True, kw_only=True)
class CloneTips:
    """The commits of a clone.

    Args:
        head: The commit that is checked out; empty when it is unknown.
        branches: The commit of each branch, and of a detached head.
        others: The commit of each stash and of each other worktree.
        tags: The object of each tag.
        remotes: The commits of remotes' branches.
        dropped: The commits that were checked out once, newest first (git-reflog).
    """

    head: str = ""
    branches: dict[str, str] = field(default_factory=dict)
    others: dict[str, str] = field(default_factory=dict)
    tags: dict[str, str] = field(default_factory=dict)
    remotes: frozenset[str] = frozenset()
    dropped: tuple[str, ...] = ()

    @property
    def published(self) -> frozenset[str]:
        """The commits of remotes' branches and the objects of tags."""
        return self.remotes.union(self.tags.values())


def read_tips(git_dir: bytes) -> CloneTips:
    """Read the commits of a clone; there are none where it has no real git directory."""
    if not stat.S_ISDIR(_kind(git_dir)):
        return CloneTips()
    refs = {name: oid.decode() for oid, name in _PACKED.findall(content_of_ref(git_dir, b"packed-refs"))}
    for name, path in _files_below(git_dir, b"refs"):
        if (oid := _OID.match(content_of_ref(path))) is not None:
            refs[name.removeprefix(b"refs/")] = oid[0].decode()
    branches = {
        _text(name.removeprefix(b"heads/")): oid for name, oid in refs.items() if name.startswith(b"heads/")
    }
    head = content_of_ref(git_dir, b"HEAD").strip()
    checked_out = branches.get(_text(head.removeprefix(_LINK)), "")
    if _OID.fullmatch(head):
        checked_out = branches["HEAD"] = head.decode()
    return CloneTips(
        head=checked_out,
        branches=branches,
        others=dict(_others(git_dir)),
        tags={_text(name): oid for name, oid in refs.items() if name.startswith(b"tags/")},
        remotes=frozenset(oid for name, oid in refs.items() if name.startswith(b"remotes/")),
        dropped=tuple(dict.fromkeys(reversed(_logged(git_dir, b"logs/HEAD")))),
    )


def _logged(git_dir: bytes, name: bytes) -> list[str]:
    """Return the commits that a reflog has, oldest first."""
    return [oid.decode() for oid in _LOGGED.findall(content_of_ref(git_dir, name))]


def _others(git_dir: bytes) -> Iterator[tuple[str, str]]:
    stashed = _logged(git_dir, b"logs/refs/stash")
    if not stashed and (oid := _OID.match(content_of_ref(git_dir, b"refs/stash"))):
        stashed = [oid[0].decode()]
    for number, stash in enumerate(reversed(stashed)):
        yield f"stash@{{{number}}}", stash
    for name, path in _files_below(git_dir, b"worktrees"):
        if name.count(b"/") == 2 and name.endswith(b"/HEAD") and (oid := _OID.match(content_of_ref(path))):  # noqa: PLR2004
            yield _text(name), oid[0].decode()


def _files_below(top: bytes, name: bytes) -> Iterator[tuple[bytes, bytes]]:
    """Yield name and path of the files below a folder, without following links."""
    waiting, count = [name], 0
    while waiting and count < _MOST_REFS:
        folder = waiting.pop()
        try:
            entries = sorted(os.scandir(os.path.join(top, folder)), key=lambda entry: entry.name)
        except OSError:  # it is gone, no folder, or not to be read
            continue
        for entry in entries:
            count += 1
            if entry.is_dir(follow_symlinks=False):
                waiting.append(folder + b"/" + entry.name)
            elif entry.is_file(follow_symlinks=False):
                yield folder + b"/" + entry.name, entry.path


def content_of_ref(*parts: bytes, limit: int = _MOST_BYTES) -> bytes:
    """Return the content of a file; empty where it is none, or none that git could have written.

    Args:
        parts: The parts of its path; a link at its end is not followed.
        limit: Bytes that are read at most.
    """
    try:
        reading = os.open(os.path.join(*parts), os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_CLOEXEC)
    except OSError:
        return b""
    with os.fdopen(reading, "rb") as file:
        info = os.fstat(reading)
        return file.read(limit) if stat.S_ISREG(info.st_mode) else b""


def _kind(path: bytes) -> int:
    try:
        return os.lstat(path).st_mode
    except OSError:
        return 0


def _text(name: bytes) -> str:
    return name.decode("utf-8", "backslashreplace")
