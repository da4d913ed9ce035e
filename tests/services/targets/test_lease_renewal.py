"""A process holds runs and targets by kind of work, renews its holds, and knows when it has lost one."""

import asyncio
import os
import socket
from datetime import datetime, timedelta

import pytest

from maingate.bootstrap import Maingate
from maingate.db.dao import leases, runs
from maingate.db.sql.connection import Connection
from maingate.errors import LeaseLostError, OutsideFaultError, RunBusyError, TargetBusyError
from maingate.ids import LeaseHolder
from maingate.landing.lease import is_held, run_key
from maingate.services.targets.lease_renewal import TargetHolds, when_free
from support.crashing import wait_until
from support.database_factories import bring_to, make_run
from support.factories import GitRepo
from support.postgresql import ON_BOTH

REF = "refs/heads/main"


@pytest.fixture
def maingate(repo: GitRepo, record: str) -> Maingate:  # noqa: ARG001 - it chooses the database
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
        take_over(maingate, holds.key_of(REF))
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
        take_over(maingate, holds.key_of(REF))
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


# -- a run and its target ------------------------------------------------------------------------------------


def test_two_processes_are_never_at_work_on_one_run(maingate: Maingate) -> None:
    """The second one is told which process has it; when that lets go, or dies, the next one may."""
    with maingate:
        run = a_run(maingate)
        holds, others, holder = TargetHolds(maingate.context), TargetHolds(maingate.context), LeaseHolder(run)
        with maingate.database.write() as conn:
            holds.take_run(conn, run, holder)
        said = f"run {run} is at work in process {os.getpid()} on host {socket.gethostname()}"
        with pytest.raises(RunBusyError, match=said), maingate.database.write() as conn:
            others.take_run(conn, run, holder)
        assert holder not in others
        holds.release(holder)
        with maingate.database.write() as conn:
            others.take_run(conn, run, holder)
        assert at_work(maingate, run)


def test_what_a_transaction_took_is_not_held_when_that_is_rolled_back(maingate: Maingate) -> None:
    """A run whose target is held by others is not held either: the next try begins anew."""
    with maingate:
        run, other = a_run(maingate), LeaseHolder.new("rollback")
        holds, holder = TargetHolds(maingate.context), LeaseHolder(run)
        with maingate.database.write() as conn:
            holds.take(conn, REF, other)
        with pytest.raises(TargetBusyError, match=other.id), maingate.database.write() as conn:
            take_both(holds, conn, run)
        assert holder not in holds
        assert not at_work(maingate, run)
        holds.release(other)
        with maingate.database.write() as conn:
            take_both(holds, conn, run)
            holds.target_fence(holder, conn)
        assert at_work(maingate, run)


@ON_BOTH
def test_a_target_is_taken_and_let_go_while_the_run_is_held(maingate: Maingate) -> None:
    """Runs on one target have it in turn; each stays at work all the time."""
    with maingate:
        first, second = LeaseHolder(a_run(maingate)), LeaseHolder(a_run(maingate))
        holds, others = TargetHolds(maingate.context), TargetHolds(maingate.context)
        with maingate.database.write() as conn:
            holds.take_run(conn, first.id, first)
            others.take_run(conn, second.id, second)
        for mine, its, holder, other in [(holds, others, first, second), (others, holds, second, first)] * 2:
            assert mine.try_target(holder, REF)
            assert mine.try_target(holder, REF), "it has it already"
            assert not its.try_target(other, REF)
            assert (mine.has_target(holder), its.has_target(other)) == (True, False)
            assert at_work(maingate, first.id)
            assert at_work(maingate, second.id)
            mine.let_target_go(holder)
            mine.let_target_go(holder)
            assert not mine.has_target(holder)
        holds.release(first)
        with pytest.raises(LeaseLostError):
            holds.try_target(first, REF)
        with maingate.database.write() as conn:
            others.take(conn, REF, LeaseHolder.new("rollback"))


def test_asking_for_a_target_that_is_held_writes_nothing(
    maingate: Maingate, monkeypatch: pytest.MonkeyPatch
) -> None:
    """It is asked for again and again, and must not make writers wait."""
    with maingate:
        run, holds = a_run(maingate), TargetHolds(maingate.context)
        with maingate.database.write() as conn:
            holds.take_run(conn, run, LeaseHolder(run))
            holds.take(conn, REF, LeaseHolder.new("rollback"))
        monkeypatch.setattr(maingate.database, "write", None)
        assert not holds.try_target(LeaseHolder(run), REF)


