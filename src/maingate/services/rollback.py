"""Rollback of landed patches: reverts, gates, landing and ledger, then the plan's `on_rollback` commands."""

from collections.abc import Sequence
from dataclasses import replace

from maingate.commits import Tip
from maingate.db.dao import intents, patches, runs, workstreams
from maingate.db.dao.runs import RunRow
from maingate.errors import InterruptedRunError, OutsideFaultError, UsageError
from maingate.ids import LeaseHolder, RunId, WorkstreamId
from maingate.landing.intended_move import HeldTarget
from maingate.landing.target import LandingTarget
from maingate.orchestrator.injected_parts import Dependencies
from maingate.plan.model import Plan
from maingate.queries.rollbacks.owed_commands import owed
from maingate.queries.rollbacks.rollback import outcome_of
from maingate.reasons import Reason
from maingate.recovery.landed_workstreams import LandedRun
from maingate.recovery.revert_commits import Reverted
from maingate.recovery.rollback_manager import RollbackManager
from maingate.recovery.rollback_trial import try_rollback
from maingate.recovery.rollback_values import RollbackEnd, RollbackOutcome, RollbackRequest
from maingate.repository_context import RepositoryContext
from maingate.services import on_rollback_commands
from maingate.services.gates_on_commits import Examination
from maingate.services.notifications.notifier import Notifier
from maingate.services.targets.target_work import TargetWork
from maingate.state.operator_rules import require_reason
from maingate.state.patch_ledger import PatchState
from maingate.verdicts.blame import Opinion
from maingate.verdicts.subject import JudgedSubject

_AGAIN = "the same `maingate rollback` again runs those that are not on record"


