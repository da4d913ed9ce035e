"""The health of the server: for probes, which need no token, and in detail.

Checks block, and one may hang: they run in threads that are kept for them, so that nothing else waits.
"""

from collections.abc import Callable, Iterator
from datetime import timedelta
from functools import partial
from http import HTTPStatus
from typing import Any, Final, TypeVar

import anyio
from anyio import CapacityLimiter
from fastapi import APIRouter, Request, Response
from pydantic import BaseModel

from maingate.api.answers.json_answer import JSON, rendered
from maingate.api.description import described
from maingate.api.permitted_repositories import AtDesk
from maingate.api.schemas.health import HealthReport, HealthSummary, Liveness
from maingate.monitoring.finding import CheckFinding, HealthState, Trouble, command_in
from maingate.monitoring.health import RETRY_AFTER, Check, HealthChecks, Report
from maingate.monitoring.repository_checks import checks_of
from maingate.server.made_for_each import MadeForEach
from maingate.server.served_repositories import Phase, Site

MOST_AT_ONCE: Final = 8
"""Probes that are answered at once; the others wait for them."""

Result = TypeVar("Result")

router = APIRouter(tags=["health"])


def _described(model: type[BaseModel]) -> dict[int | str, dict[str, Any]]:
    return {**described(model), **described(model, HTTPStatus.SERVICE_UNAVAILABLE)}


def health_of(site: Site) -> HealthChecks:
    """Return the checks of a server."""
    return HealthChecks(
        SiteChecks(site), hindrance=lambda: None if site.phase is Phase.READY else str(site.phase)
    )


class SiteChecks:
    """The checks of the repositories that a server has at the time, and of those that it cannot serve.

    Args:
        site: The repositories.
    """

    def __init__(self, site: Site) -> None:
        self._site = site
        self._of_each = MadeForEach(site, lambda name, maingate: checks_of(maingate.context, name))

    def __iter__(self) -> Iterator[Check]:
        """Return an iterator over the checks."""
        for name in self._of_each:
            yield from self._of_each[name]
        for each in self._site.unserved():
            yield Check(
                name="served",
                repository=each.name,
                examine=partial(self._check_served, each.name),
                is_vital=True,
                fresh_for=timedelta(0),
            )

    def _check_served(self, name: str) -> CheckFinding:
        """Check that a repository can be served: one that another server has is in order."""
        for each in self._site.unserved():
            if each.name == name:
                state = HealthState.DEGRADED if each.is_open else HealthState.FAILED
                reason = f"not served, and tried again each second: {each.error}"
                command = command_in(each.path, "doctor")
                return CheckFinding(
                    summary=reason, troubles=[Trouble(state=state, reason=reason, command=command)]
                )
        return CheckFinding(summary="served")


@router.get("/health/live", summary="Ask whether the process answers", responses=described(Liveness))
async def get_live() -> Response:
    """Answer at once; neither a record nor a thread is needed, so that only a process that hangs fails."""
    return _answer({"status": "alive"}, is_good=True)


@router.get("/health/ready", summary="Ask whether work is taken", responses=_described(HealthSummary))
async def get_ready(request: Request) -> Response:
    """Answer 200 when work is taken in one repository at least; 503 while it starts, drains, or has none.

    The state is `degraded` while it takes work in some only; `impaired` names the others.
    """
    report = await _checked(request, lambda health: health.readiness())
    is_partly_failed = report.is_ready and report.state is HealthState.FAILED
    state = HealthState.DEGRADED if is_partly_failed else report.state
    return _answer({**_summary(report), "state": str(state)}, is_good=report.is_ready)


@router.get("/health", summary="Read the state of the server", responses=_described(HealthSummary))
async def get_health(request: Request) -> Response:
    """Answer 200 with the worst state of all parts, and 503 when a part has failed."""
    report = await _checked(request, lambda health: health.report())
    return _answer(_summary(report), is_good=report.state is not HealthState.FAILED)


@router.get("/health/detailed", summary="Read the state of every part", responses=_described(HealthReport))
async def get_detailed(request: Request, desk: AtDesk) -> Response:
    """Answer with each check of the repositories that the caller may read: reason, age, and remedy."""
    names = [*(name for name, _ in desk.readable()), *(each.name for each in desk.unserved())]
    report = await _checked(request, lambda health: health.report(names))
    return _answer(report.as_json(), is_good=report.state is not HealthState.FAILED)


async def _checked(request: Request, ask: Callable[[HealthChecks], Report]) -> Report:
    health: HealthChecks = request.app.state.health
    limiter: CapacityLimiter = request.app.state.probes
    return await anyio.to_thread.run_sync(ask, health, limiter=limiter)


def _summary(report: Report) -> dict[str, Any]:
    """Return the part that needs no token: no reasons, and names only of what is not in order."""
    return {
        "state": str(report.state),
        "ready": report.is_ready,
        "hindrance": report.hindrance,
        "impaired": report.impaired,
    }


def _answer(value: dict[str, Any], *, is_good: bool) -> Response:
    status = HTTPStatus.OK if is_good else HTTPStatus.SERVICE_UNAVAILABLE
    headers = {} if is_good else {"Retry-After": f"{RETRY_AFTER.total_seconds():.0f}"}
    return Response(rendered(value), status, headers, JSON)