@ON_BOTH
def test_the_fence_is_about_all_that_is_held_at_that_moment(maingate: Maingate) -> None:
    """Without a target a run may write, and moves no branch; with one that it has lost it does neither."""
    with maingate:
        run, holds = a_run(maingate), TargetHolds(maingate.context)
        holder = LeaseHolder(run)
        with maingate.database.write() as conn:
            holds.take_run(conn, run, holder)
        with maingate.database.write() as conn:
            holds.fence(holder, conn)
            with pytest.raises(LeaseLostError, match="let its target go"):
                holds.target_fence(holder, conn)
        assert holds.try_target(holder, REF)
        with maingate.database.read() as conn:
            holds.fence(holder, conn)
            holds.target_fence(holder, conn)
        take_over(maingate, holds.key_of(REF))
        for fence in (holds.fence, holds.target_fence):
            with pytest.raises(LeaseLostError, match=f"on {REF} was lost"), maingate.database.read() as conn:
                fence(holder, conn)
        holds.let_target_go(holder)
        with maingate.database.write() as conn:
            holds.fence(holder, conn)
        take_over(maingate, run_key(run))
        with pytest.raises(LeaseLostError, match=f"on run {run} was lost"), maingate.database.read() as conn:
            holds.fence(holder, conn)


def test_a_fence_does_not_ask_for_what_is_let_go_while_it_looks(
    maingate: Maingate, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Another thread lets the target go between its look at what is held and its look at the record."""
    with maingate:
        run, holds = a_run(maingate), TargetHolds(maingate.context)
        holder = LeaseHolder(run)
        with maingate.database.write() as conn:
            take_both(holds, conn, run)
        check = maingate.database.require_record

        def lets_go(conn: Connection) -> None:
            monkeypatch.undo()
            holds.let_target_go(holder)
            check(conn)

        monkeypatch.setattr(maingate.database, "require_record", lets_go)
        with maingate.database.read() as conn:
            holds.fence(holder, conn)
        assert holds.try_target(holder, REF)
        monkeypatch.setattr(maingate.database, "require_record", lets_go)
        with pytest.raises(LeaseLostError, match="let its target go"), maingate.database.read() as conn:
            holds.target_fence(holder, conn)


def test_what_is_taken_during_the_work_is_renewed_too(
    maingate: Maingate, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The run and its target; work goes on until a target that it still has is lost."""
    monkeypatch.setattr("maingate.services.targets.lease_renewal.LEASE_TIME", timedelta(milliseconds=40))
    worker, run = Worker(), a_run(maingate)
    holds, holder = TargetHolds(maingate.context), LeaseHolder(run)
    keys = (run_key(run), holds.key_of(REF))

    def ends() -> list[datetime]:
        with maingate.database.read() as conn:
            return [lease.expires_at for key in keys if (lease := leases.of_key(conn, key)) is not None]

    async def work() -> None:
        assert holds.try_target(holder, REF)
        before = ends()
        await asyncio.to_thread(
            wait_until,
            lambda: all(now != then for now, then in zip(ends(), before, strict=True)),
            "renewal of both",
        )
        holds.let_target_go(holder)
        [run_end, _] = ends()
        await asyncio.to_thread(wait_until, lambda: ends()[0] != run_end, "renewal of the run")
        assert not worker.is_given_up, "a target that was let go is not lost"
        assert holds.try_target(holder, REF)
        take_over(maingate, keys[1])
        await worker.work()

    with maingate:
        with maingate.database.write() as conn:
            holds.take_run(conn, run, holder)
        with pytest.raises(LeaseLostError, match=REF):
            asyncio.run(holds.while_renewing(holder, worker, work()))


def test_a_process_of_an_older_version_is_at_work_by_its_targets_lease(maingate: Maingate) -> None:
    """It holds no run; nobody else begins on its run meanwhile."""
    with maingate:
        run, holds = a_run(maingate), TargetHolds(maingate.context)
        with maingate.database.write() as conn:
            holds.take(conn, REF, LeaseHolder(run))
        assert at_work(maingate, run)
        others = TargetHolds(maingate.context)
        with pytest.raises(RunBusyError, match="is at work"), maingate.database.write() as conn:
            others.take_run(conn, run, LeaseHolder(run))
        holds.release(LeaseHolder(run))
        assert not at_work(maingate, run)


def test_a_killed_process_leaves_its_run_and_its_target_free(maingate: Maingate) -> None:
    """Its process is looked up; nobody waits for an expiry. If it wakes after all, it writes nothing."""
    with maingate:
        run, dead, holds = a_run(maingate), TargetHolds(maingate.context), TargetHolds(maingate.context)
        with maingate.database.write() as conn:
            take_both(dead, conn, run)
            conn.exec_driver_sql("UPDATE leases SET pid_started = 'long ago'")
        assert not at_work(maingate, run)
        with maingate.database.write() as conn:
            take_both(holds, conn, run)
        assert at_work(maingate, run)
        with pytest.raises(LeaseLostError), maingate.database.read() as conn:
            dead.fence(LeaseHolder(run), conn)


def test_cleaning_keeps_processes_away_from_all_threethat_have_not_ended(maingate: Maingate) -> None:
    """Also those that hold only their run are seen; a run that is cleaned around is not at work."""
    with maingate:
        run, holds, others = a_run(maingate), TargetHolds(maingate.context), TargetHolds(maingate.context)
        with others.on_unfinished():
            assert not at_work(maingate, run)
            with pytest.raises(RunBusyError, match="held by clean_"), maingate.database.write() as conn:
                holds.take_run(conn, run, LeaseHolder(run))
        with maingate.database.write() as conn:
            holds.take_run(conn, run, LeaseHolder(run))
        with pytest.raises(RunBusyError, match=run), others.on_unfinished():
            raise AssertionError("it cleaned around a run at work")
        with maingate.database.read() as conn:
            assert leases.unreleased(conn, maingate.context.identity.id) == []


@ON_BOTH
def test_the_lease_of_a_run_that_has_ended_does_not_stay(maingate: Maingate) -> None:
    """It goes as it is released, or when others clear up after a killed process; a sleeper is told."""
    with maingate:
        three = [a_run(maingate) for _ in range(3)]
        holds = TargetHolds(maingate.context)
        with maingate.database.write() as conn:
            for run in three:
                holds.take_run(conn, run, LeaseHolder(run))
        with maingate.database.write() as conn:
            for run in three[:2]:
                bring_to(conn, runs.get(conn, run).head, "succeeded", at=maingate.context.clock.now())
        assert keys_on_record(maingate) == {run_key(run) for run in three}
        holds.release(LeaseHolder(three[0]))
        holds.release(LeaseHolder(three[2]))
        assert keys_on_record(maingate) == {run_key(run) for run in three[1:]}
        maingate.rescue.clear_up()
        assert run_key(three[1]) in keys_on_record(maingate), "its process lives"
        with maingate.database.write() as conn:
            conn.exec_driver_sql("UPDATE leases SET pid_started = 'long ago'")
        maingate.rescue.clear_up()
        assert keys_on_record(maingate) == {run_key(three[2])}
        with pytest.raises(LeaseLostError), maingate.database.read() as conn:
            holds.fence(LeaseHolder(three[1]), conn)


def test_the_leases_of_a_repositorys_threeare_found_by_their_runs(maingate: Maingate) -> None:
    """Those of other repositories in the record are not among them."""
    with maingate:
        holds, mine, other = TargetHolds(maingate.context), a_run(maingate), a_run(maingate, "repo_other")
        with maingate.database.write() as conn:
            for run in (mine, other):
                holds.take_run(conn, run, LeaseHolder(run))
            found = leases.unreleased_of_runs(conn, maingate.context.identity.id)
            assert [lease.key for lease in found] == [run_key(mine)]
            assert leases.unreleased(conn, maingate.context.identity.id) == []


def a_run(maingate: Maingate, repository_id: str | None = None) -> str:
    """Put a run on record."""
    context = maingate.context
    made = make_run(repository_id=repository_id or context.identity.id, target_ref=REF)
    with maingate.database.write() as conn:
        [run] = runs.insert_many(conn, [made], at=context.clock.now())
    return run.id


def take_both(holds: TargetHolds, conn: Connection, run: str) -> None:
    """Take hold of a run and its target."""
    holds.take_run(conn, run, LeaseHolder(run))
    holds.take(conn, REF, LeaseHolder(run))


def at_work(maingate: Maingate, run: str) -> bool:
    """Return whether a process is at work on a run."""
    with maingate.database.read() as conn:
        return maingate.context.is_at_work(conn, runs.get(conn, run))


def keys_on_record(maingate: Maingate) -> set[str]:
    """Return the keys of all leases, released or not."""
    with maingate.database.read() as conn:
        return {key for (key,) in conn.exec_driver_sql("SELECT key FROM leases")}


def take_over(maingate: Maingate, key: str) -> None:
    """Take a hold over, as a process does that has proven its holder dead."""
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

    @property
    def is_given_up(self) -> bool:
        """Whether it was given up."""
        return self._stopped.is_set()

    def give_up(self, error: OutsideFaultError) -> None:
        """Note the error."""
        self._error = error
        self._stopped.set()

    async def work(self) -> None:
        """Wait for the error and raise it."""
        await self._stopped.wait()
        if self._error is not None:
            raise self._error
