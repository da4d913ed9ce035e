"""The board: the workstreams that wait to land, in the order of their places.

On board are those whose tasks are done and those whose patches are applied and judged in the merged result.

A workstream has its place when the last of its patches is in: one whose patches are all ready has the plan's,
any other the next one when its tasks are done. A workstream without a place holds up no other; one with a
place that is not done yet holds up those behind it, so the result does not depend on who is quicker. One that
waits for a person, or whose merged result was refused so that its patches are judged or made again, loses its
place.

Workstreams of other runs (passengers) have their places among those of the run, and none of it holds them up.
"""

from bisect import insort
from collections.abc import Sequence
from datetime import UTC, datetime, timedelta
from typing import Final

from maingate.orchestrator.core.approvals import Approvals
from maingate.orchestrator.core.events import QueueOrdersRead
from maingate.orchestrator.core.queue_items import Passenger, Place
from maingate.orchestrator.core.snapshot import RunNode, WorkstreamNode
from maingate.plan.choices import TaskKind
from maingate.state.workstream import WorkstreamState

Member = WorkstreamNode | Passenger
"""A workstream on board, of this run or of another."""

_ON_ITS_WAY = frozenset({WorkstreamState.READY, WorkstreamState.EXECUTING})


_EPOCH: Final = datetime(1970, 1, 1, tzinfo=UTC)


class LandingBoard:
    """The workstreams that have a place.

    Args:
        run: The run.
        approvals: The patches that wait for a person.
    """

    def __init__(self, run: RunNode, approvals: Approvals) -> None:
        self._run, self._approvals = run, approvals
        admitted = _micros(run.admitted)
        self._last = (admitted, len(run.order))
        ready = filter(_is_ready_made, run.order)
        self._placed: list[tuple[Place, Member]] = [((admitted, ws.landing), ws) for ws in ready]
        self._ids = {ws.id for _, ws in self._placed}
        done = [ws for ws in run.order if ws.state is WorkstreamState.VALIDATING and ws.id not in self._ids]
        for ws in sorted(done, key=lambda each: each.done_since or run.admitted):
            self.put(ws, ws.done_since or run.admitted)  # as before the process that put it here was gone
        self._orders = QueueOrdersRead()
        self._kept: frozenset[str] | None = None
        self.on_board: Sequence[Member] = ()
        """The workstreams on board at the last look."""
        self.blocker: WorkstreamNode | None = None
        """The workstream that held up all behind it at the last look."""

    def put(self, workstream: WorkstreamNode, now: datetime) -> None:
        """Add a workstream of the run that is to be on board, at the next place, if it has none."""
        if workstream.id not in self._ids:
            self._ids.add(workstream.id)
            self._last = (max(self._last[0], _micros(now)), self._last[1] + 1)
            insort(self._placed, (self._last, workstream), key=lambda each: each[0])

    def join(self, passenger: Passenger) -> None:
        """Add a workstream of another run, at its own place."""
        insort(self._placed, (passenger.place, passenger), key=lambda each: each[0])

    def place_of(self, workstream: WorkstreamNode) -> Place:
        """Return the place of a workstream that is on board."""
        return next(place for place, each in self._placed if each is workstream)

    def order(self, orders: QueueOrdersRead) -> None:
        """Follow what people have ordered from now on."""
        self._orders = orders
        self._kept = orders.on_board if orders.leave.is_draining else None

    @property
    def kept(self) -> frozenset[str] | None:
        """The workstreams that a drain still lands, where its order does not say so yet; None elsewhere."""
        return self._kept if self._orders.on_board is None else None

    def look(self) -> Sequence[Member]:
        """Return the workstreams on board: all with a place that are done, up to the first that is not.

        Those that a person has sent to the front come first, whether or not others are done; those that were
        sent to the end come last, and hold up no other.
        """
        self.blocker = None
        front, middle, back = self._in_order()
        on_board = [*front, *middle, *(back if self.blocker is None else ())]
        if self._orders.leave.is_draining:
            if self._kept is None:
                self._kept = frozenset(each.id for each in (*front, *middle, *back) if _is_done(each))
            on_board = [each for each in on_board if each.id in self._kept]
        self.on_board = on_board
        return on_board

    def _in_order(self) -> tuple[list[Member], list[Member], list[Member]]:
        """Return those at the front, those up to the first that is not done, and those at the end."""
        ranks = self._orders.ranks
        front: list[Member] = []
        middle: list[Member] = []
        back: list[Member] = []
        kept: list[tuple[Place, Member]] = []
        for each in self._placed:
            workstream = each[1]
            if workstream.has_ended or self._loses_its_place(workstream):
                self._ids.discard(workstream.id)
                continue
            kept.append(each)
            rank = ranks.get(workstream.id, 0) if ranks else 0
            if rank and (rank > 0 or _is_done(workstream)):
                if _is_done(workstream):
                    (front if rank < 0 else back).append(workstream)
            elif isinstance(workstream, Passenger):
                middle.append(workstream)
            elif self.blocker is not None:
                continue
            elif _is_done(workstream):
                middle.append(workstream)
            elif workstream.state in _ON_ITS_WAY:
                self.blocker = workstream
        self._placed = kept
        front.sort(key=lambda workstream: ranks[workstream.id])
        back.sort(key=lambda workstream: ranks[workstream.id])
        return front, middle, back

    def held_up(self) -> Sequence[Member]:
        """Return the workstreams that are done and not on board, for one ahead of them or for a drain."""
        if self.blocker is None and self._kept is None:
            return ()
        on_board = {workstream.id for workstream in self.on_board}
        return [each for _, each in self._placed if _is_done(each) and each.id not in on_board]

    @property
    def is_filling(self) -> bool:
        """Return whether the next workstream comes on board as soon as its ready patches are applied."""
        return self.blocker is not None and self.blocker.defers_gates

    @property
    def is_outdated(self) -> bool:
        """Return whether the workstream that held up those behind it does so no more."""
        blocker = self.blocker
        return blocker is not None and (blocker.state not in _ON_ITS_WAY or self._loses_its_place(blocker))

    def _loses_its_place(self, workstream: Member) -> bool:
        """Return whether a patch of it waits for an approval, is judged by itself, or is made again."""
        if isinstance(workstream, Passenger):
            return False
        if workstream.state is not WorkstreamState.EXECUTING:
            return False
        if workstream.keeps_patches and not workstream.is_applied:
            return True
        if workstream.may_defer_gates and not workstream.defers_gates:
            return True
        waiting = set(self._approvals.waiting)
        return any(task.patch is not None and task.patch.id in waiting for task in workstream.tasks)


def _is_done(workstream: Member) -> bool:
    """Return whether nothing but its landing is left of a workstream, as far as it is judged by itself."""
    if isinstance(workstream, Passenger):
        return True
    return workstream.state is WorkstreamState.VALIDATING or workstream.is_applied


def _is_ready_made(workstream: WorkstreamNode) -> bool:
    """Return whether all patches of a workstream are there when its run is admitted."""
    return not any(task.kind is TaskKind.TOOL for task in workstream.tasks)


def _micros(time: datetime) -> int:
    return (time - _EPOCH) // timedelta(microseconds=1)
