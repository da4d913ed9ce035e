"""The picture that a process has of its run, held against the one that another process would load."""

from collections.abc import Mapping, Sequence
from contextvars import Context
from typing import Any

from maingate.db.engine import Database
from maingate.orchestrator import snapshot_loader
from maingate.orchestrator.core.snapshot import RunNode, TaskNode, WorkstreamNode
from maingate.orchestrator.run_orchestrator import RunOrchestrator
from maingate.state.steps.step import Step
from simulation.virtual_loop import OWNER
from simulation.virtual_world import Process


class ComparingOrchestrator(RunOrchestrator):
    """The real loop, which compares the pictures whenever all that was decided is on record."""

    compared = 0
    differences: Sequence[str] = ()

    def _committed(self, steps: Sequence[Step], before: Mapping[str, str]) -> None:
        super()._committed(steps, before)
        process = OWNER.get()
        is_overtaken = isinstance(process, Process) and process.was_stopped
        if not is_overtaken and not self._recorder._waiting:
            self.compared += 1
            loaded = Context().run(self._load)
            if (mine := picture_of(self._core.run)) != (other := picture_of(loaded)):
                self.differences = (*self.differences, f"the core has {mine}, on record is {other}")

    def _load(self) -> RunNode:
        """Read the run as another process would, which passes no place at which this one might be killed."""
        deps = self._deps
        with Database.read(deps.database) as conn:
            return snapshot_loader.load(conn, deps.repository, self._run.id, now=deps.clock.now())[0]


def picture_of(run: RunNode) -> Any:
    """Return what decides how a run goes on, of all that has not ended."""
    streams = [
        (ws.name, ws.state, None if ws.has_ended else (ws.unmet, ws.open_tasks, _intent_of(ws)))
        for ws in run.order
    ]
    return run.state, run.open_workstreams, streams, [_of_task(task) for ws in run.order for task in ws.tasks]


def _intent_of(ws: WorkstreamNode) -> str | None:
    """Return its open intent, unless the process that holds the target writes that."""
    return "handed over" if ws.is_offered else ws.open_intent


def _of_task(task: TaskNode) -> Any:
    counts = (task.unmet, task.attempt, task.retries, task.losses, task.put_offs)
    going_on = None if task.has_ended else counts
    return task.label, task.state, task.patch and task.patch.state, going_on
