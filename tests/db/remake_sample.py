"""Seal a sample anew after it was changed by hand: ``uv run python tests/db/remake_sample.py 0002``.

Made again is what follows from the rest: what transitions bind, the facts, every hash, and the ledger's head.
"""

import json
import sys
from collections.abc import Sequence
from itertools import chain as joined
from pathlib import Path
from typing import Any

from maingate.db.ledger import running_head
from maingate.db.ledger.bound_columns import (
    CHANGING,
    FACTS,
    bound_text,
    bound_text_of_creation,
    empty_of,
    fixed_columns,
)
from maingate.db.ledger.chain import (
    COLUMNS,
    EVENT_COLUMNS,
    FACT_COLUMNS,
    HashOf,
    hash_of,
    hash_of_event,
    hash_of_fact,
)
from maingate.db.ledger.facts import Binding
from maingate.db.schema.tables import ENTITIES, metadata

Row = dict[str, Any]


class Sample:
    """The rows of a sample, by table.

    Args:
        path: Its file.
    """

    def __init__(self, path: Path) -> None:
        self.path = path
        self.raw: dict[str, Any] = json.loads(path.read_text())
        self.tables = {
            name: [dict(zip(content["columns"], row, strict=True)) for row in content["rows"]]
            for name, content in self.raw.items()
        }

    def stored(self, table: str, row: Row) -> list[Any]:
        """Return a row's values in the table's order, with bytes where they are."""
        binary = self.raw[table].get("binary", [])
        names = [column.name for column in metadata.tables[table].columns]
        return [bytes.fromhex(row[name]) if name in binary else row.get(name) for name in names]

    def save(self) -> None:
        """Write the file."""
        parts = []
        for name in (*self.raw, *(name for name in self.tables if name not in self.raw)):
            columns = [column.name for column in metadata.tables[name].columns]
            content = {key: value for key, value in self.raw.get(name, {}).items() if key == "binary"}
            head = "".join(f'  "{key}": {json.dumps(value)},\n' for key, value in content.items())
            rows = [json.dumps([row.get(column) for column in columns]) for row in self.tables[name]]
            listed = ",\n   ".join(rows)
            named = f'  "columns": {json.dumps(columns)},\n'
            parts.append(f' "{name}": {{\n{head}{named}  "rows": [\n   {listed}\n  ]\n }}')
        self.path.write_text("{\n" + ",\n".join(parts) + "\n}\n")


def seal(sample: Sample) -> None:
    """Make all that follows from the rest."""
    hashes = _transitions(sample)
    _hash(sample.tables["events"], EVENT_COLUMNS, hash_of_event)
    numbered = [*sample.tables["state_transitions"], *sample.tables["events"]]
    _facts(sample, max(row["seq"] for row in numbered) + 1)
    numbered += sample.tables["facts"]
    numbered.sort(key=lambda row: row["seq"])
    [record] = sample.tables["record"]
    head = running_head.onward(record["id"], (row["hash"] for row in numbered))
    sample.tables["counters"] = [{"name": "event", "value": len(numbered), "head": head}]
    for table in ENTITIES.values():
        for row in sample.tables[table.name]:
            row["chain_hash"] = hashes[row["id"]]


def _transitions(sample: Sample) -> dict[str, str]:
    """Bind all of an entity that may change by the last of its transitions."""
    last: dict[str, Row] = {row["entity_id"]: row for row in sample.tables["state_transitions"]}
    hashes: dict[str, str] = {}
    rows = {row["id"]: (table.name, row) for table in ENTITIES.values() for row in sample.tables[table.name]}
    for transition in sample.tables["state_transitions"]:
        entity = transition["entity_id"]
        table, row = rows[entity]
        columns = [column for column in metadata.tables[table].columns if column.name in CHANGING[table]]
        changing = [(column, row.get(column.name)) for column in columns]
        mine = changing if transition is last[entity] else []
        is_first = transition["version"] == 1
        fixed = [row.get(name) for name in fixed_columns(table)]
        said = {column.name: value for column, value in mine if value != empty_of(column)}
        transition["sets"] = bound_text_of_creation(fixed, said) if is_first else bound_text(said)
        transition["prev_hash"] = hashes.get(entity)
        stored = [transition[name] for name in COLUMNS[:-2]]
        hashes[entity] = transition["hash"] = hash_of(stored, transition["prev_hash"])
    return hashes


def _facts(sample: Sample, first: int) -> None:
    bound = joined.from_iterable(
        (Binding(metadata.tables[name]).fact(sample.stored(name, row)) for row in sample.tables[name])
        for name in FACTS
    )
    facts = [
        dict(zip(FACT_COLUMNS, (seq, f"evt_{seq:026}", *fact, ""), strict=True))
        for seq, fact in enumerate(bound, first)
    ]
    _hash(facts, FACT_COLUMNS, hash_of_fact)
    sample.tables["facts"] = facts


def _hash(rows: Sequence[Row], columns: Sequence[str], hash_row: HashOf) -> None:
    for row in rows:
        row["hash"] = hash_row([row[name] for name in columns[:-1]], None)


if __name__ == "__main__":
    wanted = Sample(Path(__file__).parent / "samples" / f"{sys.argv[1]}.json")
    seal(wanted)
    wanted.save()
