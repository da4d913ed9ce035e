"""A range of git history as a series: first parents, oldest first; a merge is one patch."""

import re
import secrets
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from maingate.errors import UsageError
from maingate.git_dates import GitDate
from maingate.importers.git_call import ask_git, stream_git
from maingate.importers.series_entry import Entry, author_of, date_of
from maingate.patches.text.charsets import text_of

EMPTY_TREES: Final = (
    "4b825dc642cb6eb9a060e54bf8d69288fbee4904",
    "6ef19b41225c5369f1c104d45d8d85efa9b057b53b14b4b9b939dd74decc5321",
)
"""The id of the empty tree: as the start of a range, it includes the first commit."""

_RANGE: Final = re.compile(r"(?P<old>[^.\s].*?|)\.\.(?P<new>[^.\s].*|)")

_BASE: Final = re.compile(r"[^~^@{:\s]+")
_AUTHOR_DATE: Final = re.compile(rb"^author .*> (-?\d+ [+-]\d+)$", re.MULTILINE)
_PRINTED_PLAINLY: Final = (
    "-p", "--binary", "--full-index", "-M", "--no-textconv", "--no-ext-diff", "--no-color", "--root",
    "--src-prefix=a/", "--dst-prefix=b/", "--submodule=short", "--ignore-submodules=none", "-U3",
    "--inter-hunk-context=0", "--diff-algorithm=default", "--no-relative", "-O/dev/null",
)  # fmt: skip
"""Options for a diff that `git apply` accepts, independent of the user's configuration."""


@dataclass(frozen=True, kw_only=True)
class GitRange:
    """Part of a repository's history.

    Args:
        repo: A folder of the repository.
        text: The range in the user's words, such as ``v1..main``.
        old: The commit before the first; None to begin at the root.
        new: The last commit.
        notes: Notes for the user: names that mean several things.
    """

    repo: Path
    text: str
    old: str | None
    new: str
    notes: tuple[str, ...] = ()


def is_range(source: str) -> bool:
    """Return whether a source has the form ``A..B``."""
    return "..." not in source and _RANGE.fullmatch(source) is not None


def resolve_range(source: str, *, repo: Path) -> GitRange:
    """Return the range that ``A..B`` names; an omitted side is HEAD.

    Raises:
        UsageError: The folder is no repository, or a name in the range is not a commit.
    """
    match = _RANGE.fullmatch(source)
    if match is None:
        raise UsageError(f"{source!r} is not a range of commits; write A..B")
    if not repo.is_dir():
        raise UsageError(f"{repo} is not a folder; name the repository of {source}: --repo PATH")
    old, new = match["old"] or "HEAD", match["new"] or "HEAD"
    start = None if old in EMPTY_TREES else _commit(old, repo)
    notes = tuple(note for name in (old, new) for note in _ambiguities(name, repo))
    return GitRange(repo=repo, text=source, old=start, new=_commit(new, repo), notes=notes)


@dataclass(frozen=True, kw_only=True)
class RangeCommit:
    """A commit of a range.

    Args:
        parents: The ids of its parents, first parent first.
        entry: Its patch: its changes against its first parent.
    """

    parents: tuple[str, ...]
    entry: Entry


def entries_of_range(commits: GitRange) -> Iterator[Entry]:
    """Yield the commits of a range, oldest first; the diff of one that changes nothing is empty."""
    for commit in _commits_of(commits.repo, [commits.new], commits.old):
        yield commit.entry


def commits_of_branches(repo: Path, tips: Sequence[str], *, old: str) -> dict[str, RangeCommit]:
    """Return the commits on the first-parent lines of several branches that another commit does not have.

    Args:
        repo: A folder of the repository.
        tips: The newest commit of each branch.
        old: The commit whose history is left out.
    """
    if not tips:
        return {}
    return {commit.entry.origin: commit for commit in _commits_of(repo, tips, old)}


def _commits_of(repo: Path, tips: Sequence[str], old: str | None) -> Iterator[RangeCommit]:
    """Yield commits, oldest first; one git process prints all, parted by random words no diff can contain."""
    mark, end = secrets.token_hex(16), secrets.token_hex(16)
    form = f"--format=tformat:{mark}%H%x00%P%x00%an%x00%ae%x00%ad%x00%B{end}"
    wanted = [*tips] if old is None else [*tips, f"^{old}"]
    arguments = [
        "-c", "core.quotePath=true", "-c", "diff.suppressBlankEmpty=false", "-c", "diff.external=",
        "--no-pager", "log", "--first-parent", "--diff-merges=first-parent", "--reverse", "--encoding=UTF-8",
        "--date=raw", "--no-notes", "--no-show-signature", "--no-decorate",
        form, *_PRINTED_PLAINLY, *wanted, "--",
    ]  # fmt: skip
    for record in _parted(stream_git(arguments, cwd=repo), mark.encode()):
        head, _, diff = record.partition(end.encode())
        yield _commit_of(head, diff.lstrip(b"\n"), repo)


