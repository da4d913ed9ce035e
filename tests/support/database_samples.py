"""What the program of each revision had written, to begin with."""

import json
from pathlib import Path
from typing import Any

from sqlalchemy import Connection

from maingate.db.sql.statements import change_many, insertion

SAMPLES = Path(__file__).parent.parent / "db" / "samples"


def load_sample(connection: Connection, revision: str) -> None:
    """Fill a database whose schema is at a revision with what that revision's program had written."""
    sample: dict[str, Any] = json.loads((SAMPLES / f"{revision}.json").read_text())
    for table, content in sample.items():
        columns, binary = content["columns"], content.get("binary", [])
        rows = [
            tuple(
                bytes.fromhex(value) if name in binary else value
                for name, value in zip(columns, row, strict=True)
            )
            for row in content["rows"]
        ]
        change_many(connection, insertion(table, columns), rows)
