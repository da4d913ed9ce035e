"""Rollback: taking landed patches back as carefully as they landed (docs/SPECIFICATION.md §2.5).

The reverts are built on the target's head, the plan's gates judge the result, and only then the branch moves,
by the protocol of every landing (`maingate.landing.target`). The ledger follows in the transaction that
settles the intent. All of it or nothing: a revert that conflicts or a red gate changes neither branch nor
ledger. A rollback whose process was killed is finished, or given up, by the next holder of the target
(`rollback_record.settle`).
"""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from functools import partial
from typing import Final

from maingate.db.dao import intents
from maingate.db.dao.intents import Intent
from maingate.errors import CheckoutError, OutsideFaultError, RepositoryError
from maingate.git.repository import RefMoved
from maingate.ids import new_id
from maingate.landing.intended_move import HeldTarget
from maingate.landing.ledger_trailers import is_judged_sealed
from maingate.landing.move import Obstruction
from maingate.landing.move_values import Move
from maingate.plan.choices import LandingStyle
from maingate.reasons import Reason, ReasonCode
from maingate.recovery import rollback_record
from maingate.recovery.landed_workstreams import LandedRun, LandedWorkstream
from maingate.recovery.revert_commits import CommitWording, Reverted, Undo, build, undos
from maingate.recovery.rollback_values import Judge, RollbackEnd, RollbackOutcome, RollbackRequest

ROLLBACK_ATTEMPTS: Final = 5
"""Attempts of a rollback, each built anew because the branch was moved meanwhile by others."""


