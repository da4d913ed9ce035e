"""The patches of finished work: the commits of a branch, without what the target has already.

A commit becomes a patch with its changes against its first parent, as in an import. Where the commits of a
branch are to land as they are, their patches are applied on what they were made on. Otherwise they are
applied on the target, and a branch that has merged its target in between is one patch, with the changes that
a merge of it would bring: its merge commits hold changes of the target, which would be applied twice.
"""

import os
from collections.abc import Callable, Collection, Mapping, Sequence
from dataclasses import dataclass, replace
from functools import cache
from pathlib import Path
from typing import Final

from maingate.git.command import run_git
from maingate.git.merge import MergeConflict, merge_commits
from maingate.git.merge_many import merge_branches
from maingate.git.repository import Repository, Target
from maingate.git.targets import short_name
from maingate.importers.finished_work.given_patches import PatchesOf
from maingate.importers.finished_work.sources import Source
from maingate.importers.series.git_range import (
    GitRange,
    RangeCommit,
    commits_of_branches,
    diff_of_trees,
    entries_of_range,
)
from maingate.importers.series_entry import Entry
from maingate.patches.policy.policy import Policy, needs_approval
from maingate.patches.repair_record import RepairKind
from maingate.plan.model import TaskPlan
from maingate.reasons import ReasonCode
from maingate.settings import PolicyLayer
from maingate.state.patch_ledger import PatchState
from maingate.uet.executor import Executor
from maingate.uet.step_values import Committed, Order, Piece

_TRIAL: Final = Order(
    label="trial",
    task=TaskPlan(patch="trial"),
    policy=Policy(binary=True, submodules=True, allow_settings_changes=True),
)
"""The order of a patch that is only tried: the policy is applied when it is landed."""

_ROLLED_BACK: Final = "it was rolled back since it landed; it lands again"

LandedAs = Callable[[str], Collection[PatchState]]
"""Returns the states of the patches that landed with a commit."""

KeepsCommits = Callable[[Source], bool]
"""Returns whether the commits of a branch are to land as they are, where that can be."""


@dataclass(frozen=True, kw_only=True)
class OwnCommits:
    """The commits of a branch that are to land as they are.

    Args:
        base: The commit of the target that the first was made on.
        commits: The commit of each patch; of the last, the newest of the branch, before which others may be
            that change nothing.
    """

    base: str
    commits: tuple[str, ...]


@dataclass(frozen=True, kw_only=True)
class WorkItem:
    """Finished work with its patches.

    Args:
        source: The work.
        title: Its title for people.
        entries: The patches that are to land; none when all of it is on the target.
        applied: The patches that the target has already.
        left_out: Commits and mails without changes.
        is_merged: Whether the branch is one patch because it has merged its target.
        tree: The target's tree with the patches; None where one of them is refused, or changes a file that
            was moved.
        own: The commits of the patches, where they are to land as they are.
        notes: Notes for the user.
    """

    source: Source
    title: str
    entries: tuple[Entry, ...]
    applied: tuple[str, ...] = ()
    left_out: tuple[str, ...] = ()
    is_merged: bool = False
    tree: str | None = None
    own: OwnCommits | None = None
    notes: tuple[str, ...] = ()

    @property
    def commits(self) -> Mapping[int, str]:
        """The commit that each patch of a branch is of, by the number of the patch."""
        if self.source.branch is None:
            return {}
        commits = self.own.commits if self.own else [entry.origin for entry in self.entries]
        return dict(enumerate(commits, start=1))


