"""The board: the workstreams that wait to land, in the order of their places.

On board are those whose tasks are done and those whose patches are applied and judged in the merged result.

A workstream has its place when the last of its patches is in: one whose patches are all ready has the plan's,
any other the next one when its tasks are done. A workstream without a place holds up no other; one with a
place that is not done yet holds up those behind it, so the result does not depend on who is quicker. One that
waits for a person, or whose merged result was refused so that its patches are judged, loses its place.
"""

from bisect import insort
from collections.abc import Sequence

from maingate.orchestrator.core.approvals import Approvals
from maingate.orchestrator.core.snapshot import RunNode, WorkstreamNode
from maingate.plan.choices import TaskKind
from maingate.state.workstream import WorkstreamState

_ON_ITS_WAY = frozenset({WorkstreamState.READY, WorkstreamState.EXECUTING})


class LandingBoard:
    """The workstreams of a run that have a place.

    Args:
        run: The run.
        approvals: The patches that wait for a person.
    """

    def __init__(self, run: RunNode, approvals: Approvals) -> None:
        self._run, self._approvals = run, approvals
        self._next_place = len(run.order)
        is_placed = [ws for ws in run.order if ws.state is WorkstreamState.VALIDATING or _is_ready_made(ws)]
        self._placed: list[tuple[int, WorkstreamNode]] = [(ws.landing, ws) for ws in is_placed]
        self._ids = {ws.id for ws in is_placed}
        self.on_board: Sequence[WorkstreamNode] = ()
        """The workstreams on board at the last look."""
        self.blocker: WorkstreamNode | None = None
        """The workstream that held up all behind it at the last look."""

    def put(self, workstream: WorkstreamNode) -> None:
        """Add a workstream that is to be on board, at the next place, if it has none."""
        if workstream.id not in self._ids:
            self._ids.add(workstream.id)
            insort(self._placed, (self._next_place, workstream), key=lambda each: each[0])
            self._next_place += 1

    def look(self) -> Sequence[WorkstreamNode]:
        """Return the workstreams on board: all with a place that are done, up to the first that is not."""
        self.blocker = None
        on_board: list[WorkstreamNode] = []
        kept: list[tuple[int, WorkstreamNode]] = []
        for each in self._placed:
            workstream = each[1]
            if workstream.has_ended or self._loses_its_place(workstream):
                self._ids.discard(workstream.id)
                continue
            kept.append(each)
            if self.blocker is not None:
                continue
            if workstream.state is WorkstreamState.VALIDATING or workstream.is_applied:
                on_board.append(workstream)
            elif workstream.state in _ON_ITS_WAY:
                self.blocker = workstream
        self._placed = kept
        self.on_board = on_board
        return on_board

    @property
    def is_filling(self) -> bool:
        """Return whether the next workstream comes on board as soon as its ready patches are applied."""
        return self.blocker is not None and self.blocker.defers_gates

    @property
    def is_outdated(self) -> bool:
        """Return whether the workstream that held up those behind it does so no more."""
        blocker = self.blocker
        return blocker is not None and (blocker.state not in _ON_ITS_WAY or self._loses_its_place(blocker))

    def _loses_its_place(self, workstream: WorkstreamNode) -> bool:
        """Return whether a patch of it waits for an approval, or its patches are judged by themselves."""
        if workstream.state is not WorkstreamState.EXECUTING:
            return False
        if workstream.may_defer_gates and not workstream.defers_gates:
            return True
        waiting = set(self._approvals.waiting)
        return any(task.patch is not None and task.patch.id in waiting for task in workstream.tasks)


def _is_ready_made(workstream: WorkstreamNode) -> bool:
    """Return whether all patches of a workstream are there when its run is admitted."""
    return not any(task.kind is TaskKind.TOOL for task in workstream.tasks)
