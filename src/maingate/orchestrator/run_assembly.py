"""Assembling the parts of one run in one process: its core, what carries its effects out, its watches."""

import asyncio
import sys
from collections.abc import Awaitable, Callable, Mapping
from concurrent.futures import Executor as Threads
from dataclasses import dataclass
from functools import partial
from typing import Final, TypeVar

from maingate.monitoring.stuck_watch import StuckLimits, StuckWatch
from maingate.orchestrator.breaker_watch import BreakerWatch
from maingate.orchestrator.core.core import Core
from maingate.orchestrator.core.core_assembly import RunLimits
from maingate.orchestrator.core.snapshot import RunNode
from maingate.orchestrator.inbox import RunInbox
from maingate.orchestrator.injected_parts import Dependencies
from maingate.orchestrator.lane_bases import head_of
from maingate.orchestrator.queue_order_watch import QueueOrderWatch
from maingate.orchestrator.queue_terms import QueueTerms
from maingate.orchestrator.recorder import Told
from maingate.orchestrator.run_services import RunServices
from maingate.orchestrator.run_view import RunView
from maingate.orchestrator.shared_queue import SharedQueue
from maingate.orchestrator.shell.command_runner import CommandRunner
from maingate.orchestrator.shell.dispatcher import Dispatcher
from maingate.orchestrator.shell.failed_effects import Attendant
from maingate.orchestrator.shell.items_in_hand import InHand
from maingate.orchestrator.shell.task_jobs import TaskJobs
from maingate.orchestrator.shell.tool_runner import ToolRunner
from maingate.orchestrator.train.values import SPECULATION, TrainPolicy
from maingate.plan.choices import TaskKind
from maingate.plan.model import Plan
from maingate.recovery.retry_handler import RetryPolicy
from maingate.state.steps.step import Head
from maingate.workers.artifacts import Artifacts

Result = TypeVar("Result")

LOOKAHEAD: Final = 16
"""Number of ready patches of a lane that are applied ahead of their gates; that takes no worker."""
READY_AT_ONCE: Final = 64
"""Number of ready patches that are read at once: one transaction and one decision for all of them."""

NOOP_CONCURRENCY: Final = 256
"""Number of noop tasks under way at once."""


@dataclass(frozen=True, kw_only=True)
class RunParts:
    """The parts of one run in one process.

    Args:
        services: Recorder, registry, pool and verdicts.
        core: Decides.
        dispatcher: Carries effects out.
        attendant: Finds out whose fault it is when an effect fails.
        in_hand: The items under way, for the next process.
        inbox: Reads what people and other processes tell the run.
        view: The progress for people.
        watch: Finds what has made no progress for too long.
        shared: The part that this run has in the queue of its target.
        threads: Where calls that block run.
    """

    services: RunServices
    core: Core
    dispatcher: Dispatcher
    attendant: Attendant
    in_hand: InHand
    inbox: RunInbox
    view: RunView
    watch: StuckWatch
    shared: SharedQueue
    threads: Threads

    async def in_thread(self, call: Callable[[], Result]) -> Result:
        """Return the result of a call that blocks."""
        return await asyncio.get_running_loop().run_in_executor(self.threads, call)


@dataclass(frozen=True, kw_only=True)
class RunHooks:
    """The calls by which the parts of a run reach its loop.

    Args:
        committed: Called in the loop after each transaction, with its steps and the states before them.
        failed: Called in the loop when nothing more can be recorded.
        warn: Records a warning and shows it to people; called from any thread.
    """

    committed: Told
    failed: Callable[[Exception], None]
    warn: Callable[[str], None]


def assemble(
    deps: Dependencies,
    run: RunNode,
    heads: dict[str, Head],
    hooks: RunHooks,
    *,
    key: str,
    is_only_asked: bool,
) -> RunParts:
    """Return the parts of a run; nothing is started.

    Args:
        deps: The dependencies of the run.
        run: The run as it was loaded.
        heads: The newest state of each of its entities.
        hooks: How the parts reach the loop.
        key: The repository and the target's ref.
        is_only_asked: Whether the process only answers requests.
    """
    threads = deps.parts.threads(deps.workers + 1, "patches")
    services = RunServices.of(
        deps,
        run.id,
        run.plan,
        heads=heads,
        told=hooks.committed,
        failed=hooks.failed,
        warn=hooks.warn,
    )
    limits = _limits(deps, run.plan, services.roster.worker_id, is_only_asked=is_only_asked)
    core = Core(run, limits, now=deps.clock.now())
    dispatcher = _dispatcher(deps, run, services, threads, hooks)
    in_hand = InHand(deps.logs / f"{run.id}.in-hand")
    return RunParts(
        services=services,
        core=core,
        dispatcher=dispatcher,
        attendant=Attendant(
            dispatcher,
            examine=_health_check(deps, run, threads),
            warn=hooks.warn,
            in_hand=in_hand,
            losses=deps.settings.lost_attempts,
        ),
        in_hand=in_hand,
        inbox=_inbox(deps, core, heads, key, is_only_asked=is_only_asked),
        view=RunView(core, services.verdicts, deps.clock),
        watch=_watch(deps, heads),
        shared=_shared(deps, run, services),
        threads=threads,
    )


