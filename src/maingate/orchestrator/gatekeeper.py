"""Judging a tree: which gates must run on it, which verdicts are known, and who is to blame for a failure.

A verdict belongs to the tree (or to the gate's inputs in it), the gate's definition and the environment, so
one tree is never tested twice for the same question (docs/SPECIFICATION.md §2.3): a known verdict is taken
over, one that is being found out is waited for. A failure is confirmed once on the same tree before anybody
is blamed, and when other jobs ran beside it, by itself: two gates may want the same port or lock. A pass then
is a pass, recorded as flaky. And before a patch is blamed the same gate is asked about the tree it was put
on: where that fails too, nobody is blamed.
"""

import asyncio
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Final, Protocol

from maingate.clock import Clock
from maingate.db.connection import Connection
from maingate.db.dao import gates as gate_rows
from maingate.db.dao import verdicts
from maingate.db.dao.gates import GateRow
from maingate.db.dao.verdicts import Evidence, Verdict
from maingate.db.engine import Database
from maingate.db.transitions import Head, Step
from maingate.errors import InterruptedRunError, WorkerError
from maingate.faultpoints import reach
from maingate.ids import GateId, PatchId, RunId, UetWorkerId, WorkstreamId, new_id
from maingate.orchestrator.core.commits import Tip
from maingate.orchestrator.core.judgement import Judgement, Opinion
from maingate.orchestrator.recorder import Recorder
from maingate.plan.definitions import GateDefinition
from maingate.reasons import Reason, ReasonCode
from maingate.uet.process.command import CommandResult
from maingate.verdicts.verdict_keys import VerdictKeys
from maingate.wording import listed
from maingate.workers.backend import Backend, WorkerLost
from maingate.workers.jobs import Job

Outcome = CommandResult | WorkerLost


class MakeJob(Protocol):
    """Makes a job of a gate's name, the tip to judge, a job id, an attempt and a log file."""

    def __call__(self, gate: str, tip: Tip, job_id: str, attempt: int, log: Path, *, urgent: bool) -> Job:
        """Make it; what is urgent goes before what is tested ahead."""
        ...


LOST_ATTEMPTS = 3
"""How often a gate is started again because its worker was lost (counted apart from real failures)."""


_CODES: Final = {
    "worker_lost": ReasonCode.WORKER_LOST,
    "worktree_failed": ReasonCode.WORKTREE_FAILED,
    "spawn_failed": ReasonCode.SPAWN_FAILED,
    "cancelled": ReasonCode.CANCELLED,
}
"""What a patch ends with whose gate could not be run."""

CLASHED = "[maingate: it failed beside other jobs and passed by itself; `exclusive: true` keeps it alone]"
"""What is noted of a gate that a clash of ports, locks or load may have made fail at first."""


@dataclass(frozen=True, kw_only=True)
class Subject:
    """Whose tree is judged: a patch, or a workstream's merged result.

    Args:
        label: Its name for people, such as ``parser/drop-regex``.
        patch_id: None for a merged result.
    """

    label: str
    workstream_id: WorkstreamId
    patch_id: PatchId | None = None


@dataclass(frozen=True, kw_only=True)
class Answer:
    """What one gate said about one tree.

    Args:
        passed: Whether it passed.
        gate_id: The execution that found it out; None when it was blocked and never ran.
        fault: What kept the gate from giving a verdict about the tree; None when it gave one.
        is_known: Whether it was taken over from an earlier execution.
        is_blocked: Whether it was not run because a gate that it needs did not pass.
    """

    gate: str
    passed: bool
    gate_id: str | None = None
    fault: str | None = None
    is_known: bool = False
    is_blocked: bool = False
    is_flaky: bool = False
    exit_code: int | None = None
    code: ReasonCode = ReasonCode.GATE_FAILED
    message: str = ""
    excerpt: str = ""
    log_path: str | None = None


class DrainedError(InterruptedRunError):
    """The run is stopping and starts no more gates."""


