"""Checks are cut off when they hang, answer again while fresh, and decide whether work is taken."""

import threading
from collections.abc import Callable, Iterator
from dataclasses import replace
from datetime import timedelta

import pytest

from maingate.clock import ManualClock
from maingate.errors import DatabaseError
from maingate.monitoring.finding import CheckFinding, HealthState, Trouble, worst
from maingate.monitoring.health import Check, HealthChecks

MOMENT, PATIENCE = timedelta(milliseconds=20), timedelta(minutes=1)
GOOD = CheckFinding(summary="fine")


class Counting:
    """A check that counts how often it is asked."""

    def __init__(self, finding: CheckFinding = GOOD) -> None:
        self.calls, self.finding = 0, finding

    def __call__(self) -> CheckFinding:
        """Count."""
        self.calls += 1
        return self.finding


class Hanging:
    """A check that hangs until it is let go."""

    def __init__(self) -> None:
        self.go, self.calls = threading.Event(), 0

    def __call__(self) -> CheckFinding:
        """Hang."""
        self.calls += 1
        self.go.wait()
        return GOOD


@pytest.fixture
def hanging() -> Iterator[Hanging]:
    """Give a check that hangs, and end it afterwards."""
    check = Hanging()
    yield check
    check.go.set()


def a_check(
    name: str, examine: Callable[[], CheckFinding] = lambda: GOOD, *, is_vital: bool = False
) -> Check:
    """Arrange a check; one that is to hang has a moment, and any other as long as a busy machine needs."""
    timeout = MOMENT if isinstance(examine, Hanging) else PATIENCE
    return Check(name=name, examine=examine, remedy="maingate doctor", timeout=timeout, is_vital=is_vital)


def raising(error: Exception) -> Callable[[], CheckFinding]:
    """Arrange a check that raises."""

    def examine() -> CheckFinding:
        raise error

    return examine


def test_a_check_that_hangs_is_reported_and_hangs_nothing_else(hanging: Hanging) -> None:
    """The others answer; the hanging one has failed, with the command that shows more."""
    health = HealthChecks([a_check("stuck", hanging), a_check("fine")])
    stuck, fine = health.report().answers
    assert (fine.state, fine.finding) == (HealthState.OK, GOOD)
    assert stuck.state is HealthState.FAILED
    first = stuck.finding.first
    assert first is not None
    assert "no answer within 0.02 s" in first.reason
    assert first.command == "maingate doctor"
    assert stuck.checked_at is None


def test_a_check_that_hangs_is_not_started_again_until_it_returns(hanging: Hanging) -> None:
    """However often it is asked, one thread hangs; when it returns, its answer counts."""
    health = HealthChecks([a_check("stuck", hanging)])
    for _ in range(3):
        assert health.report().state is HealthState.FAILED
    (thread,) = [each for each in threading.enumerate() if each.name == "health stuck"]
    hanging.go.set()
    thread.join()
    assert (health.report().state, hanging.calls) == (HealthState.OK, 1)


def test_an_answer_is_given_again_while_it_is_fresh() -> None:
    """A probe costs nothing meanwhile; its age is told."""
    clock, part = ManualClock(), Counting()
    health = HealthChecks([a_check("part", part)], clock=clock)
    assert health.report().answers[0].age == 0
    clock.advance(timedelta(seconds=4))
    again = health.report().answers[0]
    assert (part.calls, again.age) == (1, 4)
    assert again.checked_at == clock.now() - timedelta(seconds=4)
    clock.advance(timedelta(seconds=1))
    assert (health.report().answers[0].age, part.calls) == (0, 2)


@pytest.mark.parametrize(
    ("error", "said"),
    [(DatabaseError("it is gone"), "it is gone"), (KeyError("x"), "the check itself failed: KeyError: 'x'")],
)
def test_a_check_that_raises_has_failed(error: Exception, said: str) -> None:
    """With the message of the error, and no other check suffers."""
    bad, good = HealthChecks([a_check("bad", raising(error)), a_check("good")]).report().answers
    assert bad.finding.first == Trouble(state=HealthState.FAILED, reason=said, command="maingate doctor")
    assert good.state is HealthState.OK


def test_readiness_examines_the_vital_checks_alone() -> None:
    """One that is not vital may fail; a vital one may be degraded, but not failed."""
    vital = {"state": HealthState.DEGRADED}
    other = Counting(CheckFinding.failed("no"))

    def vitally() -> CheckFinding:
        return CheckFinding(summary="", troubles=[Trouble(state=vital["state"], reason="no")])

    clock = ManualClock()
    checks = [
        a_check("vital", vitally, is_vital=True),
        a_check("other", other),
    ]
    health = HealthChecks(checks, clock=clock)
    assert (health.readiness().is_ready, other.calls) == (True, 0)
    assert (health.report().is_ready, health.report().state) == (True, HealthState.FAILED)
    vital["state"] = HealthState.FAILED
    clock.advance(timedelta(minutes=1))
    assert not health.readiness().is_ready


def test_a_process_that_takes_no_work_is_not_ready_and_examines_nothing() -> None:
    """While it starts or drains, the database is not asked."""
    said: list[str | None] = ["draining"]
    vital = Counting()
    health = HealthChecks([a_check("vital", vital, is_vital=True)], hindrance=lambda: said[0])
    ready = health.readiness()
    assert (ready.is_ready, ready.hindrance, vital.calls) == (False, "draining", 0)
    said[0] = None
    assert (health.readiness().is_ready, vital.calls) == (True, 1)


def test_a_report_of_some_repositories_examines_no_other() -> None:
    """A caller who may read one of them causes nothing in the others, and learns nothing of them."""
    other = Counting()
    checks = [replace(a_check("part"), repository="web"), replace(a_check("part", other), repository="api")]
    answers = HealthChecks(checks).report(["web"]).answers
    assert ([each.check.repository for each in answers], other.calls) == (["web"], 0)


def test_the_state_of_a_report_is_the_worst_of_its_parts() -> None:
    """And that of a part is the worst of its troubles, which is named first."""
    bad = [Trouble(reason="a"), Trouble(state=HealthState.FAILED, reason="b")]
    finding = CheckFinding(summary="", troubles=bad)
    assert (finding.state, finding.first) == (HealthState.FAILED, bad[1])
    assert worst([HealthState.OK, HealthState.DEGRADED]) is HealthState.DEGRADED
    assert worst([]) is HealthState.OK


def test_the_json_of_an_answer() -> None:
    """Everything that a program needs, times in seconds."""
    clock = ManualClock()
    finding = CheckFinding(summary="so so", troubles=[Trouble(reason="slow", command="x")], detail={"n": 1})
    (told,) = HealthChecks([a_check("part", lambda: finding)], clock=clock).report().as_json()["checks"]
    assert told == {
        "name": "part",
        "repository": None,
        "state": "degraded",
        "vital": False,
        "reason": "slow",
        "command": "x",
        "troubles": [{"state": "degraded", "reason": "slow", "command": "x"}],
        "detail": {"n": 1},
        "checked_at": "2026-01-01T00:00:00.000Z",
        "age_seconds": 0.0,
        "took_seconds": 0.0,
        "timeout_seconds": 60.0,
    }
