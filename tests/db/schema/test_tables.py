"""The database itself refuses what would break an invariant, on both.

See docs/SPECIFICATION.md §1, rules 3, 5 and 7.
"""

from dataclasses import fields
from typing import Any

import pytest
from sqlalchemy import Connection

from maingate.db.dao import artifacts, breakers, leases, patches, tasks, verdicts, workers, workstreams
from maingate.db.dao.intents import Intent
from maingate.db.engine import Database
from maingate.db.schema.tables import ENTITIES, LIFECYCLE, gate_evidence, intents, metadata
from maingate.db.schema.tables import leases as leases_table
from maingate.db.schema.tables import verdicts as verdicts_table
from maingate.db.sql.columns import to_micros
from maingate.db.sql.statements import change, insertion
from maingate.errors import InvariantError
from maingate.ids import new_id
from maingate.state.machines import MACHINES
from support.database_factories import (
    DAO,
    NOW,
    World,
    bring_to,
    fresh,
    make_patch,
    make_task,
    make_workstream,
)

BEFORE = to_micros(NOW) - 1
AFTER = to_micros(NOW) + 1

FORBIDDEN: list[tuple[str, str, str, Any]] = [
    ("task", "pending", "worker_id = ?", "a worker"),
    ("task", "completed", "worker_id = ?", "a worker"),
    ("task", "pending", "retry_count = max_retries + ?", 1),
    ("task", "pending", "retry_count = ?", -1),
    ("task", "pending", "lost_count = ?", -1),
    ("task", "pending", "max_retries = ?", -1),
    ("task", "pending", "kind = ?", "magic"),
    ("task", "pending", "workstream_id = ?", "nothing"),
    ("task", "running", "worker_id = ?", "nobody"),
    ("task", "pending", "is_critical = NOT is_critical AND 1 = ?", 1),
    ("workstream", "planned", "is_critical = NOT is_critical AND 1 = ?", 1),
    ("workstream", "planned", "run_id = ?", "nothing"),
    ("worker", "initializing", "affinity = ?", '{"gpu":true}'),
    ("worker", "idle", "current_load = max_concurrent_tasks + ?", 1),
    ("worker", "idle", "current_load = ?", -1),
    ("uet_worker", "SPAWNING", "slot = ?", -1),
    ("patch_ledger", "quarantined", "quarantine_reason = ?", None),
    ("patch_ledger", "created", "quarantine_reason = ?", "{}"),
    ("patch_ledger", "committed", "committed_at = ?", None),
    ("patch_ledger", "verified", "committed_at = ?", AFTER),
    ("patch_ledger", "created", "summary = ?", "x" * 513),
    ("patch_ledger", "created", "format = ?", "ed"),
    ("patch_ledger", "created", "method = ?", "guess"),
    ("patch_ledger", "created", "hunks = ?", -1),
    ("test_gate", "PASSED", "exit_code = ?", None),
    ("test_gate", "PASSED", "output = ?", None),
    ("test_gate", "FAILED", "exit_code = ?", None),
    ("test_gate", "FAILED", "output = ?", None),
    ("test_gate", "PENDING", "type = ?", "SMOKE"),
    ("test_gate", "PENDING", "duration_ms = ?", -1),
    ("circuit_breaker", "OPEN", "opened_at = ?", None),
    ("circuit_breaker", "CLOSED", "opened_at = ?", AFTER),
    ("circuit_breaker", "CLOSED", "failures = ?", -1),
    ("run", "pending", "landing = ?", "teleport"),
]
"""Machine, state to be in, the forbidden change, its value."""


def refuse(database: Database, machine: str, entity_id: str, change_: str, value: Any) -> None:
    """Expect that a change past the writer is refused by the database."""
    with pytest.raises(InvariantError), database.write() as connection:
        change(
            connection, f'UPDATE "{ENTITIES[machine].name}" SET {change_} WHERE id = ?', (value, entity_id)
        )


@pytest.mark.parametrize("forbidden", FORBIDDEN, ids=lambda each: f"{each[0]} {each[1]} {each[2]}")
def test_each_invariant_is_enforced(
    database: Database, world: World, forbidden: tuple[str, str, str, Any]
) -> None:
    """Each invariant of an entity's own columns is a constraint or a trigger."""
    machine, state, change_, value = forbidden
    with database.write() as connection:
        head = bring_to(connection, fresh(connection, world, machine), state)
    refuse(database, machine, head.id, change_, world.worker.id if value == "a worker" else value)


@pytest.mark.parametrize("machine", MACHINES)
def test_every_entity_has_a_known_state_and_times_in_order(
    database: Database, world: World, machine: str
) -> None:
    """States are the machine's, ended rows have their end time, others none; times never run backwards."""
    entity_id = world.of(machine).id
    refuse(database, machine, entity_id, "state = ?", "nonsense")
    refuse(database, machine, entity_id, "version = ?", 0)
    refuse(database, machine, entity_id, "chain_hash = ?", "short")
    refuse(database, machine, entity_id, "completed_at = ?", AFTER)
    refuse(database, machine, entity_id, "started_at = ?", BEFORE)
    refuse(database, machine, entity_id, "changed_at = ?", BEFORE)
    for state in MACHINES[machine].terminal:
        with database.write() as connection:
            ended = bring_to(connection, fresh(connection, world, machine), state)
        refuse(database, machine, ended.id, "completed_at = ?", None)
        refuse(database, machine, ended.id, "completed_at = ?", BEFORE)
        refuse(database, machine, ended.id, "started_at = ?", AFTER)


