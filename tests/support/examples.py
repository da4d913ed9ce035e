"""How many examples and cases what is dear gets: some in the suite, the full number in `.ci/run`."""

import itertools
from collections.abc import Mapping
from typing import Any

import pytest
from hypothesis import settings


def examples(number: int) -> int:
    """Return a quarter of a number in the suite, which tries the same ones each time; all in a search."""
    return number if settings.get_current_profile_name() == "search" else max(1, number // 4)


def thorough(*values: Any, id: str | None = None) -> Any:  # noqa: A002 - as pytest names it
    """Return a case that `uv run pytest` leaves to `.ci/run`, as it plays quicker ones of the kind."""
    return pytest.param(*values, id=id, marks=pytest.mark.thorough)


def crossed(*axes: Mapping[str, Any]) -> list[Any]:
    """Return every combination of named values; each value is in one at least that `uv run pytest` plays."""
    named = [list(axis.items()) for axis in axes]
    played = {tuple(at % len(axis) for axis in named) for at in range(max(map(len, named)))}
    return [
        (pytest.param if places in played else thorough)(
            *(axis[place][1] for axis, place in zip(named, places, strict=True)),
            id="-".join(axis[place][0] for axis, place in zip(named, places, strict=True)),
        )
        for places in itertools.product(*(range(len(axis)) for axis in named))
    ]
