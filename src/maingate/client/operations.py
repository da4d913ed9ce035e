"""The operations of the client, each a flow."""

import uuid
from collections.abc import Mapping, Sequence
from typing import Any, Final

from maingate.client.request_flow import Call, Flow, Json, Pause, answered, object_of
from maingate.client.results import ENDED, Event, EventTable, Page, Patch, Run, Task
from maingate.client.submission import PlanSource

_API: Final = "/api/v1"


def me() -> Flow[Json]:
    """Read the name of the caller, and the repositories that it may read."""
    return (yield from object_of(_get("me")))


def check(plan: PlanSource, *, repo: str | None = None) -> Flow[Json]:
    """Check a plan; end with its summary.

    Raises:
        PlanError: Lists all its problems.
    """
    found = yield from object_of(_post("plan/check", plan.as_json(), repo=repo))
    summary: Json = found["plan"]
    return summary


def submit(
    plan: PlanSource,
    *,
    repo: str | None = None,
    workers: int | None = None,
    budget_usd: float | None = None,
    key: str | None = None,
    traceparent: str | None = None,
) -> Flow[Run]:
    """Submit a plan; end with its run. However often that is tried, one run is made.

    Args:
        plan: The plan with its files.
        repo: The repository, by the server's name for it; None for the only one.
        workers: How many gates run at once.
        budget_usd: Budget of all tools together.
        key: An idempotency key, for a program that may be started again; by default a new one.
        traceparent: The span under which the run's trace is to be (W3C Trace Context).

    Raises:
        PlanError: Lists all problems of the plan.
    """
    options = {"workers": workers, "budget_usd": budget_usd}
    body = plan.as_json() | {name: value for name, value in options.items() if value is not None}
    headers = {} if traceparent is None else {"traceparent": traceparent}
    return Run.of((yield from object_of(_post("runs", body, repo=repo, key=key, headers=headers))))


def land_target(*, into: str | None = None, repo: str | None = None) -> Flow[Json]:
    """Read the branch that finished work lands on, by default the main line: its `ref` and `commit`."""
    return (yield from object_of(_get("land", {"into": into, "repo": repo})))


def land(
    request: Json, *, repo: str | None = None, key: str | None = None, traceparent: str | None = None
) -> Flow[Json]:
    """Land finished work; end with its run, if one is needed, and each piece of work.

    Args:
        request: The work and the options, as `LandRequest` describes them.
        repo: The repository, by the server's name for it; None for the only one.
        key: An idempotency key, for a program that may be started again; by default a new one.
        traceparent: The span under which the run's trace is to be (W3C Trace Context).

    Raises:
        RefusedError: The work cannot be landed as it is.
    """
    headers = {} if traceparent is None else {"traceparent": traceparent}
    return (yield from object_of(_post("land", request, repo=repo, key=key, headers=headers)))


def runs(
    *, state: Sequence[str] | None = None, repo: str | None = None, limit: int = 50, cursor: str | None = None
) -> Flow[Page[Run]]:
    """Read a page of runs, newest first."""
    query = {"state": state, "repo": repo, "limit": limit, "cursor": cursor}
    return Page.of((yield from object_of(_get("runs", query))), Run.of)


def run(run_id: str) -> Flow[Run]:
    """Read a run; ``raw`` has its report, which is that of ``maingate status --json``."""
    return Run.of((yield from object_of(_get(f"runs/{run_id}"))))


def wait(run_id: str, *, seconds: float = 1.0) -> Flow[Run]:
    """Wait until a run has ended; end with it.

    Args:
        run_id: The run.
        seconds: Time between two looks.
    """
    while True:
        found = yield from object_of(_get(f"runs/{run_id}", {"fields": "state"}))
        if found["state"] in ENDED:
            return (yield from run(run_id))
        yield Pause(seconds=seconds)


def cancel(entity_id: str, *, reason: str) -> Flow[str]:
    """Cancel a run, a workstream or a task; end with the answer of its process."""
    folder = {"run": "runs", "ws": "workstreams", "task": "tasks"}[entity_id.partition("_")[0]]
    found = yield from object_of(_post(f"{folder}/{entity_id}/cancel", {"reason": reason}))
    return str(found["answer"])


def resume(run_id: str, *, workers: int | None = None, budget_usd: float | None = None) -> Flow[Run]:
    """Request that an interrupted run is continued; end with it."""
    body = {"workers": workers, "budget_usd": budget_usd}
    return Run.of((yield from object_of(_post(f"runs/{run_id}/resume", body))))


