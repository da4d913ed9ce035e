"""The patches of finished work: the commits of a branch, without what the target has already.

A commit becomes a patch with its changes against its first parent, as in an import. A branch that has merged
its target in between is one patch, with the changes that a merge of it would bring: its merge commits hold
changes of the target, which would be applied twice.
"""

import os
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Final

from maingate.errors import UsageError
from maingate.git.command import run_git
from maingate.git.merge import MergeConflict, merge_commits
from maingate.git.repository import Repository, Target
from maingate.git.targets import short_name
from maingate.importers.finished_work.sources import STANDARD_INPUT, Source
from maingate.importers.series.git_range import RangeCommit, commits_of_branches, diff_of_trees
from maingate.importers.series.patch_files import entries_of_bytes
from maingate.importers.series.series import open_series
from maingate.importers.series_entry import Entry
from maingate.patches.policy.policy import Policy
from maingate.plan.model import TaskPlan
from maingate.reasons import ReasonCode
from maingate.uet.executor import Executor
from maingate.uet.step_values import Order, Piece

_TRIAL: Final = Order(
    label="trial",
    task=TaskPlan(patch="trial"),
    policy=Policy(binary=True, submodules=True, allow_settings_changes=True),
)
"""The order of a patch that is only tried: the policy is applied when it is landed."""


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
        tree: The target's tree with the patches; None where one of them is refused.
    """

    source: Source
    title: str
    entries: tuple[Entry, ...]
    applied: tuple[str, ...] = ()
    left_out: tuple[str, ...] = ()
    is_merged: bool = False
    tree: str | None = None


class WorkReader:
    """Reads the patches of finished work.

    Args:
        repository: The repository.
        target: The branch that the work is to land on.
        executor: Tries which patches the target has already; it moves no ref.
        standard_input: The bytes given there, for the argument `-`.
    """

    def __init__(
        self, repository: Repository, target: Target, executor: Executor, standard_input: bytes = b""
    ) -> None:
        self._repository, self._target = repository, target
        self._executor, self._input = executor, standard_input

    def items(self, sources: Sequence[Source]) -> list[WorkItem]:
        """Return the patches of each piece of work that the target does not have.

        Raises:
            UsageError: One cannot be read.
        """
        repository, target = self._repository, self._target.commit
        tips = [source.commit for source in sources if source.commit is not None]
        commits = commits_of_branches(repository.root, list(dict.fromkeys(tips)), old=target)
        return [self._item(source, commits) for source in sources]

    def _item(self, source: Source, commits: Mapping[str, RangeCommit]) -> WorkItem:
        if source.branch is not None and source.commit is not None:
            name = os.fsencode(short_name(source.branch)).decode(errors="backslashreplace")
            return self._branch(source, name, _line_of(source.commit, commits))
        if source.argument == STANDARD_INPUT:
            entries = list(entries_of_bytes(self._input, origin="standard input", shown="standard input"))
            title = entries[0].subject if entries else "standard input"
        else:
            series = open_series(source.argument, Path())
            entries, title = list(series.entries), series.name
        return self._tried(WorkItem(source=source, title=title, entries=tuple(entries)))

    def _branch(self, source: Source, name: str, line: Sequence[RangeCommit]) -> WorkItem:
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
        if bases and bases != [fork]:
            return self._merged(source, name, entries, bases[0]) or nothing
        item = _without_empty(WorkItem(source=source, title=name, entries=entries))
        if fork == target:
            return replace(item, tree=self._repository.tree_of(tip))
        return self._tried(item)

    def _merged(self, source: Source, name: str, entries: Sequence[Entry], base: str) -> WorkItem | None:
        """Return a branch as one patch with the changes of its merge; None where the target has them all."""
        repository, onto, tip = self._repository, self._target.commit, entries[-1].origin
        merged = merge_commits(repository, ours=onto, theirs=tip)
        is_clean = not isinstance(merged, MergeConflict)
        old, new = (repository.tree_of(onto), merged) if is_clean else (base, tip)
        diff = diff_of_trees(repository.root, old, str(new))
        if not diff:
            return None
        entry = replace(entries[-1], diff=diff, message=_message_of(name, entries))
        tree = str(merged) if is_clean else None
        return WorkItem(source=source, title=name, entries=(entry,), is_merged=True, tree=tree)

    def _merge_bases(self, tip: str) -> list[str]:
        git_dir = self._repository.git_dir
        found = run_git("merge-base", "--all", self._target.commit, tip, git_dir=git_dir, check=False)
        return found.stdout.decode().split()

    def _tried(self, item: WorkItem) -> WorkItem:
        """Leave out the patches that the target has already, by the judgement that landing them would use."""
        item = _without_empty(item)
        entries = item.entries
        onto, tree = self._target.commit, self._repository.tree_of(self._target.commit)
        pieces = self._pieces(entries)
        kept: list[Entry] = []
        applied: list[str] = []
        at = 0
        while at < len(pieces):
            made, refusal = self._executor.apply(pieces[at:], onto=onto, tree=tree)
            kept += entries[at : at + len(made)]
            at += len(made)
            if made:
                onto, tree = made[-1].commit, made[-1].tree
            if refusal is None or refusal.code is not ReasonCode.ALREADY_APPLIED:
                break
            applied.append(f"{entries[at].origin}: {entries[at].subject}")
            at += 1
        whole = tree if at == len(entries) else None
        return replace(item, entries=(*kept, *entries[at:]), applied=tuple(applied), tree=whole)

    def _pieces(self, entries: Sequence[Entry]) -> list[Piece]:
        """Return the patches up to the first that cannot be read, which landing refuses with its reason."""
        pieces: list[Piece] = []
        tree = self._repository.tree_of(self._target.commit)
        for entry in entries:
            taken = self._executor.take_again(entry.diff, _TRIAL, base_tree=tree)
            if taken.intake is None:
                break
            pieces.append(Piece(intake=taken.intake, order=_TRIAL, trailers=()))
        return pieces


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


def require_known(needs: str, items: Sequence[WorkItem]) -> WorkItem:
    """Return the work that other work needs.

    Raises:
        UsageError: It is none of the work that is named.
    """
    found = next((each for each in items if needs in (each.source.argument, each.source.branch)), None)
    if found is None:
        raise UsageError(f"--needs {needs}: it must land with the same command; name it, too")
    return found
