"""Parts of tables: keys, references, conditions, and the columns that all entities have.

The CHECKs are built from the state machines, so that the database accepts exactly the states that the program
knows. An entity's table has its own columns between ``id`` and the lifecycle columns, which are the same for
all and are written by `maingate.db.transitions` alone.
"""

from typing import Any, Final

from sqlalchemy import (
    BigInteger,
    CheckConstraint,
    Column,
    Connection,
    ForeignKey,
    Index,
    Integer,
    MetaData,
    Table,
    Text,
    event,
    text,
)

from maingate.db.sql.columns import StateText, Timestamp
from maingate.db.sql.statements import texts
from maingate.state.machine import Machine
from maingate.state.machines import MACHINES

metadata: Final = MetaData(
    naming_convention={
        "pk": "pk_%(table_name)s",
        "fk": "fk_%(table_name)s_%(column_0_name)s",
        "ck": "ck_%(table_name)s_%(constraint_name)s",
        "uq": "uq_%(table_name)s_%(column_0_N_name)s",
        "ix": "ix_%(table_name)s_%(column_0_N_name)s",
    }
)

LIFECYCLE: Final = (
    "state",
    "version",
    "chain_hash",
    "created_at",
    "changed_at",
    "started_at",
    "completed_at",
)
"""The columns that only the writer of states sets."""

SEQUENCE: Final = BigInteger().with_variant(Integer(), "sqlite")
"""A position in the one sequence of transitions and events; on SQLite it is the row id itself."""


def one_of(column: str, *values: str, name: str | None = None) -> CheckConstraint:
    """Declare that a column has one of some values."""
    return CheckConstraint(f"{column} IN ({texts(values)})", name=name or column)


def required(name: str, kind: Any = Text, **options: Any) -> Column[Any]:
    """Declare a column that always has a value."""
    return Column(name, kind, nullable=False, **options)


def child_of(name: str, target: str, *, nullable: bool = False) -> Column[Any]:
    """Declare a column that refers to a row of another table."""
    return Column(name, Text, ForeignKey(target), nullable=nullable)


def _ordered_in_time() -> CheckConstraint:
    return CheckConstraint(
        "changed_at >= created_at AND (started_at IS NULL OR started_at >= created_at)"
        " AND (completed_at IS NULL OR completed_at >= coalesce(started_at, created_at))",
        name="times_in_order",
    )


def _ended_has_end(machine: Machine) -> CheckConstraint:
    ended = texts(state for state in machine.states if state in machine.terminal)
    rule = f"(state IN ({ended})) = (completed_at IS NOT NULL)" if ended else "completed_at IS NULL"
    return CheckConstraint(rule, name="ended_has_end")


def partial(name: str, *columns: str, where: str, is_unique: bool = False) -> Index:
    """Declare an index of the rows that fulfil a condition."""
    return Index(name, *columns, unique=is_unique, sqlite_where=text(where))


def entity(name: str, machine_name: str, *parts: Any) -> Table:
    """Declare the table of one machine's entities."""
    machine = MACHINES[machine_name]
    return Table(
        name,
        metadata,
        Column("id", Text, primary_key=True),
        *(each for each in parts if isinstance(each, Column)),
        required("state", StateText(machine.states)),
        required("version", Integer),
        required("chain_hash"),
        required("created_at", Timestamp),
        required("changed_at", Timestamp),
        Column("started_at", Timestamp),
        Column("completed_at", Timestamp),
        *(each for each in parts if not isinstance(each, Column)),
        one_of("state", *machine.states),
        CheckConstraint("version >= 1", name="version"),
        CheckConstraint("length(chain_hash) = 64", name="chain_hash"),
        _ordered_in_time(),
        _ended_has_end(machine),
        info={"machine": machine_name},
    )


@event.listens_for(metadata, "before_create")
def _hold_conditions(_metadata: MetaData, connection: Connection, **_options: Any) -> None:
    """Set the conditions of indexes for PostgreSQL too.

    PostgreSQL has an option of its own for them; naming it in `partial` would load its dialect at every
    start.
    """
    if connection.dialect.name == "postgresql":
        for index in (index for table in metadata.tables.values() for index in table.indexes):
            if (where := index.dialect_kwargs.get("sqlite_where")) is not None:
                index.dialect_kwargs["postgresql_where"] = where
