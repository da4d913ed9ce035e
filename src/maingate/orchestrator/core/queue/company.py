"""Company: which workstreams of the run a workstream has passed and failed with, so that blame can say so."""

from collections.abc import Collection, Iterable
from dataclasses import dataclass, field, replace

from maingate.reasons import Reason
from maingate.wording import listed


@dataclass
class Company:
    """Runs of gates on several workstreams, as far as they tell of those that have not landed.

    Args:
        landed: Items that landed, with their names, in order.
        passed: Sets of items that passed together, with all that had landed by then.
        failed: The same of those that failed, by the last item of each.
    """

    landed: dict[str, str] = field(default_factory=dict)
    passed: set[frozenset[str]] = field(default_factory=set)
    failed: dict[str, list[frozenset[str]]] = field(default_factory=dict)

    def record(self, items: Collection[str], *, passed: bool) -> None:
        """Keep what a run says of the items of a chain, which were on what has landed."""
        together = frozenset((*self.landed, *items))
        if passed:
            self.passed.add(together)
        elif items:
            self.failed.setdefault([*items][-1], []).append(together)

    def land(self, items: Iterable[tuple[str, str]]) -> None:
        """Add items that landed, with their names, and forget runs that were on no others."""
        self.landed |= dict(items)
        for item in self.landed:
            self.failed.pop(item, None)
        self.passed = {together for together in self.passed if not together <= self.landed.keys()}

    def forget(self) -> None:
        """Forget all: others have moved the target, so what it holds is not known by names."""
        self.landed.clear()
        self.passed.clear()
        self.failed.clear()

    def is_sound_alone(self, item: str) -> bool:
        """Return whether an item passed when nothing of the run had landed."""
        return frozenset((item,)) in self.passed

    def explained(self, reason: Reason, item: str) -> Reason:
        """Return the reason why an item that passes alone is refused, with those that it fails with.

        They are what it failed with each time, without all that it has passed with.
        """
        ahead = frozenset(self.landed)
        sound = [each for each in self.passed if item in each and each <= ahead | {item}]
        for together in self.failed.get(item, ()):
            ahead &= together if together <= self.landed.keys() | {item} else ahead
        ahead = ahead.difference(*sound)
        if not ahead:
            return reason
        best = max(sound, key=len, default=frozenset())
        names = self._names(ahead)
        others = listed(names) if len(names) == 1 else f"one or more of {listed(names)}"
        landed = self._names(self.landed)
        red = "red with all of them" if len(names) > 1 and names == landed else f"red with {listed(landed)}"
        proof = ", ".join(["green alone", *self._green_with(best - {item}), red])
        message = f"it fails together with {others}, landed before it ({proof}): {reason.message}"
        return replace(reason, message=message, detail={**reason.detail, "with": names})

    def _green_with(self, items: Collection[str]) -> list[str]:
        return [f"green with {listed(self._names(items))}"] if items else []

    def _names(self, items: Collection[str]) -> list[str]:
        return [name for item, name in self.landed.items() if item in items]