def tasks(
    *,
    run: str | None = None,
    state: Sequence[str] | None = None,
    name: str | None = None,
    limit: int = 50,
    cursor: str | None = None,
) -> Flow[Page[Task]]:
    """Read a page of tasks, newest first."""
    query = {"run": run, "state": state, "name": name, "limit": limit, "cursor": cursor}
    return Page.of((yield from object_of(_get("tasks", query))), Task.of)


def override(task: Task, action: str, *, reason: str) -> Flow[Json]:
    """Decide a task by hand, in the version that was read; end with the decision.

    Raises:
        RefusedError: With the status 412 when it has changed since.
    """
    body = {"entity": task.id, "action": action, "reason": reason}
    headers = {"If-Match": f'"{task.version}"'}
    return (yield from object_of(_post("overrides", body, headers=headers)))


def patches(
    *,
    run: str | None = None,
    state: Sequence[str] | None = None,
    repo: str | None = None,
    limit: int = 50,
    cursor: str | None = None,
) -> Flow[Page[Patch]]:
    """Read a page of patches, newest first."""
    query = {"run": run, "state": state, "repo": repo, "limit": limit, "cursor": cursor}
    return Page.of((yield from object_of(_get("patches", query))), Patch.of)


def patch(patch_id: str) -> Flow[Patch]:
    """Read a patch; ``raw`` has its gates and its history."""
    return Patch.of((yield from object_of(_get(f"patches/{patch_id}"))))


def diff(patch_id: str) -> Flow[bytes]:
    """Read the diff of a patch, byte for byte."""
    content = b""
    while True:
        reply = yield from answered(_get(f"patches/{patch_id}/diff", {"start": len(content)}))
        content += reply.content
        if not reply.content or len(content) >= int(reply.headers["x-total-bytes"]):
            return content


def approve(patch_id: str, *, message: str = "") -> Flow[Json]:
    """Approve a patch."""
    return (yield from object_of(_post(f"patches/{patch_id}/approve", {"message": message})))


def drop(patch_id: str, *, reason: str) -> Flow[Json]:
    """Drop a quarantined patch."""
    return (yield from object_of(_post(f"patches/{patch_id}/drop", {"reason": reason})))


def rollback(patch_id: str, *, reason: str) -> Flow[Json]:
    """Revert a landed patch; end when it is decided."""
    return (yield from object_of(_post(f"patches/{patch_id}/rollback", {"reason": reason})))


def log(gate_id: str, *, tail: int | None = None) -> Flow[bytes]:
    """Read the log of a gate, or its last bytes."""
    return (yield from answered(_get(f"gates/{gate_id}/log", {"tail": tail}))).content


def events(
    query: str = "", *, repo: str | None = None, limit: int = 50, cursor: str | None = None
) -> Flow[Page[Event]]:
    """Read a page of the events that match a query, such as ``type:gate severity:error``, oldest first.

    Raises:
        RefusedError: The query has problems; the message has their places.
    """
    asked = {"q": query or None, "repo": repo, "limit": limit, "cursor": cursor}
    return Page.of((yield from object_of(_get("events", asked))), Event.of)


def event_table(query: str, *, repo: str | None = None) -> Flow[EventTable]:
    """Count events, or read times in states, by the groups of a query such as ``type:gate by:gate``."""
    return EventTable.of((yield from object_of(_get("events/aggregate", {"q": query, "repo": repo}))))


def report(name: str, query: str = "", *, repo: str | None = None) -> Flow[EventTable]:
    """Read a report: ``slow``, ``flaky``, ``costly``, ``blamed``, ``waits`` or ``lead-time``."""
    return EventTable.of((yield from object_of(_get(f"reports/{name}", {"q": query or None, "repo": repo}))))


def _get(path: str, query: Mapping[str, Any] | None = None) -> Call:
    return Call(method="GET", path=f"{_API}/{path}", query=query or {})


def _post(
    path: str,
    body: Json,
    *,
    repo: str | None = None,
    key: str | None = None,
    headers: Mapping[str, str] | None = None,
) -> Call:
    """Return an acting request with an idempotency key, so that it may be sent again."""
    return Call(
        method="POST",
        path=f"{_API}/{path}",
        query={"repo": repo},
        body=body,
        headers={"Idempotency-Key": key or uuid.uuid4().hex, **(headers or {})},
    )
