"""Flows without a network: when a request is sent again, and what an answer means."""

from collections.abc import Sequence
from typing import Any

import pytest

from maingate.client.failures import RefusedError, ServerFaultError
from maingate.client.operations import cancel, diff, submit, wait
from maingate.client.request_flow import (
    ATTEMPTS,
    FIRST_ATTEMPTS,
    Call,
    Flow,
    Pause,
    Reply,
    answered,
    object_of,
)
from maingate.client.submission import PlanSource
from maingate.errors import MaingateError, PlanError

READ = Call(method="GET", path="/x")
ACT = Call(method="POST", path="/x")
KEYED = Call(method="POST", path="/x", headers={"Idempotency-Key": "k"})
LOST = Reply(status=0, failure="connection refused")
UNKNOWN = Reply(status=0, failure="connection refused", is_unknown=True)


def told(status: int, code: str = "x", **more: Any) -> Reply:
    """Return the answer that a problem document is."""
    return Reply(status=status, value={"status": status, "code": code, "detail": "why", **more})


def played(flow: Flow[Any], replies: Sequence[Reply]) -> tuple[Any, list[Call], list[float]]:
    """Run a flow with answers; return its value or error, the requests, and the pauses."""
    calls, pauses, left = list[Call](), list[float](), list(replies)
    answer: Reply | None = None
    try:
        while True:
            step = flow.send(answer)
            answer = None
            if isinstance(step, Pause):
                pauses.append(step.seconds)
            else:
                calls.append(step)
                answer = left.pop(0)
    except StopIteration as end:
        assert not left
        return end.value, calls, pauses
    except MaingateError as error:
        assert not left
        return error, calls, pauses


@pytest.mark.parametrize("document", [{}, {"code": "plan_invalid"}, {"code": "x", "status": "520"}])
def test_an_error_of_a_proxy_is_an_error_of_the_server(document: dict[str, Any]) -> None:
    """It has a status and a form of its own."""
    error, *_ = played(object_of(ACT), [Reply(status=520, value=document)])
    assert isinstance(error, MaingateError)
    assert not isinstance(error, PlanError)
    assert "520" in str(error)


def test_a_rest_that_a_proxy_asks_for_has_an_end() -> None:
    """Nothing waits for years."""
    rest = Reply(status=503, headers={"retry-after": "9" * 30})
    _, _, pauses = played(answered(READ), [rest, Reply(status=200)])
    assert 300 <= pauses[0] <= 310


@pytest.mark.parametrize(
    "passing", [LOST, told(429), told(502), told(503), told(504), told(409, "idempotency_key_busy")]
)
@pytest.mark.parametrize("call", [READ, KEYED])
def test_a_request_that_does_no_harm_is_sent_again(call: Call, passing: Reply) -> None:
    """After pauses, and the same request each time: under the same key."""
    good = Reply(status=200, value={})
    value, calls, pauses = played(answered(call), [passing, passing, good])
    assert value is good
    assert calls == [call] * 3
    assert len(pauses) == 2


@pytest.mark.parametrize("passing", [LOST, told(503)])
def test_an_acting_request_without_a_key_is_sent_once(passing: Reply) -> None:
    """It may have been carried out."""
    error, calls, pauses = played(answered(ACT), [passing])
    assert isinstance(error, ServerFaultError)
    assert (calls, pauses) == ([ACT], [])


@pytest.mark.parametrize(("lost", "attempts"), [(LOST, ATTEMPTS), (UNKNOWN, FIRST_ATTEMPTS)])
def test_a_server_that_stays_away_is_given_up(lost: Reply, attempts: int) -> None:
    """With the reason of the last attempt; sooner where it has never answered."""
    error, calls, pauses = played(answered(READ), [lost] * attempts)
    assert isinstance(error, ServerFaultError)
    assert "connection refused" in str(error)
    assert len(calls) == attempts
    assert len(pauses) == attempts - 1


