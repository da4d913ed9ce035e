"""Charts over time: lines whose points lead to what they count."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Final

from markupsafe import Markup

from maingate.pages.drawing.svg import element, joined, picture

_WIDTH: Final = 560
_HEIGHT: Final = 150
_LEFT: Final = 48
_RIGHT: Final = 10
_TOP: Final = 10
_BOTTOM: Final = 22
_STEPS: Final = (1, 2, 2.5, 5, 10)
"""The first digits of the distance between two lines of the grid."""
_GRID_LINES: Final = 4


@dataclass(frozen=True, kw_only=True)
class ChartPoint:
    """A point of a line.

    Args:
        at: Its time.
        value: Its value; None where there is none, which leaves a gap.
        link: The list of the things that it counts.
    """

    at: datetime
    value: float | None
    link: str


@dataclass(frozen=True, kw_only=True)
class Line:
    """A line of a chart.

    Args:
        name: Its name.
        points: Its points, oldest first.
    """

    name: str
    points: Sequence[ChartPoint]


@dataclass(frozen=True, kw_only=True)
class _Scale:
    """The place of values in the picture."""

    begin: float
    end: float
    top: float

    def x(self, at: datetime) -> float:
        span = max(self.end - self.begin, 1.0)
        return _LEFT + (at.timestamp() - self.begin) / span * (_WIDTH - _LEFT - _RIGHT)

    def y(self, value: float) -> float:
        return _HEIGHT - _BOTTOM - value / self.top * (_HEIGHT - _TOP - _BOTTOM)


def draw_chart(lines: Sequence[Line], *, label: str, unit: str) -> Markup:
    """Draw lines over one time and one scale, which begins at 0.

    Args:
        lines: The lines; a chart without a value says that there is none.
        label: Its meaning.
        unit: The unit of its values.
    """
    points = [point for line in lines for point in line.points]
    values = [point.value for point in points if point.value is not None]
    if not values:
        return element("p", f"{label}: nothing to show in this time.", class_="empty")
    moments = [point.at.timestamp() for point in points]
    step = grid_step(max(values))
    scale = _Scale(begin=min(moments), end=max(moments), top=step * _GRID_LINES)
    return picture(
        joined(_grid_line(scale, step * number) for number in range(_GRID_LINES + 1)),
        _time(scale, min(points, key=_when).at, "start"),
        _time(scale, max(points, key=_when).at, "end"),
        joined(_line(scale, line, number, unit) for number, line in enumerate(lines)),
        width=_WIDTH,
        height=_HEIGHT,
        label=f"{label}, {unit}",
        kind="chart",
    )


def grid_step(highest: float) -> float:
    """Return the distance between the lines of a grid, a round number, so that they reach above a value.

    Where all values are 0 it is 1.
    """
    wanted = (highest or _GRID_LINES) / _GRID_LINES
    power = 10.0 ** _exponent(wanted)
    return next(digit * power for digit in _STEPS if digit * power >= wanted * (1 - 1e-9))


def _exponent(value: float) -> int:
    """Return the exponent of a value written with one digit before the point."""
    return int(f"{value:e}".partition("e")[2])


def _when(point: ChartPoint) -> datetime:
    return point.at


def _grid_line(scale: _Scale, value: float) -> Markup:
    y = scale.y(value)
    return element("line", x1=_LEFT, x2=_WIDTH - _RIGHT, y1=y, y2=y, class_="grid") + element(
        "text", f"{value:g}", x=_LEFT - 6, y=y + 4, text_anchor="end"
    )


def _time(scale: _Scale, at: datetime, anchor: str) -> Markup:
    shown = at.strftime("%m-%d %H:%M")
    return element("text", shown, x=scale.x(at), y=_HEIGHT - 6, text_anchor=anchor)


def _line(scale: _Scale, line: Line, number: int, unit: str) -> Markup:
    path = element("path", d=_path(scale, line.points))
    marks = joined(_mark(scale, line.name, point, unit) for point in line.points)
    return element("g", path, marks, class_=f"line line-{number}")


def _mark(scale: _Scale, name: str, point: ChartPoint, unit: str) -> Markup:
    """Return the mark of a point, which leads to what it counts; nothing where there is no value."""
    if point.value is None:
        return Markup("")
    said = f"{name}: {point.value:g} {unit}, {point.at:%Y-%m-%d %H:%M} UTC"
    circle = element("circle", cx=scale.x(point.at), cy=scale.y(point.value), r=3.5)
    return element("a", element("title", said), circle, href=point.link)


def _path(scale: _Scale, points: Sequence[ChartPoint]) -> str:
    """Return the way of a line, which has a gap where there is no value."""
    parts, is_down = list[str](), False
    for point in points:
        if point.value is None:
            is_down = False
            continue
        parts.append(f"{'L' if is_down else 'M'}{scale.x(point.at):.1f} {scale.y(point.value):.1f}")
        is_down = True
    return "".join(parts)
