"""Picture of the surroundings of a run: worker by worker what runs, what waits, and what needs a person.

The record is read in the thread that draws, again only after a pause that grows with the time it took.
"""

import time
from collections.abc import Callable
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Final

from maingate.cli.text import count, duration, safe
from maingate.cli.views.queue import place_line
from maingate.errors import MaingateError

if TYPE_CHECKING:
    from collections.abc import Iterator

    from rich.text import Text

    from maingate.bootstrap import Maingate
    from maingate.ids import RunId
    from maingate.queries.runs.activity import SharedWait, Surroundings, WorkerJob

READING_SHARE: Final = 20
"""Reading takes at most one part in this many of the time."""
SHORTEST_PAUSE: Final = 0.5
"""Seconds between two readings at least."""
MOST_JOBS: Final = 6
MOST_WAITS: Final = 4
MOST_NEEDS: Final = 2

ReadSurroundings = Callable[[], "Surroundings"]


def surroundings_reader(maingate: "Maingate", run_id: "RunId") -> ReadSurroundings:
    """Return a reader of a run's surroundings, which answers from memory until it is due again."""

    def read() -> "Surroundings":
        from maingate.queries.runs.activity import surroundings

        return surroundings(maingate.context, run_id)

    return PacedReader(read)


class PacedReader:
    """Reads surroundings now and then.

    Args:
        read: Reads them from the record.
        clock: The time in seconds.
    """

    def __init__(self, read: ReadSurroundings, clock: Callable[[], float] = time.monotonic) -> None:
        self._read, self._clock = read, clock
        self._last: Surroundings | None = None
        self._again_at = 0.0

    def __call__(self) -> "Surroundings":
        """Return the newest reading; while the record cannot be read, the last one."""
        from maingate.queries.runs.activity import Surroundings

        began = self._clock()
        if began >= self._again_at:
            try:
                self._last = self._read()
            except MaingateError:  # the run itself meets the same fault, and reports it
                self._last = self._last or Surroundings()
            took = self._clock() - began
            self._again_at = began + took + max(SHORTEST_PAUSE, took * READING_SHARE)
        return self._last or Surroundings()


def surroundings_lines(
    around: "Surroundings", *, rows: int, run_id: str = "", now: datetime | None = None
) -> "Iterator[Text]":
    """Return the lines about a run's surroundings, at most so many, the most urgent first.

    Args:
        around: The surroundings.
        rows: Maximum number of lines.
        run_id: The run, whose place in the queue is shown.
        now: The time; None for the present.
    """
    from rich.text import Text

    moment = now or datetime.now(UTC)
    lines = [
        *(Text(line, style="yellow") for line in _needs(around)),
        *(Text(f"  ⇢ {line}", style="cyan") for line in [_place(around, run_id)] if line),
        *(Text(_job(job, moment)) for job in around.jobs[:MOST_JOBS]),
        *_more(len(around.jobs) - MOST_JOBS, "more at work"),
        *(Text(_wait(wait, moment), style="dim") for wait in around.waits[:MOST_WAITS]),
        *_more(len(around.waits) - MOST_WAITS, "more kinds of waits"),
    ]
    for line in lines[: max(0, rows)]:
        line.no_wrap, line.overflow = True, "ellipsis"
        yield line


def _needs(around: "Surroundings") -> "Iterator[str]":
    for item in around.needs[:MOST_NEEDS]:
        yield f"  ! {safe(item.why)}: {safe(item.command)}"
    if len(around.needs) > MOST_NEEDS:
        yield f"  ! {len(around.needs) - MOST_NEEDS} more need you: maingate inbox"


def _place(around: "Surroundings", run_id: str) -> str:
    return "" if around.queue is None else place_line(around.queue, run_id)


def _job(job: "WorkerJob", now: datetime) -> str:
    again = f", attempt {job.attempt}" if job.attempt > 1 else ""
    subject = f" on {safe(job.of)}" if job.of else ""
    return f"  ▸ {safe(job.worker)}  {job.kind} {safe(job.name)}{subject}{again}  {_elapsed(job.since, now)}"


def _wait(wait: "SharedWait", now: datetime) -> str:
    is_one = wait.number == 1
    who = f"{safe(wait.first)} waits" if is_one else f"{count(wait.number, wait.noun)} wait"
    return f"  … {who} for {safe(wait.thing)}; until {safe(wait.until)}  {_elapsed(wait.since, now)}"


def _more(number: int, words: str) -> "list[Text]":
    from rich.text import Text

    return [Text(f"    {number} {words}", style="dim")] if number > 0 else []


def _elapsed(since: datetime, now: datetime) -> str:
    return duration(max(0.0, (now - since).total_seconds()))
