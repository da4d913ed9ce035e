"""The metrics of the server, for Prometheus."""

import anyio
from anyio import CapacityLimiter
from fastapi import APIRouter, Request, Response

from maingate.api.description import described_text
from maingate.api.permitted_repositories import AtDesk
from maingate.monitoring.metrics import metrics_text, registry_of

router = APIRouter(tags=["health"])


@router.get(
    "/metrics",
    summary="Read the metrics",
    responses=described_text("text/plain", "Prometheus text; OpenMetrics where `Accept` has it."),
)
async def get_metrics(request: Request, desk: AtDesk) -> Response:
    """Read the metrics of the repositories that the caller may read."""
    contexts = {name: maingate.context for name, maingate in desk.readable()}
    limiter: CapacityLimiter = request.app.state.probes
    text, media_type = await anyio.to_thread.run_sync(
        metrics_text, registry_of(contexts), request.headers.get("accept", ""), limiter=limiter
    )
    return Response(text, 200, {"Content-Type": media_type})
