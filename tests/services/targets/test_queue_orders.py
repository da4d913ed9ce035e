"""Orders about queues: each is on record once, with its event, and one that makes no sense is refused."""

from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from maingate.bootstrap import Maingate
from maingate.db.dao import queue_controls, runs, workstreams
from maingate.db.dao.history import events
from maingate.errors import UnknownEntityError, UsageError
from maingate.events import EventType
from maingate.ids import WorkstreamId
from maingate.landing.lease import key_of
from maingate.services.targets.queue_orders import QueueService, known_zone, moment_of
from maingate.state.queue_control import QueueOrder
from maingate.state.workstream import WorkstreamState
from support.database_factories import bring_to, make_run, make_workstream
from support.factories import GitRepo

REF = "refs/heads/main"
BY: dict[str, Any] = {"reason": "release", "operator": "ada"}


@pytest.fixture
def maingate(repo: GitRepo) -> Iterator[Maingate]:
    """Give Maingate on a repository with one commit."""
    repo.commit({"a.txt": "1\n"})
    with Maingate.open(repo.path) as made:
        yield made


@pytest.fixture
def orders(maingate: Maingate) -> QueueService:
    """Give the service."""
    return maingate.queue_orders


@pytest.fixture
def ids(maingate: Maingate) -> list[str]:
    """Give three workstreams of a run on main."""
    at = maingate.context.clock.now()
    with maingate.database.write() as conn:
        [run] = runs.insert_many(conn, [make_run(repository_id=maingate.context.identity.id)], at=at)
        rows = [make_workstream(run, name=name, position=place) for place, name in enumerate("abc")]
        return [row.id for row in workstreams.insert_many(conn, rows, at=at)]


def given(maingate: Maingate) -> list[tuple[str | None, str | None, str | None, str | None]]:
    """Return the events about orders: trigger, person, reason, and workstream."""
    with maingate.database.read() as conn:
        found = events.query(conn, type=EventType.QUEUE_ORDER)
    assert {each.metadata["target"] for each in found} <= {REF}
    return [
        (each.trigger, each.operator, (each.reason or {}).get("message"), each.entity_id) for each in found
    ]


def in_force(maingate: Maingate) -> list[QueueOrder]:
    """Return the orders that are on record."""
    with maingate.database.read() as conn:
        return [
            each.kind for each in queue_controls.of_target(conn, key_of(maingate.context.identity.id, REF))
        ]


def ranks(maingate: Maingate) -> dict[str, int]:
    """Return the ranks that are on record."""
    with maingate.database.read() as conn:
        return {**queue_controls.ranks(conn, key_of(maingate.context.identity.id, REF))}


@pytest.mark.parametrize("kind", [QueueOrder.PAUSE, QueueOrder.DRAIN])
def test_an_order_is_given_once_and_taken_back_once(
    maingate: Maingate, orders: QueueService, kind: QueueOrder
) -> None:
    """The second person is told who was first; to resume what goes on is refused."""
    orders.order(kind, REF, **BY)
    with pytest.raises(
        UsageError, match=r"ed already, by ada since .*: release; `maingate queue resume main`"
    ):
        orders.order(kind, REF, reason="", operator="bob")
    assert in_force(maingate) == [kind]
    [ended] = orders.resume(REF, reason="", operator="bob")
    assert (ended.kind, ended.operator) == (kind, "ada")
    with pytest.raises(UsageError, match="the queue of main is not paused, drained or frozen"):
        orders.resume(REF, reason="", operator="bob")
    assert given(maingate) == [(str(kind), "ada", "release", None), ("resume", "bob", None, None)]


def test_resume_ends_all_orders(maingate: Maingate, orders: QueueService) -> None:
    """Also a schedule."""
    orders.order(QueueOrder.PAUSE, REF, **BY)
    orders.order(QueueOrder.DRAIN, REF, **BY)
    orders.freeze(REF, until=maingate.context.clock.now() + timedelta(hours=1), **BY)
    orders.schedule(REF, cron="0 18 * * 5", length=timedelta(hours=2), zone="Europe/Berlin", **BY)
    assert set(in_force(maingate)) == {*QueueOrder}
    orders.resume(REF, reason="", operator="bob")
    assert in_force(maingate) == []


def test_a_new_freeze_takes_the_place_of_the_last_one(maingate: Maingate, orders: QueueService) -> None:
    """So it is made longer or shorter; its event has its end."""
    now = maingate.context.clock.now()
    for hours in (1, 2):
        control = orders.freeze(REF, until=now + timedelta(hours=hours), **BY)
    with maingate.database.read() as conn:
        assert queue_controls.of_target(conn, control.key) == [control]
        [_, last] = events.query(conn, type=EventType.QUEUE_ORDER)
    assert datetime.fromisoformat(last.metadata["until"]) == pytest.approx(
        control.until, abs=timedelta(milliseconds=1)
    )


