"""The steps of one patch, as plain calls: read it, check it against policy, apply it, commit it.

Nothing here moves a ref or writes a record: it reads, judges, and adds objects that no ref refers to yet.
The result is an outcome; that a patch is refused is not an error.
"""

import stat
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import replace
from datetime import datetime
from pathlib import Path
from typing import Final

from maingate.errors import PatchFolderError, UnreadablePatchError
from maingate.git.commit_again import commit_again
from maingate.git.filter_drivers import NONE, FilterDrivers
from maingate.git.own_commits import is_tree_of, lands_as_it_is
from maingate.git.repository import Blob, Repository, Signature
from maingate.git.stored_content import raw_paths
from maingate.git.trees import SYMLINK_MODE
from maingate.git_dates import GitDate, read_date
from maingate.patches.apply.already_there import AlreadyThere, FindLanded, Known
from maingate.patches.apply.apply import apply_patch
from maingate.patches.apply.outcomes import Applied, NotApplied
from maingate.patches.apply.preimages import Preimages
from maingate.patches.apply.series import apply_series, read_exactly
from maingate.patches.intake import Intake, take_in
from maingate.patches.policy.policy import judge
from maingate.patches.repair_record import Repair
from maingate.patches.text.mail import date_repair
from maingate.patches.text.quoting import show_path
from maingate.reasons import Reason, ReasonCode
from maingate.uet.change_elsewhere import as_elsewhere, diff_of, refusal_of_settings
from maingate.uet.step_values import Committed, Order, Piece, Taken, message_of
from maingate.wording import listed

_SHOWN: Final = 3


