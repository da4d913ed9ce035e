"""How many examples and cases what is dear gets: some in the suite, the full number in `.ci/run`."""

from typing import Any

import pytest
from hypothesis import settings


def examples(number: int) -> int:
    """Return a quarter of a number in the suite, which tries the same ones each time; all in a search."""
    return number if settings.get_current_profile_name() == "search" else max(1, number // 4)


def thorough(*values: Any, id: str | None = None) -> Any:  # noqa: A002 - as pytest names it
    """Return a case that `uv run pytest` leaves to `.ci/run`, as it plays quicker ones of the kind."""
    return pytest.param(*values, id=id, marks=pytest.mark.thorough)
