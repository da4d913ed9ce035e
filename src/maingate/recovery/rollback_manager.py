"""Rollback: taking landed patches back as carefully as they landed (docs/SPECIFICATION.md §2.5).

The reverts are built on the target's head, the plan's gates judge the result, and only then the branch moves,
by compare-and-swap with the intent on record first, as in a landing. The ledger follows in the transaction
that settles the intent. All of it or nothing: a revert that conflicts or a red gate changes neither branch
nor ledger. What a killed process left between the branch and the ledger is settled by whoever holds the
target next (`settle`): the branch says whether it happened.
"""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import timedelta
from enum import StrEnum
from typing import Any, Final, Protocol

from maingate.clock import Clock
from maingate.db import ledger
from maingate.db.connection import Connection
from maingate.db.dao import events, intents, patches, runs, tasks, workstreams
from maingate.db.dao.intents import Intent
from maingate.db.dao.patches import PatchRow
from maingate.db.dao.runs import RunRow
from maingate.db.engine import Database
from maingate.db.transitions import write
from maingate.errors import CheckoutError, OutsideFaultError, RepositoryError, UsageError
from maingate.events import Event, Severity
from maingate.faultpoints import reach
from maingate.git.repository import RefMoved, Repository
from maingate.ids import EventId, new_id
from maingate.landing.catching_up import FILTER_TIME, Move, catch_up
from maingate.landing.move import Obstruction, land, obstacle
from maingate.landing.sealing import seal
from maingate.plan.choices import LandingStyle
from maingate.plan.model import Plan
from maingate.reasons import Reason, ReasonCode
from maingate.recovery.reverts import LandedStream, Reverted, Wording, build, undos
from maingate.state.patch_ledger import PatchState
from maingate.wording import listed

ROUNDS: Final = 5
"""How often a rollback is made anew because somebody else moved the branch meanwhile."""


class Judge(Protocol):
    """Runs gates on a result; nothing is said against it, or the reason is returned."""

    def __call__(self, gates: Sequence[str], result: Reverted) -> Reason | None:
        """Judge what would land against the head that it is built on."""
        ...


class End(StrEnum):
    """How a rollback ended."""

    ROLLED_BACK = "rolled_back"
    """The target has them no more, and the ledger says so."""
    REFUSED = "refused"
    """Nothing was changed."""


@dataclass(frozen=True, kw_only=True)
class Order:
    """What somebody wants to have rolled back.

    Args:
        id: Identifier of the rollback.
        run_id: The run that landed it.
        label: What people call it.
        patches: The patches, all of that run.
        reason: Why.
        operator: Who wants it.
    """

    id: str
    run_id: str
    label: str
    patches: Sequence[str]
    reason: str
    operator: str


@dataclass(frozen=True, kw_only=True)
class Outcome:
    """What came of a rollback.

    Args:
        end: How it ended.
        ref: The branch.
        old: Where the branch was.
        new: Where it is.
        commits: The commit that took each patch back; empty for one that was gone already.
        gates: The gates that judged the result.
        reason: Why it was refused; None when it was not.
        notes: What people should know besides.
        failures: What failed after it; it stands nevertheless.
    """

    end: End
    ref: str
    old: str
    new: str
    commits: dict[str, str] = field(default_factory=dict)
    gates: tuple[str, ...] = ()
    reason: Reason | None = None
    notes: tuple[str, ...] = ()
    failures: tuple[str, ...] = ()