class WorkReader:
    """Reads the patches of finished work.

    Args:
        repository: The repository.
        target: The branch that the work is to land on.
        executor: Tries which patches the target has already; it moves no ref.
        scratch: The same repository, where what is written is removed.
        policy: The policy of the target.
        landed_as: Returns the states of the patches that landed with a commit.
        patches_of: Returns the patches of work that is no branch.
        history: A folder in which git finds the commits of the work; None for that of the repository.
    """

    def __init__(
        self,
        repository: Repository,
        target: Target,
        executor: Executor,
        *,
        scratch: Repository,
        policy: PolicyLayer,
        landed_as: LandedAs,
        patches_of: PatchesOf,
        history: Path | None = None,
    ) -> None:
        self._repository, self._target = repository, target
        self._executor, self._scratch, self._patches_of = executor, scratch, patches_of
        self._history = history or repository.root
        self._policy = Policy(binary=True, submodules=True).tightened(policy)
        self._landed_as = cache(landed_as)
        self._merges: dict[str, str | MergeConflict] = {}

    def items(self, sources: Sequence[Source], keeps_commits: KeepsCommits) -> list[WorkItem]:
        """Return the patches of each piece of work that the target does not have.

        Args:
            sources: The work.
            keeps_commits: Which commits are to land as they are.

        Raises:
            UsageError: One cannot be read.
        """
        target = self._target.commit
        tips = [source.commit for source in sources if source.commit is not None]
        commits = commits_of_branches(self._history, list(dict.fromkeys(tips)), old=target)
        self._merges = self._merged_at_once(sources, commits, keeps_commits)
        return [self._item(source, commits, keeps_commits) for source in sources]

    def _merged_at_once(
        self, sources: Sequence[Source], commits: Mapping[str, RangeCommit], keeps_commits: KeepsCommits
    ) -> dict[str, str | MergeConflict]:
        """Merge the branches whose commits may land as they are into the target; most take no git process.

        Those that begin on the target need no merge, and those with merges of their own are rare.
        """
        tips: list[str] = []
        for source in sources:
            line = [] if source.commit is None else _line_of(source.commit, commits)
            is_plain = bool(line) and all(len(commit.parents) == 1 for commit in line)
            if is_plain and keeps_commits(source) and line[0].parents[0] != self._target.commit:
                tips.append(line[-1].entry.origin)
        merged = merge_branches(self._scratch, ours=self._target.commit, theirs=tips, into=self._target.ref)
        return dict(zip(tips, merged, strict=True))

    def _item(
        self, source: Source, commits: Mapping[str, RangeCommit], keeps_commits: KeepsCommits
    ) -> WorkItem:
        if source.branch is not None and source.commit is not None:
            name = os.fsencode(short_name(source.branch)).decode(errors="backslashreplace")
            if (before := self._taken_back_since(source.commit, commits)) is not None:
                return self._again(source, name, before, source.commit)
            line = _line_of(source.commit, commits)
            return self._branch(source, name, line, keeps_commits=keeps_commits(source))
        given = self._patches_of(source)
        return self._tried(
            WorkItem(source=source, title=given.title, entries=given.entries, notes=given.notes)
        )

    def _branch(
        self, source: Source, name: str, line: Sequence[RangeCommit], *, keeps_commits: bool
    ) -> WorkItem:
        """Return the patches of a branch, by the commits on its first-parent line, oldest first."""
        target = self._target.commit
        nothing = WorkItem(source=source, title=name, entries=(), applied=(f"{name}: all of it",))
        if not line:
            return nothing
        entries = tuple(commit.entry for commit in line)
        fork = line[0].parents[0] if line[0].parents else None
        tip = entries[-1].origin
        has_merged = any(len(commit.parents) > 1 for commit in line)
        bases = self._merge_bases(tip) if has_merged else []
        if keeps_commits and fork is not None:
            whole = WorkItem(source=source, title=name, entries=entries)
            if (kept := self._kept(whole, fork, bases)) is not None:
                return kept
        if bases and bases != [fork]:
            return self._merged(source, name, entries, bases[0]) or nothing
        item = _without_empty(WorkItem(source=source, title=name, entries=entries))
        if fork == target:
            return replace(item, tree=self._repository.tree_of(tip))
        return self._tried(item)

    def _merged(self, source: Source, name: str, entries: Sequence[Entry], base: str) -> WorkItem | None:
        """Return a branch as one patch with the changes of its merge; None where the target has them all."""
        repository, onto, tip = self._repository, self._target.commit, entries[-1].origin
        merged = merge_commits(repository, ours=onto, theirs=tip, into=self._target.ref)
        is_clean = not isinstance(merged, MergeConflict)
        old, new = (repository.tree_of(onto), merged) if is_clean else (base, tip)
        diff = diff_of_trees(self._history, old, str(new))
        if not diff:
            return None
        entry = replace(entries[-1], diff=diff, message=_message_of(name, entries))
        tree = str(merged) if is_clean else None
        return WorkItem(source=source, title=name, entries=(entry,), is_merged=True, tree=tree)

    def _taken_back_since(self, tip: str, commits: Mapping[str, RangeCommit]) -> str | None:
        """Return the commit before those that landed as they are and were rolled back; None without such.

        They are in the history of the target, so that a merge would not bring them again.

        Args:
            tip: The newest commit of a branch.
            commits: The commits that the target does not have.
        """
        repository, is_taken_back, has_landed = self._repository, False, False
        at: str | None = tip
        while at is not None and repository.has_object(at):
            before = next(iter(repository.read_commit(at).parents), None)
            states = () if at in commits else self._landed_as(at)
            is_taken_back |= bool(states) and PatchState.COMMITTED not in states
            has_landed |= bool(states)
            if before is None or repository.tree_of(before) != repository.tree_of(at):
                if not has_landed and at not in commits:
                    return at if is_taken_back else None
                has_landed = False
            at = before
        return None

    def _again(self, source: Source, name: str, before: str, tip: str) -> WorkItem:
        """Return the patches of a branch that was rolled back, which the target does not have any more."""
        commits = GitRange(repo=self._history, text=name, old=before, new=tip)
        item = self._tried(WorkItem(source=source, title=name, entries=tuple(entries_of_range(commits))))
        return replace(item, notes=(_ROLLED_BACK,)) if item.entries else item

    def _kept(self, item: WorkItem, fork: str, bases: Sequence[str]) -> WorkItem | None:
        """Return a branch whose commits are to land as they are; None where that cannot be."""
        entries = tuple(entry for entry in item.entries if entry.diff.strip())
        tip, is_on_head = item.entries[-1].origin, fork == self._target.commit
        tree = self._repository.tree_of(tip) if is_on_head else self._merged_tree(tip)
        is_of_others = bases not in ([], [fork])
        if not entries or tree is None or len(bases) > 1:
            return None
        if is_of_others and not all(self._is_allowed(entry, fork) for entry in entries):
            return None
        known = item if is_on_head else self._tried(item)
        if not known.entries:
            return known
        commits = (*(entry.origin for entry in entries[:-1]), tip)
        own = OwnCommits(base=fork, commits=commits)
        return replace(item, entries=entries, applied=known.applied, tree=tree, own=own)

    def _merged_tree(self, tip: str) -> str | None:
        """Return the tree of a merge with the target; None where it conflicts, or changes nothing."""
        repository, onto = self._scratch, self._target.commit
        merged = self._merges.get(tip)
        if merged is None:
            merged = merge_commits(repository, ours=onto, theirs=tip, into=self._target.ref)
        if isinstance(merged, MergeConflict) or merged == repository.tree_of(onto):
            return None
        return merged

    def _is_allowed(self, entry: Entry, fork: str) -> bool:
        """Return whether policy lets a commit pass, which may be a merge that holds work of others."""
        order = replace(_TRIAL, policy=self._policy)
        taken = self._executor.take_again(entry.diff, order, base_tree=self._repository.tree_of(fork))
        if taken.intake is None or taken.refusal is not None:
            return False
        return not needs_approval(self._policy, taken.intake)

    def _merge_bases(self, tip: str) -> list[str]:
        git_dir = self._repository.git_dir
        found = run_git("merge-base", "--all", self._target.commit, tip, git_dir=git_dir, check=False)
        return found.stdout.decode().split()

    def _tried(self, item: WorkItem) -> WorkItem:
        """Leave out the patches that the target has already, by the judgement that landing them would use."""
        item = _without_empty(item)
        entries = item.entries
        onto, tree = self._target.commit, self._repository.tree_of(self._target.commit)
        pieces = self._pieces(item)
        kept: list[Entry] = []
        applied: list[str] = []
        at, is_as_named = 0, True
        while at < len(pieces):
            made, refusal = self._executor.apply(pieces[at:], onto=onto, tree=tree)
            is_as_named &= not any(_is_moved(each) for each in made)
            kept += entries[at : at + len(made)]
            at += len(made)
            if made:
                onto, tree = made[-1].commit, made[-1].tree
            if refusal is None or refusal.code is not ReasonCode.ALREADY_APPLIED:
                break
            applied.append(f"{entries[at].origin}: {entries[at].subject}")
            at += 1
        whole = tree if at == len(entries) and is_as_named else None
        return replace(item, entries=(*kept, *entries[at:]), applied=tuple(applied), tree=whole)

    def _pieces(self, item: WorkItem) -> list[Piece]:
        """Return the patches up to the first that cannot be read, which landing refuses with its reason."""
        pieces: list[Piece] = []
        tree = self._repository.tree_of(self._target.commit)
        for number, entry in enumerate(item.entries, start=1):
            taken = self._executor.take_again(entry.diff, _TRIAL, base_tree=tree)
            if taken.intake is None:
                break
            commit = item.commits.get(number)
            pieces.append(Piece(intake=taken.intake, order=_TRIAL, trailers=(), commit=commit))
        return pieces


def _is_moved(made: Committed) -> bool:
    """Return whether a patch changes a file that was moved, whose place policy is still to judge."""
    return any(repair.kind is RepairKind.MOVED for repair in made.repairs)


def _line_of(tip: str, commits: Mapping[str, RangeCommit]) -> list[RangeCommit]:
    """Return the commits on the first-parent line of a tip, oldest first."""
    line: list[RangeCommit] = []
    while (commit := commits.get(tip)) is not None:
        line.append(commit)
        tip = commit.parents[0] if commit.parents else ""
    return line[::-1]


def _without_empty(item: WorkItem) -> WorkItem:
    full = tuple(entry for entry in item.entries if entry.diff.strip())
    empty = tuple(f"{each.origin}: {each.subject}" for each in item.entries if not each.diff.strip())
    return replace(item, entries=full, left_out=empty)


def _message_of(name: str, entries: Sequence[Entry]) -> str:
    """Return the message of a branch that lands as one patch: its name, and the subjects of its commits."""
    subjects = "\n".join(f"* {entry.subject}" for entry in entries)
    return f"{name}\n\n{subjects}"