def test_the_server_states_how_long_to_wait() -> None:
    """No less than that."""
    busy = Reply(status=429, headers={"retry-after": "7"})
    _, _, pauses = played(answered(READ), [busy, Reply(status=200)])
    assert pauses[0] >= 7


@pytest.mark.parametrize("status", [400, 401, 403, 404, 409, 412, 422])
def test_a_refusal_is_final(status: int) -> None:
    """It has the status, the code and the sentence of the server."""
    error, _, pauses = played(answered(READ), [told(status, "no")])
    assert isinstance(error, RefusedError)
    assert (error.status, error.code, str(error), pauses) == (status, "no", "why", [])


def test_problems_of_a_plan_are_those_of_a_plan_here() -> None:
    """So that a command prints them as if it had checked the plan itself."""
    found = [{"file": "plan.yaml", "line": 3, "message": "bad", "hint": "good"}]
    error, _, _ = played(submit(PlanSource(plan={})), [told(422, "plan_invalid", problems=found)])
    assert isinstance(error, PlanError)
    assert str(error) == "plan.yaml:3: bad (good)"


@pytest.mark.parametrize("reply", [Reply(status=200, content=b"<html>"), Reply(status=200, value=[1])])
def test_an_answer_of_something_else_is_a_fault(reply: Reply) -> None:
    """Such as the page of a proxy."""
    error, _, _ = played(object_of(READ), [reply])
    assert isinstance(error, ServerFaultError)
    assert "is the address right" in str(error)


def test_a_submission_has_one_key_for_all_its_attempts() -> None:
    """And another one has another."""
    run = {
        "run_id": "run_1",
        "name": "n",
        "repo": "r",
        "state": "pending",
        "alive": False,
        "reason": None,
        "target": {"ref": "refs/heads/main"},
    }
    good = Reply(status=201, value=run)
    _, calls, _ = played(submit(PlanSource(plan={})), [LOST, good])
    keys = {call.headers["Idempotency-Key"] for call in calls}
    _, others, _ = played(submit(PlanSource(plan={}), traceparent="00-1-2-01"), [good])
    assert [call.headers.get("traceparent") for call in (*calls, *others)] == [None, None, "00-1-2-01"]
    assert len(keys) == 1
    assert others[0].headers["Idempotency-Key"] not in keys


def test_a_run_is_waited_for() -> None:
    """Its state is asked until it has ended, then its report."""
    states = [Reply(status=200, value={"state": each}) for each in ("pending", "running", "failed")]
    report = Reply(
        status=200,
        value={
            "run_id": "run_1",
            "name": "n",
            "repo": "r",
            "state": "failed",
            "alive": False,
            "reason": {"code": "x", "message": "y", "detail": {}},
            "target": {"ref": "refs/heads/main"},
        },
    )
    run, calls, pauses = played(wait("run_1", seconds=3), [*states, report])
    assert (run.state, run.has_ended, run.reason.code) == ("failed", True, "x")
    assert [call.stated_query for call in calls] == [*[{"fields": "state"}] * 3, {}]
    assert pauses == [3, 3]


def test_a_diff_is_read_piece_by_piece() -> None:
    """Until all of it is there."""
    pieces = [Reply(status=200, content=each, headers={"x-total-bytes": "5"}) for each in (b"abc", b"de")]
    value, calls, _ = played(diff("patch_1"), pieces)
    assert value == b"abcde"
    assert [call.query["start"] for call in calls] == [0, 3]


@pytest.mark.parametrize(
    ("entity", "folder"), [("run_1", "runs"), ("ws_1", "workstreams"), ("task_1", "tasks")]
)
def test_each_kind_is_cancelled_at_its_place(entity: str, folder: str) -> None:
    """By the beginning of its identifier."""
    _, [call], _ = played(cancel(entity, reason="x"), [Reply(status=200, value={"answer": "done"})])
    assert call.path == f"/api/v1/{folder}/{entity}/cancel"