class RollbackManager:
    """Carries out rollbacks on a target that this process holds.

    Args:
        target: The branch.
        judge: Runs the gates.
    """

    def __init__(self, *, target: HeldTarget, judge: Judge) -> None:
        self._target, self._judge = target, judge
        self._repository, self._clock = target.repository, target.clock

    def roll_back(self, request: RollbackRequest) -> RollbackOutcome:
        """Take patches back, all of them or none.

        Raises:
            UsageError: One of them is not on the target.
            RepositoryError: The target, or a commit that is needed, is gone; or a checkout cannot follow.
            OutsideFaultError: The branch was moved by others again and again.
        """
        with self._target.database.read() as conn:
            run = LandedRun.read(conn, request.run_id)
        streams = run.holding(request.patches)
        changes = undos(self._repository, streams, set(request.patches))
        gates = run.required_gates(request.patches)
        for _ in range(ROLLBACK_ATTEMPTS):
            attempt = _RollbackAttempt(request=request, run=run, streams=streams, gates=gates)
            if (outcome := self._try(attempt, changes)) is not None:
                return outcome
            request = replace(request, id=new_id("rollback"))  # an intent stands for one attempt
        raise OutsideFaultError(
            f"{self._target.ref} was moved by another process {ROLLBACK_ATTEMPTS} times while the gates ran; "
            "nothing was changed; try again later"
        )

    def _try(self, attempt: "_RollbackAttempt", changes: Sequence[Undo]) -> RollbackOutcome | None:
        """Build, judge and land the reverts once; return None when others moved the branch meanwhile."""
        head = self._target.head()
        if head is None:
            raise RepositoryError(f"{self._target.ref} is gone; create it again, then roll back")
        built = build(self._repository, changes, attempt.wording, head=head, at=self._clock.now())
        if isinstance(built, Reason):
            return self._refuse(replace(attempt, gates=()), head, built)
        if built.new == head:
            self._book_only(attempt, built)
            return self._rolled_back(replace(attempt, gates=()), built, ())
        self._require_no_obstacle(self._move(attempt, built))
        judged = self._judge_sealed(attempt, built)
        if isinstance(judged, Reason):
            return self._refuse(attempt, head, judged)
        notes = self._land(attempt, judged)
        return None if notes is None else self._rolled_back(attempt, judged, notes)

    def _judge_sealed(self, attempt: "_RollbackAttempt", built: Reverted) -> Reverted | Reason:
        """Return the result with the seal of the ledger, when its gates pass; else why they refuse it.

        The seal is made after the verdicts where it can be, so that the branch carries the head of the
        ledger from after them.
        """
        if is_judged_sealed(attempt.run.plan, attempt.gates):
            built = self._sealed(built)
            return self._judge(attempt.gates, built) or built
        return self._judge(attempt.gates, built) or self._sealed(built)

    def _land(self, attempt: "_RollbackAttempt", built: Reverted) -> tuple[str, ...] | None:
        """Move the target; return None when others have moved it, which abandons the intent."""
        intent = self._intent(attempt, built)
        came = self._target.carry_out(
            intent,
            self._move(attempt, built),
            book=partial(rollback_record.book, intent=intent, clock=self._clock),
        )
        if isinstance(came, Obstruction):
            raise _cannot_follow(came.message)
        return None if isinstance(came, RefMoved) else tuple(str(left) for left in came)

    def _require_no_obstacle(self, move: Move) -> None:
        """Raise before the gates run when a checkout could not follow after them."""
        obstacle = self._target.obstacle(move)
        if obstacle is not None and self._target.head() == move.old:
            raise _cannot_follow(obstacle)

    def _sealed(self, built: Reverted) -> Reverted:
        new = self._target.seal(built.new)
        commits = {patch: new if own == built.new else own for patch, own in built.commits.items()}
        return replace(built, new=new, commits=commits)

    def _book_only(self, attempt: "_RollbackAttempt", built: Reverted) -> None:
        """Move only the ledger: nothing of the patches is on the target any more."""
        intent = self._intent(attempt, built)
        with self._target.fenced() as conn:
            intents.record(conn, intent)
            rollback_record.book(conn, intent, self._clock)

    def _intent(self, attempt: "_RollbackAttempt", built: Reverted) -> Intent:
        request = attempt.request
        return Intent(
            id=request.id,
            run_id=request.run_id,
            workstream_id=attempt.streams[0].row.id,
            ref=self._target.ref,
            old=built.old,
            new=built.new,
            commits=built.commits,
            kind="rollback",
            reason=Reason(
                code=ReasonCode.ROLLED_BACK, message=request.reason, detail={"what": request.label}
            ),
            operator=request.operator,
            created_at=self._clock.now(),
        )

    def _move(self, attempt: "_RollbackAttempt", built: Reverted) -> Move:
        label = attempt.request.label
        return Move(
            ref=self._target.ref,
            old=built.old,
            new=built.new,
            what=f"the rollback of {label}",
            message=f"roll back {label}",
        )

    def _refuse(self, attempt: "_RollbackAttempt", head: str, reason: Reason) -> RollbackOutcome:
        request = attempt.request
        with self._target.fenced() as conn:
            rollback_record.refuse(
                conn,
                attempt.run.row,
                self._clock,
                rollback=request.id,
                patch_ids=request.patches,
                asked=request.reason,
                operator=request.operator,
                reason=reason,
            )
        return RollbackOutcome(
            end=RollbackEnd.REFUSED,
            ref=self._target.ref,
            old=head,
            new=head,
            gates=tuple(attempt.gates),
            reason=reason,
        )

    def _rolled_back(
        self, attempt: "_RollbackAttempt", built: Reverted, notes: tuple[str, ...]
    ) -> RollbackOutcome:
        return RollbackOutcome(
            end=RollbackEnd.ROLLED_BACK,
            ref=self._target.ref,
            old=built.old,
            new=built.new,
            commits=built.commits,
            gates=tuple(attempt.gates),
            notes=notes,
        )


@dataclass(frozen=True, kw_only=True)
class _RollbackAttempt:
    """One attempt of a rollback: the request, what it concerns, and the gates that judge its result."""

    request: RollbackRequest
    run: LandedRun
    streams: Sequence[LandedWorkstream]
    gates: Sequence[str]

    @property
    def wording(self) -> CommitWording:
        """The text of its commits."""
        return CommitWording(
            rollback_id=self.request.id,
            label=self.request.label,
            reason=self.request.reason,
            style=LandingStyle(self.run.row.landing),
        )


def _cannot_follow(why: str) -> CheckoutError:
    return CheckoutError(f"{why}. Nothing was changed; fix that, then roll back again")