class RollbackService:
    """Takes landed patches back.

    Args:
        context: The repository and its record.
        work: Has work done at a held target.
        notifier: Runs the plan's `notify` commands.
    """

    def __init__(
        self,
        context: RepositoryContext,
        work: TargetWork,
        *,
        notifier: Notifier,
    ) -> None:
        self._context, self._work, self._notifier = context, work, notifier

    def roll_back(
        self,
        patch_ids: Sequence[str],
        *,
        label: str,
        reason: str,
        operator: str,
        workers: int | None = None,
    ) -> RollbackOutcome:
        """Take landed patches of one run back; all of it or nothing.

        Args:
            patch_ids: The patches, by their full ids.
            label: The name of all that is rolled back, for people.
            reason: Why.
            operator: The person.
            workers: How many gates run at once. Defaults to the setting.

        Raises:
            UsageError: One of them is not on the target, they belong to several runs or elsewhere, or the
                reason is empty.
            RepositoryError: The target cannot be landed on as it is, or a commit that is needed is gone.
            TargetBusyError: A living process holds the target.
            OutsideFaultError: Something outside failed.
        """
        require_reason(reason)
        run = self._run_of(patch_ids)
        warnings = self._notifier.deliver()  # of what a killed process did not come to
        holder, interruption = LeaseHolder.new("rollback"), None
        with self._work.holds.on(run, holder):
            self._prepare(run)
            still_there = self._still_there(patch_ids)
            order = RollbackRequest(
                id=holder.id,
                run_id=run.id,
                label=label,
                patches=still_there,
                reason=reason,
                operator=operator,
            )
            deps = self._work.dependencies(holder, workers, self._context.settings)
            # without patches, the rollback of a process that was killed has just been finished
            is_new = bool(order.patches)
            outcome = (
                self._rolled_back(holder, order, run, deps) if is_new else self._finished(run, patch_ids)
            )
            if outcome.end is RollbackEnd.ROLLED_BACK:
                outcome, interruption = self._compensated(holder, run, outcome, deps)
        warnings += self._notifier.deliver({holder.id: label})
        if interruption is not None:
            raise interruption
        return replace(outcome, notes=(*outcome.notes, *warnings))

    def try_out(self, patch_ids: Sequence[str], *, label: str) -> RollbackOutcome:
        """Return what a rollback would do as the target is now; no gate runs, and nothing is written.

        Raises:
            UsageError: One of the patches is not on the target, or they belong to several runs or elsewhere.
            RepositoryError: The target cannot be landed on as it is, or a commit that is needed is gone.
        """
        run, context = self._run_of(patch_ids), self._context
        LandingTarget(repository=context.repository, ref=run.target_ref).require_ready(is_trial=True)
        with context.database.read() as conn:
            landed = LandedRun.read(conn, run.id)
        request = RollbackRequest(
            id="trial",
            run_id=run.id,
            label=label,
            patches=self._still_there(patch_ids),
            reason="trial",
            operator="trial",
        )
        return try_rollback(context.repository, landed, request, at=context.clock.now())

    def _run_of(self, patch_ids: Sequence[str]) -> RunRow:
        with self._context.database.read() as conn:
            found = {row.run_id for row in patches.get_many(conn, patch_ids).values()}
            if len(found) != 1:
                raise UsageError("patches of one run are rolled back at a time, and at least one of them")
            run = runs.get(conn, found.pop())
        self._context.require_own(run)
        return run

    def _prepare(self, run: RunRow) -> None:
        LandingTarget(repository=self._context.repository, ref=run.target_ref).require_ready()
        self._work.rescue.clear_up()

    def _still_there(self, patch_ids: Sequence[str]) -> list[str]:
        with self._context.database.read() as conn:
            rows = patches.get_many(conn, patch_ids)
        return [each for each in patch_ids if rows[each].state is not PatchState.ROLLED_BACK]

    def _finished(self, run: RunRow, patch_ids: Sequence[str]) -> RollbackOutcome:
        """Describe the rollback that was finished on behalf of a process that was killed."""
        with self._context.database.read() as conn:
            done = [each for each in intents.rollbacks(conn, run.id) if set(patch_ids) & each.commits.keys()]
        return outcome_of(done[-1], patch_ids)

    def _rolled_back(
        self, holder: LeaseHolder, order: RollbackRequest, run: RunRow, deps: Dependencies
    ) -> RollbackOutcome:
        """Carry a rollback out."""
        target = HeldTarget(
            repository=self._context.repository,
            ref=run.target_ref,
            timeout=self._context.settings.checkout_timeout,
            database=self._context.database,
            fence=deps.target_fence,
            clock=self._context.clock,
        )
        manager = RollbackManager(
            target=target, judge=lambda gates, result: self._judged(holder, run, gates, result, deps)
        )
        try:
            return manager.roll_back(order)
        finally:
            self._context.write_log()

    def _judged(
        self, holder: LeaseHolder, run: RunRow, gates: Sequence[str], result: Reverted, deps: Dependencies
    ) -> Reason | None:
        """Run gates on a rollback's result; return why it is refused, or None when they pass."""
        if not gates:
            return None
        with self._context.database.read() as conn:
            streams = workstreams.of_run(conn, run.id)
        subject = JudgedSubject(
            label="the rolled back result", workstream_id=WorkstreamId(streams[0].id), is_urgent=True
        )
        tip = Tip(commit=result.new, tree=result.tree)
        onto = Tip(commit=result.old, tree=self._context.repository.tree_of(result.old))
        examination = Examination(RunId(run.id), Plan.from_json(run.plan), deps)
        asked = examination.judge(subject, gates, tip=tip, onto=onto)
        judgement = self._work.run(holder, examination, asked)
        return None if judgement.opinion is Opinion.PASSED else judgement.reason

    def _compensated(
        self, holder: LeaseHolder, run: RunRow, outcome: RollbackOutcome, deps: Dependencies
    ) -> tuple[RollbackOutcome, InterruptedRunError | None]:
        """Run the `on_rollback` commands that are owed; a failure leaves the rollback as it is."""
        with self._context.database.read() as conn:
            wanted = owed(conn, run)
        if not wanted:
            return outcome, None
        repository = self._context.repository
        head = repository.ref_value(run.target_ref) or outcome.new
        tip = Tip(commit=head, tree=repository.tree_of(head))
        interrupted = f"the rollback stands, its on_rollback commands were interrupted; {_AGAIN}"
        examination = Examination(RunId(run.id), Plan.from_json(run.plan), deps, interrupted=interrupted)
        work = on_rollback_commands.compensate(wanted, examination=examination, deps=deps, tip=tip)
        interruption, failures = None, []
        try:
            failures = self._work.run(holder, examination, work)
        except InterruptedRunError as error:
            interruption = error
        except OutsideFaultError as error:
            failures = [f"not every on_rollback command could be run: {error}; {_AGAIN}"]
        told = replace(outcome, failures=tuple(failures), notes=(*outcome.notes, *failures))
        return told, interruption
