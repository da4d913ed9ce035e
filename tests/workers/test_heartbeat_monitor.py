"""Who is silent is judged by what was heard, and never because the judge slept."""

from hypothesis import given
from hypothesis import strategies as st

from maingate.clock import RunningTime
from maingate.workers.heartbeat_monitor import HeartbeatMonitor, WorkerCondition

INTERVAL, MISSES, WINDOW = 60.0, 2, 300.0
PAUSES = st.lists(
    st.integers(1, 4 * int(INTERVAL)).map(lambda quarters: quarters / 4), min_size=1, max_size=60
)
"""In quarters of seconds, whose sums are exact."""


def watching(*, busy: bool, due_at: float = 1e9) -> HeartbeatMonitor[str]:
    """Make a monitor that has watched one worker since 0."""
    monitor: HeartbeatMonitor[str] = HeartbeatMonitor(
        interval=INTERVAL, misses=MISSES, recovery_window=WINDOW
    )
    monitor.enter("w", 0.0)
    if busy:
        monitor.assigned("w", due_at=due_at)
    assert monitor.check(0.0) == []
    return monitor


def verdicts(monitor: HeartbeatMonitor[str], now: float) -> list[WorkerCondition]:
    """Judge the one worker."""
    return [verdict for _, verdict in monitor.check(now)]


@given(pauses=PAUSES, busy=st.booleans())
def test_who_is_heard_of_in_every_interval_is_never_blamed(pauses: list[float], busy: bool) -> None:
    """A worker that speaks is left alone."""
    monitor, now = watching(busy=busy), 0.0
    for pause in pauses:
        now += pause
        monitor.heard("w", now)
        assert verdicts(monitor, now) == []


@given(pauses=PAUSES, busy=st.booleans())
def test_a_silent_worker_is_judged_when_its_heartbeats_are_missed(pauses: list[float], busy: bool) -> None:
    """Not before two intervals of silence; then a busy one is unresponsive, an idle one is gone."""
    monitor, now = watching(busy=busy), 0.0
    for pause in pauses:
        now += pause
        found = verdicts(monitor, now)
        assert found == (
            []
            if now < MISSES * INTERVAL
            else [WorkerCondition.UNRESPONSIVE if busy else WorkerCondition.GONE]
        )
        if found:
            return


@given(pauses=PAUSES, noise=st.booleans())
def test_an_unresponsive_worker_has_its_window_and_no_more(pauses: list[float], noise: bool) -> None:
    """Given up at the end of the window, whatever it says, unless it was freed."""
    monitor = watching(busy=True)
    assert verdicts(monitor, 60.0) == []
    assert verdicts(monitor, 120.0) == [WorkerCondition.UNRESPONSIVE]
    now = 120.0
    for pause in pauses:
        now += pause
        if noise:
            monitor.heard("w", now)
        assert verdicts(monitor, now) == ([] if now - 120.0 < WINDOW else [WorkerCondition.GIVEN_UP])


@given(
    pauses=st.lists(st.integers(1, 40_000).map(lambda quarters: quarters / 4), min_size=1, max_size=60),
    busy=st.booleans(),
    heard=st.lists(st.booleans(), min_size=60, max_size=60),
)
def test_nobody_is_blamed_right_after_the_monitor_slept(
    pauses: list[float], busy: bool, heard: list[bool]
) -> None:
    """After a pause longer than an interval everybody has a fresh one, in every respect."""
    monitor, now = watching(busy=busy, due_at=3000.0), 0.0
    for pause, is_heard in zip(pauses, heard, strict=False):
        now += pause
        found = verdicts(monitor, now)
        if pause > INTERVAL:
            assert found == []
        if found and found != [WorkerCondition.UNRESPONSIVE]:
            return
        if is_heard:
            monitor.heard("w", now)


def test_one_that_comes_back_is_watched_as_before() -> None:
    """A worker that was freed and heard of is an idle one."""
    monitor = watching(busy=True)
    monitor.check(60.0)
    assert verdicts(monitor, 120.0) == [WorkerCondition.UNRESPONSIVE]
    monitor.heard("w", 130.0)
    monitor.freed("w")
    for now in (180.0, 240.0):
        assert verdicts(monitor, now) == []
    assert verdicts(monitor, 250.0) == [WorkerCondition.GONE]


def test_one_that_lives_but_does_not_end_its_job_is_overdue() -> None:
    """Heartbeats do not excuse a job that never ends."""
    monitor = watching(busy=True, due_at=100.0)
    for now, expected in ((50.0, []), (99.0, []), (100.0, [WorkerCondition.OVERDUE])):
        monitor.heard("w", now)
        assert verdicts(monitor, now) == expected


def test_one_that_left_is_not_judged() -> None:
    """Nobody is looked for who has gone; what is still heard of it is nothing."""
    monitor = watching(busy=False)
    monitor.leave("w")
    monitor.heard("w", 1.0)
    monitor.freed("w")
    assert monitor.check(50.0) == []


def test_a_stop_that_is_shorter_than_an_interval_counts_for_no_deadline() -> None:
    """The pool goes by a clock that stands still while the process is stopped: nothing has passed for it."""
    moments = [0.0]
    clock = RunningTime(lambda: moments[-1], look=1.0)
    monitor: HeartbeatMonitor[str] = HeartbeatMonitor(interval=60.0, misses=2, recovery_window=300.0)
    monitor.enter("w", clock.now())
    monitor.assigned("w", due_at=clock.now() + 100.0)
    found = []
    for second in range(60):
        moments.append(moments[-1] + (59.0 if second % 20 == 10 else 1.0))
        monitor.heard("w", clock.now())
        found += monitor.check(clock.now())
    assert moments[-1] > 200
    assert found == []
