"""Record of what gates say: executions, verdicts, and the evidence that ties them to a subject."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Final, Protocol

from maingate.clock import Clock
from maingate.commits import Tip
from maingate.db.dao import gates as gate_rows
from maingate.db.dao import verdicts
from maingate.db.dao.gates import GateRow
from maingate.db.dao.verdicts import Evidence, Verdict
from maingate.db.sql.connection import Connection
from maingate.ids import GateId, RunId
from maingate.reasons import Reason, ReasonCode
from maingate.state.steps import gates as gate_steps
from maingate.state.steps.step import Head, Step
from maingate.verdicts.blame import GateAnswer
from maingate.verdicts.subject import JudgedSubject
from maingate.workers.backend import JobEnd, WorkerLost

Write = Callable[[Connection], Sequence[Head]]
"""Something to write besides transitions; returns the heads of entities that it created."""

CLASHED: Final = (
    "[maingate: it failed beside other jobs and passed alone; `exclusive: true` always runs it alone]"
)
"""Remark on a gate that a clash of ports, locks or load may have made fail at first."""

_ABANDONED: Final = "it was stopped because its run stopped"

_NOT_NEEDED: Final = Reason(
    code=ReasonCode.CANCELLED, message="it was stopped, because its answer was not needed any more"
)


class Ledger(Protocol):
    """The writer of a run's transitions; posted entries are written in the order of posting."""

    def post(self, steps: Sequence[Step] = (), *, writes: Sequence[Write] = ()) -> None:
        """Write these before long, without waiting."""
        ...

    async def record(self, steps: Sequence[Step] = (), *, writes: Sequence[Write] = ()) -> None:
        """Write these and all that was posted before; return when they are durable."""
        ...


@dataclass(frozen=True, kw_only=True)
class Ended:
    """The end of a gate's execution.

    Args:
        end: How its last attempt ended.
        attempts: How often it ran; 0 when it never began.
        has_clashed: Whether it failed while other jobs ran beside it.
        is_flaky: Whether it passed after it had failed on the same tree.
    """

    end: JobEnd
    attempts: int
    has_clashed: bool
    is_flaky: bool = False


class VerdictRecords:
    """Writes executions, verdicts and evidence of one run.

    Args:
        run_id: The run.
        ledger: Writes them.
        clock: The time that they are stamped with.
    """

    def __init__(self, *, run_id: RunId, ledger: Ledger, clock: Clock) -> None:
        self.run_id, self._ledger, self._clock = run_id, ledger, clock

    def post(self, row: GateRow, step: Step, *, is_new: bool) -> None:
        """Record a step of an execution, which is inserted first when it is new."""
        self._ledger.post([step], writes=[self._insert(row)] if is_new else [])

    def abandon(self, row: GateRow) -> None:
        """Record that an execution was ended because its run stopped."""
        step = gate_steps.fail(row.head, exit_code=-1, output=_ABANDONED, fault="cancelled", attempts=1)
        self._ledger.post([step])

    def finish(self, row: GateRow, ended: Ended, answer: GateAnswer) -> None:
        """Record how an execution ended, and its verdict when it came to one: a pass, or a sure failure."""
        self._ledger.post([_ending(row, ended, answer)], writes=self._verdict(row, answer))

    def attach(self, subject: JudgedSubject, tip: Tip, answer: GateAnswer, *, is_reused: bool) -> None:
        """Record that an execution counts for a subject."""
        if answer.gate_id is None:
            return
        is_patch = subject.patch_id is not None
        evidence = Evidence(
            subject_kind="patch" if is_patch else "workstream",
            subject_id=subject.patch_id or subject.workstream_id,
            gate_name=answer.gate,
            tree=tip.tree,
            gate_id=GateId(answer.gate_id),
            reused=is_reused,
            created_at=self._clock.now(),
        )

        def attach(conn: Connection) -> Sequence[Head]:
            verdicts.attach(conn, evidence)
            return ()

        self._ledger.post(writes=[attach])

    async def written(self) -> None:
        """Return once all that was posted so far is durable.

        Raises:
            DatabaseError: It cannot be written.
        """
        await self._ledger.record()

    def _insert(self, row: GateRow) -> Write:
        return lambda conn: [made.head for made in gate_rows.insert_many(conn, [row], at=self._clock.now())]

    def _verdict(self, row: GateRow, answer: GateAnswer) -> Sequence[Write]:
        is_told = answer.passed or answer.is_sure
        if answer.fault is not None or answer.gate_id is None or answer.exit_code is None or not is_told:
            return []
        verdict = Verdict(
            key=row.verdict_key,
            gate_name=answer.gate,
            tree=row.tree,
            state="PASSED" if answer.passed else "FAILED",
            exit_code=answer.exit_code,
            is_flaky=answer.is_flaky,
            gate_id=GateId(answer.gate_id),
            created_at=self._clock.now(),
        )

        def store(conn: Connection) -> Sequence[Head]:
            verdicts.store(conn, verdict)
            return ()

        return [store]


def log_name(row: GateRow, attempt: int) -> str:
    """Return the name of the log file of an attempt."""
    return f"{row.id}.log" if attempt == 1 else f"{row.id}.{attempt}.log"


def answer_of(row: GateRow, ended: Ended) -> GateAnswer:
    """Return what an execution's end says about its tree."""
    end = ended.end
    if isinstance(end, WorkerLost):
        return GateAnswer(gate=row.name, passed=False, gate_id=row.id, fault=end.code, message=end.message)
    if end.passed:
        return GateAnswer(
            gate=row.name,
            passed=True,
            gate_id=row.id,
            exit_code=end.exit_code,
            is_flaky=ended.is_flaky,
            message=CLASHED if ended.has_clashed else "",
        )
    return GateAnswer(
        gate=row.name,
        passed=False,
        gate_id=row.id,
        fault="cancelled" if end.cancelled else end.fault,
        exit_code=end.exit_code,
        code=ReasonCode.GATE_TIMEOUT if end.timed_out else ReasonCode.GATE_FAILED,
        message=end.message,
        excerpt=end.excerpt,
    )


def _ending(row: GateRow, ended: Ended, answer: GateAnswer) -> Step:
    end, attempts = ended.end, ended.attempts
    if isinstance(end, WorkerLost):
        return gate_steps.fail(row.head, exit_code=-1, output=end.message, fault=end.code, attempts=attempts)
    log, duration = log_name(row, attempts), round(end.seconds * 1000)
    if end.passed:
        return gate_steps.pass_(
            row.head,
            exit_code=end.exit_code or 0,
            output=f"{answer.message}\n{end.excerpt}" if answer.message else end.excerpt,
            duration_ms=duration,
            log_path=log,
            attempts=attempts,
            is_flaky=answer.is_flaky,
            metadata={"remark": answer.message} if answer.message else {},
        )
    return gate_steps.fail(
        row.head,
        exit_code=-1 if end.exit_code is None else end.exit_code,
        output=end.excerpt or end.message,
        trigger="timeout_exceeded" if end.timed_out else "exit_code_unexpected",
        fault=answer.fault,
        duration_ms=duration,
        log_path=log,
        attempts=attempts,
        reason=_NOT_NEEDED if answer.fault == ReasonCode.CANCELLED else None,
    )
