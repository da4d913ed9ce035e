"""Examination of commits by gates outside of a run: for a rollback, or to find the patch that broke a gate.

The same verdicts, workers and record as in a run, without its core: known verdicts are reused, failures are
confirmed, and new verdicts are recorded under the run whose plan has the gates.
"""

import asyncio
from collections.abc import AsyncIterator, Callable, Coroutine, Sequence
from contextlib import asynccontextmanager
from typing import Any

from maingate.commits import Tip
from maingate.errors import InterruptedRunError, OutsideFaultError
from maingate.faultpoints import reach
from maingate.ids import RunId
from maingate.orchestrator.injected_parts import Dependencies
from maingate.orchestrator.run_services import RunServices
from maingate.plan.model import Plan
from maingate.reasons import FAULTS, Reason
from maingate.verdicts.blame import Judgement, Opinion
from maingate.verdicts.service import VerdictService
from maingate.verdicts.subject import JudgedSubject
from maingate.verdicts.tree_judgement import judge_tree


class Examination:
    """Judges commits by a plan's gates.

    Args:
        run_id: The run that the gates' executions are recorded under.
        plan: The plan of the gates.
        deps: The dependencies of its jobs.
        interrupted: The message for a person who interrupts it.
    """

    def __init__(
        self,
        run_id: RunId,
        plan: Plan,
        deps: Dependencies,
        *,
        interrupted: str = "it was interrupted; nothing was changed",
    ) -> None:
        self._run_id, self._plan, self._deps = run_id, plan, deps
        self._interrupted = interrupted
        self._fault: asyncio.Future[None] | None = None
        self._is_over = False

    def give_up(self, error: Exception) -> None:
        """Stop at once, because something outside makes it wrong to go on."""
        if self._fault is not None and not self._fault.done():
            self._fault.set_exception(error)

    def interrupt(self, number: int) -> None:  # noqa: ARG002 - whichever signal asks for it
        """Stop at once, because a person or a service manager asks for it; work that is done stays done."""
        if not self._is_over:
            self.give_up(InterruptedRunError(self._interrupted))

    async def judge(self, subject: JudgedSubject, gates: Sequence[str], *, tip: Tip, onto: Tip) -> Judgement:
        """Judge a commit by gates; see ``verdicts.tree_judgement.judge_tree``.

        Raises:
            InterruptedRunError: A person or the system asked this process to end.
            OutsideFaultError: Something outside failed.
        """
        asked: list[Judgement] = []

        async def ask(verdicts: VerdictService) -> None:
            asked.append(await judge_tree(verdicts, subject, gates, tip=tip, onto=onto))

        await self.work(ask)
        return asked[0]

    async def passes(
        self, verdicts: VerdictService, subject: JudgedSubject, gate: str, tip: Tip
    ) -> Reason | None:
        """Run one gate on one commit, without blame; return None when it passes, else its reason.

        Raises:
            OutsideFaultError: It could not be run.
        """
        judgement = await judge_tree(verdicts, subject, [gate], tip=tip, onto=tip)
        if judgement.opinion is Opinion.PASSED:
            return None
        reason = judgement.reason
        if reason is None or reason.code in FAULTS:
            raise OutsideFaultError(f"gate {gate} could not be run on {tip.commit}")
        return reason

    async def work(self, ask: Callable[[VerdictService], Coroutine[Any, Any, None]]) -> None:
        """Start the services, have gates asked, and close them again in any case."""
        await self.work_in(lambda services: ask(services.verdicts))

    async def work_in(self, do: Callable[[RunServices], Coroutine[Any, Any, None]]) -> None:
        """Start the services, do something with them, and close them again in any case."""
        self._fault, self._is_over = asyncio.get_running_loop().create_future(), False
        async with self._open() as services:
            work = asyncio.create_task(do(services))
            try:
                await asyncio.wait({work, self._fault}, return_when=asyncio.FIRST_COMPLETED)
            finally:
                work.cancel()
                await asyncio.gather(work, return_exceptions=True)
                self._is_over = True
            if not self._fault.done():
                work.result()
        if self._fault.done():  # also what came up only while the services were closed
            self._fault.result()

    @asynccontextmanager
    async def _open(self) -> AsyncIterator[RunServices]:
        services = RunServices.of(
            self._deps,
            self._run_id,
            self._plan,
            heads={},
            told=lambda _steps, _before: None,
            failed=self.give_up,
        )

        async def start_pool() -> None:
            await services.pool.start(soon=True)

        async with services.started(self._deps, start_pool=start_pool, failed=self.give_up):
            reach("examination.started")
            yield services
