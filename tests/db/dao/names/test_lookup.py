"""Finding what people mean, on both databases."""

from datetime import timedelta

import pytest

from maingate.db.dao import runs, tasks, workstreams
from maingate.db.dao.names.lookup import Found, find, find_in_newest
from maingate.db.engine import Database
from maingate.errors import AmbiguousNameError, UnknownEntityError
from maingate.state.machines import MACHINES
from support.database_factories import NOW, World, make_run, make_task, make_workstream

LATER = NOW + timedelta(seconds=1)


def test_an_id_finds_its_entity_however_it_is_written(database: Database, world: World) -> None:
    """A full id finds every kind of entity, in lower case too."""
    for machine in MACHINES:
        entity_id = world.of(machine).id
        with database.read() as connection:
            assert find(connection, entity_id).id == entity_id
            assert find(connection, entity_id.lower()).machine == machine


def test_the_beginning_of_an_id_is_enough_when_no_other_has_it(database: Database) -> None:
    """A unique prefix finds its entity; a shared one lists them; a too short one finds nothing."""
    ids = [f"run_01JB{middle}{'0' * 18}{end}" for middle, end in (("AAA", "1"), ("AAB", "2"), ("_%A", "3"))]
    with database.write() as connection:
        runs.insert_many(connection, [make_run(id=each, name=each) for each in ids], at=NOW)
        assert find(connection, "run_01JBAAA").id == ids[0]
        assert find(connection, "run_01jbaab").id == ids[1]
        with pytest.raises(AmbiguousNameError, match="run_01JBAAA0") as caught:
            find(connection, "run_01JBAA")
        assert len(caught.value.candidates) == 2
        for nothing in ("run_01", "run_01JBZ", "run_%", "run_____", "run_01JB%"):
            with pytest.raises(UnknownEntityError):
                find(connection, nothing)


def test_plan_names_are_looked_for_in_the_newest_run(database: Database, world: World) -> None:
    """A workstream and a task have the plan's names; an older run's are found when that run is named."""
    with database.write() as connection:
        newer = make_run(name="newer")
        runs.insert_many(connection, [newer], at=LATER)
        stream = make_workstream(newer, name="docs")
        workstreams.insert_many(connection, [stream], at=LATER)
        task = make_task(stream, name="readme")
        tasks.insert_many(connection, [task], at=LATER)
        assert find(connection, "docs") == Found(machine="workstream", id=stream.id, name="docs")
        assert find(connection, "docs/readme") == Found(machine="task", id=task.id, name="docs/readme")
        assert find(connection, "readme").id == task.id
        assert find(connection, "newer").id == newer.id
        with pytest.raises(UnknownEntityError, match="parser"):
            find(connection, "parser")
        assert find(connection, "parser", run_id=world.run.id).id == world.workstream.id
        assert find(connection, "parser/drop-regex", run_id=world.run.id).id == world.task.id


def test_a_name_that_several_have_must_be_said_whole(database: Database, world: World) -> None:
    """Tasks of two workstreams may share a name; the error lists both."""
    with database.write() as connection:
        stream = make_workstream(world.run, name="other", position=1)
        workstreams.insert_many(connection, [stream], at=NOW)
        tasks.insert_many(connection, [make_task(stream)], at=NOW)
        with pytest.raises(AmbiguousNameError, match="other/drop-regex"):
            find(connection, "drop-regex")
        assert find(connection, "parser/drop-regex").id == world.task.id


def test_the_kinds_wanted_decide_what_a_name_means(database: Database, world: World) -> None:
    """A workstream and a task may have one name; only what is wanted is looked for."""
    with database.write() as connection:
        task = make_task(world.workstream, name="parser", position=1)
        tasks.insert_many(connection, [task], at=NOW)
        with pytest.raises(AmbiguousNameError):
            find(connection, "parser")
        assert find(connection, "parser", kinds=["task"]).id == task.id
        assert find(connection, "parser", kinds=["workstream"]).id == world.workstream.id
        with pytest.raises(UnknownEntityError):
            find(connection, world.task.id, kinds=["run"])


def test_an_ambiguous_name_is_answered_with_ids(database: Database, world: World) -> None:
    """Of things with one name each has its kind and its id, and the id is what is to be given."""
    with database.write() as connection:
        tasks.insert_many(connection, [make_task(world.workstream, name="parser", position=1)], at=NOW)
        with pytest.raises(AmbiguousNameError, match="by its id in brackets") as caught:
            find(connection, "parser")
    stream, task = caught.value.candidates
    assert stream == f"workstream parser ({world.workstream.id})"
    assert task.startswith("task parser/parser (task_")


