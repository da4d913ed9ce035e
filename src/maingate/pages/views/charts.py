"""Charts of the trends of a repository; each point leads to the patches that it counts."""

from collections.abc import Callable, Sequence
from datetime import datetime
from typing import Any, Final

from markupsafe import Markup

from maingate.clock import moment_in_utc
from maingate.errors import UsageError
from maingate.pages.drawing.chart import ChartPoint, Line, draw_chart
from maingate.pages.page_request import Visit, add_page, page_router
from maingate.pages.template_engine import query
from maingate.pages.time_spans import SPANS
from maingate.queries.trends import landed_between, trends

Json = dict[str, Any]

router = page_router()

_PART: Final = 100.0

_CHARTS: Final[Sequence[tuple[str, str, Sequence[tuple[str, str]], float]]] = (
    ("Lead time", "seconds", (("half within", "lead_p50"), ("95 % within", "lead_p95")), 1.0),
    ("Landed", "patches an hour", (("landed", "landed_per_hour"),), 1.0),
    ("Gate runs", "for each landed patch", (("gate runs", "gate_runs_per_patch"),), 1.0),
    ("Reused verdicts", "%", (("reused", "reused_part"),), _PART),
    ("Flaky gates", "runs", (("flaky", "flaky"),), 1.0),
    ("Cost of tools", "US dollars", (("cost", "cost_usd"),), 1.0),
)
"""Each chart: its label, its unit, its lines, and the factor of its values."""


def charts_view(visit: Visit) -> Json:
    """Return the trends of a repository in the chosen time."""
    repo, maingate = visit.repository()
    span = visit.asked("since", "24h")
    if span not in SPANS:
        raise UsageError(f"choose one of {', '.join(SPANS)} as `since`")
    found = trends(maingate.context, SPANS[span], _until(visit))
    return found | {
        "repo": repo,
        "since": span,
        "spans": list(SPANS),
        "until": visit.asked("until"),
    }


def _until(visit: Visit) -> datetime | None:
    """Return the end of the time that the address states; None where it ends now."""
    text = visit.asked("until")
    try:
        return _at(text) if text else None
    except ValueError as error:
        raise UsageError("state `until` as the link to this time does: with date, time and zone") from error


def drawn(visit: Visit) -> Json:
    """Return the trends with their charts, for HTML."""
    view = charts_view(visit)
    total = sum(step["landed"] for step in view["steps"])
    return view | {
        "total": total,
        "charts": [
            {
                "label": label,
                "unit": unit,
                "names": [name for name, _ in lines],
                "drawn": _chart(view, label, unit, lines, factor),
            }
            for label, unit, lines, factor in _CHARTS
        ],
    }


def _chart(view: Json, label: str, unit: str, lines: Sequence[tuple[str, str]], factor: float) -> Markup:
    link: Callable[[Json], str] = lambda step: (  # noqa: E731 - one use, beside it
        f"/patches{query(repo=view['repo'], begin=step['begin'], end=step['end'])}"
    )
    return draw_chart(
        [
            Line(
                name=name,
                points=[
                    ChartPoint(
                        at=_at(step["end"]),
                        value=None if step[key] is None else step[key] * factor,
                        link=link(step),
                    )
                    for step in view["steps"]
                ],
            )
            for name, key in lines
        ],
        label=label,
        unit=unit,
    )


def _at(text: str) -> datetime:
    """Return a moment that is stated with its zone.

    Raises:
        ValueError: It is none, or nothing can be calculated with it.
    """
    found = datetime.fromisoformat(text)
    if found.tzinfo is None:
        raise ValueError("a time without a zone")
    return moment_in_utc(found)


def landed_view(visit: Visit) -> Json:
    """Return the patches that landed in a time."""
    repo, maingate = visit.repository()
    try:
        begin, end = _at(visit.asked("begin")), _at(visit.asked("end"))
        found = landed_between(maingate.context, begin, end)
    except ValueError as error:
        raise UsageError("state the time as `begin` and `end`, as the points of the charts do") from error
    return {"repo": repo, "begin": visit.asked("begin"), "end": visit.asked("end"), "patches": found}


add_page(router, "/charts", "charts.html", drawn, json_view=charts_view)
add_page(router, "/patches", "landed.html", landed_view)
