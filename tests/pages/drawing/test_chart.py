"""Charts: round grids, gaps where there is no value, and a link from each point."""

from datetime import UTC, datetime, timedelta

import pytest

from maingate.pages.drawing.chart import ChartPoint, Line, draw_chart, grid_step

BEGIN = datetime(2026, 1, 1, tzinfo=UTC)


def line(*values: float | None) -> Line:
    """Return a line with a value for each hour."""
    return Line(
        name="half",
        points=[
            ChartPoint(
                at=BEGIN + number * timedelta(hours=1), value=value, link=f"/patches?hour={number}&x=1"
            )
            for number, value in enumerate(values)
        ],
    )


@pytest.mark.parametrize(
    ("highest", "step"), [(4, 1), (4.1, 2), (0.3, 0.1), (97, 25), (100, 25), (101, 50), (0, 1)]
)
def test_the_grid_is_round_and_reaches_above_the_highest(highest: float, step: float) -> None:
    """Four steps of 1, 2, 2.5 or 5 times a power of ten."""
    assert grid_step(highest) * 4 >= highest
    assert grid_step(highest) == pytest.approx(step)


def test_each_point_leads_to_what_it_counts() -> None:
    """Its text has value, unit and time."""
    made = draw_chart([line(1, 2.5)], label="Lead time", unit="seconds")
    assert 'href="/patches?hour=1&amp;x=1"' in made
    assert "<title>half: 2.5 seconds, 2026-01-01 01:00 UTC</title>" in made


def test_a_time_without_value_is_a_gap() -> None:
    """The line begins anew behind it, and no point is drawn."""
    made = draw_chart([line(1, None, 3)], label="x", unit="y")
    assert made.count("<circle ") == 2
    path = made.partition(' d="')[2].partition('"')[0]
    assert (path.count("M"), path.count("L")) == (2, 0)


def test_without_any_value_the_chart_says_so() -> None:
    """An empty grid would look like zero."""
    made = draw_chart([line(None, None)], label="Cost <of> tools", unit="y")
    assert made == '<p class="empty">Cost &lt;of&gt; tools: nothing to show in this time.</p>'
