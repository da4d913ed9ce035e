"""One run of `git apply` on a private index, and its report.

Git decides whether a patch applies. It works on Maingate's private git directory and on an index with only
the
paths the patch touches, and those in their way: a file where a directory is needed, and one file of a
directory where a file is added. So git refuses these instead of replacing them.
"""

import re
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Final

from maingate.git.command import GitResult, failure
from maingate.git.private_git import PrivateGitDir
from maingate.git.private_index import read_index, write_index
from maingate.git.repository import Repository
from maingate.git.trees import GitEntry

_OPTIONS: Final = ("apply", "--cached", "--verbose", "--whitespace=nowarn", "-p1")
_SECTION: Final = "Checking patch "
_MOVED: Final = re.compile(r"Hunk #(\d+) succeeded at (\d+) \(offset -?\d+ lines?\)\.")
_REFUSALS: Final = re.compile(
    r"(does not apply|does not exist in index|already exists in index|wrong type|does not match index|"
    r"does not match the current contents\.?|unable to add cache entry for .*|is beyond a symbolic link)$"
)
_OUTSIDE: Final = re.compile(
    r"^(fatal: |error: (unable to |insufficient permission|cannot read |cannot open |could not |"
    r"(loose )?object |inflate: |Unable to ))"
)
_BAD_FORMAT: Final = re.compile(
    r"^error: (unable to find filename|invalid path|cannot apply binary patch|missing binary patch data|"
    r"new mode .* does not match old mode|binary patch to .* creates incorrect result)"
)
_UNREADABLE: Final = 128
"""The exit code of `git apply` for an unreadable patch, and for a clash of files and directories."""


@dataclass(frozen=True, kw_only=True)
class Attempt:
    """The result of one run.

    Args:
        took: Whether git applied the patch.
        entries: The private index afterwards, when it did.
        moved: For each change of the text, in order, the hunks (from 1) that git placed elsewhere than
            stated, with the line (from 0) in the new file where each begins.
        complaints: git's errors, without prefixes.
        is_malformed: Whether git reported a malformed text rather than a conflict.
    """

    took: bool
    entries: Mapping[bytes, GitEntry] = field(default_factory=dict)
    moved: tuple[Mapping[int, int], ...] = ()
    complaints: tuple[str, ...] = ()
    is_malformed: bool = False


def private_entries(
    touched: Iterable[bytes], entry_at: Callable[[bytes], GitEntry | None], repository: Repository
) -> dict[bytes, GitEntry]:
    """Return the entries of the private index for a patch that touches these paths of a tree."""
    paths, found = set(touched), dict[bytes, GitEntry]()
    for path in paths:
        entry = entry_at(path)
        if entry is None:
            found |= _file_above(path, entry_at)
        elif entry.is_tree:
            found |= _file_below(path, entry.id, paths, repository)
        else:
            found[path] = entry
    return found


def attempt(
    private: PrivateGitDir,
    entries: Mapping[bytes, GitEntry],
    text: bytes,
    options: Iterable[str] = (),
    *,
    ask: Callable[..., GitResult] | None = None,
) -> Attempt:
    """Apply a patch with git to an index with these entries.

    Args:
        private: The private git directory.
        entries: The entries of the index.
        text: The patch in git's own form.
        options: More options, such as ``--3way``.
        ask: Runs git by the rules of merges (``git.merge.merging``); None where nothing is merged.

    Raises:
        GitError: git failed for another reason than the patch.
    """
    with private.index_file() as index:
        write_index(index, entries)
        args = (*_OPTIONS, *options)
        if ask is None:
            result = private.git(*args, index=index, input=text, check=False)
        else:
            result = ask(*args, given=text, index=index)
        if result.code != 0:
            return _refusal(args, result)
        return Attempt(took=True, entries=read_index(index), moved=_moved(result.stderr))


def judge_series(
    private: PrivateGitDir, entries: Mapping[bytes, GitEntry], texts: Sequence[bytes]
) -> Mapping[bytes, GitEntry] | None:
    """Apply patches with git one on the other to an index with these entries.

    Returns:
        The index afterwards; None when git refused one, or placed a hunk elsewhere than stated.

    Raises:
        GitError: The temporary files cannot be written or read.
    """
    with private.index_file() as index:
        write_index(index, entries)
        files = [index.with_name(f"{index.name}.{number}") for number in range(len(texts))]
        try:
            for file, text in zip(files, texts, strict=True):
                file.write_bytes(text)
            result = private.git(*_OPTIONS, *files, index=index, check=False)
            is_exact = result.code == 0 and not any(_moved(result.stderr))
            return read_index(index) if is_exact else None
        finally:
            for file in files:
                file.unlink(missing_ok=True)


def _file_above(path: bytes, entry_at: Callable[[bytes], GitEntry | None]) -> dict[bytes, GitEntry]:
    parts = path.split(b"/")
    for length in range(1, len(parts)):
        prefix = b"/".join(parts[:length])
        entry = entry_at(prefix)
        if entry is None:
            break
        if not entry.is_tree:
            return {prefix: entry}
    return {}


def _file_below(path: bytes, tree: str, touched: set[bytes], repository: Repository) -> dict[bytes, GitEntry]:
    for below, entry in repository.list_files(tree):
        full = path + b"/" + below
        if full not in touched:
            return {full: entry}
    return {}


def _moved(stderr: str) -> tuple[Mapping[int, int], ...]:
    found: list[dict[int, int]] = []
    for line in stderr.splitlines():
        if line.startswith(_SECTION):
            found.append({})
        elif (match := _MOVED.fullmatch(line)) and found:
            found[-1][int(match[1])] = int(match[2]) - 1
    return tuple(found)


def _refusal(args: tuple[str, ...], result: GitResult) -> Attempt:
    lines = [line for line in result.stderr.splitlines() if line.startswith(("error: ", "fatal: ", "U "))]
    is_malformed = any(_BAD_FORMAT.search(line) for line in lines)
    blamed = [line for line in lines if not _REFUSALS.search(line) and not _BAD_FORMAT.search(line)]
    if result.code < 0 or not lines or any(_OUTSIDE.search(line) for line in blamed):
        raise failure(args, result)
    complaints = (re.sub("^(error: |U )", "", line) for line in lines if not line.startswith("error: while "))
    return Attempt(
        took=False,
        complaints=tuple(text.encode(errors="backslashreplace").decode() for text in complaints),
        is_malformed=is_malformed or (result.code == _UNREADABLE and blamed == lines),
    )
