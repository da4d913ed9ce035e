"""A coroutine runs to its end while signals that ask the process to stop are heard."""

import asyncio
import os
import signal
import threading

import pytest

from maingate.stop_signals import run_to_end


class Asked:
    """Notes the signals that were heard."""

    def __init__(self) -> None:
        self.heard: list[int] = []
        self.event = asyncio.Event()

    def interrupt(self, number: int) -> None:
        """Note one."""
        self.heard.append(number)
        self.event.set()


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM, signal.SIGHUP])
def test_a_signal_is_heard_in_the_loop_and_the_work_ends_by_itself(number: signal.Signals) -> None:
    """It breaks nothing off; before and after, the process has its own handlers."""
    before = signal.getsignal(number)
    asked = Asked()

    async def work() -> str:
        os.kill(os.getpid(), number)
        await asked.event.wait()
        return "done"

    assert run_to_end(work(), interrupt=asked.interrupt) == "done"
    assert asked.heard == [number]
    assert signal.getsignal(number) == before


def test_an_ignored_signal_of_the_terminal_stays_ignored() -> None:
    """As `nohup` wants it; SIGTERM is heard all the same."""
    before = signal.signal(signal.SIGHUP, signal.SIG_IGN)
    asked = Asked()

    async def work() -> None:
        os.kill(os.getpid(), signal.SIGHUP)
        os.kill(os.getpid(), signal.SIGTERM)
        await asked.event.wait()

    try:
        run_to_end(work(), interrupt=asked.interrupt)
        assert signal.getsignal(signal.SIGHUP) is signal.SIG_IGN
    finally:
        signal.signal(signal.SIGHUP, before)
    assert asked.heard == [signal.SIGTERM]


def test_work_runs_in_another_thread_without_signals() -> None:
    """Only the main thread may hear them."""
    results: list[str] = []

    async def work() -> str:
        await asyncio.sleep(0)
        return "done"

    thread = threading.Thread(target=lambda: results.append(run_to_end(work(), interrupt=lambda _: None)))
    thread.start()
    thread.join()
    assert results == ["done"]
