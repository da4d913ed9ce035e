"""Amounts as people write them."""

from datetime import timedelta

import pytest
from pydantic_core import PydanticCustomError

from maingate.settings.durations import format_duration, parse_duration, parse_size


@pytest.mark.parametrize(
    ("written", "seconds"),
    [
        ("90s", 90),
        ("10m", 600),
        ("1h30m", 5400),
        ("1d", 86_400),
        ("1d2h3m4s", 93_784),
        ("45", 45),
        (45, 45),
        (0.5, 0.5),
    ],
)
def test_durations_are_units_or_seconds(written: object, seconds: float) -> None:
    """A duration is days, hours, minutes and seconds in this order, or a number of seconds."""
    assert parse_duration(written) == timedelta(seconds=seconds)


@pytest.mark.parametrize(
    "written",
    [
        "",
        " ",
        "0",
        0,
        "0m",
        -1,
        "-10m",
        "ten",
        "10 minutes",
        "5m1h",
        "1w",
        True,
        None,
        [],
        float("nan"),
        "999999999d",
        1e99,
        10**400,
        -(10**400),
    ],
)
def test_what_is_no_time_span_above_zero_is_refused(written: object) -> None:
    """Zero, negative, endless and unreadable durations are refused with a hint."""
    with pytest.raises(PydanticCustomError) as refused:
        parse_duration(written)
    assert refused.value.context is not None
    assert refused.value.context["hint"]


@pytest.mark.parametrize("written", ["90s", "1h30m", "1d", "2h", "1m30s"])
def test_a_duration_is_written_the_way_it_is_read(written: str) -> None:
    """The text for people parses to the same duration."""
    assert parse_duration(format_duration(parse_duration(written))) == parse_duration(written)


def test_a_fraction_of_a_second_is_written_as_such() -> None:
    """Sub-second durations keep their fraction."""
    assert format_duration(timedelta(seconds=1.5)) == "1.5s"


@pytest.mark.parametrize(
    ("written", "size"),
    [
        (1, 1),
        ("512", 512),
        ("512K", 524_288),
        ("64MiB", 67_108_864),
        ("64mb", 67_108_864),
        ("2G", 2_147_483_648),
    ],
)
def test_sizes_are_bytes_or_powers_of_1024(written: object, size: int) -> None:
    """A size is a number of bytes or has a unit; units are powers of 1024 however they are written."""
    assert parse_size(written) == size


@pytest.mark.parametrize("written", [0, -1, "0K", "big", "1X", "-1M", 1.5, True, None])
def test_what_is_no_size_above_zero_is_refused(written: object) -> None:
    """Zero, negative and unreadable sizes are refused."""
    with pytest.raises(PydanticCustomError):
        parse_size(written)
