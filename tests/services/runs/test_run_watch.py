"""A watch on a run says what it waits for, and when nothing can come of that."""

from collections.abc import Iterator
from datetime import timedelta
from pathlib import Path

import pytest

from maingate.bootstrap import Maingate
from maingate.clock import ManualClock
from maingate.errors import RecordError
from maingate.ids import RunId
from maingate.plan.loader import load_plan
from maingate.services.handover.server_hold import ServerHold
from maingate.services.runs.run_watch import RunWatch, StandingCode
from support.serving import Yard


@pytest.fixture
def handed_over(tmp_path: Path) -> Iterator[tuple[Maingate, RunId, ManualClock]]:
    """Give a run that was handed to a server, which is this process."""
    yard = Yard.create(tmp_path)
    with Maingate.open(yard.repo.path) as maingate:
        clock = maingate.context.clock = ManualClock()
        ServerHold(maingate.context).take()
        run_id = maingate.admission.admit_for_server(load_plan(yard.plan("a")))
        assert run_id is not None
        yield maingate, run_id, clock


def test_a_server_that_gives_no_sign_is_told(handed_over: tuple[Maingate, RunId, ManualClock]) -> None:
    """It is there, and stopped: the sentence stays the same, so that it is said once."""
    maingate, run_id, clock = handed_over
    watch = RunWatch(maingate.context, run_id)
    assert watch.look().standing.message.startswith("waiting for the server on ")
    for _ in range(2):
        clock.advance(timedelta(minutes=2))
        standing = watch.look().standing
        assert standing.code is StandingCode.WAITING
        assert "has given no sign since 00:00:00 UTC: it is stopped or hangs" in standing.message


def test_a_record_that_is_gone_ends_the_watch(
    handed_over: tuple[Maingate, RunId, ManualClock], tmp_path: Path
) -> None:
    """The open one would answer as before for ever."""
    maingate, run_id, _ = handed_over
    watch = RunWatch(maingate.context, run_id)
    watch.look()
    (tmp_path / "repo").rename(tmp_path / "moved")
    with pytest.raises(RecordError):
        watch.look()
    (tmp_path / "moved").rename(tmp_path / "repo")
