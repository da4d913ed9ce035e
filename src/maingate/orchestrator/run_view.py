"""The view of a run for people: its progress, on request, and news of each committed transition."""

from collections.abc import Mapping, Sequence

from maingate.clock import Clock
from maingate.ids import RunId
from maingate.orchestrator.core.core import Core
from maingate.orchestrator.core.snapshot import WorkstreamNode
from maingate.orchestrator.progress import (
    HANDED_OVER,
    GateProgress,
    News,
    Progress,
    Subject,
    WorkstreamProgress,
)
from maingate.orchestrator.shared_progress import SharedProgress
from maingate.state.steps.step import Step
from maingate.state.workstream import WorkstreamState
from maingate.verdicts.service import VerdictService

_SUBJECTS: Mapping[str, Subject] = {
    "run": "run",
    "workstream": "workstream",
    "task": "task",
    "patch_ledger": "patch",
}


class RunView:
    """Reads a running core, in its loop; changes nothing.

    Args:
        core: The core.
        verdicts: Has the gates that run.
        clock: The time.
    """

    def __init__(self, core: Core, verdicts: VerdictService, clock: Clock) -> None:
        self._core, self._verdicts, self._clock = core, verdicts, clock
        self._since = clock.monotonic()
        self._names: dict[str, str] = {task.id: task.label for ws in core.run.order for task in ws.tasks}
        self._names.update({ws.id: ws.name for ws in core.run.order}, **{core.run.id: core.run.name})

    def shared(self) -> SharedProgress:
        """Return the progress of the run as any thread may have it; called in the loop of the run."""
        return SharedProgress(self.progress, self._clock)

    def progress(self) -> Progress:
        """Return the progress of the run at this moment."""
        run, now = self._core.run, self._clock.monotonic()
        gates = [
            GateProgress(name=gate.gate, subject=gate.label, seconds=now - gate.since)
            for gate in self._verdicts.running.values()
        ]
        return Progress(
            run_id=RunId(run.id),
            name=run.name,
            state=run.state,
            tasks_ended=self._core.tasks_ended,
            tasks_total=self._core.tasks_total,
            seconds=now - self._since,
            workstreams=tuple(self._workstream(ws) for ws in run.workstreams.values()),
            gates=tuple(sorted(gates, key=lambda gate: -gate.seconds)),
        )

    def news_of(self, steps: Sequence[Step], before: Mapping[str, str]) -> list[News]:
        """Return the news of committed steps, each with the state that it left."""
        at = dict(before)
        news = []
        for step in steps:
            subject = _SUBJECTS.get(step.machine)
            if subject is not None:
                news.append(
                    News(
                        entity=subject,
                        name=self._name(step),
                        state_from=at[step.head_id],
                        state_to=step.to,
                        trigger=step.trigger,
                        reason=step.reason,
                    )
                )
            at[step.head_id] = step.to
        return news

    def name_of(self, entity_id: str) -> str:
        """Return the name of an entity of the run for people; its id where it has no name."""
        return self._names.get(entity_id, entity_id)

    def _name(self, step: Step) -> str:
        if step.head_id not in self._names and step.machine == "patch_ledger":
            self._names.update((task.patch.id, task.label) for task in self._core.tasks if task.patch)
        return self.name_of(step.head_id)

    def _workstream(self, workstream: WorkstreamNode) -> WorkstreamProgress:
        return WorkstreamProgress(
            name=workstream.name,
            state=workstream.state,
            tasks_ended=len(workstream.tasks) - workstream.open_tasks,
            tasks_total=len(workstream.tasks),
            note=self._note(workstream),
        )

    def _note(self, workstream: WorkstreamNode) -> str:
        if workstream.is_offered:
            return HANDED_OVER
        if workstream.state is WorkstreamState.BLOCKED:
            return f"needs {', '.join(workstream.needs)}"
        is_kept = workstream.keeps_patches and workstream.is_applied
        if workstream.state is WorkstreamState.VALIDATING or is_kept:
            ahead = self._core.lands_after(workstream)
            return "landing" if ahead is None else f"lands after {ahead.name}"
        return ""
