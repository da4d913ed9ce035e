"""The parts that all entities share: lifecycle columns, reading of rows, creation."""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import datetime
from enum import StrEnum
from functools import cached_property
from typing import Any, ClassVar, Final, TypeVar

from sqlalchemy import Connection, Table

from maingate.db.engine import repository_of
from maingate.db.ledger import facts
from maingate.db.ledger.bound_columns import (
    CHANGING,
    UNBOUND,
    bound_text_of_creation,
    empty_of,
    fixed_columns,
)
from maingate.db.sql.columns import EPOCH, to_micros
from maingate.db.sql.records import Records
from maingate.db.sql.statements import change, change_many, marks
from maingate.db.transitions import record_creation
from maingate.errors import InvariantError, UnknownEntityError
from maingate.state.machines import MACHINES
from maingate.state.steps.step import Context, Head

_IN_REPOSITORY: Final = "run_id IN (SELECT id FROM runs WHERE repository_id = ?)"


@dataclass(frozen=True, kw_only=True)
class EntityRow:
    """The columns that every entity has; all but the id are set by the writer of states.

    Args:
        id: Its identifier.
        state: Its state.
        version: The number of its transitions, its creation included.
        chain_hash: Hash of its newest audit row.
        created_at: The time of its creation.
        changed_at: The time it reached its state.
        started_at: The time work on it began.
        completed_at: The time it ended; None while its state is not terminal.
    """

    machine: ClassVar[str]

    id: str
    state: StrEnum
    version: int = 1
    chain_hash: str = ""
    created_at: datetime = EPOCH
    changed_at: datetime = EPOCH
    started_at: datetime | None = None
    completed_at: datetime | None = None

    @property
    def context(self) -> Context:
        """The run, workstream and task of the entity."""
        return Context()

    @cached_property
    def head(self) -> Head:
        """The head of the entity, for the writer of states."""
        return Head(
            machine=self.machine,
            id=self.id,
            state=str(self.state),
            version=self.version,
            chain_hash=self.chain_hash,
            context=self.context,
        )


E_ = TypeVar("E_", bound=EntityRow)


class Entities(Records[E_]):
    """A reader and creator of the entities of one machine.

    Args:
        table: Their table.
        row_type: The type that a row is read as.
        shown_name: The SQL expression of the name that they have for people.
    """

    def __init__(self, table: Table, row_type: type[E_], *, shown_name: str = "name") -> None:
        super().__init__(table, row_type)
        self._shown_name = shown_name
        places = {name: place for place, name in enumerate(self.names)}
        self._fixed = [places[name] for name in fixed_columns(table.name)]
        self._changing = [
            (column.name, places[column.name], empty_of(column))
            for column in table.columns
            if column.name in CHANGING[table.name]
        ]
        self._begun = [places[name] for name in ("version", "chain_hash", "created_at", "changed_at")]

    def get(self, connection: Connection, entity_id: str) -> E_:
        """Read one entity.

        Raises:
            UnknownEntityError: There is none with that id.
        """
        row = self.one(connection, "id", entity_id)
        if row is None:
            raise UnknownEntityError(entity_id)
        return row

    def get_many(self, connection: Connection, entity_ids: Iterable[str]) -> dict[str, E_]:
        """Read entities by id; those that do not exist are left out."""
        return {row.id: row for row in self.select_in(connection, "id", entity_ids)}

    def page(
        self,
        connection: Connection,
        *,
        among: Mapping[str, Sequence[str]],
        name: str | None = None,
        before: str | None = None,
        limit: int,
    ) -> list[E_]:
        """Read entities of the connection's repository, newest first.

        Identifiers sort by time and are indexed, so each page costs the same, and none moves when entities
        are created meanwhile.

        Args:
            connection: A transaction.
            among: Only those whose columns have one of these values.
            name: Only those whose name contains this, in any case.
            before: Only those older than the entity of this id.
            limit: Most entities to return.
        """
        wanted = [f'"{column}" IN ({marks(len(values))})' for column, values in among.items()]
        bound: list[Any] = [value for values in among.values() for value in values]
        if name is not None:
            wanted.append(f"lower({self._shown_name}) LIKE ? ESCAPE '!'")
            bound.append(f"%{_literally(name.lower())}%")
        if before is not None:
            wanted.append("id < ?")
            bound.append(before)
        if (repository_id := repository_of(connection)) is not None:
            own = "repository_id = ?" if "repository_id" in self.names else _IN_REPOSITORY
            wanted.append(own)
            bound.append(repository_id)
        where = f"WHERE {' AND '.join(wanted)} " if wanted else ""
        return self.select(connection, f"{where}ORDER BY id DESC LIMIT ?", (*bound, limit))

    def insert_many(
        self, connection: Connection, rows: Sequence[E_], *, at: datetime, operator: str | None = None
    ) -> list[E_]:
        """Create entities, each with the first row of its audit chain, and return them as they are stored.

        Args:
            connection: A writing transaction.
            rows: The entities in their initial state; lifecycle columns are filled in here.
            at: The time of their creation.
            operator: The person who creates them; None when it is automatic.

        Raises:
            InvariantError: One is not in its initial state, or the database refused one.
        """
        heads = [row.head for row in rows]
        for head in heads:
            if head.state != MACHINES[head.machine].initial:
                raise InvariantError(
                    f"{head.id} cannot be created in the state {head.state}; nothing was written"
                )
        if not rows:
            return []
        stored = [list(self._values(row)) for row in rows]
        begun = [self._bound(values) for values in stored]
        hashes = record_creation(connection, heads, begun, at=at, operator=operator)
        micros = to_micros(at)
        for values, chain_hash in zip(stored, hashes, strict=True):
            for place, value in zip(self._begun, (1, chain_hash, micros, micros), strict=True):
                values[place] = value
        change_many(connection, self._insert, [tuple(values) for values in stored])
        return [
            replace(row, version=1, chain_hash=chain_hash, created_at=at, changed_at=at)
            for row, chain_hash in zip(rows, hashes, strict=True)
        ]

    def _bound(self, stored: Sequence[Any]) -> str:
        """Return the text by which an entity's first audit row binds its columns."""
        begun = {name: stored[place] for name, place, empty in self._changing if stored[place] != empty}
        return bound_text_of_creation([stored[place] for place in self._fixed], begun)

    def set_column(self, connection: Connection, entity_id: str, column: str, value: Any) -> None:
        """Change a column that is no part of the state; the version stays. A fact binds a column of evidence.

        Args:
            connection: A writing transaction.
            entity_id: The entity.
            column: One that may change (`maingate.db.ledger.bound_columns`).
            value: Its new value as it is stored.

        Raises:
            InvariantError: The column never changes.
            UnknownEntityError: There is no such entity.
        """
        table = self.table.name
        is_loose = column in UNBOUND.get(table, ())
        if not is_loose and column not in CHANGING[table]:
            raise InvariantError(f"{entity_id}: {column} never changes; nothing was written")
        if change(connection, f'UPDATE "{table}" SET "{column}" = ? WHERE id = ?', (value, entity_id)) != 1:
            raise UnknownEntityError(entity_id)
        if not is_loose:
            facts.record(connection, [facts.of_column(table, entity_id, column, value)])


def _literally(text: str) -> str:
    """Return a text as a pattern of LIKE that stands for nothing but itself."""
    return "".join(f"!{each}" if each in "!%_" else each for each in text)
