"""The place where git merges by the person's rules: a git directory and a working tree of Maingate's own.

Where the usual strategy is to merge, `git merge-tree` does, which needs no files but attributes. For options
that only `git merge` takes, that merges with an index of all files, of which the ``.gitattributes`` alone are
checked out (git-sparse-checkout).
"""

import contextlib
import os
import re
from collections.abc import Callable, Iterable, Iterator, Sequence
from pathlib import Path
from typing import Final

from maingate.git.command import GitResult, failure, run_git
from maingate.git.index_attributes import NAME as ATTRIBUTES
from maingate.git.merge_rules import MergeRules
from maingate.git.persons_programs import as_variables
from maingate.git.private_git import GIT_TIMEOUT, PrivateGitDir, own_directory, write_below
from maingate.git.repository import Repository
from maingate.git.trees import folders_of

_FILES: Final = frozenset({0o100644, 0o100755})
_ODD: Final = frozenset({b".", b"..", b".git"})
"""Names in a tree that no checkout has; none is written."""
_USERS: Final = "users-attributes"
_SPARSE: Final = ("-c", "core.sparseCheckout=true", "-c", "core.sparseCheckoutCone=false")
_SPEAKING: Final = re.compile(rb"\bmerge\b|\bbinary\b")
"""Words by which attributes may say how a file is merged."""
_BY_LINES: Final = frozenset({"set", "text", "union"})
"""The values of the attribute `merge` with which changes of different lines are put together."""
_CONFLICT: Final = 1
"""The exit code of a `git merge` that leaves conflicts."""


@contextlib.contextmanager
def merging(
    repository: Repository,
    attributes: Iterable[tuple[bytes, bytes]],
    *,
    into: str | None,
    files: Iterable[tuple[bytes, bytes]] = (),
) -> Iterator[Callable[..., GitResult]]:
    """Yield a call of git that merges by the rules of the user and of the repository.

    Args:
        repository: The repository.
        attributes: The ``.gitattributes`` that count, by their paths.
        into: Full name of the branch that is merged into; None for no branch.
        files: Further files of the git directory, by their paths there.
    """
    rules = repository.merge_rules
    with (
        contextlib.closing(
            PrivateGitDir(repository.git_dir / "objects", sharing=repository.sharing)
        ) as private,
        own_directory() as tree,
    ):
        _write_attributes(rules, private.path, tree, attributes)
        write_below(private.path, files)
        env = {
            "GIT_WORK_TREE": str(tree),
            "GIT_SHALLOW_FILE": str(repository.git_dir / "shallow"),
            "GIT_ATTR_NOSYSTEM": "0",
            **as_variables(settings := rules.settings_in(tree, into)),
        }
        core = [f"{name}={value}" for name, value in settings if name.startswith("core.")]
        over = [word for each in core for word in ("-c", each)]  # Maingate's own git has others, as options

        def ask(*words: str, given: bytes | None = None, index: Path | None = None) -> GitResult:
            return run_git(
                *("-c", f"core.attributesFile={private.path / _USERS}"),
                *over,
                *words,
                git_dir=private.path,
                cwd=tree,
                env=env if index is None else {**env, "GIT_INDEX_FILE": str(index)},
                input=given,
                check=False,
                timeout=GIT_TIMEOUT,
                runs_programs=True,
                unsaid=rules.place,
            )

        yield ask


def _write_attributes(
    rules: MergeRules, git_dir: Path, tree: Path, attributes: Iterable[tuple[bytes, bytes]]
) -> None:
    """Write the attributes where git reads them in a checkout of the side that is merged into."""
    write_below(git_dir, [(b"info/attributes", rules.of_repository), (os.fsencode(_USERS), rules.of_user)])
    write_below(tree, attributes)


def attributes_of(repository: Repository, tree: str, paths: Iterable[bytes]) -> Iterator[tuple[bytes, bytes]]:
    """Yield a tree's ``.gitattributes`` of the folders of some paths, and of those above."""
    for folder in {b"", *folders_of(paths)}:
        path = folder + b"/" + ATTRIBUTES if folder else ATTRIBUTES
        entry = None if _ODD.intersection(folder.split(b"/")) else repository.entry_at(tree, path)
        if entry is not None and entry.mode in _FILES:
            yield path, repository.read_blob(entry.id)


def merged_by_drivers(
    rules: MergeRules, paths: Iterable[bytes], ask: Callable[..., GitResult]
) -> frozenset[bytes]:
    """Return those of some paths whose merges are made by drivers of the configuration.

    Args:
        rules: The rules of merges.
        paths: The paths.
        ask: The call of git that merges.
    """
    drivers = {
        name.removeprefix("merge.").removesuffix(".driver") for name, _ in rules.settings if _is_driver(name)
    }
    named = _driver_of_each(rules, paths, ask) if drivers else {}
    return frozenset(path for path, driver in named.items() if driver in drivers)


def merged_otherwise(repository: Repository, tree: str, paths: Iterable[bytes]) -> frozenset[bytes]:
    """Return those of some paths of a tree whose changes on both sides git does not put together as lines.

    They conflict (``-merge``, ``merge=binary``), or a driver of the configuration merges them.
    """
    rules, touched = repository.merge_rules, list(paths)
    attributes = list(attributes_of(repository, tree, touched))
    texts = [rules.of_user, rules.of_repository, *(content for _, content in attributes)]
    if not _default(rules) and not any(_SPEAKING.search(text) for text in texts):
        return frozenset()
    with merging(repository, attributes, into=None) as ask:
        named = _driver_of_each(rules, touched, ask)
    return frozenset(path for path, driver in named.items() if driver not in _BY_LINES)


def _driver_of_each(
    rules: MergeRules, paths: Iterable[bytes], ask: Callable[..., GitResult]
) -> dict[bytes, str]:
    fields = ask("check-attr", "-z", "--stdin", "merge", given=b"\0".join(paths)).stdout.split(b"\0")
    told = {path: os.fsdecode(value) for path, value in zip(fields[::3], fields[2::3], strict=False)}
    usual = _default(rules) or "text"
    return {path: usual if value == "unspecified" else value for path, value in told.items()}


def _default(rules: MergeRules) -> str:
    return dict(rules.settings).get("merge.default", "")


def _is_driver(name: str) -> bool:
    return name.startswith("merge.") and name.endswith(".driver")


def merge_by_command(
    repository: Repository, commits: tuple[str, str], words: Sequence[str], *, into: str | None
) -> str | tuple[bytes, ...]:
    """Merge two commits by `git merge`, and return the tree, or the paths in conflict.

    Args:
        repository: The repository.
        commits: The commit to merge into, and the one to bring in.
        words: The strategy and its options.
        into: Full name of the branch that is merged into.
    """
    ours, theirs = commits
    files = [(b"HEAD", f"{ours}\n".encode()), (b"info/sparse-checkout", ATTRIBUTES + b"\n")]
    with merging(repository, (), into=into, files=files) as ask:
        read = ("read-tree", "-m", "-u", "HEAD")
        if (result := ask(*_SPARSE, *read)).code != 0:
            raise failure(read, result)
        merge = ("merge", "--no-commit", "--no-ff", *words, theirs)
        result = ask(*_SPARSE, *merge)
        unmerged = ask(*_SPARSE, "ls-files", "--unmerged", "-z").stdout.split(b"\0")[:-1]
        if result.code not in {0, _CONFLICT} or (result.code == _CONFLICT and not unmerged):
            raise failure(merge, result)
        if unmerged:
            return tuple(sorted({entry.partition(b"\t")[2] for entry in unmerged}))
        return ask(*_SPARSE, "write-tree").stdout.decode().strip()
