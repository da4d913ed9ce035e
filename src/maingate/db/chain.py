"""The hash chain of an entity's transitions: what is hashed, and how (SSOT §1, rule 3; §8.5).

The hash is SHA-256 over the hash of the entity's row before, a line feed, and the canonical form of the row:
a JSON object of its columns (but the two hashes), keys sorted, compact, ASCII. ``at`` is microseconds since
the epoch, reason and metadata are the very texts that are stored. Whoever has the table can check it without
this program.
"""

from collections.abc import Sequence
from hashlib import sha256
from typing import Any, Final

from maingate.db.columns import canonical, text_of
from maingate.db.tables import state_transitions

COLUMNS: Final = tuple(column.name for column in state_transitions.columns)
"""The audit's columns, in the order of the table; ``prev_hash`` and ``hash`` come last."""

HASHED: Final = COLUMNS[:-2]

EMPTY_METADATA: Final = canonical({})


_PLACES: Final = tuple((f'"{name}":', HASHED.index(name)) for name in sorted(HASHED))


def hash_of(stored: Sequence[Any], prev_hash: str | None) -> str:
    """Return the hash of an audit row.

    Args:
        stored: The row's `HASHED` columns as they are stored, in that order.
        prev_hash: Hash of the entity's row before; None for its first.
    """
    pairs = [key + text_of(stored[place]) for key, place in _PLACES]
    return sha256(f"{prev_hash or ''}\n{{{','.join(pairs)}}}".encode("ascii")).hexdigest()
