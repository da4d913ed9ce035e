"""Executions of gates on workers: again after a lost worker, and again to confirm a failure.

A failure is confirmed once on the same tree before a patch is blamed, and when other jobs ran beside it, by
itself: two gates may want the same port or lock. A pass then is a pass, recorded as flaky.
"""

from collections import Counter
from collections.abc import Collection, Iterable, Mapping
from dataclasses import dataclass, replace
from functools import partial
from typing import Final, Protocol

from maingate.clock import Clock
from maingate.commits import Tip
from maingate.db.dao.gates import GateRow
from maingate.errors import InterruptedRunError
from maingate.faultpoints import reach
from maingate.ids import UetWorkerId
from maingate.plan.definitions import GateDefinition
from maingate.reasons import NOT_RUN
from maingate.state.steps import gates as gate_steps
from maingate.uet.process.command import CommandResult
from maingate.verdicts.clashes import Clashes
from maingate.verdicts.records import Ended, VerdictRecords, log_name
from maingate.verdicts.subject import JudgedSubject
from maingate.workers.backend import Backend, JobEnd, WorkerLost, require_worker
from maingate.workers.jobs import Job

LOST_ATTEMPTS: Final = 3
"""Executions of a gate that may lose their worker (counted apart from real failures)."""


class DrainedError(InterruptedRunError):
    """The run is stopping and starts no more gates."""


class MakeJob(Protocol):
    """A function that makes a gate's job."""

    def __call__(self, gate: str, tip: Tip, job_id: str, attempt: int, log: str, *, urgent: bool) -> Job:
        """Return the job; an urgent one goes before those of trees that are tested ahead."""
        ...


@dataclass(frozen=True, kw_only=True)
class Running:
    """A gate that runs now, since ``since`` on the monotonic clock."""

    gate: str
    label: str
    since: float


