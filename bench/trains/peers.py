"""Other queues as pure planners, each in its most favourable reading.

A planner tests items on the present head of the target. All tests take one round.
"""

import heapq
from collections import deque
from collections.abc import Callable, Generator, Iterable, Mapping, Sequence
from itertools import count, pairwise
from typing import Final

from bench.trains.target import Planner, Target, Tests

WINDOW: Final = 20
WINDOW_FLOOR: Final = 3


def serial(target: Target) -> Planner:
    """Test one item after the other."""
    for item in range(target.count):
        if (yield [(item,)])[0]:
            target.land([item])
        else:
            target.refuse(item)


def bors(target: Target) -> Planner:
    """Test everything at once; halve a batch that fails; one test at a time."""
    yield from _bisect(target, [tuple(range(target.count))])


def gas_town(target: Target) -> Planner:
    """Test batches of five; halve one that fails; one test at a time."""
    yield from _bisect(target, _groups(range(target.count), 5))


def _bisect(target: Target, batches: Iterable[tuple[int, ...]]) -> Planner:
    waiting = deque(batches)
    while waiting:
        batch = waiting.popleft()
        if (yield [batch])[0]:
            target.land(batch)
        elif len(batch) == 1:
            target.refuse(batch[0])
        else:
            waiting.extendleft(reversed(_halves(batch)))


def batch4(target: Target) -> Planner:
    """Test batches of four beside each other; test each item of one that fails."""
    yield from _side_by_side(target, _groups(range(target.count), 4))


def batch_stop4(target: Target) -> Planner:
    """Test batches of sixteen beside each other; halve one that fails; from four items on, test each."""
    yield from _side_by_side(target, _groups(range(target.count), 16))


def batch_all(target: Target) -> Planner:
    """Test everything at once; continue as ``batch_stop4``."""
    yield from _side_by_side(target, [tuple(range(target.count))])


def _side_by_side(target: Target, batches: Iterable[tuple[int, ...]]) -> Planner:
    """Land each batch that passes, although no test had it together with those that passed beside it."""
    waiting = deque(batches)
    while waiting:
        tests = [waiting.popleft() for _ in range(min(target.workers, len(waiting)))]
        for batch, passed in zip(tests, (yield tests), strict=True):
            if passed:
                target.land(batch)
            elif len(batch) == 1:
                target.refuse(batch[0])
            else:
                waiting.extend(_halves(batch) if len(batch) > 4 else [(item,) for item in batch])