@dataclass(frozen=True, kw_only=True)
class Running:
    """A gate that runs now, since ``since`` on the monotonic clock."""

    gate: str
    label: str
    since: float


class Gatekeeper:
    """Judges trees by running gates on workers and remembering what they said.

    Args:
        definitions: The plan's gates by name.
        keys: Makes the key under which a verdict is known.
        make_job: Turns a gate, a commit, a job id, an attempt and a log file into a job for the pool.
        confirm: Whether a failure is tried once more on the same tree before it counts.
    """

    def __init__(
        self,
        *,
        run_id: RunId,
        definitions: Mapping[str, GateDefinition],
        keys: VerdictKeys,
        make_job: MakeJob,
        pool: Backend,
        recorder: Recorder,
        database: Database,
        clock: Clock,
        logs: Path,
        confirm: bool,
    ) -> None:
        self._run_id, self._definitions, self._keys, self._make_job = run_id, definitions, keys, make_job
        self._pool, self._recorder, self._database, self._clock = pool, recorder, database, clock
        self._logs, self._confirm = logs, confirm
        with database.read() as conn:
            self._has_past = verdicts.are_there(conn)
        self._answers: dict[str, asyncio.Task[Answer]] = {}
        self._starting: dict[str, tuple[GateRow, str]] = {}
        self._jobs_on: dict[str, set[str]] = {}
        self._unwanted: set[str] = set()
        self._is_draining = False
        self.running: dict[str, Running] = {}

    async def judge(self, subject: Subject, gates: Sequence[str], *, tip: Tip, onto: Tip) -> Judgement:
        """Ask every gate about a tree; those that need others wait for them.

        Args:
            subject: Whose tree it is.
            gates: Names, each after those it needs.
            tip: The commit and tree to judge.
            onto: What it was put on: asked about when a gate fails.
        """
        asked: dict[str, asyncio.Task[Answer]] = {}
        for name in gates:
            needs = [asked[need] for need in self._definitions[name].needs if need in asked]
            asked[name] = asyncio.create_task(self._ask(subject, name, tip, needs))
        answers = await _all_of(asked.values())
        if all(answer.passed for answer in answers):
            return Judgement(opinion=Opinion.PASSED, gates=tuple(gates))
        failed = [answer for answer in answers if not answer.passed and not answer.is_blocked]
        for answer in failed:
            excuse = await self._excuse(subject, answer, onto)
            if excuse is not None:
                return Judgement(opinion=Opinion.UNDECIDED, gates=tuple(gates), reason=excuse)
        return Judgement(opinion=Opinion.FAILED, gates=tuple(gates), reason=_blame(subject, failed))

    def forget(self, commit: str) -> None:
        """Cancel what runs on a commit that nobody wants any more."""
        for job_id in tuple(self._jobs_on.get(commit, ())):
            self._unwanted.add(job_id)
            self._pool.cancel(job_id)

    def forget_all(self) -> None:
        """Cancel everything that runs: nobody wants any verdict any more."""
        for commit in tuple(self._jobs_on):
            self.forget(commit)

    def drain(self) -> None:
        """Let the gates that run finish, and start none any more; what waits for one is given up."""
        self._is_draining = True
        for job_id in tuple(self._starting):
            self._pool.cancel(job_id)

    def job_started(self, job_id: str, uet_id: UetWorkerId) -> None:
        """Hear from the pool that a worker took a gate on: from now on it is an execution on record."""
        starting = self._starting.pop(job_id, None)
        if starting is None:
            return
        row, label = starting
        reach("gate.started")
        self.running[row.id] = Running(gate=row.name, label=label, since=self._clock.monotonic())
        self._recorder.post([gate_rows.start(row.head, uet_worker_id=uet_id)], writes=[self._insert(row)])

    async def recorded(self) -> None:
        """Wait until all that was found out so far is on record.

        Raises:
            DatabaseError: It cannot be written.
        """
        await self._recorder.record()

    async def close(self) -> None:
        """End what is still being found out."""
        for task in self._answers.values():
            task.cancel()
        await asyncio.gather(*self._answers.values(), return_exceptions=True)

    # -- one gate, one tree ----------------------------------------------------------------------------------

    async def _ask(
        self, subject: Subject, name: str, tip: Tip, needs: Sequence["asyncio.Task[Answer]"]
    ) -> Answer:
        failed = [answer.gate for answer in [await need for need in needs] if not answer.passed]
        if not failed:
            return await self._answer(subject, name, tip)
        row = self._row(subject, name, tip)
        reason = Reason(code=ReasonCode.GATE_FAILED, message=f"not run, because it needs {', '.join(failed)}")
        self._recorder.post([gate_rows.block(row.head, reason)], writes=[self._insert(row)])
        return Answer(gate=name, passed=False, is_blocked=True)

    async def _answer(self, subject: Subject, name: str, tip: Tip) -> Answer:
        """Take a known answer over, join one that is being found out, or find it out."""
        key = self._keys.key(name, tip.commit, tip.tree)
        while (joined := self._answers.get(key)) is not None:
            answer = await asyncio.shield(joined)
            if answer.fault is None:
                self._attach(subject, tip, answer, is_reused=True)
                return answer
            if self._answers.get(key) is joined:
                del self._answers[key]
        task = asyncio.create_task(self._find_out(subject, name, tip, key))
        self._answers[key] = task
        answer = await task
        self._attach(subject, tip, answer, is_reused=answer.is_known)
        return answer

    async def _find_out(self, subject: Subject, name: str, tip: Tip, key: str) -> Answer:
        known = self._known(key)
        if known is not None and known.state == "PASSED":
            return Answer(
                gate=name, passed=True, gate_id=known.gate_id, is_known=True, is_flaky=known.is_flaky
            )
        row = self._row(subject, name, tip, key)
        try:
            outcome, attempts, clashed = await self._run_until_sure(subject, row, tip)
        except (asyncio.CancelledError, DrainedError):
            if row.id in self.running:
                self._recorder.post([_abandoned(row)])
            raise
        finally:
            self.running.pop(row.id, None)
        answer = _answer_of(row, outcome, is_flaky=attempts > 1, clashed=clashed)
        if attempts == 0:
            return replace(answer, gate_id=None)
        # What follows from the answer is recorded after it, in the same order, so nobody need wait here.
        self._recorder.post([_ending(row, outcome, answer, attempts)], writes=self._verdict(answer, tip, key))
        return answer

    def _known(self, key: str) -> Verdict | None:
        """Look up what earlier runs found out; what this run did is in memory."""
        if not self._has_past:
            return None
        with self._database.read() as conn:
            return verdicts.known(conn, [key]).get(key)

    async def _run_until_sure(self, subject: Subject, row: GateRow, tip: Tip) -> tuple[Outcome, int, bool]:
        """Run a gate until it passes or has failed as often as it may.

        Returns:
            How it ended, how often it ran, and whether it failed while other jobs ran beside it. From then on
            it runs by itself.
        """
        definition = self._definitions[row.name]
        failures = lost = attempts = 0
        clashed = False
        while True:
            outcome = await self._run_once(subject, row, tip, attempts + 1, alone=clashed)
            if isinstance(outcome, CommandResult) and outcome.cancelled:
                return outcome, attempts + 1 if row.id in self.running else attempts, clashed
            attempts += 1
            if isinstance(outcome, WorkerLost):
                lost += 1
                if lost == LOST_ATTEMPTS:
                    return outcome, attempts, clashed
                continue
            if outcome.passed:
                return outcome, failures + 1, clashed
            failures += 1
            if failures > max(definition.retries, self._confirmations(outcome)):
                return outcome, failures, clashed
            clashed = clashed or outcome.had_company

    def _confirmations(self, failed: CommandResult) -> int:
        """Return how often a failure is confirmed; not a timeout that nothing else can have caused."""
        return int(self._confirm and (not failed.timed_out or failed.had_company))

    async def _run_once(
        self, subject: Subject, row: GateRow, tip: Tip, attempt: int, *, alone: bool
    ) -> Outcome:
        job_id = f"{row.id}.{attempt}"
        urgent = attempt > 1 or subject.patch_id is None
        log = self._logs / (f"{row.id}.log" if attempt == 1 else f"{row.id}.{attempt}.log")
        job = self._make_job(row.name, tip, job_id, attempt, log, urgent=urgent)
        job = replace(job, exclusive=job.exclusive or alone)
        jobs = self._jobs_on.setdefault(tip.commit, set())
        jobs.add(job_id)
        if row.id not in self.running:
            self._starting[job_id] = (row, subject.label)
        try:
            if self._is_draining:
                raise DrainedError
            outcome = await self._pool.run(job)
            if isinstance(outcome, WorkerLost) and outcome.is_nobody_there:
                raise WorkerError(f"no worker can be started: {outcome.message}")
            if not isinstance(outcome, WorkerLost) and outcome.cancelled and job_id not in self._unwanted:
                raise DrainedError  # only what stops takes a job back that is wanted
            return outcome
        finally:
            self._unwanted.discard(job_id)
            self._starting.pop(job_id, None)
            jobs.discard(job_id)
            if not jobs:
                self._jobs_on.pop(tip.commit, None)

    # -- blame -----------------------------------------------------------------------------------------------

    async def _excuse(self, subject: Subject, answer: Answer, onto: Tip) -> Reason | None:
        """Find out why a failure is nobody's fault; None when it is the patch's.

        The base is asked after a timeout, too: a gate that hangs without the patch blames nobody, which costs
        the same time once more. A gate that is there to be made green is not asked about.
        """
        if answer.fault in gate_rows.NO_VERDICT:
            return _not_run(answer, subject)
        if self._definitions[answer.gate].red_on_base:
            return None
        on_base = Subject(label=f"the base of {subject.label}", workstream_id=subject.workstream_id)
        base = await self._answer(on_base, answer.gate, onto)
        if base.passed:
            return None
        if base.fault in gate_rows.NO_VERDICT:
            return _not_run(base, on_base)
        return Reason(
            code=ReasonCode.BASE_RED,
            message=f"gate {answer.gate} fails without {subject.label} too; nobody is blamed: {base.message} "
            "(a gate that a patch is to mend says `red_on_base: true`)",
            detail=_detail(base) | {"base": onto.commit},
        )

    # -- records ---------------------------------------------------------------------------------------------

    def _row(self, subject: Subject, name: str, tip: Tip, key: str = "") -> GateRow:
        return GateRow(
            id=GateId(new_id("gate")),
            run_id=self._run_id,
            workstream_id=subject.workstream_id,
            patch_id=subject.patch_id,
            name=name,
            type=str(self._definitions[name].type),
            tree=tip.tree,
            verdict_key=key,
        )

    def _insert(self, row: GateRow) -> Callable[[Connection], Sequence[Head]]:
        return lambda conn: [made.head for made in gate_rows.insert_many(conn, [row], at=self._clock.now())]

    def _verdict(
        self, answer: Answer, tip: Tip, key: str
    ) -> Sequence[Callable[[Connection], Sequence[Head]]]:
        if answer.fault is not None or answer.gate_id is None or answer.exit_code is None:
            return []
        verdict = Verdict(
            key=key,
            gate_name=answer.gate,
            tree=tip.tree,
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

    def _attach(self, subject: Subject, tip: Tip, answer: Answer, *, is_reused: bool) -> None:
        if answer.gate_id is None:
            return
        kind, subject_id = (
            ("patch", subject.patch_id) if subject.patch_id else ("workstream", subject.workstream_id)
        )
        evidence = Evidence(
            subject_kind=kind,
            subject_id=subject_id,
            gate_name=answer.gate,
            tree=tip.tree,
            gate_id=GateId(answer.gate_id),
            reused=is_reused,
            created_at=self._clock.now(),
        )

        def attach(conn: Connection) -> Sequence[Head]:
            verdicts.attach(conn, evidence)
            return ()

        self._recorder.post(writes=[attach])


async def _all_of(asked: Iterable["asyncio.Task[Answer]"]) -> list[Answer]:
    """Wait for every answer, also when one of them never comes; then say so."""
    ended = await asyncio.gather(*asked, return_exceptions=True)
    for end in ended:
        if isinstance(end, BaseException):
            raise end
    return [end for end in ended if isinstance(end, Answer)]


def _answer_of(row: GateRow, outcome: Outcome, *, is_flaky: bool, clashed: bool) -> Answer:
    if isinstance(outcome, WorkerLost):
        return Answer(
            gate=row.name, passed=False, gate_id=row.id, fault=outcome.code, message=outcome.message
        )
    if outcome.passed:
        return Answer(
            gate=row.name,
            passed=True,
            gate_id=row.id,
            exit_code=outcome.exit_code,
            is_flaky=is_flaky,
            message=CLASHED if clashed else "",
        )
    return Answer(
        gate=row.name,
        passed=False,
        gate_id=row.id,
        fault="cancelled" if outcome.cancelled else outcome.fault,
        exit_code=outcome.exit_code,
        code=ReasonCode.GATE_TIMEOUT if outcome.timed_out else ReasonCode.GATE_FAILED,
        message=outcome.message,
        excerpt=outcome.excerpt,
    )


def _ending(row: GateRow, outcome: Outcome, answer: Answer, attempts: int) -> Step:
    if isinstance(outcome, WorkerLost):
        return gate_rows.fail(
            row.head, exit_code=-1, output=outcome.message, fault=outcome.code, attempts=attempts
        )
    log = f"{row.id}.log" if attempts == 1 else f"{row.id}.{attempts}.log"
    duration = round(outcome.seconds * 1000)
    if outcome.passed:
        return gate_rows.pass_(
            row.head,
            exit_code=outcome.exit_code or 0,
            output=f"{answer.message}\n{outcome.excerpt}" if answer.message else outcome.excerpt,
            duration_ms=duration,
            log_path=log,
            attempts=attempts,
            is_flaky=answer.is_flaky,
            metadata={"remark": answer.message} if answer.message else {},
        )
    return gate_rows.fail(
        row.head,
        exit_code=-1 if outcome.exit_code is None else outcome.exit_code,
        output=outcome.excerpt or outcome.message,
        trigger="timeout_exceeded" if outcome.timed_out else "exit_code_unexpected",
        fault=answer.fault,
        duration_ms=duration,
        log_path=log,
        attempts=attempts,
    )


def _abandoned(row: GateRow) -> Step:
    message = "it was ended because its run stopped at once"
    return gate_rows.fail(row.head, exit_code=-1, output=message, fault="cancelled", attempts=1)


def _blame(subject: Subject, failed: Sequence[Answer]) -> Reason:
    first = failed[0]
    names = listed([answer.gate for answer in failed])
    return Reason(
        code=first.code,
        message=f"{subject.label} does not pass {names}: {first.message}",
        detail=_detail(first) | {"gates": [answer.gate for answer in failed]},
    )


def _not_run(answer: Answer, subject: Subject) -> Reason:
    return Reason(
        code=_CODES.get(answer.fault or "", ReasonCode.INTERNAL_FAULT),
        message=f"gate {answer.gate} could not be run on {subject.label}: {answer.message}",
        detail=_detail(answer),
    )


def _detail(answer: Answer) -> dict[str, object]:
    return {
        "gate": answer.gate,
        "gate_id": answer.gate_id,
        "exit_code": answer.exit_code,
        "fault": answer.fault,
        "output": answer.excerpt,
    }