def diff_of_trees(repo: Path, old: str, new: str) -> bytes:
    """Return the diff between two trees or commits of a repository."""
    arguments = ["-c", "core.quotePath=true", "-c", "diff.suppressBlankEmpty=false", "-c", "diff.external="]
    options = [option for option in _PRINTED_PLAINLY if option != "--root"]
    return ask_git([*arguments, "--no-pager", "diff-tree", "-r", *options, old, new, "--"], cwd=repo)


def base_of(commits: GitRange) -> str | None:
    """Return the commit that the series builds on; None when it begins with a root commit."""
    if commits.old is None:
        return None
    arguments = ["rev-list", "--first-parent", "--parents", "--reverse", commits.new, f"^{commits.old}", "--"]
    lines = ask_git(arguments, cwd=commits.repo).decode().splitlines()
    if not lines:
        return commits.old
    return next(iter(lines[0].split()[1:]), None)


def _commit(name: str, repo: Path) -> str:
    if name.startswith("-"):
        raise UsageError(f"{name!r} is not a commit")
    branch, _ = _branch_in(name, repo)
    meant = name if branch is None else f"refs/heads/{name}"
    try:
        return ask_git(["rev-parse", "--verify", "--quiet", f"{meant}^{{commit}}"], cwd=repo).decode().strip()
    except UsageError as error:
        if not _is_repository(repo):
            raise UsageError(
                f"{repo.absolute()} is not in a git repository; name the range's repository: --repo PATH"
            ) from error
        raise UsageError(f"{name!r} is not a commit of the repository in {repo}; a range is A..B") from error


def _branch_in(name: str, repo: Path) -> tuple[str | None, list[str]]:
    """Return the commit of the branch that ``main~2`` begins with, and other refs of its name.

    Git prefers a tag of that name; a range is made of branches.
    """
    base = _BASE.match(name)
    if base is None or base[0].startswith("refs/"):
        return None, []
    wanted = [f"{folder}{base[0]}" for folder in ("refs/heads/", "refs/tags/", "refs/remotes/")]
    form = "--format=%(refname)%00%(if)%(*objectname)%(then)%(*objectname)%(else)%(objectname)%(end)"
    try:
        told = ask_git(["for-each-ref", form, *wanted], cwd=repo).decode(errors="surrogateescape")
    except UsageError:  # no repository, which the search for the commit tells
        return None, []
    found = dict(line.split("\0", 1) for line in told.splitlines())
    branch = found.pop(wanted[0], None)
    return branch, [ref for ref, commit in found.items() if ref in wanted and commit != branch]


def _ambiguities(name: str, repo: Path) -> Iterator[str]:
    branch, others = _branch_in(name, repo)
    for other in others if branch is not None else ():
        shown = other.removeprefix("refs/")
        yield f"{name} is the branch; {shown} is another commit (write refs/{shown} for that)"


def _is_repository(folder: Path) -> bool:
    try:
        ask_git(["rev-parse", "--git-dir"], cwd=folder)
    except UsageError:
        return False
    return True


def _parted(pieces: Iterator[bytes], mark: bytes) -> Iterator[bytes]:
    """Yield the parts between marks; text before the first mark is dropped."""
    held = bytearray()
    searched, started = 0, False
    for piece in pieces:
        held += piece
        while (found := held.find(mark, searched)) >= 0:
            if started:
                yield bytes(held[:found])
            del held[: found + len(mark)]
            searched, started = 0, True
        searched = max(0, len(held) - len(mark) + 1)
    if started:
        yield bytes(held)


def _commit_of(head: bytes, diff: bytes, repo: Path) -> RangeCommit:
    commit, parents, name, mail, date, message = head.split(b"\0", maxsplit=5)
    text = message.replace(b"\0", b"")
    when = date_of(date.decode(errors="replace")) or _raw_date(commit.decode(), repo)
    entry = Entry(
        origin=commit.decode(),
        diff=diff,
        message=_without_newline(_text(text)),
        author=author_of(_text(name), _text(mail)),
        date=when,
        notes=tuple(_notes(name, mail, when, text)),
    )
    return RangeCommit(parents=tuple(parents.decode().split()), entry=entry)


def _raw_date(commit: str, repo: Path) -> GitDate | None:
    """Return an author date that git does not show, such as one before 1970; None when there is none."""
    found = _AUTHOR_DATE.search(ask_git(["cat-file", "commit", commit], cwd=repo).partition(b"\n\n")[0])
    return date_of(found[1].decode()) if found else None


def _text(raw: bytes) -> str:
    """Return text; bytes that are not UTF-8, although git takes them for that, are read as Latin-1."""
    return text_of(raw, "utf-8")


def _without_newline(message: str) -> str:
    """Return a message without its last newline, which a commit gets anyway; a blank one is empty."""
    return message.removesuffix("\n") if message.strip() else ""


def _notes(name: bytes, mail: bytes, when: GitDate | None, message: bytes) -> Iterator[str]:
    if when is None:
        yield "the commit has no date that git can read; the time of the landing is used"
    if not name.strip() and not mail.strip():
        yield "the commit has no author: unknown"
    elif not name.strip():
        yield "the author has no name, which git cannot keep; the address is the name"
    if not _is_utf8(message):
        yield "the message is not UTF-8 and was read as Latin-1"


def _is_utf8(raw: bytes) -> bool:
    try:
        raw.decode()
    except UnicodeDecodeError:
        return False
    return True