@pytest.mark.parametrize(
    ("wrong", "message"),
    [
        ({"cron": "0 18 * *"}, "--cron: '0 18 \\* \\*' has 4 fields"),
        ({"zone": "Europe/Nowhere"}, "there is no time zone 'Europe/Nowhere'"),
        ({"zone": "../etc/passwd"}, "there is no time zone"),
        ({"length": timedelta(seconds=59)}, "--for must be from one minute to 31 days"),
        ({"length": timedelta(days=32)}, "--for must be"),
    ],
)
def test_a_schedule_that_cannot_be_used_is_refused(
    maingate: Maingate, orders: QueueService, wrong: dict[str, Any], message: str
) -> None:
    """Nothing is on record then."""
    right: dict[str, Any] = {"cron": "0 18 * * 5", "length": timedelta(hours=2), "zone": "UTC"}
    with pytest.raises(UsageError, match=message):
        orders.schedule(REF, **(right | wrong), **BY)
    assert in_force(maingate) == []
    assert given(maingate) == []


def test_a_freeze_does_not_end_before_it_begins(maingate: Maingate, orders: QueueService) -> None:
    """A time that has passed is a mistake."""
    with pytest.raises(UsageError, match=r"the freeze would end at .*, which has passed"):
        orders.freeze(REF, until=maingate.context.clock.now(), **BY)


def test_the_last_one_that_is_moved_comes_first_or_last(
    maingate: Maingate, orders: QueueService, ids: list[str]
) -> None:
    """One that is moved again counts where it was moved last."""
    a, b, c = ids
    orders.move("promote", a, **BY)
    orders.move("promote", b, **BY)
    orders.move("demote", c, **BY)
    orders.move("demote", a, **BY)
    assert ranks(maingate) == {b: -2, c: 1, a: 2}
    assert [(trigger, entity) for trigger, _, _, entity in given(maingate)] == [
        ("promote", a),
        ("promote", b),
        ("demote", c),
        ("demote", a),
    ]


def test_what_has_ended_is_in_no_queue(maingate: Maingate, orders: QueueService, ids: list[str]) -> None:
    """Neither moved nor removed; a reason is needed; an unknown one is told."""
    with maingate.database.write() as conn:
        row = workstreams.get(conn, ids[0])
        bring_to(conn, row.head, WorkstreamState.COMPLETED, at=maingate.context.clock.now())
    with pytest.raises(UsageError, match="workstream a is completed already; it is in no queue"):
        orders.move("promote", ids[0], **BY)
    with pytest.raises(UsageError, match="is completed already"):
        orders.remove(ids[0], **BY)
    with pytest.raises(UsageError, match="reason"):
        orders.move("promote", ids[1], reason=" ", operator="ada")
    with pytest.raises(UsageError, match="reason"):
        orders.remove(ids[1], reason="", operator="ada")
    with pytest.raises(UnknownEntityError):
        orders.move("promote", WorkstreamId("ws_none"), **BY)
    assert given(maingate) == []


def test_an_order_and_its_note_are_of_one_transaction(
    maingate: Maingate, orders: QueueService, ids: list[str]
) -> None:
    """What answers under a key is noted with the order, or neither is there."""

    def failing(*_: Any) -> None:
        raise RuntimeError("the power went")

    for give in (
        lambda: orders.order(QueueOrder.PAUSE, REF, **BY, note=failing),
        lambda: orders.move("promote", ids[0], **BY, note=failing),
        lambda: orders.ask_to_remove(ids[0], **BY, note=failing),
    ):
        with pytest.raises(RuntimeError, match="power"):
            give()
    assert (in_force(maingate), ranks(maingate), given(maingate)) == ([], {}, [])


def test_an_order_is_obeyed_at_once_where_no_process_is_at_work(orders: QueueService) -> None:
    """There is none to wait for."""
    orders.order(QueueOrder.PAUSE, REF, **BY)
    assert orders.await_obedience(REF)


def test_a_time_without_an_offset_is_of_the_zone() -> None:
    """One with an offset is what it says."""
    assert moment_of("2026-01-31 18:00", zone="Europe/Berlin") == datetime(2026, 1, 31, 17, tzinfo=UTC)
    assert moment_of("2026-01-31T18:00+05:00", zone="UTC") == datetime(2026, 1, 31, 13, tzinfo=UTC)
    assert known_zone("UTC").key == "UTC"
    with pytest.raises(UsageError, match="'tomorrow' is not a date and time: write 2026-01-31 18:00"):
        moment_of("tomorrow", zone="UTC")
