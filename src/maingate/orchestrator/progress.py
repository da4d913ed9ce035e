"""What a run tells those who watch it: a picture to pull at any time, and the news as it is committed.

The orchestrator knows only these protocols; who draws a bar, writes a line or sends an event is decided by
the caller. A listener never influences a run.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal, Protocol

from maingate.ids import RunId
from maingate.reasons import Reason
from maingate.state.run import RunState
from maingate.state.workstream import WorkstreamState

Subject = Literal["run", "workstream", "task", "patch"]
"""What a piece of news can be about."""


@dataclass(frozen=True, kw_only=True)
class WorkstreamProgress:
    """Where one workstream stands.

    Args:
        name: The plan's own id of it.
        state: Its state now.
        tasks_ended: How many of its tasks will not change any more.
        tasks_total: How many tasks it has.
        note: What it is doing or waiting for, in a few words; may be empty.
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
        subject: What it judges, such as ``parser/drop-regex`` or ``parser`` for a merged result.
        seconds: How long it has been running.
    """

    name: str
    subject: str
    seconds: float


@dataclass(frozen=True, kw_only=True)
class Progress:
    """Where a run stands: a consistent picture of one moment.

    Args:
        run_id: The run.
        name: The plan's name.
        state: The run's state now.
        tasks_ended: How many tasks will not change any more.
        tasks_total: How many tasks the plan has.
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
    """One committed change of state that a person may want to hear of.

    Args:
        entity: What changed.
        name: Its name for people: the plan's for a run, ``parser`` for a workstream, ``parser/drop-regex``
            for a task and its patch.
        state_from: The state it left; None when it was created.
        state_to: The state it is in.
        trigger: What moved it, as in the machine's table.
        reason: Why, where there is more to say.
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
        """Return where the run stands; may be called from any thread at any time."""
        ...


class Listener(Protocol):
    """Who watches a run. Its methods are called on the run's own thread and must return quickly."""

    def started(self, view: ProgressView) -> None:
        """Hear that the run begins; the view stays valid until ``execute`` returns."""
        ...

    def happened(self, news: Sequence[News]) -> None:
        """Hear what has just been committed, in order."""
        ...

    def notice(self, text: str) -> None:
        """Hear something about the run as such, such as that it is draining."""
        ...


class SilentListener:
    """A listener that does not care."""

    def started(self, view: ProgressView) -> None:
        """Ignore it."""

    def happened(self, news: Sequence[News]) -> None:
        """Ignore it."""

    def notice(self, text: str) -> None:
        """Ignore it."""