class Executor:
    """Reads, applies and commits patches; safe to call from several threads.

    Args:
        repository: Where trees are read and objects written.
        max_bytes: Patches larger than this are not read.
        now: The time that commits are stamped with.
        ledger: Finds what landed before.
        is_trial: Whether nothing will land by what it says: then git is asked only where our own reading of
            a patch is not exact, and no commit is signed.
        drivers: The filters by which content is stored.
    """

    def __init__(
        self,
        repository: Repository,
        *,
        max_bytes: int,
        now: Callable[[], datetime],
        ledger: FindLanded,
        is_trial: bool = False,
        drivers: FilterDrivers = NONE,
    ) -> None:
        self._repository, self._max_bytes, self._now = repository, max_bytes, now
        self._is_trial, self._drivers = is_trial, drivers
        self._there = AlreadyThere(repository, ledger)

    def take(self, path: Path, order: Order, *, base_tree: str) -> Taken:
        """Read a ready patch and check it against policy.

        Raises:
            UnreadablePatchError: The file cannot be read.
            PatchFolderError: Nor can any other of the plan: their folder is not there.
        """
        if not path.parent.is_dir():
            raise PatchFolderError(
                f"{path.parent}, where the patch of {order.label} lies, is not there; bring it back, then "
                "`maingate resume` goes on"
            )
        try:
            if not stat.S_ISREG(path.stat().st_mode):
                raise UnreadablePatchError(f"the patch of {order.label} cannot be read: {path} is no file")
            size = path.stat().st_size
            diff = path.read_bytes() if size <= self._max_bytes else b""
        except OSError as error:
            raise UnreadablePatchError(f"the patch of {order.label} cannot be read: {error}") from error
        if size > self._max_bytes:
            return Taken(diff=b"", refusal=_too_large(path, size, self._max_bytes))
        return self.take_again(diff, order, base_tree=base_tree)

    def take_again(self, diff: bytes, order: Order, *, base_tree: str) -> Taken:
        """Check the bytes of a patch that was read before against policy."""
        intake = take_in(diff, max_bytes=self._max_bytes, cuts_at_scissors=order.task.scissors)
        if isinstance(intake, Reason):
            return Taken(diff=diff, refusal=intake)
        violations = self._violations(intake, order, base_tree)
        if violations:
            return Taken(diff=diff, intake=intake, refusal=_together(violations), violates=True)
        return Taken(diff=diff, intake=intake)

    def judge_elsewhere(
        self, order: Order, before: str, after: str, paths: Sequence[bytes], *, name: str | None = None
    ) -> Reason | None:
        """Return why policy refuses a change of paths that its patch does not name; None if it does not.

        Args:
            order: The task of the patch, and the policy that holds for it.
            before: The tree without the change.
            after: The tree with it.
            paths: The paths that the patch does not name; without any there is nothing to judge.
            name: The name of what makes the change. Defaults to that of the task.
        """
        if not paths:
            return None
        if refusal := refusal_of_settings(order.policy, paths):
            return refusal
        refusal = self.take_again(diff_of(self._repository, before, after), order, base_tree=before).refusal
        return None if refusal is None else as_elsewhere(name or order.label, paths, refusal)

    def apply(
        self, patches: Sequence[Piece], *, onto: str, tree: str
    ) -> tuple[list[Committed], Reason | None]:
        """Apply patches, each on the one before it, and make each a commit, up to the first that is refused.

        Policy is checked again, since a link that a patch would write through may have come with an earlier
        one. A change that the history holds already is refused, whether it would apply or not.

        Args:
            patches: The patches, in order.
            onto: The commit to put the first on.
            tree: That commit's tree.

        Returns:
            The commits of those that applied, and why the next one is refused; None when none is.
        """
        known = self._there.recall([patch.intake for patch in patches])
        return self._apply(patches, onto=onto, tree=tree, known=known)

    def _apply(
        self, patches: Sequence[Piece], *, onto: str, tree: str, known: Known | None
    ) -> tuple[list[Committed], Reason | None]:
        made: list[Committed] = []
        history = Preimages(self._repository, onto)
        for patch, applied in self._applied(patches, tree, history, known):
            if isinstance(applied, Reason):
                return made, applied
            if raw := raw_paths(self._repository, self._drivers, tree, applied.tree):
                return made, _raw(raw)
            tree = applied.tree
            onto = self._commit(patch, applied.tree, onto)
            history.go_on(onto)
            made.append(
                Committed(
                    commit=onto,
                    tree=applied.tree,
                    method=str(applied.method),
                    repairs=(*applied.repairs, *_repairs_of_date(patch.order)),
                )
            )
        return made, None

    def apply_again(
        self, patch: Piece, *, onto: str, tree: str, commit: str, since: datetime, until: datetime
    ) -> Committed | Reason:
        """Apply a patch as it was applied before, and make the commit that it was then.

        Args:
            patch: The patch.
            onto: The commit that it was put on.
            tree: That commit's tree.
            commit: The commit that it became.
            since: When that was made at the earliest.
            until: When that was made at the latest.

        Returns:
            The commit; another one where the very same could not be made. Or why it does not apply.
        """
        made, refusal = self._apply([patch], onto=onto, tree=tree, known=None)
        if refusal is not None:
            return refusal
        (anew,) = made
        is_the_same = commit_again(
            self._repository,
            commit=commit,
            tree=anew.tree,
            parents=[onto],
            message=message_of(patch.order, patch.intake),
            trailers=patch.trailers,
            author_at=lambda at: self._author(patch.order, patch.intake, at),
            since=since,
            until=until,
        )
        return replace(anew, commit=commit) if is_the_same else anew

    def _applied(
        self, patches: Sequence[Piece], tree: str, history: Preimages, known: Known | None
    ) -> Iterator[tuple[Piece, Applied | Reason]]:
        """Apply all in one go where that can be done, else one by one."""
        intakes = [patch.intake for patch in patches]
        is_series = len(patches) > 1 and not self._is_trial
        is_plain = not any(patch.order.fixes_endings for patch in patches)
        series = apply_series(self._repository, tree, intakes) if is_series and is_plain else None
        for number, patch in enumerate(patches):
            violations = self._violations(patch.intake, patch.order, tree)
            if violations:
                yield patch, _together(violations)
                return
            if known is not None and (there := self._there.reason(patch.intake, known, onto=history.onto)):
                yield patch, there
                return
            history.turn_to(patch.commit)
            if series and history.has_lost_folder(tree, patch.intake.files):
                series = None  # its result, and so those of all that follow, may be another
            outcome = series[number] if series else self._apply_one(patch, tree, history)
            if isinstance(outcome, NotApplied):
                yield patch, outcome.reason
                return
            if refused := self.judge_elsewhere(patch.order, tree, outcome.tree, outcome.elsewhere):
                yield patch, refused
                return
            yield patch, outcome
            tree = outcome.tree

    def _apply_one(self, patch: Piece, tree: str, history: Preimages) -> Applied | NotApplied:
        fixes_endings = patch.order.fixes_endings
        own = patch.commit if patch.lands_commit else None
        is_moved = history.has_lost_folder(tree, patch.intake.files)
        if (self._is_trial or own is not None) and not (fixes_endings or is_moved):
            read = read_exactly(self._repository, tree, patch.intake)
            if read is not None and (self._is_trial or is_tree_of(self._repository, own, read[0].tree)):
                return read[0]
        return apply_patch(self._repository, tree, patch.intake, history=history, fixes_endings=fixes_endings)

    def _commit(self, patch: Piece, tree: str, onto: str) -> str:
        before = self._repository.tree_of(onto)
        own = patch.commit if patch.lands_commit else None
        if own is not None and lands_as_it_is(self._repository, own, tree=tree, onto=onto):
            made = own
        else:
            made = self._made(patch, tree, onto)
        self._there.history.note(made, onto, self._repository.changed_paths(before, tree))
        return made

    def _made(self, patch: Piece, tree: str, onto: str) -> str:
        return self._repository.commit(
            tree=tree,
            parents=[onto],
            message=message_of(patch.order, patch.intake),
            author=self._author(patch.order, patch.intake, self._now()),
            date=self._now(),
            trailers=patch.trailers,
            is_trial=self._is_trial,
        )

    def _violations(self, intake: Intake, order: Order, tree: str) -> list[Reason]:
        def entry_at(path: bytes) -> Blob | None:
            entry = self._repository.entry_at(tree, path)
            if entry is None or entry.is_tree:
                return None
            data = self._repository.read_blob(entry.id) if entry.mode == SYMLINK_MODE else b""
            return Blob(mode=entry.mode, id=entry.id, data=data)

        scope = order.task.scope
        return judge(order.policy, intake, scope=scope, origin=order.origin, entry_at=entry_at)

    def _author(self, order: Order, intake: Intake, now: datetime) -> Signature | None:
        header = intake.header
        made_by = f"{order.task.tool} <{order.task.tool}@localhost>" if order.origin == "tool" else None
        name = order.task.author or (header.author if header else None) or made_by
        if name is None:
            return None
        return Signature.parse(name, _author_date(order, intake) or now)


