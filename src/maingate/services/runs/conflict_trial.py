"""Trials of plans: which workstreams conflict with the target or with one another, told before a run.

Ready patches are applied, and pairs of workstreams merged, in a repository that is removed afterwards
(`git.scratch_repository`). No ref moves, no row is written.
"""

from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, replace
from datetime import datetime
from itertools import takewhile
from typing import Final

from maingate.clock import SystemClock
from maingate.commits import Tip
from maingate.errors import PatchFolderError, RepositoryError, UnreadablePatchError
from maingate.git.filter_drivers import read_drivers
from maingate.git.merge import MergeConflict, merge_trees
from maingate.git.repository import Repository, Target
from maingate.git.scratch_repository import scratch_over
from maingate.landing.signed_tips import tips_to_check, unsigned
from maingate.landing.strayed import judged_by, refusal_of, strayed_in_merge
from maingate.landing.trial.trial import try_items
from maingate.landing.trial.values import ConflictTrial, Placed, TrialItem
from maingate.patches.apply.already_there import FindLanded, LandedChange
from maingate.patches.policy.policy import Policy
from maingate.plan.choices import LandingStyle, TaskKind
from maingate.plan.loader import LoadedPlan
from maingate.plan.model import Plan, TaskPlan
from maingate.reasons import Reason, ReasonCode
from maingate.uet.executor import Executor
from maingate.uet.step_values import Order, Piece, order_of

NO_TREES: Final[Mapping[str, str]] = {}


@dataclass(frozen=True, kw_only=True)
class Trials:
    """Tries patches and plans; nothing of it remains.

    Args:
        scratch: The repository that it reads from and writes to.
        executor: Reads and applies patches there.
    """

    scratch: Repository
    executor: Executor

    def of_plan(
        self, loaded: LoadedPlan, target: Target, *, trees: Mapping[str, str] = NO_TREES
    ) -> ConflictTrial:
        """Find which workstreams of a plan conflict with its target or with one another.

        Args:
            loaded: The plan.
            target: Its target.
            trees: The target's tree with all patches of a workstream, by its name, where that is known.
        """
        plan = loaded.plan
        head, tips = self.scratch.tree_of(target.commit), tips_to_check(plan)
        into = None if plan.landing is LandingStyle.REBASE else target.ref
        items: list[TrialItem] = []
        for name in plan.workstream_order():
            workstream = _Workstream(
                self, loaded, name, head=head, tree=trees.get(name), into=into, tips=tips
            )
            item = TrialItem(
                name=name,
                place=workstream.place,
                needs=plan.workstreams[name].needs,
                is_critical=plan.workstreams[name].critical,
                commit=_own_commit(plan, name),
                judge=workstream.judge,
            )
            items.append(item)
        return try_items(self.scratch, target, items, into=into)


@contextmanager
def opened_trials(
    repository: Repository, *, max_bytes: int, now: Callable[[], datetime], ledger: FindLanded
) -> Iterator[Trials]:
    """Open a place for trials on a repository, which is removed afterwards.

    Args:
        repository: The repository.
        max_bytes: Patches larger than this are not read.
        now: The time that tried commits are stamped with.
        ledger: Finds what landed before.
    """
    with scratch_over(repository) as scratch:
        drivers = read_drivers(repository.git_dir, repository.root)
        executor = Executor(
            scratch, max_bytes=max_bytes, now=now, ledger=ledger, is_trial=True, drivers=drivers
        )
        yield Trials(scratch=scratch, executor=executor)


def tried_plan(loaded: LoadedPlan) -> ConflictTrial | None:
    """Try a plan on its target, without the record, which need not be there; None where there is no target.

    Changes that landed before are known by the target's history alone.
    """
    if loaded.root is None:
        return None
    try:
        repository = Repository.open(loaded.root)
    except RepositoryError:
        return None
    with repository:
        try:
            target = repository.resolve_target(loaded.plan.target)
        except RepositoryError:
            return None
        max_bytes, now = loaded.settings.max_patch_bytes, SystemClock().now
        with opened_trials(repository, max_bytes=max_bytes, now=now, ledger=_nothing_landed) as trials:
            return trials.of_plan(loaded, target)


