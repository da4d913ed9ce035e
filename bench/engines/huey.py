"""Huey on SQLite, its consumer a process of its own with thread workers, as its documentation has it.

Its result store is on, so that the end of every task is on record; it keeps no other record of a task.
"""

import subprocess
import sys
import time
from collections.abc import Callable, Mapping
from functools import partial
from pathlib import Path
from typing import Any

from huey import SqliteHuey

from bench.engines.contest import WORKERS, compete, connection_of

POLL = 0.002
PATIENCE = 60


class _App:
    """The queue and its tasks, the same in both processes."""

    def __init__(self, folder: Path, level: str) -> None:
        self.huey = SqliteHuey(
            filename=str(folder / "huey.db"), timeout=30, factory=connection_of(level), journal_mode=None
        )
        self.echo = self.huey.task(name="echo")(lambda number: number)
        self.next = self.huey.task(name="next")(lambda number: number + 1)
        self.true = self.huey.task(name="true")(
            lambda number: number if subprocess.run(["true"], check=True).returncode == 0 else None
        )


def _independent(app: _App, count: int) -> None:
    for number in range(count):
        app.echo(number)


def _chain(app: _App, count: int) -> None:
    pipeline = app.next.s(-1)
    for _ in range(count - 1):
        pipeline = pipeline.then(app.next)
    app.huey.enqueue(pipeline)


def _processes(app: _App, count: int) -> None:
    for number in range(count):
        app.true(number)


def _timed(enqueue: Callable[[_App, int], None], folder: Path, level: str, count: int) -> Mapping[str, float]:
    """Enqueue to a consumer that is at work already, until the result of the last task is on record."""
    app = _App(folder, level)
    consumer = subprocess.Popen(
        [sys.executable, "-m", __spec__.name, "consume", level, str(folder), "0"], stdout=subprocess.DEVNULL
    )
    try:
        assert app.echo(0).get(blocking=True, timeout=PATIENCE) == 0
        began = time.perf_counter()
        enqueue(app, count)
        while app.huey.result_count() < count:
            assert time.perf_counter() - began < PATIENCE, "the consumer hangs"
            time.sleep(POLL)
        seconds = time.perf_counter() - began
    finally:
        consumer.terminate()
        consumer.wait()
    results = sorted(app.huey.serializer.deserialize(each) for each in app.huey.all_results().values())
    assert results == list(range(count)), "not every task gave its result once"
    return {"seconds": seconds}


def _consume(folder: Path, level: str, _count: int) -> Mapping[str, Any]:
    """Be the consumer until told to end, looking for work as often as seemed to help."""
    app = _App(folder, level)
    delay = {"initial_delay": POLL, "backoff": 1.0, "max_delay": POLL}
    app.huey.create_consumer(workers=WORKERS, worker_type="thread", periodic=False, **delay).run()
    return {}


if __name__ == "__main__":
    compete(
        {
            "independent": partial(_timed, _independent),
            "chain": partial(_timed, _chain),
            "subprocess": partial(_timed, _processes),
            "consume": _consume,
        }
    )
