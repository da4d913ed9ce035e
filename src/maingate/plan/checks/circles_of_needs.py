"""Circles of needs: names that need each other have no order, so that a plan with one is refused."""

from collections.abc import Iterator, Mapping, Sequence

from maingate.plan.order import stable_order
from maingate.settings.problems import Location, Mistake
from maingate.wording import chain


def circles_of(needs: Mapping[str, Sequence[str]], place: Location, kind: str) -> Iterator[Mistake]:
    """Find circles of needs."""
    for circle in circles(needs):
        message = f"{kind} need each other in a circle: {chain(circle)}"
        if len(circle) == 2:  # noqa: PLR2004 - a → a
            message = f"{circle[0]!r} needs itself"
        yield Mistake(
            location=(*place, circle[0], "needs"), message=message, hint="remove one of these needs"
        )


def circles(needs: Mapping[str, Sequence[str]]) -> list[list[str]]:
    """Find circles of needs, each once, as ``[a, b, a]``; an empty list when there is an order.

    Every name that cannot be ordered is on one of the circles found or only waits for one.
    """
    left = set(needs) - set(stable_order(needs))
    found: list[list[str]] = []
    seen: set[str] = set()
    for start in needs:
        trail: list[str] = []
        name: str | None = start if start in left else None
        while name is not None and name not in seen:
            seen.add(name)
            trail.append(name)
            name = next((need for need in needs[name] if need in left), None)
        if name in trail:
            found.append([*trail[trail.index(name) :], name])
    return found