class GateExecutions:
    """Runs gates until their answer is sure.

    Args:
        definitions: The plan's gates by name.
        make_job: Makes a job from a gate, a commit, a job id, an attempt and the id of its log.
        backend: Runs jobs.
        records: Writes down that an execution began.
        confirm: Whether a failure is tried once more on the same tree before it counts.
        clashes: Finds the gates that are to run alone.
    """

    def __init__(
        self,
        *,
        definitions: Mapping[str, GateDefinition],
        make_job: MakeJob,
        backend: Backend,
        records: VerdictRecords,
        clock: Clock,
        confirm: bool,
        clashes: Clashes,
    ) -> None:
        self._definitions, self._make_job, self._backend = definitions, make_job, backend
        self._records, self._clock, self._confirm = records, clock, confirm
        self._clashes = clashes
        self._starting: dict[str, tuple[GateRow, str]] = {}
        self._jobs_on: dict[str, dict[str, None]] = {}  # in their order, so that they are cancelled in it
        self._asked_by: dict[str, tuple[JudgedSubject, GateRow]] = {}
        self._unwanted: set[str] = set()
        self._is_draining = False
        self.running: dict[str, Running] = {}
        self.joined: Counter[str] = Counter()
        """Others who wait for the verdict of an execution, by its key."""

    def cancel(self, commit: str) -> None:
        """Cancel the jobs on a commit."""
        self._cancel_jobs(self._jobs_on.get(commit, ()))

    def give_up(self, subject: JudgedSubject) -> None:
        """Cancel the jobs that run or wait for a subject alone, which is known by its identity."""
        asked = self._asked_by.items()
        self._cancel_jobs(
            job_id for job_id, (by, row) in asked if by is subject and not self.joined[row.verdict_key]
        )

    def _cancel_jobs(self, job_ids: Iterable[str]) -> None:
        if unwanted := tuple(job_ids):
            self._unwanted.update(unwanted)
            self._backend.cancel(*unwanted)

    def cancel_all_but(self, kept: Collection[str]) -> None:
        """Cancel all jobs, except on some commits."""
        for commit in tuple(self._jobs_on):
            if commit not in kept:
                self.cancel(commit)

    def drain(self) -> None:
        """Start no more jobs; those that run may finish, those that wait for a worker are given up."""
        self._is_draining = True
        self._backend.cancel(*self._starting)

    def job_started(self, job_id: str, uet_id: UetWorkerId) -> None:
        """Record that a worker took a job on, unless it is an execution's second or not a gate's."""
        starting = self._starting.pop(job_id, None)
        if starting is None:
            return
        row, label = starting
        reach("gate.started")
        self.running[row.id] = Running(gate=row.name, label=label, since=self._clock.monotonic())
        self._records.post(row, gate_steps.start(row.head, uet_worker_id=uet_id), is_new=True)

    def forget_row(self, gate_id: str) -> None:
        """Count an execution no longer as running."""
        self.running.pop(gate_id, None)

    async def run_until_sure(
        self,
        subject: JudgedSubject,
        row: GateRow,
        tip: Tip,
        *,
        once: bool = False,
        alone: bool = False,
    ) -> Ended:
        """Run a gate until it passes or has failed as often as it may.

        Once it has failed while other jobs ran beside it, it runs by itself.

        Args:
            subject: The patch or merged result whose tree it is.
            row: The execution on record.
            tip: The commit and tree.
            once: Whether its failure is not confirmed, whatever the settings say.
            alone: Whether it runs by itself from the beginning.

        Raises:
            DrainedError: The run is stopping and starts no more gates.
            WorkerError: No worker can be started.
        """
        failures = lost = attempts = 0
        clashed = False
        confirmations = int(self._confirm) if subject.failures is None else max(subject.failures - 1, 0)
        most = max(self._definitions[row.name].retries, 0 if once else confirmations)
        while True:
            end = await self._run_once(
                subject,
                row,
                tip,
                attempts + 1,
                alone=alone or clashed,
                is_final=subject.fails_fast and failures == most,
            )
            if isinstance(end, CommandResult) and end.cancelled:
                begun = attempts + (row.id in self.running)
                return Ended(end=end, attempts=begun, has_clashed=clashed)
            attempts += 1
            if isinstance(end, WorkerLost):
                lost += 1
                if lost == LOST_ATTEMPTS:
                    return Ended(end=end, attempts=attempts, has_clashed=clashed)
                continue
            self._clashes.note(row.name, row.tree, end)
            if end.passed:
                attempts = failures + 1
                return Ended(end=end, attempts=attempts, has_clashed=clashed, is_flaky=failures > 0)
            failures += 1
            if failures > most:
                return Ended(end=end, attempts=failures, has_clashed=clashed)
            clashed = clashed or end.had_company

    async def _run_once(
        self,
        subject: JudgedSubject,
        row: GateRow,
        tip: Tip,
        attempt: int,
        *,
        alone: bool,
        is_final: bool,
    ) -> JobEnd:
        """Run a gate once; where a failure of it is final, the other jobs for the subject end with that."""
        job_id = f"{row.id}.{attempt}"
        urgent = attempt > 1 or subject.is_urgent
        job = self._make_job(row.name, tip, job_id, attempt, log_name(row, attempt), urgent=urgent)
        job = replace(job, exclusive=job.exclusive or alone or self._clashes.is_lonely(row.name))
        jobs = self._jobs_on.setdefault(tip.commit, {})
        jobs[job_id] = None
        self._asked_by[job_id] = (subject, row)
        if row.id not in self.running:
            self._starting[job_id] = (row, subject.label)
        try:
            if self._is_draining:
                raise DrainedError
            ended = partial(self._give_up_after, subject) if is_final else None
            end = require_worker(await self._backend.run(job, ended=ended))
            if not isinstance(end, WorkerLost) and end.cancelled and job_id not in self._unwanted:
                raise DrainedError  # only what stops takes a job back that is wanted
            return end
        finally:
            self._unwanted.discard(job_id)
            self._starting.pop(job_id, None)
            self._asked_by.pop(job_id, None)
            jobs.pop(job_id, None)
            if not jobs:
                self._jobs_on.pop(tip.commit, None)

    def _give_up_after(self, subject: JudgedSubject, end: JobEnd) -> None:
        if isinstance(end, CommandResult) and not (end.passed or end.cancelled or end.fault in NOT_RUN):
            self.give_up(subject)
