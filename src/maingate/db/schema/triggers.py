"""Triggers for rules that a CHECK cannot express: columns and rows that never change.

They guard against mistakes. A person who may drop them is found out by the hash chains
(`maingate.db.audit.record_check`).
"""

from dataclasses import dataclass
from functools import lru_cache
from typing import Any, Final

from sqlalchemy import DDL, Connection, create_mock_engine, event
from sqlalchemy.schema import ExecutableDDLElement

from maingate.db.schema.tables import events, facts, metadata, state_transitions, tasks, workers, workstreams
from maingate.db.sql.statements import define

FIXED_COLUMNS: Final = (
    (workstreams.name, "is_critical"),
    (tasks.name, "is_critical"),
    (workers.name, "affinity"),
)
"""Columns that never change after creation (docs/SPECIFICATION.md §1, rule 7; §1.5)."""

APPEND_ONLY: Final = (state_transitions.name, events.name, facts.name)
"""Tables whose rows are neither changed nor removed (docs/SPECIFICATION.md §1, rule 3)."""


@dataclass(frozen=True, kw_only=True)
class DatabaseTrigger:
    """One trigger of one database: its table and the statements that create it."""

    table: str
    statements: tuple[str, ...]


def _refusal(table: str, what: str) -> str:
    return f"{table}: {what}"


def _sqlite(table: str, name: str, when: str, message: str) -> DatabaseTrigger:
    body = f"BEGIN SELECT RAISE(ABORT, '{message}'); END"
    return DatabaseTrigger(table=table, statements=(f"CREATE TRIGGER {name} {when} {body}",))


def _postgresql(table: str, name: str, when: str, message: str) -> DatabaseTrigger:
    function = (
        f"CREATE FUNCTION {name}() RETURNS trigger LANGUAGE plpgsql AS "
        f"$$BEGIN RAISE EXCEPTION '{message}' USING ERRCODE = 'integrity_constraint_violation'; END$$"
    )
    return DatabaseTrigger(
        table=table, statements=(function, f"CREATE TRIGGER {name} {when} EXECUTE FUNCTION {name}()")
    )


def triggers(dialect: str) -> list[DatabaseTrigger]:
    """Return the triggers of a database, ``sqlite`` or ``postgresql``."""
    made: list[DatabaseTrigger] = []
    for table, column in FIXED_COLUMNS:
        name, message = (
            f"{table}_{column}_is_fixed",
            _refusal(table, f"{column} never changes after creation"),
        )
        if dialect == "sqlite":
            when = f"BEFORE UPDATE OF {column} ON {table} WHEN NEW.{column} IS NOT OLD.{column}"
            made.append(_sqlite(table, name, when, message))
        else:
            when = (
                f"BEFORE UPDATE OF {column} ON {table} FOR EACH ROW "
                f"WHEN (NEW.{column} IS DISTINCT FROM OLD.{column})"
            )
            made.append(_postgresql(table, name, when, message))
    for table in APPEND_ONLY:
        message = _refusal(table, "rows are never changed or removed")
        if dialect == "sqlite":
            made += [
                _sqlite(table, f"{table}_no_{verb.lower()}", f"BEFORE {verb} ON {table}", message)
                for verb in ("UPDATE", "DELETE")
            ]
        else:
            when = f"BEFORE UPDATE OR DELETE OR TRUNCATE ON {table} FOR EACH STATEMENT"
            made.append(_postgresql(table, f"{table}_append_only", when, message))
    return made


def _attach() -> None:
    """Attach the triggers to `metadata`, which creates them with their tables."""
    for dialect in ("sqlite", "postgresql"):
        for trigger in triggers(dialect):
            for statement in trigger.statements:
                made = DDL(statement)  # type: ignore[no-untyped-call]
                table = metadata.tables[trigger.table]
                event.listen(table, "after_create", made.execute_if(dialect=dialect))


_attach()


def create_schema(connection: Connection) -> None:
    """Create every declared table with its triggers in an empty database."""
    for statement in schema_statements(connection.dialect.name):
        define(connection, statement)


@lru_cache
def schema_statements(dialect: str) -> tuple[str, ...]:
    """Return the statements that create the declared schema, compiled once in a process."""
    made: list[str] = []

    def keep(statement: ExecutableDDLElement, *_: Any, **__: Any) -> None:
        made.append(str(statement.compile(dialect=engine.dialect)))

    engine = create_mock_engine(f"{dialect}://", keep)
    metadata.create_all(engine, checkfirst=False)
    return tuple(made)
