"""Content that a change would store although a filter stores it otherwise, such as a secret in plain text.

A patch has the content of files as it is stored. A diff of what a filter shows (`git diff` with a
``textconv``, one made by hand) has it raw, and would store it like that. The filter itself tells: it stores
such content otherwise, and shows it unchanged or not at all. A file that was raw before may stay so.
"""

from collections.abc import Callable
from pathlib import Path
from typing import Final

from maingate.git.command import GitResult, run_git
from maingate.git.filter_drivers import FILTER_TIMEOUT, FilterDrivers, filters_of
from maingate.git.merge_place import attributes_of
from maingate.git.private_git import own_directory, write_below
from maingate.git.repository import Repository
from maingate.git.trees import GitEntry

_FILES: Final = frozenset({0o100644, 0o100755})
Ask = Callable[..., GitResult]


def raw_paths(repository: Repository, drivers: FilterDrivers, before: str, after: str) -> dict[bytes, str]:
    """Return the paths of a change that have raw content, each with the filter that stores it otherwise.

    Args:
        repository: The repository.
        drivers: The filters of the user and of the repository.
        before: The tree before the change.
        after: The tree after it; its attributes count.

    Raises:
        GitError: git could not be asked, or a filter took too long.
    """
    changed = {
        path: (was, now)
        for path, (was, now) in repository.changed_paths(before, after).items()
        if now is not None and now.mode in _FILES
    }
    rules = list(attributes_of(repository, after, changed)) if drivers.drivers else []
    if not any(b"filter" in content for _, content in rules):
        return {}
    with own_directory() as folder:
        write_below(folder, rules)
        ask = _asking(repository, drivers, folder)
        given = b"\0".join(changed) + b"\0"
        filters = filters_of(ask("check-attr", "-z", "--stdin", "filter", given=given).stdout)
        return {
            path: name
            for path, name in filters.items()
            if name in drivers.drivers and _is_made_raw(repository, ask, path, *changed[path])
        }


def _asking(repository: Repository, drivers: FilterDrivers, folder: Path) -> Ask:
    git_dir = repository.private_git_dir().path

    def ask(*words: str | bytes, given: bytes = b"") -> GitResult:
        return run_git(
            *words,
            git_dir=git_dir,
            cwd=folder,
            env={"GIT_WORK_TREE": str(folder), **drivers.variables()},
            input=given,
            check=False,
            timeout=FILTER_TIMEOUT,
            runs_programs=True,
            unsaid=drivers.place,
        )

    return ask


def _is_made_raw(
    repository: Repository, ask: Ask, path: bytes, was: GitEntry | None, now: GitEntry | None
) -> bool:
    if now is None or not _is_raw(repository, ask, path, now.id):
        return False
    return was is None or was.mode not in _FILES or not _is_raw(repository, ask, path, was.id)


def _is_raw(repository: Repository, ask: Ask, path: bytes, blob: str) -> bool:
    content = repository.read_blob(blob)
    stored = ask("hash-object", "--stdin", b"--path=" + path, given=content)
    if stored.code == 0 and stored.stdout.decode().strip() == blob:
        return False
    shown = ask("cat-file", "--filters", b"--path=" + path, blob)
    return shown.code != 0 or shown.stdout == content