def test_a_name_that_only_an_older_run_has_is_found_there_or_its_run_is_named(
    database: Database, world: World
) -> None:
    """Reading commands find it; acting ones name both runs, and how to name the older one."""
    with database.write() as connection:
        newer = make_run(name="newer")
        runs.insert_many(connection, [newer], at=LATER)
        for name in ("parser", "parser/drop-regex", "drop-regex", world.run.name):
            found = find_in_newest(connection, name)
            assert found.id in {world.workstream.id, world.task.id, world.run.id}
            with pytest.raises(UnknownEntityError) as caught:
                find(connection, name)
            said = str(caught.value)
            assert f"nothing in the newest run ({newer.id}) is called {name!r}" in said
            assert f"`--run {world.run.id}`" in said
        with pytest.raises(UnknownEntityError, match=f"'parser' is a workstream of {world.run.id}"):
            find_in_newest(connection, "parser", kinds=["run"])


def test_too_little_of_an_id_is_answered_with_how_much_it_takes(database: Database, world: World) -> None:
    """It could be any of many, so it is not said to be unknown."""
    with database.read() as connection, pytest.raises(UnknownEntityError, match="too short for an id"):
        find(connection, world.run.id[:6])


@pytest.mark.parametrize(
    ("typed", "meant"), [("praser", "parser"), ("parser/drop-regx", "parser/drop-regex")]
)
def test_a_mistyped_name_is_answered_with_the_one_that_may_be_meant(
    database: Database, world: World, typed: str, meant: str
) -> None:
    """A similar name of the run is suggested; without one, none is."""
    assert world.run
    with database.read() as connection:
        with pytest.raises(UnknownEntityError, match=f"did you mean '{meant}'"):
            find(connection, typed)
        with pytest.raises(UnknownEntityError) as caught:
            find(connection, "zzz")
    assert "did you mean" not in str(caught.value)


def test_a_mistyped_id_is_answered_with_the_one_that_may_be_meant(database: Database, world: World) -> None:
    """One wrong, missing or additional character, another prefix, or only the beginning with a mistake."""
    real = world.task.id
    prefix, digits = real.split("_")
    other = "Z" if digits[20] != "Z" else "Y"
    wrong = (
        f"{prefix}_{digits[:20]}{other}{digits[21:]}",
        f"{prefix}_{digits[:3]}{other}{digits[4:]}",
        f"{prefix}_{digits[:20]}{digits[21:]}",
        f"{prefix}_{digits[:5]}{other}{digits[5:]}",
        f"tsk_{digits}",
        f"{prefix}_{digits[:18]}{other}{other}",
    )
    with database.read() as connection:
        for typed in wrong:
            with pytest.raises(UnknownEntityError, match=f"did you mean '{real}'"):
                find(connection, typed, kinds=["task"])
        with pytest.raises(UnknownEntityError) as caught:
            find(connection, f"{prefix}_{digits[::-1]}", kinds=["task"])
    assert "did you mean" not in str(caught.value)


def test_a_mistyped_name_of_an_older_run_is_answered_too(database: Database, world: World) -> None:
    """The newest run may be another plan's."""
    with database.write() as connection:
        runs.insert_many(connection, [make_run(name="newer")], at=LATER)
        with pytest.raises(UnknownEntityError, match="did you mean 'parser'"):
            find(connection, "praser")
        with pytest.raises(UnknownEntityError, match=f"did you mean '{world.run.name}'"):
            find_in_newest(connection, f"{world.run.name}x", kinds=["run"])


def test_of_what_was_retried_the_last_is_meant(database: Database, world: World) -> None:
    """An entity that repeats another has its name, and is the one that people mean."""
    with database.write() as connection:
        stream = make_workstream(world.run, retry_of=world.workstream.id)
        workstreams.insert_many(connection, [stream], at=LATER)
        task = make_task(world.workstream, retry_of=world.task.id)
        tasks.insert_many(connection, [task], at=LATER)
        assert find(connection, "parser").id == stream.id
        assert find(connection, "drop-regex").id == task.id


def test_workers_and_breakers_are_found_by_name(database: Database, world: World) -> None:
    """Entities without a run are found without one."""
    with database.read() as connection:
        assert find(connection, "local", kinds=["worker"]).id == world.worker.id
        assert find(connection, world.breaker.tool, kinds=["circuit_breaker"]).id == world.breaker.id


def test_nothing_is_found_where_nothing_is(database: Database) -> None:
    """An empty database knows no names."""
    with database.read() as connection, pytest.raises(UnknownEntityError):
        find(connection, "parser")
