"""Work that waits to land: workstreams whose tasks have ended, or whose patches are all proven."""

from datetime import timedelta

from maingate.db.dao import holds
from maingate.db.dao.overviews import open_work
from maingate.db.engine import Database
from maingate.state.holds import Hold, HoldCode
from support.database_factories import NOW, World, bring_to, fresh


def test_a_workstream_waits_since_the_last_of_its_patches_is_proven(database: Database, world: World) -> None:
    """Not while a task of it is open that has no such patch."""
    later, own = NOW + timedelta(minutes=5), world.run.repository_id
    with database.write() as conn:
        bring_to(conn, world.workstream.head, "executing")
        bring_to(conn, world.task.head, "validating")
        bring_to(conn, world.patch.head, "queued")
        assert open_work.landing(conn, own) == []
        holds.publish(conn, world.run.id, {world.patch.id: Hold(code=HoldCode.WORKSTREAM, since=later)})
        waiting = open_work.OpenLandings(sign=0, count=1, oldest=later)
        assert open_work.landing(conn, own) == [waiting]
        assert open_work.landing(conn, "repo_other") == []
        done = fresh(conn, world, "workstream")
        bring_to(conn, done, "validating")
        assert open_work.landing(conn, own) == [open_work.OpenLandings(sign=0, count=2, oldest=NOW)]
        fresh(conn, world, "task")
        assert open_work.landing(conn, own) == [open_work.OpenLandings(sign=0, count=1, oldest=NOW)]
