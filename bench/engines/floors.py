"""What the machine gives at most: guarded updates with their audit rows, and bare processes."""

import asyncio
import hashlib
import sqlite3
import time
from collections.abc import Mapping
from pathlib import Path

from bench.engines.contest import WORKERS, compete, connection_of

BATCH = 100
_SCHEMA = """
CREATE TABLE tasks (id TEXT PRIMARY KEY, state TEXT NOT NULL, version INTEGER NOT NULL, changed_at INTEGER);
CREATE TABLE audit (seq INTEGER PRIMARY KEY, entity_id TEXT NOT NULL, from_state TEXT NOT NULL,
    to_state TEXT NOT NULL, version INTEGER NOT NULL, at INTEGER NOT NULL, hash TEXT NOT NULL)
"""
_UPDATE = "UPDATE tasks SET state = ?, version = version + 1, changed_at = ? WHERE id = ? AND version = ?"
_INSERT = "INSERT INTO audit (entity_id, from_state, to_state, version, at, hash) VALUES (?, ?, ?, ?, ?, ?)"


def _one_by_one(folder: Path, level: str, count: int) -> Mapping[str, float]:
    return _transitions(folder, level, count, batch=1)


def _batched(folder: Path, level: str, count: int) -> Mapping[str, float]:
    return _transitions(folder, level, count, batch=BATCH)


def _transitions(folder: Path, level: str, count: int, *, batch: int) -> Mapping[str, float]:
    """Move as many tasks once, some in each transaction."""
    database = sqlite3.connect(folder / "floor.db", isolation_level=None, factory=connection_of(level))
    for statement in _SCHEMA.split(";"):
        database.execute(statement)
    ids = [f"task-{number:06}" for number in range(count)]
    database.execute("BEGIN")
    database.executemany("INSERT INTO tasks VALUES (?, 'pending', 1, 0)", ((each,) for each in ids))
    database.execute("COMMIT")
    began = time.perf_counter()
    for first in range(0, count, batch):
        some = ids[first : first + batch]
        database.execute("BEGIN IMMEDIATE")
        moved = database.executemany(_UPDATE, [("queued", 1, each, 1) for each in some]).rowcount
        assert moved == len(some), "a guard did not hold"
        rows = [(each, "pending", "queued", 2, 1, hashlib.sha256(each.encode()).hexdigest()) for each in some]
        database.executemany(_INSERT, rows)
        database.execute("COMMIT")
    seconds = time.perf_counter() - began
    recorded = database.execute("SELECT count(*) FROM audit").fetchone()[0]
    assert recorded == count, f"{recorded} rows of {count}"
    return {"seconds": seconds}


def _processes(_folder: Path, _level: str, count: int) -> Mapping[str, float]:
    """Run ``true`` so many times, as many at once as there are workers, and record nothing."""

    async def one(room: asyncio.Semaphore) -> int:
        async with room:
            return await (await asyncio.create_subprocess_exec("true")).wait()

    async def every() -> list[int]:
        room = asyncio.Semaphore(WORKERS)
        return await asyncio.gather(*(one(room) for _ in range(count)))

    began = time.perf_counter()
    codes = asyncio.run(every())
    seconds = time.perf_counter() - began
    assert codes == [0] * count, "a process failed"
    return {"seconds": seconds}


if __name__ == "__main__":
    compete({"one by one": _one_by_one, "batched": _batched, "subprocess": _processes})
