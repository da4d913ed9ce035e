"""The published holds of runs: each change is written, and nothing else."""

from datetime import timedelta

from maingate.db.dao import holds
from maingate.db.engine import Database
from maingate.state.holds import EndedBy, Hold, HoldCode
from support.database_factories import NOW, World


def test_changes_replace_add_and_remove(database: Database, world: World) -> None:
    """What is not named stays as it is."""
    tool = Hold(code=HoldCode.TOOL, about={"tool": "sh", "limit": 1}, since=NOW, ends_by=EndedBy.TIME)
    lane = Hold(code=HoldCode.PARTS, about={"first": world.task.id}, since=NOW)
    moved = Hold(code=HoldCode.PARTS, about={"first": "task_2"}, since=NOW + timedelta(seconds=1))
    steps: list[tuple[dict[str, Hold | None], dict[str, Hold]]] = [
        ({"task_1": tool, "ws_1": lane, "ws_2": lane}, {"task_1": tool, "ws_1": lane, "ws_2": lane}),
        ({"task_1": None, "ws_1": moved, "task_9": None}, {"ws_1": moved, "ws_2": lane}),
        ({}, {"ws_1": moved, "ws_2": lane}),
    ]
    for changes, expected in steps:
        with database.write() as conn:
            holds.publish(conn, world.run.id, changes)
        with database.read() as conn:
            assert holds.of_run(conn, world.run.id) == expected
            assert holds.of_run(conn, "run_other") == {}
