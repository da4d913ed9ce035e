"""DBOS, its system database in SQLite.

Steps run in one workflow, side by side with ``asyncio.gather``, which was faster than a queue or a workflow
for every task; one thread and two connections, because SQLite has one writer and more were slower.
"""

import asyncio
import sqlite3
import time
from collections.abc import Callable, Mapping
from functools import partial
from pathlib import Path

from dbos import DBOS

from bench.engines.contest import LAYERS, compete, connection_of

_RAN: list[int] = []


@DBOS.step()
def _step(number: int) -> int:
    _RAN.append(number)
    return number


@DBOS.step()
async def _step_beside_others(number: int) -> int:
    _RAN.append(number)
    return number


@DBOS.workflow()
async def _independent(count: int) -> None:
    await asyncio.gather(*(_step_beside_others(number) for number in range(count)))


@DBOS.workflow()
async def _dag(count: int) -> None:
    """Run a layer when all of the one before is done: steps have no needs of their own."""
    width = count // LAYERS
    for layer in range(LAYERS):
        first = layer * width
        await asyncio.gather(*(_step_beside_others(number) for number in range(first, first + width)))


@DBOS.workflow()
def _chain(count: int) -> None:
    for number in range(count):
        _step(number)


def _timed(workflow: Callable[[int], object], folder: Path, level: str, count: int) -> Mapping[str, float]:
    """Run a workflow from a system database that is there, and look at what that says afterwards."""
    place = folder / "dbos.sqlite"
    DBOS(
        config={
            "name": "bench",
            "system_database_url": f"sqlite:///{place}",
            "sys_db_pool_size": 2,
            "max_executor_threads": 1,
            "db_engine_kwargs": {"connect_args": {"factory": connection_of(level)}},
            "log_level": "ERROR",
        }
    )
    DBOS.launch()
    began = time.perf_counter()
    workflow(count)
    seconds = time.perf_counter() - began
    DBOS.destroy()
    assert sorted(_RAN) == list(range(count)), "not every step ran once"
    database = sqlite3.connect(place)
    recorded = database.execute("SELECT count(*) FROM operation_outputs WHERE error IS NULL").fetchone()[0]
    assert recorded == count, f"{recorded} steps of {count} are on record"
    states = database.execute("SELECT status FROM workflow_status").fetchall()
    assert states == [("SUCCESS",)], f"the workflow ended as {states}"
    return {"seconds": seconds}


if __name__ == "__main__":
    compete(
        {
            "independent": partial(_timed, lambda count: asyncio.run(_independent(count))),
            "dag": partial(_timed, lambda count: asyncio.run(_dag(count))),
            "chain": partial(_timed, _chain),
        }
    )
