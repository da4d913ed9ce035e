"""Clashes: gates that fail beside other jobs and pass alone, as two that want the same port do."""

from collections import Counter
from collections.abc import Callable
from typing import Final

from maingate.uet.process.command import CommandResult

_ENOUGH: Final = 2
"""Clashes from which a gate is taken to need the machine for itself; one may be a flake."""


class Clashes:
    """Finds the gates that are to run alone for the rest of a run.

    A gate that fails by chance does so alone, too, and mostly passes beside others: alone it would only cost
    the other workers. So it takes two clashes, no fewer than passes beside other jobs, and no flake alone.

    Args:
        warn: Tells people of such a gate, once.
    """

    def __init__(self, warn: Callable[[str], None]) -> None:
        self._warn = warn
        self._failed_beside: set[tuple[str, str]] = set()
        self._failed_alone: set[tuple[str, str]] = set()
        self._passed_beside: Counter[str] = Counter()
        self._clashes: Counter[str] = Counter()
        self._flaky: set[str] = set()
        self._lonely: set[str] = set()

    def is_lonely(self, gate: str) -> bool:
        """Return whether a gate runs alone from now on."""
        return gate in self._lonely

    def note(self, gate: str, tree: str, end: CommandResult) -> None:
        """Note how a gate ended on a tree."""
        subject = gate, tree
        if not end.passed:
            (self._failed_beside if end.had_company else self._failed_alone).add(subject)
            return
        self._passed_beside[gate] += end.had_company
        if subject in self._failed_alone:
            self._flaky.add(gate)
        elif subject in self._failed_beside and not end.had_company:
            self._clashes[gate] += 1
        self._failed_alone.discard(subject)
        self._failed_beside.discard(subject)
        self._decide(gate)

    def _decide(self, gate: str) -> None:
        clashes = self._clashes[gate]
        is_enough = _ENOUGH <= clashes >= self._passed_beside[gate] and gate not in self._flaky
        if is_enough and gate not in self._lonely:
            self._lonely.add(gate)
            self._warn(
                f"gate {gate} failed {clashes} times beside other jobs and then passed alone on the same "
                "tree, so it runs alone for the rest of this run; state `exclusive: true` for it, or give it "
                "a port, lock or folder of its own for each job"
            )
