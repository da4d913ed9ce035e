"""A target with items to land, gates that take one round, and a count of all that a planner did."""

from collections.abc import Callable, Generator, Sequence
from dataclasses import dataclass, field

Tests = Sequence[tuple[int, ...]]
"""Items, in landing order, each to be tested on the target."""

Planner = Generator[Tests, list[bool], None]
"""A planner: yields the tests of a round, at most one for each worker, and is sent which of them passed."""


@dataclass(kw_only=True)
class Target:
    """A branch with a queue.

    Args:
        count: Items in the queue.
        workers: Tests in a round.
        risk: Probability that an item fails, which planners may know.
        is_red: Whether the gates fail on some items, whatever the order.
        landed: Items on the branch.
        refused: Items that were blamed.
        proven: Sets of items that passed.
        unproven: Positions of the branch that no test had passed.
        red: Positions of the branch on which the gates fail.
    """

    count: int
    workers: int
    risk: float
    is_red: Callable[[Sequence[int]], bool]
    landed: list[int] = field(default_factory=list)
    refused: list[int] = field(default_factory=list)
    proven: set[frozenset[int]] = field(default_factory=set)
    unproven: int = 0
    red: int = 0
    rounds: int = 0
    runs: int = 0

    def land(self, items: Sequence[int]) -> None:
        """Move the branch by some items at once."""
        self.landed += items
        position = frozenset(self.landed)
        self.unproven += position not in self.proven
        self.red += self.is_red(sorted(position))

    def refuse(self, item: int) -> None:
        """Refuse an item."""
        self.refused.append(item)

    def test(self, tests: Tests) -> list[bool]:
        """Run a round of tests; return which of them passed."""
        if len(tests) > self.workers or not tests:
            raise ValueError(f"{len(tests)} tests on {self.workers} workers")
        if self.rounds > 20 * self.count:
            raise ValueError("a planner that never ends")
        self.rounds += 1
        self.runs += len(tests)
        answers = []
        for items in tests:
            chain = [*self.landed, *items]
            passed = not self.is_red(sorted(chain))
            if passed:
                self.proven.add(frozenset(chain))
            answers.append(passed)
        return answers

    def has_tested(self, items: Sequence[int]) -> bool:
        """Return whether some items passed on the present head."""
        return frozenset([*self.landed, *items]) in self.proven

    def run(self, planner: Planner) -> None:
        """Let a planner land the queue."""
        try:
            tests = next(planner)
            while True:
                tests = planner.send(self.test(tests))
        except StopIteration:
            pass
        if sorted([*self.landed, *self.refused]) != list(range(self.count)):
            raise ValueError(f"a planner left items: {self.landed} landed, {self.refused} refused")