class RollbackManager:
    """Carries out rollbacks on a target that the caller holds.

    Args:
        repository: Where the target is.
        database: The ledger.
        clock: What time commits and records are stamped with.
        fence: Raises when this process does not hold the target any more.
        judge: Runs the gates.
        timeout: How long git and the person's filters may take for the files of a checkout.
    """

    def __init__(
        self,
        *,
        repository: Repository,
        database: Database,
        clock: Clock,
        fence: Callable[[Connection], None],
        judge: Judge,
        timeout: timedelta = FILTER_TIME,
    ) -> None:
        self._repository, self._database, self._clock = repository, database, clock
        self._fence, self._judge, self._timeout = fence, judge, timeout

    def roll_back(self, order: Order) -> Outcome:
        """Take patches back, all of them or none.

        Raises:
            UsageError: One of them is not on the target.
            RepositoryError: The target, or a commit that is needed, is gone; or a checkout cannot follow.
            OutsideFaultError: The branch does not keep still.
        """
        run, plan, streams = self._read(order)
        changes = undos(self._repository, streams, set(order.patches))
        landed, stays = self._landed_names(run, order)
        gates = required_gates(plan, landed, stays)
        for _ in range(ROUNDS):
            wording = Wording(
                rollback_id=order.id, label=order.label, reason=order.reason, style=LandingStyle(run.landing)
            )
            head = self._repository.ref_value(run.target_ref)
            if head is None:
                raise RepositoryError(f"{run.target_ref} is gone; make it again, then roll back")
            built = build(self._repository, changes, wording, head=head, at=self._clock.now())
            if isinstance(built, Reason):
                return self._refuse(order, run, head, (), built)
            if built.new == head:
                self._book_only(order, run, streams, built)
                return self._done(run, built, (), ())
            self._require_no_obstacle(_move(order, run, built))
            is_judged_sealed = any(plan.gates[gate].needs_commit for gate in gates)
            if is_judged_sealed:
                built = self._sealed(built)
            if (said := self._judge(gates, built)) is not None:
                return self._refuse(order, run, head, gates, said)
            if not is_judged_sealed:
                built = self._sealed(built)
            notes = self._land(order, run, streams, built)
            if notes is not None:
                return self._done(run, built, gates, notes)
            order = replace(order, id=new_id("rollback"))  # an intent stands for one attempt
        raise OutsideFaultError(
            f"{run.target_ref} was moved by somebody else {ROUNDS} times while the gates ran; "
            "nothing was changed; try again when it keeps still"
        )

    # -- reading ---------------------------------------------------------------------------------------------

    def _read(self, order: Order) -> tuple[RunRow, Plan, list[LandedStream]]:
        with self._database.read() as conn:
            run = runs.get(conn, order.run_id)
            plan = Plan.from_json(run.plan)
            ledger = patches.of_run(conn, run.id)
            names = {task.id: task.name for task in tasks.of_run(conn, run.id)}
            rows = workstreams.of_run(conn, run.id)
        wanted = [row for row in ledger if row.id in set(order.patches)]
        if not wanted or (not_there := [row for row in wanted if row.state is not PatchState.COMMITTED]):
            states = listed([f"{row.id} is {row.state}" for row in not_there]) if wanted else ""
            raise UsageError(f"only what is on the target can be rolled back: {states or 'there is nothing'}")
        mine = {row.workstream_id for row in wanted}
        streams = [_stream(run, plan, row, ledger, names) for row in rows if row.id in mine]
        return run, plan, streams

    def _landed_names(self, run: RunRow, order: Order) -> tuple[set[str], set[str]]:
        """Name the workstreams that have landed, and those of which something stays on the target."""
        with self._database.read() as conn:
            rows, ledger = workstreams.of_run(conn, run.id), patches.of_run(conn, run.id)
        kept = {
            row.workstream_id
            for row in ledger
            if row.state is PatchState.COMMITTED and row.id not in order.patches
        }
        landed = {row.name for row in rows if row.landed_commit is not None}
        return landed, {row.name for row in rows if row.id in kept}

    # -- changing --------------------------------------------------------------------------------------------

    def _land(
        self, order: Order, run: RunRow, streams: Sequence[LandedStream], built: Reverted
    ) -> tuple[str, ...] | None:
        """Move the target; None when somebody else has moved it, which undoes the intent."""
        repository = self._repository
        move = _move(order, run, built)
        intent = self._intent(order, run, streams, built)
        with self._database.write() as conn:
            self._fence(conn)
            intents.record(conn, intent)
        reach("rollback.intent")
        came = land(
            repository,
            move,
            before=lambda: self._last_look(intent),
            after=lambda: reach("rollback.after-ref"),
            timeout=self._timeout,
        )
        if isinstance(came, RefMoved | Obstruction):
            with self._database.write() as conn:
                self._fence(conn)
                intents.abandon(conn, intent.id, self._clock.now())
            if isinstance(came, Obstruction):
                raise _cannot_follow(came.message)
            return None
        reach("rollback.after-checkout")
        with self._database.write() as conn:
            self._fence(conn)
            book(conn, intent, self._clock)
        reach("rollback.recorded")
        return tuple(str(left) for left in came)

    def _require_no_obstacle(self, move: Move) -> None:
        """Refuse before the gates run what would be refused after them."""
        said = obstacle(self._repository, move, timeout=self._timeout)
        if said is not None and self._repository.ref_value(move.ref) == move.old:
            raise _cannot_follow(said)

    def _last_look(self, intent: Intent) -> None:
        """Make sure, at the last moment, that this process may still move the target."""
        with self._database.read() as conn:
            self._fence(conn)
            intents.require(conn, intent.id)
        reach("rollback.before-ref")

    def _sealed(self, built: Reverted) -> Reverted:
        """Seal the last commit, so that the branch carries the head of the ledger from after the verdicts."""
        with self._database.read() as conn:
            reached = ledger.position(conn)
        record = self._database.record_id or ""
        new = seal(self._repository, built.new, record=record, position=str(reached))
        commits = {patch: new if own == built.new else own for patch, own in built.commits.items()}
        return replace(built, new=new, commits=commits)

    def _book_only(self, order: Order, run: RunRow, streams: Sequence[LandedStream], built: Reverted) -> None:
        """Move only the ledger: the target has none of it any more."""
        intent = self._intent(order, run, streams, built)
        with self._database.write() as conn:
            self._fence(conn)
            intents.record(conn, intent)
            book(conn, intent, self._clock)

    def _intent(self, order: Order, run: RunRow, streams: Sequence[LandedStream], built: Reverted) -> Intent:
        return Intent(
            id=order.id,
            run_id=run.id,
            workstream_id=streams[0].row.id,
            ref=run.target_ref,
            old=built.old,
            new=built.new,
            commits=built.commits,
            kind="rollback",
            reason=Reason(code=ReasonCode.ROLLED_BACK, message=order.reason, detail={"what": order.label}),
            operator=order.operator,
            created_at=self._clock.now(),
        )

    def _refuse(self, order: Order, run: RunRow, head: str, gates: Sequence[str], reason: Reason) -> Outcome:
        with self._database.write() as conn:
            self._fence(conn)
            event = _event(
                "rollback_refused",
                Severity.WARNING,
                run,
                order.operator,
                self._clock,
                reason=reason,
                rollback=order.id,
                asked=order.reason,
                patches=list(order.patches),
            )
            events.record(conn, event)
        return Outcome(
            end=End.REFUSED, ref=run.target_ref, old=head, new=head, gates=tuple(gates), reason=reason
        )

    def _done(self, run: RunRow, built: Reverted, gates: Sequence[str], notes: tuple[str, ...]) -> Outcome:
        return Outcome(
            end=End.ROLLED_BACK,
            ref=run.target_ref,
            old=built.old,
            new=built.new,
            commits=built.commits,
            gates=tuple(gates),
            notes=notes,
        )


