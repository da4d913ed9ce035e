"""A run that a server is to take up says its place in the line, and which runs are ahead of it."""

from collections.abc import Iterator
from pathlib import Path

import pytest

from maingate.bootstrap import Maingate
from maingate.db.dao import leases, runs, workstreams
from maingate.db.dao.runs import RunRow
from maingate.ids import LeaseHolder, RunId
from maingate.landing.lease import LEASE_TIME, hold_run, key_of
from maingate.queries.queues.queue_report import queue_report
from maingate.queries.runs.activity import surroundings
from maingate.queries.waits.explain import standing
from maingate.queries.waits.server_line import ServerLine, server_line
from maingate.services.handover.server_hold import ServerHold
from maingate.system.process_table import started
from support.database_factories import make_run, make_workstream
from support.serving import Yard

REF = "refs/heads/main"
LIMIT = "`runs_per_target` permits 2 at once"


@pytest.fixture
def maingate(tmp_path: Path) -> Iterator[Maingate]:
    """Give a repository whose server, this process, has processes for two runs on a target at once."""
    yard = Yard.create(tmp_path)
    yard.set_runs_per_target(2)
    with Maingate.open(yard.repo.path) as opened:
        ServerHold(opened.context).take()
        yield opened


def add(maingate: Maingate, *names: str, at_work: bool = False, target: str = REF) -> list[RunRow]:
    """Make runs, one after the other; with a living process, if that is wanted."""
    made = []
    for name in names:
        with maingate.database.write() as conn:
            now = maingate.context.clock.now()
            row = make_run(name=name, repository_id=maingate.context.identity.id, target_ref=target)
            made += runs.insert_many(conn, [row], at=now)
            if at_work:
                hold_run(conn, row.id, holder=LeaseHolder(row.id), now=now)
    return made


def line(maingate: Maingate, run: RunRow) -> ServerLine | None:
    """Return the place of a run."""
    with maingate.database.read() as conn:
        return server_line(maingate.context, conn, run)


def test_runs_beyond_the_limit_have_places_in_the_line(maingate: Maingate) -> None:
    """The oldest first; those on another target are in no one's way."""
    at_work = add(maingate, "a", "b", at_work=True)
    third, fourth = add(maingate, "c", "d")
    [elsewhere] = add(maingate, "e", target="refs/heads/next")
    found = [line(maingate, run) for run in (at_work[0], third, fourth, elsewhere)]
    assert found[0] is None
    assert [each and (each.place, each.is_blocked) for each in found[1:]] == [
        (1, True),
        (2, True),
        (0, False),
    ]
    assert found[2] is not None
    assert found[2].waits_for == (f"its turn on main, at place 2 of the line: a, b have theirs, and {LIMIT}")
    assert found[2].until == "the runs ahead of it have had their turn"
    assert found[3] is not None
    assert found[3].waits_for == "the server to take the run up"


def test_one_that_the_server_is_about_to_start_has_no_run_ahead(maingate: Maingate) -> None:
    """As many as may be at once are taken up at the next look: they count as if they were at work."""
    add(maingate, "a", at_work=True)
    [second, third] = add(maingate, "b", "c")
    lines = [line(maingate, run) for run in (second, third)]
    assert [each is not None and each.is_blocked for each in lines] == [False, True]
    assert (waiting := line(maingate, third)) is not None
    assert waiting.waits_for == (f"its turn on main, at place 1 of the line: a, b have theirs, and {LIMIT}")


def test_other_work_on_the_target_is_named(maingate: Maingate) -> None:
    """A rollback holds the branch; the server starts nothing there meanwhile."""
    [run] = add(maingate, "a")
    holder = LeaseHolder.new("rollback")
    with maingate.database.write() as conn:
        leases.acquire(
            conn,
            key_of(maingate.context.identity.id, REF),
            holder=holder,
            host="elsewhere",
            pid=1,
            pid_started=started(1) or "1",
            now=maingate.context.clock.now(),
            ttl=LEASE_TIME,
        )
    found = line(maingate, run)
    assert found is not None
    assert (found.waits_for, found.until) == (
        f"its turn on main, where {holder.id} is at work",
        "that has ended",
    )


def test_all_faces_say_the_same(maingate: Maingate) -> None:
    """`why`, the report, the picture of the run and the queue, with the place as a number for programs."""
    add(maingate, "a", "b", at_work=True)
    [run] = add(maingate, "c")
    with maingate.database.write() as conn:
        workstreams.insert_many(conn, [make_workstream(run)], at=maingate.context.clock.now())
    said = f"its turn on main, at place 1 of the line: a, b have theirs, and {LIMIT}"
    told = standing(maingate.context, run.id)["waiting"]
    assert (told["code"], told["for"], told["until"]) == ("server", said, "one of these runs ends")
    assert (told["about"]["place"], told["about"]["limit"]) == (1, 2)
    reported = maingate.report(RunId(run.id))
    assert reported["waiting"] == told
    assert reported["next_action"]["code"] == "wait"
    report = queue_report(maingate.context, REF)
    assert [(each["name"], each["alive"], each["line"]) for each in report["runs"]] == [
        ("a", True, None),
        ("b", True, None),
        ("c", False, {"place": 1, "limit": 2, "why": f"waits for {said}"}),
    ]
    around = surroundings(maingate.context, RunId(run.id))
    assert [(wait.thing, wait.until) for wait in around.waits] == [(said, "one of these runs ends")]
