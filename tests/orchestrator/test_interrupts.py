"""The interrupts of a run, by their number and their signal."""

import signal
from typing import Any

import pytest

from maingate.errors import InterruptedRunError
from maingate.ids import RunId
from maingate.orchestrator.core.events import CancelRequested
from maingate.orchestrator.interrupts import Interrupts
from maingate.reasons import ReasonCode


@pytest.fixture(name="done")
def _done() -> list[Any]:
    return []


@pytest.fixture(name="interrupts")
def _interrupts(done: list[Any]) -> Interrupts:
    return Interrupts(
        RunId("run_1"),
        drain=lambda: done.append("drained"),
        cancel=done.append,
        fail=done.append,
        notice=lambda _: None,
    )


@pytest.mark.parametrize("first", [signal.SIGINT, signal.SIGTERM])
def test_the_first_interrupt_lets_what_runs_finish(
    interrupts: Interrupts, done: list[Any], first: int
) -> None:
    """Whichever signal asks: nothing new is started, nothing is cancelled."""
    interrupts.receive(first)
    assert done == ["drained"]


def test_a_second_ctrl_c_cancels_the_run(interrupts: Interrupts, done: list[Any]) -> None:
    """A person who interrupts twice does not want the run any more."""
    interrupts.receive(signal.SIGTERM)
    interrupts.receive(signal.SIGINT)
    assert [type(each) for each in done[1:]] == [CancelRequested]
    assert done[1].reason.code is ReasonCode.CANCELLED


def test_a_second_signal_of_a_service_manager_cancels_nothing(
    interrupts: Interrupts, done: list[Any]
) -> None:
    """There is no time: the process stops at once, and the next one continues the run."""
    interrupts.receive(signal.SIGINT)
    interrupts.receive(signal.SIGTERM)
    assert [type(each) for each in done[1:]] == [InterruptedRunError]
    assert "maingate resume run_1" in str(done[1])