def _move(order: Order, run: RunRow, built: Reverted) -> Move:
    return Move(
        ref=run.target_ref,
        old=built.old,
        new=built.new,
        what=f"the rollback of {order.label}",
        message=f"roll back {order.label}",
    )


def _cannot_follow(said: str) -> CheckoutError:
    return CheckoutError(f"{said}. Nothing was changed: when that is out of the way, roll back again")


def landed_stream(conn: Connection, workstream_id: str) -> LandedStream:
    """Read a workstream with all that landed of it, oldest first."""
    row = workstreams.get(conn, workstream_id)
    run = runs.get(conn, row.run_id)
    names = {task.id: task.name for task in tasks.of_run(conn, run.id)}
    return _stream(run, Plan.from_json(run.plan), row, patches.of_run(conn, run.id), names)


def _stream(
    run: RunRow,
    plan: Plan,
    row: workstreams.WorkstreamRow,
    ledger: Sequence[PatchRow],
    names: Mapping[str, str],
) -> LandedStream:
    places = {name: place for place, name in enumerate(plan.workstreams[row.name].task_order())}
    landed = [patch for patch in ledger if patch.workstream_id == row.id and patch.committed_at]
    landed.sort(key=lambda patch: (places.get(names[patch.task_id], 0), patch.id))
    return LandedStream(row=row, landing=LandingStyle(run.landing), patches=landed, names=names)


