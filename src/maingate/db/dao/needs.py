"""Needs: entities that must be completed before others, stored in the same way for tasks and workstreams."""

from collections import defaultdict
from collections.abc import Iterable

from sqlalchemy import Connection, Table

from maingate.db.ledger.facts import insert_bound
from maingate.db.sql.statements import rows_of


def add(connection: Connection, edges: Table, pairs: Iterable[tuple[str, str]]) -> None:
    """Insert pairs of an entity and one that it needs; an existing pair is ignored."""
    insert_bound(connection, edges, list(pairs), or_ignore=True)


def of_run(connection: Connection, edges: Table, entities: Table, run_id: str) -> dict[str, tuple[str, ...]]:
    """Read the needs of each of a run's entities, in the order of the plan."""
    owner = edges.columns[0].name
    sql = (
        f'SELECT e."{owner}", e.needs_id FROM "{edges.name}" e JOIN "{entities.name}" o ON o.id = e."{owner}"'
        f' JOIN "{entities.name}" n ON n.id = e.needs_id WHERE o.run_id = ? ORDER BY n.position, n.id'
    )
    found: defaultdict[str, list[str]] = defaultdict(list)
    for pair in rows_of(connection, sql, (run_id,)):
        found[pair[0]].append(pair[1])
    return {owner_id: tuple(ids) for owner_id, ids in found.items()}
