"""Publishing the view of the queue: a look now and then in the loop, written with other rows if it changed.

A look takes time in proportion to the workstreams on board, so the pause after it grows with what it took,
and decisions are delayed by a hundredth of the time at most.
"""

from collections.abc import Callable, Sequence
from dataclasses import asdict
from datetime import datetime, timedelta
from functools import partial
from typing import Any, Final

from maingate.clock import Clock
from maingate.db.dao import queue_controls, queue_views
from maingate.db.dao.queue_views import QueueViewRow
from maingate.db.sql.connection import Connection
from maingate.events import iso_millis
from maingate.ids import RunId
from maingate.orchestrator.core.queue.queue_view import HeldBehind, QueueMember, QueueTest, QueueView
from maingate.orchestrator.recorder import Write
from maingate.orchestrator.shared_queue import KeptWaiting
from maingate.state.steps.step import Head

LOOK_INTERVAL: Final = timedelta(milliseconds=500)
"""Least time between two looks at the queue."""

_SHARE: Final = 100
"""Least pause between two looks, in durations of a look."""

_LONGEST_PAUSE: Final = 10.0
"""Longest pause between two looks, in seconds: also a look that was kept waiting is followed by another."""

_Shown = tuple[QueueView, Sequence[KeptWaiting]]


class QueuePublisher:
    """Publishes the view of the queue of a target.

    Args:
        key: The repository and the target's ref.
        run_id: The run whose process writes.
        look: Returns the view at a moment; called in the loop.
        kept: Returns the workstreams that a drain still lands, where its order does not say so yet.
        kept_waiting: Returns the workstreams of other runs that this process does not land.
        post: Has rows written with the next transaction.
        clock: The time.
    """

    def __init__(
        self,
        key: str,
        run_id: RunId,
        *,
        look: Callable[[datetime], QueueView],
        kept: Callable[[], frozenset[str] | None],
        kept_waiting: Callable[[], Sequence[KeptWaiting]],
        post: Callable[[Write], None],
        clock: Clock,
    ) -> None:
        self._key, self._run_id, self._look, self._post, self._clock = key, run_id, look, post, clock
        self._kept, self._kept_waiting = kept, kept_waiting
        self._published: _Shown | None = None
        self._again_at = 0.0

    async def publish(self) -> None:
        """Publish the view if it is another than the last one; called again and again."""
        began = self._clock.monotonic()
        if began < self._again_at:
            return
        at = self._clock.now()
        shown = self._look(at), tuple(self._kept_waiting())
        if shown != self._published:
            self._published = shown
            self._post(partial(_write, self._key, self._run_id, shown, at))
        if (kept := self._kept()) is not None:
            self._post(partial(_write_kept, self._key, sorted(kept)))
        ended = self._clock.monotonic()
        self._again_at = ended + min(_SHARE * (ended - began), _LONGEST_PAUSE)


def _write(key: str, run_id: RunId, shown: _Shown, at: datetime, conn: Connection) -> Sequence[Head]:
    """Write a view; it creates no entity."""
    queue_views.publish(conn, QueueViewRow(key=key, run_id=run_id, view=view_json(*shown), at=at))
    return ()


def _write_kept(key: str, kept: Sequence[str], conn: Connection) -> Sequence[Head]:
    """Write what a drain still lands, so that the next process lands the same; it creates no entity."""
    queue_controls.set_board(conn, key, kept)
    return ()


def view_json(view: QueueView, kept_waiting: Sequence[KeptWaiting]) -> dict[str, Any]:
    """Return the form in which a view is kept, with the workstreams that the process does not land."""
    return {
        "members": [_member_json(member) for member in view.members],
        "tests": [_test_json(test) for test in view.tests],
        "blocker": _behind_json(view.blocker),
        "conflicts": [list(pair) for pair in view.conflicts],
        "leave": asdict(view.leave),
        "kept_waiting": [_kept_json(each) for each in kept_waiting],
    }


def _kept_json(kept: KeptWaiting) -> dict[str, Any]:
    return {
        "id": kept.workstream,
        "name": kept.name,
        "run_id": kept.run,
        "differences": [each.as_json() for each in kept.differences],
    }


def _member_json(member: QueueMember) -> dict[str, Any]:
    expected = member.expected
    return {
        "id": member.workstream,
        "name": member.name,
        "run_id": member.run,
        "state": str(member.state),
        "held_by": _behind_json(member.held),
        "expected": None if expected is None else [round(expected.p50, 1), round(expected.p90, 1)],
    }


def _test_json(test: QueueTest) -> dict[str, Any]:
    return {
        "id": test.id,
        "contains": list(test.contains),
        "without": list(test.without),
        "purpose": test.purpose.value,
        "chance": test.chance,
        "since": iso_millis(test.since),
        "gates": list(test.gates),
    }


def _behind_json(held: HeldBehind | None) -> dict[str, Any] | None:
    return None if held is None else {"id": held.workstream, "name": held.name, "why": str(held.why)}
