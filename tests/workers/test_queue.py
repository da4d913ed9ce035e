"""The order in which jobs start, as a table; no worker is needed for it."""

from dataclasses import dataclass, field

import pytest

from maingate.uet.process.command import CommandSpec
from maingate.workers.jobs import Job
from maingate.workers.queue import JobQueue, may_start


def job(name: str) -> Job:
    """Make a job of a word: a letter, then `!` for an exclusive one, then its priority when it has one."""
    letter, rest = name[0], name[1:]
    return Job(
        job_id=letter,
        commit="",
        command=CommandSpec(name=letter, run="true"),
        log="",
        exclusive=rest.startswith("!"),
        priority=int(rest.lstrip("!") or 0),
    )


@dataclass(eq=False)
class Place:
    """A job in a queue."""

    name: str
    is_done: bool = False
    job: Job = field(init=False)

    def __post_init__(self) -> None:
        """Make the job."""
        self.job = job(self.name)


def queue_of(words: str) -> JobQueue[Place]:
    """Make a queue of jobs in the order in which they are added."""
    queue: JobQueue[Place] = JobQueue()
    for word in words.split():
        queue.add(Place(word))
    return queue


def order_of(queue: JobQueue[Place]) -> str:
    """Start one job after the other; return their names."""
    names = []
    while (place := queue.next()) is not None:
        names.append(place.job.job_id)
        queue.remove_next()
    return "".join(names)


@pytest.mark.parametrize(
    ("words", "expected"),
    [
        ("", ""),
        ("a b c", "abc"),
        ("a b1 c2 d1", "cbda"),
        ("a! b c1", "cab"),
        ("a b! c!1 d", "cabd"),
        ("a-1 b", "ba"),
    ],
)
def test_jobs_start_by_priority_then_by_age(words: str, expected: str) -> None:
    """An exclusive job has its place in that order like any other."""
    assert order_of(queue_of(words)) == expected
    assert "".join(place.job.job_id for place in queue_of(words).tickets()) == expected


def test_an_exclusive_job_that_is_next_stays_next() -> None:
    """Else jobs of a higher priority that keep coming would starve it."""
    queue = queue_of("a!")
    assert queue.next() is not None
    queue.add(Place("b5"))
    assert "".join(place.job.job_id for place in queue.tickets()) == "ab"
    assert order_of(queue) == "ab"


def test_a_job_that_is_done_takes_no_place() -> None:
    """Neither at the front, nor reserved, nor behind others."""
    queue = queue_of("a! b c")
    reserved = queue.next()
    assert reserved is not None
    for place in queue.tickets()[::2]:
        place.is_done = True
    assert [place.job.job_id for place in queue.tickets()] == ["b"]
    assert order_of(queue) == "b"


def test_a_queue_that_is_cleared_is_empty() -> None:
    """Also of the job that was reserved."""
    queue = queue_of("a! b")
    queue.next()
    queue.clear()
    assert (queue.next(), queue.tickets()) == (None, [])


@pytest.mark.parametrize(
    ("name", "running", "expected"),
    [
        ("a", "", True),
        ("a", "b c", True),
        ("a", "b!", False),
        ("a!", "", True),
        ("a!", "b", False),
        ("a!", "b!", False),
    ],
)
def test_an_exclusive_job_runs_alone(name: str, running: str, *, expected: bool) -> None:
    """It waits for the others, and they for it."""
    assert may_start(job(name), [job(word) for word in running.split()]) is expected


@pytest.mark.parametrize(
    ("words", "running", "expected"),
    [
        ("", "", 0),
        ("a b c", "", 3),
        ("a b", "x y", 2),
        ("a b", "x!", 0),
        ("a! b c", "", 1),
        ("a! b c", "x", 0),
        ("a b! c", "x", 3),
        ("a b!1 c", "", 1),
    ],
)
def test_workers_are_wanted_for_what_can_start(words: str, running: str, expected: int) -> None:
    """An exclusive job that is next wants one worker, and none while others run."""
    assert queue_of(words).startable([job(word) for word in running.split()]) == expected