@pytest.mark.parametrize("verb", ["UPDATE", "DELETE"])
@pytest.mark.parametrize("table", ["state_transitions", "events", "facts"])
def test_the_audit_is_append_only(database: Database, world: World, table: str, verb: str) -> None:
    """Audit, events and facts cannot be changed or removed while the triggers are there."""
    with database.write() as connection:
        change(
            connection,
            insertion("events", ("seq", "event_id", "event_type", "severity", "metadata", "at", "hash")),
            (10_000, new_id("evt"), "warning", "warning", "{}", AFTER, "0" * 64),
        )
        artifacts.store(connection, world.patch.id, b"")
    assert world.run.version == 1
    sql = f"UPDATE {table} SET event_id = 'x'" if verb == "UPDATE" else f"DELETE FROM {table}"
    with pytest.raises(InvariantError, match="never changed or removed"), database.write() as connection:
        change(connection, sql)


def test_a_retry_may_have_the_name_of_what_it_repeats_and_nothing_else_may(
    database: Database, world: World
) -> None:
    """Plan names are unique within their parent, but for an entity that repeats another."""
    again = make_workstream(world.run, retry_of=world.workstream.id)
    with database.write() as connection:
        workstreams.insert_many(connection, [again], at=NOW)
        tasks.insert_many(connection, [make_task(world.workstream, retry_of=world.task.id)], at=NOW)
    with pytest.raises(InvariantError), database.write() as connection:
        workstreams.insert_many(connection, [make_workstream(world.run)], at=NOW)
    with pytest.raises(InvariantError), database.write() as connection:
        tasks.insert_many(connection, [make_task(world.workstream)], at=NOW)


def test_there_is_one_breaker_per_tool(database: Database, world: World) -> None:
    """A tool cannot have two breakers."""
    twin = breakers.BreakerRow(id=new_id("brk"), tool=world.breaker.tool)
    with pytest.raises(InvariantError), database.write() as connection:
        breakers.insert_many(connection, [twin], at=NOW)


def test_nothing_needs_itself(database: Database, world: World) -> None:
    """A dependency on itself could never be met."""
    with pytest.raises(InvariantError), database.write() as connection:
        tasks.add_needs(connection, [(world.task.id, world.task.id)])
    with pytest.raises(InvariantError), database.write() as connection:
        workstreams.add_needs(connection, [(world.workstream.id, world.workstream.id)])


def test_a_child_needs_its_parents(database: Database, world: World) -> None:
    """Foreign keys are on: a patch of no task cannot be stored."""
    orphan = make_patch(world.task, task_id=new_id("task"))
    with pytest.raises(InvariantError), database.write() as connection:
        patches.insert_many(connection, [orphan], at=NOW)


def test_a_parent_with_children_stays(database: Database, world: World) -> None:
    """A row that others refer to cannot be removed."""
    with pytest.raises(InvariantError), database.write() as connection:
        change(connection, "DELETE FROM tasks WHERE id = ?", (world.task.id,))


def test_every_column_is_a_field_and_every_field_a_column() -> None:
    """Rows leave db/ as dataclasses that say everything the table says."""
    rows: dict[str, Any] = {machine: module.ROWS.row_type for machine, module in DAO.items()}
    pairs = [(ENTITIES[machine], row) for machine, row in rows.items()]
    pairs += [
        (verdicts_table, verdicts.Verdict),
        (gate_evidence, verdicts.Evidence),
        (leases_table, leases.Lease),
        (intents, Intent),
    ]
    for table, row in pairs:
        assert {column.name for column in table.columns} == {field.name for field in fields(row)}, table.name


def test_every_machine_has_a_table_with_the_lifecycle_columns() -> None:
    """Each of the eight machines has its entities."""
    assert set(ENTITIES) == set(MACHINES)
    for table in ENTITIES.values():
        assert set(LIFECYCLE) < {column.name for column in table.columns}


def test_every_constraint_has_a_name() -> None:
    """A constraint without a name could not be changed by a later migration."""
    for table in metadata.tables.values():
        assert all(constraint.name for constraint in table.constraints), table.name


def test_a_worker_may_be_filled_to_its_capacity(database: Database, world: World) -> None:
    """The load may reach what a worker takes, not more."""

    def load(connection: Connection) -> int:
        return workers.get(connection, world.worker.id).current_load

    with database.write() as connection:
        workers.ROWS.set_column(connection, world.worker.id, "current_load", 1)
        assert load(connection) == 1
    with pytest.raises(InvariantError), database.write() as connection:
        workers.ROWS.set_column(connection, world.worker.id, "current_load", 2)
