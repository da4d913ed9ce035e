"""The services that gates and commands need while they run, in a run and outside of one."""

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable, Mapping, Sequence
from concurrent.futures import Executor as Threads
from contextlib import asynccontextmanager
from dataclasses import dataclass
from datetime import timedelta
from typing import Final, Self

from maingate.errors import MaingateError
from maingate.ids import RunId
from maingate.orchestrator.injected_parts import Dependencies
from maingate.orchestrator.recorder import Recorder, Told
from maingate.orchestrator.shell.job_maker import JobMaker
from maingate.orchestrator.worker_roster import Roster
from maingate.plan.model import Plan
from maingate.state.steps.step import Head, Step
from maingate.verdicts.clashes import Clashes
from maingate.verdicts.named_files import NamedFiles
from maingate.verdicts.records import VerdictRecords
from maingate.verdicts.repeated_executions import GateExecutions
from maingate.verdicts.service import VerdictService
from maingate.workers.backend import WorkerPool

LOG_INTERVAL: Final = timedelta(seconds=1)
"""Time between two updates of ``transitions.jsonl``."""

Periodic = tuple[timedelta, Callable[[], Awaitable[object]]]
"""A time, and a call that is repeated after it."""


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
    pool: WorkerPool
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
        warn: Callable[[str], None] = lambda _: None,
    ) -> Self:
        """Make the services; none of them starts yet.

        Args:
            deps: The dependencies.
            run_id: The run that executions are recorded under.
            plan: The plan of the gates and commands.
            heads: See ``Recorder``.
            told: See ``Recorder``.
            failed: See ``Recorder``.
            warn: Records a warning and shows it to people; outside of a run there is no record for it.
        """
        clock, parts = deps.clock, deps.parts

        def committed(steps: Sequence[Step], before: Mapping[str, str]) -> None:
            told(steps, before)
            deps.committed()

        writer = parts.threads(1, "recorder")
        recorder = Recorder(
            database=deps.database,
            clock=clock,
            heads=heads,
            told=committed,
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
            clashes=Clashes(warn),
        )
        verdicts = VerdictService(
            definitions=plan.gates,
            keys=jobs.keys,
            executions=executions,
            records=records,
            files=NamedFiles(deps.repository, plan.gates),
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

    @asynccontextmanager
    async def started(
        self,
        deps: Dependencies,
        *,
        start_pool: Callable[[], Awaitable[None]],
        failed: Callable[[Exception], None],
        periodic: Sequence[Periodic] = (),
        stop: Callable[[], Awaitable[None]] | None = None,
        before_close: Callable[[], Awaitable[None]] | None = None,
        threads: Threads | None = None,
    ) -> AsyncIterator[None]:
        """Start the services, keep registry and transition log up to date, and close them in any case.

        Args:
            deps: The dependencies.
            start_pool: Starts the pool of workers.
            failed: Called when something periodic fails; it is not done any more then.
            periodic: Further calls that are made again and again.
            stop: Stops what was started with the services.
            before_close: See `close`.
            threads: The threads that write the transition log; None for the default of the loop.
        """

        async def beat() -> None:
            self.roster.beat()

        async def catch_up() -> None:
            await asyncio.get_running_loop().run_in_executor(threads, deps.log.catch_up)

        own = ((LOG_INTERVAL, catch_up), (deps.settings.heartbeat_interval, beat))
        keeping = [asyncio.create_task(_every(each, do, failed)) for each, do in (*own, *periodic)]
        try:
            self.roster.sign_on()
            await start_pool()
            yield
        finally:
            for task in keeping:
                task.cancel()
            await asyncio.gather(*keeping, return_exceptions=True)
            if stop is not None:
                await stop()
            await self.close(before=before_close)
            await catch_up()


async def _every(
    interval: timedelta, do: Callable[[], Awaitable[object]], failed: Callable[[Exception], None]
) -> None:
    """Do something again and again, until it fails."""
    while True:
        await asyncio.sleep(interval.total_seconds())
        try:
            await do()
        except MaingateError as error:
            failed(error)
            return