def _author_date(order: Order, intake: Intake) -> GitDate | None:
    """Return the author date: the task's, else the patch's own; None when git could keep neither."""
    given = _given_date(order)
    if given is None and intake.header is not None:
        given = intake.header.date
    return given if given is not None and given.is_storable else None


def _given_date(order: Order) -> GitDate | None:
    given = order.task.date
    if given is None:
        return None
    return read_date(given) if isinstance(given, str) else GitDate.of(given)


def _repairs_of_date(order: Order) -> list[Repair]:
    """Return the repair of a task's date of which git cannot keep all, if it is one."""
    given = _given_date(order)
    return [date_repair(given)] if given is not None and given.loss else []


def _too_large(path: Path, size: int, limit: int) -> Reason:
    return Reason(
        code=ReasonCode.FORMAT_INVALID,
        message=f"{path.name} has {size:,} bytes, more than the {limit:,} that are read; "
        "raise max_patch_bytes if that is how it should be",
        detail={"bytes": size, "limit": limit},
    )


def _raw(found: Mapping[bytes, str]) -> Reason:
    names = listed([show_path(path) for path in found], _SHOWN)
    filters = listed(sorted(set(found.values())), _SHOWN)
    return Reason(
        code=ReasonCode.FORMAT_INVALID,
        message=f"the patch has the raw content of {names}, which the filter {filters} stores otherwise; "
        "make it with `git diff --binary --no-textconv`",
        detail={"paths": [show_path(path) for path in found]},
    )


def _together(reasons: Sequence[Reason]) -> Reason:
    """Return one reason for several: the first one's code, and all messages and details."""
    if len(reasons) == 1:
        return reasons[0]
    codes = {reason.code for reason in reasons}
    code = ReasonCode.POLICY_VIOLATION if ReasonCode.POLICY_VIOLATION in codes else reasons[0].code
    return Reason(
        code=code,
        message="; ".join(reason.message for reason in reasons),
        detail={**reasons[0].detail, "violations": [reason.as_json() for reason in reasons]},
    )