def _limits(deps: Dependencies, plan: Plan, worker_id: str, *, is_only_asked: bool) -> RunLimits:
    settings = deps.settings
    return RunLimits(
        worker_id=worker_id,
        capacity={
            TaskKind.PATCH: READY_AT_ONCE,
            TaskKind.COMMAND: deps.workers,
            TaskKind.TOOL: deps.workers,
            TaskKind.NOOP: NOOP_CONCURRENCY,
        },
        window=max(LOOKAHEAD, 4 * deps.workers),
        retries=RetryPolicy(
            delay=settings.retry_delay,
            ceiling=settings.retry_delay_max,
            losses=sys.maxsize if is_only_asked else settings.lost_attempts,
        ),
        breaker_threshold=settings.breaker_threshold,
        breaker_cooldown=settings.breaker_cooldown,
        budget_usd=deps.budget_usd,
        train=TrainPolicy(
            proof=plan.promise,
            theta=SPECULATION[settings.speculation],
            flake_rate=deps.record.flake_rate_of(_gates_of(plan)),
            confirms=settings.confirm_failures,
        ),
        record=deps.record,
        gate_runs=deps.workers,
        reviewers=settings.policy.reviewers or 0,
        holds_target=deps.hold.is_held() and not is_only_asked,
    )


def _gates_of(plan: Plan) -> set[str]:
    """Return the gates that merged results must pass."""
    return {gate for name in plan.workstreams for gate in plan.landing_gates(name)}


def _dispatcher(
    deps: Dependencies, run: RunNode, services: RunServices, threads: Threads, hooks: RunHooks
) -> Dispatcher:
    running = TaskJobs(services.pool)
    tools = ToolRunner(
        run.id,
        running,
        services.jobs,
        artifacts=Artifacts(deps.logs),
        database=deps.database,
        clock=deps.clock,
        template=deps.template,
        rest=deps.settings.rate_limit_rest.total_seconds(),
        warn=hooks.warn,
    )
    return deps.parts.effects(
        deps,
        run=run.input,
        verdicts=services.verdicts,
        commands=CommandRunner(running, services.jobs),
        tools=tools,
        running=running,
        warn=hooks.warn,
        threads=threads,
    )


def _health_check(deps: Dependencies, run: RunNode, threads: Threads) -> Callable[[], Awaitable[None]]:
    health = deps.parts.health(deps, target=run.target, base=run.base.commit)

    async def examine() -> None:
        await asyncio.get_running_loop().run_in_executor(threads, health.examine)

    return examine


def _inbox(
    deps: Dependencies, core: Core, heads: Mapping[str, Head], key: str, *, is_only_asked: bool
) -> RunInbox:
    """Return the inbox; a process that only answers requests defers what may have landed to the next one."""
    watch = BreakerWatch(deps.database, deps.clock, own=frozenset(heads)) if core.run.plan.tools else None
    return RunInbox(
        core.run.id,
        deps.database,
        breakers=watch,
        orders=QueueOrderWatch(key, deps.database, deps.clock),
        is_deferred=core.may_have_landed if is_only_asked else lambda _: False,
    )


def _shared(deps: Dependencies, run: RunNode, services: RunServices) -> SharedQueue:
    return SharedQueue(
        run.input,
        database=deps.database,
        clock=deps.clock,
        hold=deps.hold,
        terms=QueueTerms(run.plan, deps.settings, services.jobs.keys),
        head=partial(head_of, deps.repository, run.target),
    )


def _watch(deps: Dependencies, heads: Mapping[str, Head]) -> StuckWatch:
    watch = StuckWatch(
        patience=StuckLimits.of(deps.settings), context_of=lambda entity_id: heads[entity_id].context
    )
    watch.found(heads.values(), deps.clock.now())
    return watch