def _nothing_landed(_keys: object) -> Sequence[LandedChange]:
    return ()


def _own_commit(plan: Plan, name: str) -> str | None:
    """Return the newest commit of a workstream whose commits land as they are."""
    stream = plan.workstreams[name]
    if plan.landing is not LandingStyle.MERGE or stream.base is None:
        return None
    return stream.tasks[stream.task_order()[-1]].commit


@dataclass(frozen=True, kw_only=True)
class _Commits:
    """The commits of the patches of a workstream, each with its task, and the trees before and after them."""

    before: str
    commits: Sequence[tuple[str, str]]
    after: str


class _Workstream:
    """A workstream of a plan, which is put on commits.

    Args:
        trials: The place of the trial.
        loaded: The plan.
        name: The workstream's name.
        head: The target's tree.
        tree: The target's tree with all its patches, where that is known.
        into: Full name of the branch whose ``mergeOptions`` count; None where workstreams are rebased.
        tips: The commits that git may check before it merges them, by workstream and task.
    """

    def __init__(
        self,
        trials: Trials,
        loaded: LoadedPlan,
        name: str,
        *,
        head: str,
        tree: str | None,
        into: str | None,
        tips: Mapping[tuple[str, str], str],
    ) -> None:
        self._into, self._tips = into, tips
        self._scratch, self._executor = trials.scratch, trials.executor
        self._loaded, self._name = loaded, name
        self._stream = loaded.plan.workstreams[name]
        self._head, self._tree = head, tree
        outer = Policy().tightened(loaded.settings.policy).tightened(loaded.plan.policy)
        self._policy = outer.tightened(self._stream.policy)
        self._made: _Commits | None = None

    def place(self, onto: Tip) -> Placed:
        """Apply its patches to a commit, as far as they are there, up to the first that it fails by."""
        names = [name for name in self._stream.task_order() if self._task(name).kind.gives_a_patch]
        ready = list(takewhile(lambda name: self._task(name).kind is TaskKind.PATCH, names))
        taken = [(name, self._taken(name, onto)) for name in ready]
        refused = [(name, each) for name, each in taken if isinstance(each, Reason)]
        if lost := [reason for name, reason in refused if self._task(name).critical]:
            return Placed(tree=onto.tree, refusal=lost[0])
        pieces = [(name, each) for name, each in taken if isinstance(each, Piece)]
        placed = (None if refused else self._known(onto)) or self._merged(pieces, onto)
        if placed.refusal is None and (strayed := self.judge(onto.tree, placed.tree)) is not None:
            return Placed(tree=onto.tree, refusal=strayed)
        passed_over = (*(reason for _, reason in refused), *placed.passed_over)
        return replace(placed, passed_over=passed_over, untried=self._rest(names[len(ready) :]))

    def judge(self, into: str, merged: str) -> Reason | None:
        """Return why policy refuses what a merge of it changes elsewhere than its patches say.

        Args:
            into: The tree that it is merged into.
            merged: The merged tree.
        """
        made = self._made or self._kept()
        if made is None:
            return None
        own, merge = (made.before, made.after), (into, merged)
        strayed = strayed_in_merge(self._scratch, made.commits, own=own, merge=merge)
        return refusal_of(strayed, judged_by(self._executor, self._order, name=self._name))

    def _kept(self) -> "_Commits | None":
        """Return the commits that its patches are of; None where it has none, or not of all."""
        base, tasks = self._stream.base, [(name, self._task(name)) for name in self._stream.task_order()]
        commits = [(name, task.commit) for name, task in tasks if task.commit is not None]
        if base is None or len(commits) < len(tasks) or not self._scratch.has_object(base):
            return None
        tree_of = self._scratch.tree_of
        return _Commits(before=tree_of(base), commits=commits, after=tree_of(commits[-1][1]))

    def _rest(self, names: Sequence[str]) -> str | None:
        """Return why the patches from a tool's on cannot be tried; None where there are none."""
        return f"the tool of {self._label(names[0])} is still to make its patch" if names else None

    def _task(self, name: str) -> TaskPlan:
        return self._stream.tasks[name]

    def _label(self, name: str) -> str:
        return f"{self._name}/{name}"

    def _order(self, name: str) -> Order:
        task = self._task(name)
        policy = self._policy.tightened(task.policy)
        return order_of(self._loaded.plan, task, label=self._label(name), policy=policy)

    def _taken(self, name: str, onto: Tip) -> Piece | Reason:
        label, order = self._label(name), self._order(name)
        try:
            taken = self._executor.take(self._loaded.patch_path(self._name, name), order, base_tree=onto.tree)
        except (UnreadablePatchError, PatchFolderError) as error:
            return Reason(code=ReasonCode.PATCH_UNREADABLE, message=str(error))
        if taken.intake is None or taken.refusal is not None:
            assert taken.refusal is not None  # noqa: S101 - a patch without one was read
            return replace(taken.refusal, message=f"{label}: {taken.refusal.message}")
        if (refused := self._unsigned(name)) is not None:
            return replace(refused, message=f"{label}: {refused.message}")
        return Piece(intake=taken.intake, order=order, trailers=(), commit=order.task.commit)

    def _unsigned(self, name: str) -> Reason | None:
        tip = self._tips.get((self._name, name))
        if tip is None or self._into is None or not self._scratch.has_object(tip):
            return None
        return unsigned(self._scratch, tip, into=self._into)

    def _known(self, onto: Tip) -> Placed | None:
        """Return the result where the tree is known: as it is, or merged with what it needs."""
        if self._tree is None:
            return None
        merged = self._merge(self._head, onto, self._tree)
        return None if isinstance(merged, MergeConflict) else Placed(tree=merged)

    def _merge(self, base: str, onto: Tip, tree: str) -> str | MergeConflict:
        return merge_trees(self._scratch, base=base, ours=onto.tree, theirs=tree, into=self._into)

    def _merged(self, pieces: Sequence[tuple[str, Piece]], onto: Tip) -> Placed:
        """Apply patches to the base that the workstream states and merge that, or apply them to the commit.

        They are applied also where the merge conflicts: a branch may hold the commits of one that it needs.
        """
        base = self._stream.base
        if base is not None and self._scratch.has_object(base):
            start = Tip(commit=base, tree=self._scratch.tree_of(base))
            placed = self._applied(pieces, start)
            tree = self._merge(start.tree, onto, placed.tree)
            if placed.refusal is None and not isinstance(tree, MergeConflict):
                return replace(placed, tree=tree)
        return self._applied(pieces, onto)

    def _applied(self, pieces: Sequence[tuple[str, Piece]], onto: Tip) -> Placed:
        passed_over, commits = list[Reason](), list[tuple[str, str]]()
        commit, tree, at = onto.commit, onto.tree, 0
        while at < len(pieces):
            made, refusal = self._executor.apply([piece for _, piece in pieces[at:]], onto=commit, tree=tree)
            commits += [(name, each.commit) for (name, _), each in zip(pieces[at:], made, strict=False)]
            commit, tree = (made[-1].commit, made[-1].tree) if made else (commit, tree)
            at += len(made)
            if refusal is not None:
                name, piece = pieces[at]
                reason = _about(piece, refusal)
                if self._task(name).critical and reason.code is not ReasonCode.ALREADY_APPLIED:
                    return Placed(tree=tree, refusal=reason, passed_over=tuple(passed_over))
                passed_over.append(reason)
                at += 1
        self._made = _Commits(before=onto.tree, commits=commits, after=tree)
        return Placed(tree=tree, passed_over=tuple(passed_over))


def _about(piece: Piece, reason: Reason) -> Reason:
    """Return a reason that names its task; of a conflict, with the paths that git complained about."""
    detail = dict(reason.detail)
    if reason.code is ReasonCode.CONFLICT:
        touched, complaints = piece.intake.scope.as_json()["paths"], " ".join(detail.get("git", ()))
        detail["paths"] = [path for path in touched if path in complaints] or touched
    return replace(reason, message=f"{piece.order.label}: {reason.message}", detail=detail)
