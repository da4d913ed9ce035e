"""The order of names that need each other: as listed, and as they land."""

import heapq
from collections.abc import Callable, Mapping, Sequence


def stable_order(
    needs: Mapping[str, Sequence[str]],
    *,
    rank: Callable[[str], tuple[float, ...]] | None = None,
    placed: dict[str, int] | None = None,
) -> list[str]:
    """Return names ordered so that each comes after its needs, else as listed.

    Args:
        needs: The needs of each name, in the order listed. Needs that are no key are ignored.
        rank: Among the names that could come next, the smallest rank goes first; ties as listed.
        placed: Is told the place of each name as it gets it, for a rank that depends on those before.

    Returns:
        All names that can be ordered; those on a circle, or behind one, are left out.
    """
    position = {name: index for index, name in enumerate(needs)}
    open_needs = {name: {need for need in wanted if need in position} for name, wanted in needs.items()}
    dependents: dict[str, list[str]] = {name: [] for name in needs}
    for name, wanted in open_needs.items():
        for need in wanted:
            dependents[need].append(name)

    def key(name: str) -> tuple[float, ...]:
        return (*(rank(name) if rank else ()), position[name])

    ready = [(key(name), name) for name, wanted in open_needs.items() if not wanted]
    heapq.heapify(ready)
    ordered: list[str] = []
    while ready:
        name = heapq.heappop(ready)[1]
        if placed is not None:
            placed[name] = len(ordered)
        ordered.append(name)
        for dependent in dependents[name]:
            open_needs[dependent].discard(name)
            if not open_needs[dependent]:
                heapq.heappush(ready, (key(dependent), dependent))
    return ordered


def landing_order(needs: Mapping[str, Sequence[str]], priority: Callable[[str], int]) -> list[str]:
    """Return workstreams in the order in which they land.

    The higher priority goes first. Of those with one priority, each comes after all that could land when the
    last of those it needs did, since it can begin only then: no workstream has to wait for it, and none
    overtakes it, however long the gates of either take. Ties as listed.
    """
    places: dict[str, int] = {}

    def rank(name: str) -> tuple[float, ...]:
        """Return the rank of a workstream whose needs all have places."""
        return (-priority(name), max((places[need] for need in needs[name] if need in places), default=-1))

    return stable_order(needs, rank=rank, placed=places)
