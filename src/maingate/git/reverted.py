"""Search for the commit that reverted a change exactly, by patch ids."""

import os
from typing import Final

from maingate.git.repository import Repository

_PLAIN: Final = ("-p", "--full-index", "--no-renames", "--no-ext-diff", "--no-textconv", "--no-color")


def was_taken_back(repository: Repository, *, before: str, after: str, since: str, head: str) -> bool:
    """Return whether a commit reverted exactly this change, and none made it again.

    Args:
        repository: The repository.
        before: The tree without the change.
        after: The tree with it.
        since: The commit after which to search.
        head: The commit up to which to search.
    """
    there, back = _patch_id(repository, before, after), _patch_id(repository, after, before)
    if there in {None, back} or not repository.has_object(since):
        return False
    paths = [b":(top,literal)" + path for path in repository.changed_paths(before, after)]
    told = (
        repository.private_git_dir()
        .git(
            *("log", *_PLAIN, "--full-diff", "--first-parent", "-m", "--format=%H", head, f"^{since}", "--"),
            *paths,
        )
        .stdout
    )
    for said in _patch_ids(repository, told):
        if said in {there, back}:
            return said == back
    return False


def _patch_id(repository: Repository, before: str, after: str) -> str | None:
    told = repository.private_git_dir().git("diff-tree", "-r", *_PLAIN, before, after).stdout
    return next(iter(_patch_ids(repository, told)), None)


def _patch_ids(repository: Repository, diffs: bytes) -> list[str]:
    said = repository.private_git_dir().git("patch-id", "--stable", input=diffs).stdout
    return [os.fsdecode(line.split(b" ", 1)[0]) for line in said.splitlines()]
