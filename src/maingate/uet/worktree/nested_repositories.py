"""Repositories below the root of the tree that a tool leaves: its submodules, and others that it made.

A submodule of the base is at the commit that its own HEAD names; where that is another one than the base has,
the patch moves it. A repository that the tool has configured as a submodule is a new one. Any other, such as
a vendored clone or a worktree of an agent, is no part of a patch. One that stands in place of tracked content
hides that, so the tree cannot be taken for the tool's work.

Standard library and few modules of ``uet`` only: a worker process imports this.
"""

# Names on disk are bytes, which pathlib cannot hold.
# ruff: noqa: PTH118

import os
import stat
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final

from maingate.git.gitmodules import configured_paths
from maingate.git.trees import folders_of
from maingate.uet.worktree.clone_tips import CloneTips, content_of_ref, read_tips

_SUBMODULE: Final = b"160000"
_NONE: Final = b"0" * 40
"""The commit of a submodule that the base does not have."""
_POINTER: Final = b"gitdir: "


@dataclass(frozen=True, kw_only=True)
class Submodule:
    """A submodule of the base that is there.

    Args:
        path: Its path.
        link: The commit that the base has.
        commit: The commit that it is at.
        objects: The folder of its objects.
        published: The commits of its remotes' branches and its tags.
    """

    path: bytes
    link: str
    commit: str
    objects: bytes
    published: frozenset[str]


@dataclass(frozen=True, kw_only=True)
class Nested:
    """The repositories below the root of a tree.

    Args:
        in_place: Paths of those that stand in place of tracked content.
        others: Paths of those that a tool has made beside it.
        submodules: The submodules that are there.
        inside: Paths of submodules and of all that is in them.
    """

    in_place: tuple[bytes, ...]
    others: tuple[bytes, ...]
    submodules: tuple[Submodule, ...]
    inside: tuple[bytes, ...]


def sort_nested(top: bytes, found: Sequence[bytes], staged: bytes) -> Nested:
    """Sort the repositories that were found.

    Args:
        top: The root of the tree.
        found: The path of each, from the root.
        staged: The output of ``git ls-files --stage -z`` on the index of the base.
    """
    tracked = [line.partition(b"\t")[::2] for line in staged.split(b"\0")[:-1]]
    links = {path: entry.split(b" ")[1] for entry, path in tracked if entry.startswith(_SUBMODULE)}
    files = {path for _, path in tracked} - links.keys()
    own = folders_of(files) | files
    new = {*found} & {*configured_paths(content_of_ref(top, b".gitmodules"))}
    links |= {path: _NONE for path in new if path not in own and not folders_of([path]) & {*files, *links}}
    inside = {path for path in found if {path, *folders_of([path])} & links.keys()}
    others = [path for path in found if path not in inside]
    in_place = [path for path in others if path in own or folders_of([path]) & files]
    return Nested(
        in_place=tuple(in_place),
        others=tuple(path for path in others if path not in in_place),
        submodules=tuple(
            filter(None, (submodule_at(top, path, links[path]) for path in sorted(inside & links.keys())))
        ),
        inside=tuple(sorted(inside)),
    )


def submodule_at(top: bytes, path: bytes, link: bytes) -> Submodule | None:
    """Return the submodule at a path; None when it is not checked out.

    Args:
        top: The root of the tree.
        path: Its path.
        link: The commit that the base has.
    """
    git_dir = git_dir_of(top, path)
    tips = CloneTips() if git_dir is None else read_tips(git_dir)
    if git_dir is None or not tips.head:
        return None
    return Submodule(
        path=path,
        link=link.decode(),
        commit=tips.head,
        objects=os.path.join(git_dir, b"objects"),
        published=tips.published,
    )


def git_dir_of(top: bytes, path: bytes) -> bytes | None:
    """Return the git directory of a submodule: in it, or in that of the tool's clone, and nowhere else."""
    place = os.path.join(top, path, b".git")
    try:
        kind = os.lstat(place).st_mode
    except OSError:
        return None
    if stat.S_ISDIR(kind):
        return place
    pointer = content_of_ref(place)
    where = os.path.normpath(os.path.join(top, path, pointer.removeprefix(_POINTER).rstrip(b"\n")))
    modules = os.path.join(top, b".git", b"modules")
    is_own = pointer.startswith(_POINTER) and where.startswith(modules + b"/")
    return (
        where
        if is_own and os.path.realpath(where) == os.path.realpath(modules) + where[len(modules) :]
        else None
    )
