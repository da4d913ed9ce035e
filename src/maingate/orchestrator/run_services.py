"""The services that gates and commands need while they run, in a run and outside of one."""

from collections.abc import Awaitable, Callable
from concurrent.futures import Executor as Threads
from dataclasses import dataclass
from typing import Self

from maingate.ids import RunId
from maingate.orchestrator.dependencies import Dependencies
from maingate.orchestrator.recorder import Recorder, Told
from maingate.orchestrator.roster import Roster
from maingate.orchestrator.shell.jobs import JobMaker
from maingate.plan.model import Plan
from maingate.state.steps.step import Head
from maingate.verdicts.execution import GateExecutions
from maingate.verdicts.records import VerdictRecords
from maingate.verdicts.service import VerdictService
from maingate.workers.pool_manager import PoolManager


@dataclass(frozen=True, kw_only=True)
class RunServices:
    """Services that are active while gates and commands can run: recorder, registry, pool, verdicts.

    Args:
        recorder: Writes the record.
        roster: The workers on record.
        pool: Runs jobs.
        jobs: Makes jobs.
        verdicts: Runs gates on trees, or reuses their verdicts.
        writer: The thread of the recorder.
    """

    recorder: Recorder
    roster: Roster
    pool: PoolManager
    jobs: JobMaker
    verdicts: VerdictService
    writer: Threads

    @classmethod
    def of(
        cls,
        deps: Dependencies,
        run_id: RunId,
        plan: Plan,
        *,
        heads: dict[str, Head],
        told: Told,
        failed: Callable[[Exception], None],
    ) -> Self:
        """Make the services; none of them starts yet.

        Args:
            deps: The dependencies.
            run_id: The run that executions are recorded under.
            plan: The plan of the gates and commands.
            heads: See ``Recorder``.
            told: See ``Recorder``.
            failed: See ``Recorder``.
        """
        clock, parts = deps.clock, deps.parts
        writer = parts.threads(1, "recorder")
        recorder = Recorder(
            database=deps.database,
            clock=clock,
            heads=heads,
            told=told,
            failed=failed,
            fence=deps.fence,
            thread=writer,
        )
        roster = Roster(
            recorder=recorder,
            clock=clock,
            capacity=deps.workers,
            job_started=lambda job_id, uet_id: verdicts.job_started(job_id, uet_id),  # noqa: PLW0108 - made below
        )
        pool = parts.pool(deps, roster, plan)
        jobs = parts.jobs(deps, plan)
        records = VerdictRecords(run_id=run_id, ledger=recorder, clock=clock)
        executions = GateExecutions(
            definitions=plan.gates,
            make_job=jobs.make,
            backend=pool,
            records=records,
            clock=clock,
            confirm=deps.settings.confirm_failures,
        )
        verdicts = VerdictService(
            definitions=plan.gates,
            keys=jobs.keys,
            executions=executions,
            records=records,
            database=deps.database,
        )
        return cls(recorder=recorder, roster=roster, pool=pool, jobs=jobs, verdicts=verdicts, writer=writer)

    async def close(self, *, before: Callable[[], Awaitable[None]] | None = None) -> None:
        """End all that runs, and record the rest.

        Args:
            before: Called when nothing runs any more and the recorder is still open.
        """
        await self.verdicts.close()
        await self.pool.stop(cancel_running=True)
        if self.recorder.failure is None:
            if before is not None:
                await before()
            self.roster.sign_off()
        await self.recorder.close()
        self.writer.shutdown(wait=True)
