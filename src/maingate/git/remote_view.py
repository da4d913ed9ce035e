"""The tags and remotes that a worktree shows, as an ordinary clone has them.

`git describe`, tools that make versions of tags, and `git merge-base origin/main HEAD` work in a gate because
the repository that it sees has the person's tags, remote-tracking refs and remotes. They are those of the
moment at which the run began: every gate of a run sees the same. A repository without remotes has its own
branches as those of ``origin``, as a clone of it does.

The view is stored as a blob, whose id is its digest. Nothing can be pushed from a worktree by accident: the
remotes have an address for pushing that leads nowhere. Standard library and few modules of ``git`` only: a
worker process imports this.
"""

import json
import os
import re
from collections.abc import Iterable
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Final

from maingate.git.command import run_git
from maingate.git.config_text import section_lines
from maingate.git.persons_programs import settings_in

_REMOTE: Final = re.compile(r"remote\.(?P<name>.+)\.(?P<key>url|fetch)", re.DOTALL)
_PASSWORD: Final = re.compile(r"^(\w+://[^/@:]*):[^/@]*@")
_HEADS: Final = "refs/heads/"
_OF_ORIGIN: Final = "refs/remotes/origin/"
_NOWHERE: Final = "/dev/null/maingate-lands-what-passes-so-nothing-is-pushed-from-here"


@dataclass(frozen=True, kw_only=True)
class RemoteView:
    """The tags and remotes of a repository.

    Args:
        refs: The content of a ``packed-refs`` file.
        config: The lines of a configuration file about the remotes.
    """

    refs: str = ""
    config: str = ""

    def to_bytes(self) -> bytes:
        """Return what ``from_bytes`` reads back."""
        return json.dumps(asdict(self)).encode()

    @classmethod
    def from_bytes(cls, content: bytes) -> "RemoteView":
        """Return the view that ``to_bytes`` has written down."""
        return cls(**json.loads(content))


def read_remote_view(git_dir: Path) -> RemoteView:
    """Read the tags and remotes that a repository has now.

    Args:
        git_dir: Its common git directory.

    Raises:
        GitError: They cannot be read.
    """
    listed = run_git("config", "--includes", "--list", "-z", git_dir=git_dir, persons_config=True)
    settings: dict[str, list[tuple[str, str]]] = {}
    for name, value in settings_in(listed.stdout):
        if (found := _REMOTE.fullmatch(name)) is not None:
            settings.setdefault(found["name"], []).append((found["key"], _PASSWORD.sub(r"\1@", value)))
    if not settings:
        place = git_dir.parent if git_dir.name == ".git" else git_dir
        settings["origin"] = [("url", str(place)), ("fetch", f"+{_HEADS}*:{_OF_ORIGIN}*")]
    lines = [
        section_lines("remote", name, [*pairs, ("pushurl", _NOWHERE)]) for name, pairs in settings.items()
    ]
    return RemoteView(refs=_refs(git_dir), config="".join(lines))


def read_view_of(git_dir: Path, blob: str) -> RemoteView:
    """Read the view that a blob of a repository has; without a blob it is empty.

    Raises:
        GitError: There is no such blob any more.
    """
    if not blob:
        return RemoteView()
    return RemoteView.from_bytes(run_git("cat-file", "blob", blob, git_dir=git_dir).stdout)


def _refs(git_dir: Path) -> str:
    words = ("for-each-ref", "--format=%(objectname) %(refname)", "refs/tags", "refs/remotes", _HEADS)
    listed = os.fsdecode(run_git(*words, git_dir=git_dir).stdout).splitlines()
    refs = {ref: oid for oid, _, ref in (line.partition(" ") for line in listed)}
    if not any(ref.startswith("refs/remotes/") for ref in refs):
        refs = {ref.replace(_HEADS, _OF_ORIGIN, 1): oid for ref, oid in refs.items()}
    return _packed((ref, oid) for ref, oid in refs.items() if not ref.startswith(_HEADS))


def _packed(refs: Iterable[tuple[str, str]]) -> str:
    return "".join(f"{oid} {ref}\n" for ref, oid in sorted(refs))
