"""Maingate in process: a plan in a fresh repository, ``admit`` and ``execute`` on the clock.

Besides the seconds it tells how many ``transitions`` are on record and how many ``megabytes`` of memory
the process had at most.
"""

import json
import time
from collections.abc import Mapping
from functools import partial
from pathlib import Path
from typing import Any

from sqlalchemy import event

from bench import repository
from bench.engines.contest import WORKERS, compete, needs_by_layer
from maingate.bootstrap import Maingate
from maingate.db.audit import record_check
from maingate.ids import RunId
from maingate.plan.loader import LoadedPlan, load_plan

NOOP: Mapping[str, Any] = {"noop": True}


def _independent(count: int) -> dict[str, Any]:
    return {_name(number): NOOP for number in range(count)}


def _dag(count: int) -> dict[str, Any]:
    needs = [each for layer in needs_by_layer(count) for each in layer]
    return {
        _name(number): {**NOOP, "needs": [_name(each) for each in those]}
        for number, those in enumerate(needs)
    }


def _chain(count: int) -> dict[str, Any]:
    return {
        _name(number): {**NOOP, "needs": [_name(number - 1)] if number else []} for number in range(count)
    }


def _processes(count: int) -> dict[str, Any]:
    return {_name(number): {"command": ["true"]} for number in range(count)}


CASES = {"independent": _independent, "dag": _dag, "chain": _chain, "subprocess": _processes}


def _timed(case: str, folder: Path, level: str, count: int) -> Mapping[str, float]:
    """Admit a plan and run it to its end; make sure from the database that every task is completed.

    A plan of twenty tasks comes first: Maingate loads modules on their first use, its peers before the clock.
    """
    first = _plan(folder / "first", CASES[case](20))
    with Maingate.for_plan(first) as maingate:
        maingate.execution.execute(maingate.admission.admit(first), workers=WORKERS)
    loaded = _plan(folder, CASES[case](count))
    with Maingate.for_plan(loaded) as maingate:
        _make_durable(maingate, level)
        began = time.perf_counter()
        maingate.execution.execute(maingate.admission.admit(loaded), workers=WORKERS)
        seconds = time.perf_counter() - began
        megabytes = _peak()
        return {"seconds": seconds, "megabytes": megabytes, "transitions": _checked(maingate, count)}


def _resume(folder: Path, level: str, count: int) -> Mapping[str, float]:
    """Go on with the run that a killed process left behind, to its end."""
    with Maingate.open(folder / "repository") as maingate:
        _make_durable(maingate, level)
        (run,) = maingate.execution.interrupted()
        run_id = RunId(run.id)
        maingate.execution.take_hold(run_id)
        maingate.execution.execute(run_id, workers=WORKERS)
        megabytes = _peak()
        return {"megabytes": megabytes, "transitions": _checked(maingate, count)}


def _plan(folder: Path, tasks: Mapping[str, Any]) -> LoadedPlan:
    """Make a repository with one commit, and a plan of one workstream for it."""
    origin = repository.make(folder / "repository")
    (origin / "readme").write_text("Nothing lands here.\n")
    repository.commit(origin, "base")
    path = folder / "plan.json"
    plan = {
        "maingate": 1,
        "name": "bench",
        "repo": str(origin),
        "target": "main",
        "workstreams": {"series": {"tasks": tasks}},
    }
    path.write_text(json.dumps(plan))
    return load_plan(path)


def _name(number: int) -> str:
    return f"t{number}"


def _make_durable(maingate: Maingate, level: str) -> None:
    """Have SQLite's `synchronous` at a level on every connection from here on."""
    maingate.database.close()
    event.listen(
        maingate.database.engine,
        "connect",
        lambda connection, _: connection.execute(f"PRAGMA synchronous = {level}"),
    )


def _checked(maingate: Maingate, count: int) -> int:
    """Return how many transitions are on record; make sure that all was done and the record is whole."""
    with maingate.database.read() as connection:
        states = connection.exec_driver_sql("SELECT state, count(*) FROM tasks GROUP BY state").fetchall()
        found = [tuple(row) for row in states]
    assert found == [("completed", count)], f"the tasks ended as {found}"
    report = record_check.verify(maingate.database, log=maingate.paths.transitions)
    assert report.is_intact, f"the record is damaged: {report.findings[:3]}"
    return report.rows


def _peak() -> float:
    """Return the megabytes of memory that this process had at most."""
    lines = Path("/proc/self/status").read_text(encoding="ascii").splitlines()
    return next(int(line.split()[1]) / 1024 for line in lines if line.startswith("VmHWM:"))


if __name__ == "__main__":
    compete({**{case: partial(_timed, case) for case in CASES}, "resume": _resume})
