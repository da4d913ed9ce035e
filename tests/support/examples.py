"""How many examples a dear property gets: some in the suite, the full number in `.ci/run search`."""

from hypothesis import settings


def examples(number: int) -> int:
    """Return a quarter of a number in the suite, which tries the same ones each time; all in a search."""
    return number if settings.get_current_profile_name() == "search" else max(1, number // 4)