def required_gates(plan: Plan, landed: set[str], stays: set[str]) -> list[str]:
    """List the gates that the target must pass: those of every workstream of the run that has landed.

    A gate that a workstream was to make green is asked only while something of that stays.
    """
    return list(
        dict.fromkeys(
            gate
            for name in plan.workstreams
            if name in landed
            for gate in plan.landing_gates(name)
            if name in stays or not plan.gates[gate].red_on_base
        )
    )


def book(conn: Connection, intent: Intent, clock: Clock) -> None:
    """Write that a rollback has happened: ledger, event and intent, in the caller's transaction."""
    at = clock.now()
    rows = patches.get_many(conn, intent.commits)
    there = [row for row in rows.values() if row.state is PatchState.COMMITTED]
    steps = [
        patches.roll_back(
            row, _reason_for(intent, row), operator=intent.operator, metadata=_facts(intent, row)
        )
        for row in there
    ]
    write(conn, {row.id: row.head for row in there}, steps, at=at)
    run = runs.get(conn, intent.run_id)
    event = _event(
        "rollback",
        Severity.CRITICAL,
        run,
        intent.operator,
        clock,
        reason=intent.reason,
        rollback=intent.id,
        ref=intent.ref,
        old=intent.old,
        new=intent.new,
        patches=sorted(rows),
    )
    events.record(conn, event)
    intents.landed(conn, intent.id, at)


def settle(
    conn: Connection, repository: Repository, intent: Intent, clock: Clock
) -> tuple[bool, tuple[str, ...]]:
    """Finish, or give up, a rollback whose process was ended; the caller holds the target.

    Args:
        conn: A writing transaction.
        repository: Where the target is.
        intent: A pending rollback.
        clock: The time.

    Returns:
        Whether the branch has it, so that the ledger moved too; and why a checkout did not follow.
    """
    head = repository.ref_value(intent.ref)
    has_happened = (
        head is not None and repository.has_object(intent.new) and repository.is_ancestor(intent.new, head)
    )
    if not has_happened or head is None:
        intents.abandon(conn, intent.id, clock.now())
        return False, ()
    notes = tuple(str(left) for left in catch_up(repository, intent.ref))
    book(conn, intent, clock)
    return True, notes


def _reason_for(intent: Intent, row: PatchRow) -> Reason:
    said = intent.reason.message if intent.reason is not None else ""
    return Reason(
        code=ReasonCode.ROLLED_BACK, message=f"{intent.operator}: {said}", detail=_facts(intent, row)
    )


def _facts(intent: Intent, row: PatchRow) -> dict[str, object]:
    commit = intent.commits[row.id]
    return {"rollback": intent.id, "commit": commit or None, "by_hand": not commit}


def _event(
    kind: str, severity: Severity, run: RunRow, operator: str | None, clock: Clock, **facts: Any
) -> Event:
    reason = facts.pop("reason")
    return Event(
        event_id=EventId(new_id("evt")),
        timestamp=clock.now(),
        event_type=kind,
        severity=severity,
        entity_type="run",
        entity_id=run.id,
        reason=None if reason is None else reason.as_json(),
        metadata=facts,
        operator=operator,
        run_id=run.id,
    )
