"""Checks of names that the plan does not define."""

from collections.abc import Collection, Iterator, Sequence

from maingate.settings.problems import Location, Mistake, did_you_mean
from maingate.wording import short


def unknown_names(
    wanted: Sequence[str], known: Collection[str], place: Location, kind: str
) -> Iterator[Mistake]:
    """Find names in a list that the plan does not define."""
    for index, name in enumerate(wanted):
        if name not in known:
            yield unknown_name(name, known, (*place, index), kind)


def unknown_name(name: str, known: Collection[str], place: Location, kind: str) -> Mistake:
    """Return the finding about a name that the plan does not define."""
    hint = did_you_mean(name, known) or ("" if known else f"the plan has no {kind}s")
    return Mistake(location=place, message=f"there is no {kind} {short(name)!r}", hint=hint)
