"""The publisher of the queue: it writes what has changed, and looks less often where a look takes long."""

import asyncio
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import Any

from maingate.clock import ManualClock
from maingate.db.dao import queue_controls, queue_views
from maingate.db.engine import Database
from maingate.ids import RunId, WorkstreamId
from maingate.orchestrator.core.queue.queue_view import MemberState, QueueMember, QueueView
from maingate.orchestrator.queue_publisher import QueuePublisher
from maingate.orchestrator.recorder import Write
from maingate.orchestrator.shared_queue import KeptWaiting
from maingate.orchestrator.train.virtual_run import TimeSpread
from maingate.state.landing_terms import TermsDifference, TermsPart
from maingate.state.queue_control import QueueControl, QueueLeave, QueueOrder
from support.database_factories import make_world

KEY = "repo_1#refs/heads/main"
EMPTY = QueueView(members=(), tests=(), blocker=None, conflicts=(), leave=QueueLeave())


def view_of(*names: str, seconds: float = 1.0) -> QueueView:
    """Make a view with some workstreams on board."""
    return QueueView(
        members=tuple(
            QueueMember(
                workstream=WorkstreamId(f"ws_{name}"),
                name=name,
                run=RunId("run_1"),
                state=MemberState.WAITING,
                expected=TimeSpread(p50=seconds, p90=2 * seconds),
            )
            for name in names
        ),
        tests=(),
        blocker=None,
        conflicts=(),
        leave=QueueLeave(),
    )


@dataclass
class Stage:
    """A publisher whose looks take as long as the test wants."""

    run: str = "run_1"
    clock: ManualClock = field(default_factory=ManualClock)
    shown: QueueView = EMPTY
    kept: frozenset[str] | None = None
    kept_waiting: tuple[KeptWaiting, ...] = ()
    takes: float = 0.0
    looks: int = 0
    posted: list[Write] = field(default_factory=list)

    def __post_init__(self) -> None:
        """Make the publisher."""
        self.publisher = QueuePublisher(
            KEY,
            RunId(self.run),
            look=self._look,
            kept=lambda: self.kept,
            kept_waiting=lambda: self.kept_waiting,
            post=self.posted.append,
            clock=self.clock,
        )

    def _look(self, _at: datetime) -> QueueView:
        self.looks += 1
        self.clock.advance(timedelta(seconds=self.takes))
        return self.shown

    def publish(self, shown: QueueView) -> int:
        """Publish a view; return how many writes were posted."""
        before, self.shown = len(self.posted), shown
        asyncio.run(self.publisher.publish())
        return len(self.posted) - before


def test_a_view_is_written_when_it_is_another() -> None:
    """Not when only the expected times differ."""
    stage = Stage()
    assert [
        stage.publish(each) for each in (EMPTY, EMPTY, view_of("a"), view_of("a", seconds=9.0), EMPTY)
    ] == [*(1, 0, 1, 0, 1)]


def test_looks_that_take_long_are_rare() -> None:
    """They take a hundredth of the time at most."""
    stage = Stage(takes=0.1)
    stage.publish(EMPTY)
    stage.clock.advance(timedelta(seconds=9))
    stage.publish(view_of("a"))
    assert stage.looks == 1
    stage.clock.advance(timedelta(seconds=2))
    assert stage.publish(view_of("a")) == 1
    assert stage.looks == 2


def test_views_and_what_a_drain_lands_are_kept(database: Database) -> None:
    """The record has the newest view of the target, and the order to drain says what it lands."""
    with database.write() as conn:
        stage = Stage(run=make_world(conn).run.id)
        drain: dict[str, Any] = {"operator": "ada", "reason": "", "since": stage.clock.now()}
        queue_controls.put(conn, QueueControl(key=KEY, kind=QueueOrder.DRAIN, **drain))
    stage.kept = frozenset({"ws_b", "ws_a"})
    stage.publish(view_of("a"))
    with database.write() as conn:
        for write in stage.posted:
            assert write(conn) == ()
        row = queue_views.of_target(conn, KEY)
        [control] = queue_controls.of_target(conn, KEY)
    assert control.on_board == ("ws_a", "ws_b")
    assert row is not None
    assert (row.run_id, row.at) == (stage.run, stage.clock.now())
    assert row.view["members"] == [
        {
            "id": "ws_a",
            "name": "a",
            "run_id": "run_1",
            "state": "waiting",
            "held_by": None,
            "expected": [1.0, 2.0],
        }
    ]


def test_what_waits_beside_the_board_is_kept_with_the_view(database: Database) -> None:
    """A change of it alone is written, too."""
    with database.write() as conn:
        stage = Stage(run=make_world(conn).run.id)
    stage.publish(view_of("a"))
    stage.clock.advance(timedelta(seconds=1))
    difference = TermsDifference(part=TermsPart.GATE, gate="unit")
    stage.kept_waiting = (
        KeptWaiting(workstream=WorkstreamId("ws_b"), name="b", run=RunId("run_2"), differences=[difference]),
    )
    assert [stage.publish(view_of("a")), stage.publish(view_of("a"))] == [1, 0]
    with database.write() as conn:
        stage.posted[-1](conn)
        row = queue_views.of_target(conn, KEY)
    assert row is not None
    assert row.view["kept_waiting"] == [
        {"id": "ws_b", "name": "b", "run_id": "run_2", "differences": [{"part": "gate", "gate": "unit"}]}
    ]