def zuul(target: Target) -> Planner:
    """Test each item with all before it, within a window; begin again behind the first that fails."""
    waiting = list(range(target.count))
    window = WINDOW
    while waiting:
        size = min(window, target.workers, len(waiting))
        passed = yield [tuple(waiting[: end + 1]) for end in range(size)]
        good = passed.index(False) if False in passed else size
        for item in waiting[:good]:
            target.land([item])
        window += good
        if good < size:
            target.refuse(waiting[good])
            window = max(window // 2, WINDOW_FLOOR)
            good += 1
        waiting = waiting[good:]


def mergify(target: Target) -> Planner:
    """Test batches of five, each with those before it; cut one that fails into as many parts as workers."""
    waiting = list(range(target.count))
    while waiting:
        batches = _groups(waiting, 5)[: target.workers]
        good = yield from _land_prefix(target, batches)
        waiting = waiting[sum(len(batch) for batch in batches[:good]) :]
        failed: tuple[int, ...] = batches[good] if good < len(batches) else ()
        while failed:
            if len(failed) == 1:
                target.refuse(failed[0])
                waiting = [item for item in waiting if item != failed[0]]
                break
            parts = _parts(failed, min(target.workers + 1, len(failed)))
            good = yield from _land_prefix(target, parts[:-1])
            landed = {item for part in parts[:good] for item in part}
            waiting = [item for item in waiting if item not in landed]
            failed = parts[good]


def _land_prefix(target: Target, batches: Sequence[tuple[int, ...]]) -> Generator[Tests, list[bool], int]:
    """Test batches, each with those before it; land and count those before the first that fails."""
    chains = [tuple(item for batch in batches[: end + 1] for item in batch) for end in range(len(batches))]
    passed = yield chains
    good = passed.index(False) if False in passed else len(batches)
    for batch in batches[:good]:
        target.land(batch)
    return good


def uber(target: Target) -> Planner:
    """Test each item with those before it, on the most probable of their outcomes, best first."""
    known: dict[tuple[int, ...], bool] = {}
    place = 0
    while place < target.count:
        head = tuple(target.landed)
        heap: list[tuple[float, int, int, tuple[int, ...]]] = [(-1.0, 0, place, head)]
        numbers = count(1)
        wanted: list[tuple[int, ...]] = []
        while heap and len(wanted) < target.workers:
            chance, _, at, before = heapq.heappop(heap)
            if at == target.count:
                continue
            chain = (*before, at)
            if chain not in known:
                wanted.append(chain)
            passes = float(known[chain]) if chain in known else 1 - target.risk
            for after, share in ((chain, passes), (before, 1 - passes)):
                if share:
                    heapq.heappush(heap, (chance * share, next(numbers), at + 1, after))
        passed = yield [chain[len(head) :] for chain in wanted]
        known.update(zip(wanted, passed, strict=True))
        while place < target.count and (chain := (*target.landed, place)) in known:
            if known[chain]:
                target.land([place])
            else:
                target.refuse(place)
            place += 1


def sigbound(target: Target) -> Planner:
    """Test a group for each worker, and the union of those that passed again; halve whatever fails."""
    waiting = deque(_parts(range(target.count), min(target.workers, target.count)))
    unions: deque[tuple[int, ...]] = deque()
    while waiting or unions:
        union = [unions.popleft()] if unions else []
        groups = [waiting.popleft() for _ in range(min(target.workers - len(union), len(waiting)))]
        answers = yield [*union, *groups]
        for items, passed in zip(union, answers, strict=False):
            if passed:
                target.land(items)
            elif len(items) == 1:
                target.refuse(items[0])
            else:
                unions.extendleft(reversed(_halves(items)))
        fine: list[int] = []
        for group, passed in zip(groups, answers[len(union) :], strict=True):
            if passed:
                fine += group
            elif len(group) == 1:
                target.refuse(group[0])
            else:
                waiting.extend(_halves(group))
        if fine and target.has_tested(fine):
            target.land(sorted(fine))
        elif fine:
            unions.append(tuple(sorted(fine)))


def _groups(items: Sequence[int], size: int) -> list[tuple[int, ...]]:
    return [tuple(items[at : at + size]) for at in range(0, len(items), size)]


def _halves(items: Sequence[int]) -> list[tuple[int, ...]]:
    return _parts(items, min(2, len(items)))


def _parts(items: Sequence[int], number: int) -> list[tuple[int, ...]]:
    """Divide items into parts of nearly the same size, the larger ones first."""
    size, more = divmod(len(items), number)
    ends = [at * size + min(at, more) for at in range(number + 1)]
    return [tuple(items[a:b]) for a, b in pairwise(ends)]


PEERS: Final[Mapping[str, Callable[[Target], Planner]]] = {
    "serial": serial,
    "Zuul": zuul,
    "Uber": uber,
    "bors": bors,
    "Gas Town": gas_town,
    "Mergify": mergify,
    "Sigbound": sigbound,
    "Batch4": batch4,
    "BatchStop4": batch_stop4,
    "BatchAll": batch_all,
}
"""The peers, by the names of their tables' columns."""

EACH_COMMIT: Final = frozenset({"serial", "Zuul", "Uber"})
"""Peers that land one item at a time."""

UNPROVEN: Final = frozenset({"Batch4", "BatchStop4", "BatchAll"})
"""Peers that land batches which were tested beside each other, and never together."""
