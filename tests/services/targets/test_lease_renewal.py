"""A process holds targets by kind of work, renews its holds, and knows when it has lost one."""

import asyncio
from datetime import timedelta

import pytest

from maingate.bootstrap import Maingate
from maingate.db.dao import leases
from maingate.errors import LeaseLostError, OutsideFaultError, TargetBusyError
from maingate.ids import LeaseHolder
from maingate.landing.lease import is_held
from maingate.services.targets.lease_renewal import TargetHolds, when_free
from support.factories import GitRepo

REF = "refs/heads/main"


@pytest.fixture
def maingate(repo: GitRepo) -> Maingate:
    """Give Maingate on a repository with one commit."""
    repo.commit({"a.txt": "1\n"})
    return Maingate.open(repo.path)


def test_a_hold_is_of_one_work_and_others_are_told_who_has_it(maingate: Maingate) -> None:
    """A second holder of the same process waits like one of another process."""
    with maingate:
        holds, first = TargetHolds(maingate.context), LeaseHolder.new("rollback")
        with maingate.database.write() as conn:
            holds.take(conn, REF, first)
        with pytest.raises(TargetBusyError, match=first.id), maingate.database.write() as conn:
            holds.take(conn, REF, LeaseHolder.new("bisect"))
        assert first in holds
        holds.release(first)
        assert first not in holds
        with maingate.database.write() as conn:
            holds.take(conn, REF, LeaseHolder.new("bisect"))


def test_who_lost_a_hold_writes_nothing_more(maingate: Maingate) -> None:
    """The fence is asked within each transaction."""
    with maingate:
        holds, holder = TargetHolds(maingate.context), LeaseHolder.new("rollback")
        with maingate.database.write() as conn:
            holds.take(conn, REF, holder)
            holds.fence(holder, conn)
        take_over(maingate, holds)
        with pytest.raises(LeaseLostError), maingate.database.read() as conn:
            holds.fence(holder, conn)


def test_a_clock_that_is_set_back_releases_nothing(maingate: Maingate) -> None:
    """A renewed hold then ends before it began. It stays its holder's, is listed, and can be released."""
    with maingate:
        holds, holder = TargetHolds(maingate.context), LeaseHolder.new("rollback")
        with maingate.database.write() as conn:
            holds.take(conn, REF, holder)
            [taken] = leases.unreleased(conn, maingate.context.identity.id)
            earlier = taken.acquired_at - timedelta(hours=1)
            assert leases.renew(conn, taken, now=earlier, ttl=timedelta(seconds=60)) is not None
            assert leases.renew(conn, taken, now=earlier, ttl=timedelta(seconds=60)) is not None
            holds.fence(holder, conn)
            [renewed] = leases.unreleased(conn, maingate.context.identity.id)
            assert is_held(renewed, earlier)
            assert leases.release(conn, renewed)
            assert leases.unreleased(conn, maingate.context.identity.id) == []


def test_work_is_stopped_when_its_hold_is_lost(maingate: Maingate, monkeypatch: pytest.MonkeyPatch) -> None:
    """The renewal notices it; the work ends by the error that it is given."""
    monkeypatch.setattr("maingate.services.targets.lease_renewal.LEASE_TIME", timedelta(milliseconds=40))
    worker = Worker()
    with maingate:
        holds, holder = TargetHolds(maingate.context), LeaseHolder.new("rollback")
        with maingate.database.write() as conn:
            holds.take(conn, REF, holder)
        take_over(maingate, holds)
        with pytest.raises(LeaseLostError):
            asyncio.run(holds.while_renewing(holder, worker, worker.work()))


def test_a_busy_target_is_waited_for_as_long_as_the_caller_wants() -> None:
    """Without a way to wait, the refusal says how to."""
    tries = iter([TargetBusyError("main is held", "wait"), TargetBusyError("main is held", "wait"), None])
    told: list[str] = []

    def take() -> str:
        if (error := next(tries)) is not None:
            raise error
        return "taken"

    assert when_free(take, lambda error: told.append(error.what)) == "taken"
    assert told == ["main is held", "main is held"]
    tries = iter([TargetBusyError("main is held", "wait")])
    with pytest.raises(TargetBusyError, match="--wait"):
        when_free(take, None)


def take_over(maingate: Maingate, holds: TargetHolds) -> None:
    """Take a target over, as a process does that has proven its holder dead."""
    key = holds.key_of(REF)
    with maingate.database.write() as conn:
        leases.acquire(
            conn,
            key,
            holder=LeaseHolder.new("clean"),
            host="elsewhere",
            pid=1,
            pid_started="1",
            now=maingate.context.clock.now(),
            ttl=timedelta(hours=1),
            instead_of=leases.of_key(conn, key),
        )


class Worker:
    """Work that ends when it is given up."""

    def __init__(self) -> None:
        self._error: OutsideFaultError | None = None
        self._stopped = asyncio.Event()

    def give_up(self, error: OutsideFaultError) -> None:
        """Note the error."""
        self._error = error
        self._stopped.set()

    async def work(self) -> None:
        """Wait for the error and raise it."""
        await self._stopped.wait()
        if self._error is not None:
            raise self._error
