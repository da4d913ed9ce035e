"""Commands that take less time than their record are handed out ahead, and only while they do."""

from maingate.orchestrator.core.core import Core
from maingate.orchestrator.core.core_assembly import RunLimits
from maingate.orchestrator.core.events import AttemptEnd, AttemptEnded
from maingate.orchestrator.core.tasks import COMMANDS_AHEAD, QUICK
from maingate.plan.choices import TaskKind
from maingate.state.task import TaskState
from orchestrator.core.test_core import picture_of, plan_of

WORKERS = 2


def core_of(tasks: int) -> Core:
    """Make a core for a run of commands that need nothing."""
    plan = plan_of({"w": {"tasks": {f"t{number}": {"command": "true"} for number in range(tasks)}}})
    return Core(
        picture_of(plan), RunLimits(worker_id="wrk_1", capacity={TaskKind.COMMAND: WORKERS}, window=1)
    )


def running(core: Core) -> int:
    """Count what was handed out and has not ended."""
    return sum(task.state is TaskState.RUNNING for task in core.tasks)


def end_one(core: Core, seconds: float | None) -> None:
    """Let a command end that took so long."""
    task = next(task for task in core.tasks if task.state is TaskState.RUNNING)
    done = AttemptEnded(task=task.id, attempt=task.attempt, end=AttemptEnd.DONE, seconds=seconds)
    core.handle(done)


def test_nothing_is_handed_out_ahead_before_a_command_was_quick() -> None:
    """How long they take is not known before."""
    core = core_of(40)
    core.begin()
    assert running(core) == WORKERS


def test_quick_commands_are_handed_out_ahead() -> None:
    """So that workers need not wait for the record of the one before."""
    core = core_of(40)
    core.begin()
    end_one(core, QUICK / 2)
    assert running(core) == WORKERS * COMMANDS_AHEAD


def test_a_slow_command_ends_it() -> None:
    """What was handed out stays so; nothing follows until no more run than there are workers."""
    core = core_of(40)
    core.begin()
    end_one(core, 0.0)
    for left in range(WORKERS * COMMANDS_AHEAD - 1, WORKERS, -1):
        end_one(core, QUICK)
        assert running(core) == left
    end_one(core, QUICK * 10)
    assert running(core) == WORKERS


def test_a_lost_worker_says_nothing_about_the_time() -> None:
    """It neither begins nor ends handing out ahead."""
    core = core_of(40)
    core.begin()
    end_one(core, None)
    assert running(core) == WORKERS
    end_one(core, 0.0)
    end_one(core, None)
    assert running(core) == WORKERS * COMMANDS_AHEAD


def test_every_command_ends_completed() -> None:
    """Whatever they take, in turn."""
    core = core_of(30)
    core.begin()
    for turn in range(30):
        end_one(core, QUICK * (turn % 3))
    assert core.is_over
    assert all(task.state is TaskState.COMPLETED for task in core.tasks)
