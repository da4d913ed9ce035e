"""Progress of a run for its watchers: a picture to pull at any time, and the news as it is committed.

The orchestrator knows only these protocols; the caller draws a bar, writes a line or sends an event. A
listener never influences a run.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final, Literal, Protocol

from maingate.ids import RunId
from maingate.reasons import Reason
from maingate.state.run import RunState
from maingate.state.workstream import WorkstreamState

Subject = Literal["run", "workstream", "task", "patch"]
"""The kinds of entities that news is about."""

HANDED_OVER: Final = "handed to another run"
"""The note on a workstream that waits in the queue of another run's process."""


@dataclass(frozen=True, kw_only=True)
class WorkstreamProgress:
    """The progress of one workstream.

    Args:
        name: Its name in the plan.
        state: Its state now.
        tasks_ended: Number of its tasks that have ended.
        tasks_total: Number of its tasks.
        note: Its present work, or the reason why it waits, in a few words; may be empty.
    """

    name: str
    state: WorkstreamState
    tasks_ended: int
    tasks_total: int
    note: str = ""


@dataclass(frozen=True, kw_only=True)
class GateProgress:
    """One gate that runs now.

    Args:
        name: The plan's name of the gate.
        subject: The thing that it judges, such as ``parser/drop-regex`` or ``parser`` for a merged result.
        seconds: Its running time.
    """

    name: str
    subject: str
    seconds: float


@dataclass(frozen=True, kw_only=True)
class Progress:
    """The progress of a run: a consistent picture of one moment.

    Args:
        run_id: The run.
        name: The plan's name.
        state: The run's state now.
        tasks_ended: Number of tasks that have ended.
        tasks_total: Number of tasks of the plan.
        seconds: Time since the run started.
        workstreams: Every workstream, in the plan's order.
        gates: The gates that run now, longest running first.
    """

    run_id: RunId
    name: str
    state: RunState
    tasks_ended: int
    tasks_total: int
    seconds: float
    workstreams: tuple[WorkstreamProgress, ...]
    gates: tuple[GateProgress, ...]


@dataclass(frozen=True, kw_only=True)
class News:
    """One committed change of state that a person may want to know.

    Args:
        entity: The kind of its entity.
        name: Its name for people: the plan's for a run, ``parser`` for a workstream, ``parser/drop-regex``
            for a task and its patch.
        state_from: The state it left; None when it was created.
        state_to: The state it is in.
        trigger: Its trigger, as in the machine's table.
        reason: Its reason, if it has one.
    """

    entity: Subject
    name: str
    state_from: str | None
    state_to: str
    trigger: str
    reason: Reason | None = None


class ProgressView(Protocol):
    """The running run, seen from outside."""

    def progress(self) -> Progress:
        """Return the progress of the run, at most one look old; may be called from any thread at any time."""
        ...


class Listener(Protocol):
    """A watcher of a run. Its methods are called on the run's own thread and must return quickly."""

    def started(self, view: ProgressView) -> None:
        """Accept the start of the run; the view stays valid until ``execute`` returns."""
        ...

    def happened(self, news: Sequence[News]) -> None:
        """Accept the news just committed, in order."""
        ...

    def notice(self, text: str) -> None:
        """Accept a sentence about the run itself, such as that it is stopping."""
        ...


class SilentListener:
    """A listener that ignores everything."""

    def started(self, view: ProgressView) -> None:
        """Ignore it."""

    def happened(self, news: Sequence[News]) -> None:
        """Ignore it."""

    def notice(self, text: str) -> None:
        """Ignore it."""
