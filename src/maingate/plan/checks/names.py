"""Checks of names: unknown ones, and circles of needs."""

from collections.abc import Collection, Iterator, Mapping, Sequence

from maingate.plan.order import circles
from maingate.settings.problems import Location, Mistake, did_you_mean
from maingate.wording import chain, short


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


def circles_of(needs: Mapping[str, Sequence[str]], place: Location, kind: str) -> Iterator[Mistake]:
    """Find circles of needs."""
    for circle in circles(needs):
        message = f"{kind} need each other in a circle: {chain(circle)}"
        if len(circle) == 2:  # noqa: PLR2004 - a → a
            message = f"{circle[0]!r} needs itself"
        yield Mistake(
            location=(*place, circle[0], "needs"), message=message, hint="remove one of these needs"
        )
