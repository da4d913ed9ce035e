"""Hashes of the rows of the ledger: transitions, events and facts.

The hash is SHA-256 over the hash of the entity's transition before (nothing for other rows), a line feed, and
the canonical form of the row: a JSON object of its columns (but the hashes), keys sorted, compact, ASCII.
``at`` is microseconds since the epoch; reason, metadata and sets are the stored texts. The hashes can be
checked from the table without this program.
"""

from collections.abc import Callable, Sequence
from hashlib import sha256
from operator import itemgetter
from typing import Any, Final

from sqlalchemy import Table

from maingate.db.schema.tables import events, facts, state_transitions
from maingate.db.sql.columns import canonical, quote, text_of

HashOf = Callable[[Sequence[Any], str | None], str]
"""A function from a row's stored columns without the hashes, in the table's order, and the hash before it."""

COLUMNS: Final = tuple(column.name for column in state_transitions.columns)
"""The audit's columns, in the order of the table; ``prev_hash`` and ``hash`` come last."""

HASHED: Final = COLUMNS[:-2]
"""The audit's columns that are hashed."""

EVENT_COLUMNS: Final = tuple(column.name for column in events.columns)
FACT_COLUMNS: Final = tuple(column.name for column in facts.columns)
"""The columns of events and facts, in the order of the table; ``hash`` comes last."""

EMPTY_METADATA: Final = canonical({})


def _hasher(table: Table) -> HashOf:
    names = [column.name for column in table.columns if column.name not in {"prev_hash", "hash"}]
    named = sorted(names)
    in_order = itemgetter(*(names.index(name) for name in named))
    form = "{" + ",".join(f'"{name}":%s' for name in named) + "}"

    def hash_row(stored: Sequence[Any], before: str | None = None) -> str:
        texts = [quote(value) if type(value) is str else text_of(value) for value in in_order(stored)]
        return sha256(f"{before or ''}\n{form % tuple(texts)}".encode()).hexdigest()

    return hash_row


hash_of: Final = _hasher(state_transitions)
"""Return the hash of a transition, given the hash of the entity's one before; None for its first."""

hash_of_event: Final = _hasher(events)
hash_of_fact: Final = _hasher(facts)
