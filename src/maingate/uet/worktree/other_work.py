"""Work of a tool that is not in its worktree: commits on another branch, stashes, other worktrees.

A tool may leave its work on a branch of its clone and check the base out again, or put some into a stash. The
clone is removed, so that work is saved in a bundle beside the patch. Where the worktree is as it was and one
branch is simply ahead of the base, that branch is the tool's work, and is checked out to be taken.

Commits that the source has already are no work of the tool; nor are those that it has fetched, that the
checked-out commit stands on, or whose files are all in the patch. Where there is no patch and no such commit,
the newest one is saved that was checked out once and belongs to nothing any more.
"""

import itertools
import os
from collections.abc import Callable, Collection, Iterable
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from maingate.errors import GitError
from maingate.uet.worktree.clone_tips import read_tips
from maingate.wording import listed

Git = Callable[..., bytes]
_SHOWN: Final = 5
_SHORT: Final = 12
_MOST_DROPPED: Final = 100
_MESSAGES: Final = (
    *("log", "--reverse", "--first-parent", "--max-count=20", "--encoding=UTF-8"),
    *("--no-show-signature", "--no-notes", "--no-color", "--format=%B%x00"),
)
"""The options that print the messages of the newest commits of a line."""
_LOG: Final = ("log", "-p", "-m", "--text", "--no-textconv", "--no-ext-diff", "--no-color", "--format=%B")


@dataclass(frozen=True, kw_only=True)
class OtherWork:
    """The new commits of a tool's clone.

    Args:
        git: Runs git on a directory of Maingate's own, with bytes for its standard input as ``given``.
        base: The commit that the tool began on.
        tips: The new commits by the name of their branch, stash or worktree.
        branches: The names among them that are branches.
        head: The commit that is checked out in the clone.
        fetched: The commits of remotes' branches.
        dropped: The new commits that were checked out once, newest first.
    """

    git: Git
    base: str
    tips: dict[str, str]
    branches: frozenset[str]
    head: str
    fetched: frozenset[str] = frozenset()
    dropped: tuple[str, ...] = ()

    def only_branch(self) -> str | None:
        """Return the branch that is ahead of the base where it is the only one, and not checked out."""
        ahead = {self.tips[name]: name for name in sorted(self.tips) if name in self.branches}
        if len(ahead) != 1:
            return None
        ((tip, name),) = ahead.items()
        is_ahead = (
            tip != self.head
            and self.git("merge-base", self.base, tip, check=False).decode().strip() == self.base
        )
        return name if is_ahead else None

    def lost(self, tree: str, *, is_empty: bool) -> dict[str, str]:
        """Return those of the commits that would be lost with the clone.

        Args:
            tree: The tree that the patch leads to.
            is_empty: Whether there is no patch.
        """
        kept = {self.base, *({self.head} & {*self.tips.values()}), *self.fetched}
        kept |= {tip for tip in self.tips.values() if self._tree_of(tip) == tree}
        lost = {name: tip for name, tip in self.tips.items() if not self._is_in(tip, kept)}
        if lost or not is_empty:
            return lost
        dropped = (tip for tip in self.dropped if not self._is_in(tip, kept))
        return {f"commit {tip[:_SHORT]}": tip for tip in itertools.islice(dropped, 1)}

    def messages(self, tip: str) -> list[bytes]:
        """Return the messages of the commits from the base to a commit, oldest first; none beside it."""
        merge_base = self.git("merge-base", self.base, tip, check=False).decode().strip()
        if tip == self.base or merge_base != self.base:
            return []
        said = self.git(*_MESSAGES, f"{self.base}..{tip}", "--")
        return [message.strip(b"\n") for message in said.split(b"\0")[:-1]]

    def save(self, lost: dict[str, str], path: Path, *, limit: int, secrets: Collection[str]) -> str:
        """Write commits into a bundle; return a sentence about them.

        Args:
            lost: The commits.
            path: The bundle.
            limit: Bytes that it may have.
            secrets: Values that must not be kept.
        """
        names = listed(sorted(lost), _SHOWN)
        if secrets and self._tells(lost, secrets):
            return f"its work in {names} was not saved: it has the value of a secret in it"
        refs = {f"refs/saved/{number}": tip for number, tip in enumerate(lost.values())}
        for ref, tip in refs.items():
            self.git("update-ref", ref, tip)
        self.git("bundle", "create", "-q", str(path.absolute()), *refs, f"^{self.base}")
        if path.stat().st_size > limit:
            path.unlink()
            return f"its work in {names} was not saved: it is bigger than {limit} bytes"
        return (
            f"its work in {names} is not in the patch; it is saved: "
            f"git fetch {path.absolute()} 'refs/saved/*:refs/saved/*'"
        )

    def _is_in(self, tip: str, kept: Collection[str]) -> bool:
        return not self.git("rev-list", "--max-count=1", tip, "--not", *kept).strip()

    def _tree_of(self, tip: str) -> str:
        return self.git("rev-parse", f"{tip}^{{tree}}").decode().strip()

    def _tells(self, lost: dict[str, str], secrets: Collection[str]) -> bool:
        said = self.git(*_LOG, *lost.values(), "--not", self.base)
        return any(os.fsencode(secret) in said for secret in secrets)


def find_other_work(tree: Path, git_dir: Path, base: str, git: Git) -> OtherWork | None:
    """Find the new commits of a tool's clone; from then on, git sees its objects.

    Args:
        tree: The worktree, with the clone.
        git_dir: The directory of Maingate's own that ``git`` runs on, over the source's objects.
        base: The commit that the tool began on.
        git: Runs git.

    Returns:
        The commits; None when there are none.

    Raises:
        GitError: A commit cannot be read.
    """
    tips = read_tips(os.fsencode(tree / ".git"))
    named = {**tips.branches, **tips.others}
    log = tips.dropped[:_MOST_DROPPED]
    new = _missing([*named.values(), *tips.tags.values(), *log], git)
    if not new:
        return None
    add_objects(git_dir, os.fsencode(tree / ".git" / "objects"))
    found = {name: oid for name, oid in named.items() if oid in new}
    for oid in {*found.values()}:
        if git("cat-file", "-t", oid).strip() != b"commit":
            raise GitError(f"{oid} in the tool's clone is no commit")
    for name, oid in tips.tags.items():
        if oid in new and (
            commit := git("rev-parse", "--quiet", "--verify", f"{oid}^{{commit}}", check=False)
        ):
            found[name] = commit.decode().strip()
    gone = _missing([*tips.remotes, *log], git)
    return OtherWork(
        git=git,
        base=base,
        tips=found,
        branches=frozenset(tips.branches),
        head=tips.head,
        fetched=frozenset(tips.remotes - gone),
        dropped=tuple(oid for oid in log if oid in new and oid not in gone),
    )


def add_objects(git_dir: Path, objects: bytes) -> None:
    """Add a folder of objects to a git directory, behind those that it sees already."""
    with (git_dir / "objects" / "info" / "alternates").open("ab") as file:
        file.write(objects + b"\n")


def _missing(oids: Iterable[str], git: Git) -> frozenset[str]:
    """Return those of some objects that git does not find."""
    given = "".join(f"{oid}\n" for oid in sorted({*oids})).encode()
    told = git("cat-file", "--batch-check", given=given).decode().splitlines() if given else []
    return frozenset(line.partition(" ")[0] for line in told if line.endswith(" missing"))
