"""Which tasks may write the same paths: those do not run side by side, unless the plan allows it.

Whether two lists of gitignore-style globs can match one path is decided on the globs themselves. Where that
is hard (brackets, negations) the answer is that they can: two tasks that wait for each other in vain cost
time, two that write the same file cost a patch.
"""

from collections.abc import Iterable, Sequence
from functools import lru_cache
from itertools import combinations
from typing import Final

from maingate.plan.model import Overlap, Plan, TaskKind

Task = tuple[str, str]
"""Workstream and task."""

_ANY: Final = "**"
_STAR, _ONE = object(), object()
_Token = object | str


def may_overlap(globs_a: Sequence[str], globs_b: Sequence[str]) -> bool:
    """Tell whether a path could match both lists; never False when one does.

    Args:
        globs_a: Globs as in a `.gitignore`; one that begins with ``!`` takes away and is passed over.
        globs_b: The same.
    """
    return any(
        _meet(_parts(one), _parts(other))
        for one in globs_a
        if not one.startswith("!")
        for other in globs_b
        if not other.startswith("!")
    )


def overlapping(plan: Plan) -> list[tuple[Task, Task]]:
    """Return the pairs of tool tasks that will not run side by side because they may write the same paths.

    A pair is passed over when one needs the other anyway, directly or by way of others, and when the plan
    lets the scopes of both overlap. Each pair is in the order of the plan.
    """
    tasks = [
        (name, task)
        for name, workstream in plan.workstreams.items()
        for task in workstream.task_order()
        if workstream.tasks[task].kind is TaskKind.TOOL
    ]
    before = _before(plan, {task: 1 << place for place, task in enumerate(tasks)})
    scopes = Scopes(plan)
    return [
        (one, other)
        for (at, one), (place, other) in combinations(enumerate(tasks), 2)
        if not before[other] >> at & 1 and not before[one] >> place & 1 and scopes.keep_apart(one, other)
    ]


class Scopes:
    """What the tasks of a plan may write, to be asked again and again.

    Args:
        plan: The plan.
    """

    def __init__(self, plan: Plan) -> None:
        self._plan = plan
        self._limits: dict[Task, list[tuple[str, ...]]] = {}

    def keep_apart(self, one: Task, other: Task) -> bool:
        """Tell whether two tasks may write the same paths, and the plan does not let them side by side."""
        if is_overlap_allowed(self._plan, one[0]) and is_overlap_allowed(self._plan, other[0]):
            return False
        return all(_may_overlap(a, b) for a in self._of(one) for b in self._of(other))

    def _of(self, task: Task) -> list[tuple[str, ...]]:
        if task not in self._limits:
            self._limits[task] = _limits(self._plan, *task)
        return self._limits[task]


def is_overlap_allowed(plan: Plan, workstream: str) -> bool:
    """Tell whether a workstream lets its tasks overlap: as it says itself, else as the plan does."""
    return (plan.workstreams[workstream].overlap or plan.overlap) is Overlap.ALLOW


def _limits(plan: Plan, workstream: str, task: str) -> list[tuple[str, ...]]:
    """Return the lists of globs all of which a path must match that the task may write."""
    scope = plan.workstreams[workstream].tasks[task].scope
    allowed = [layer.allow for layer in plan.policy_layers(workstream, task)]
    return [tuple(globs) for globs in (scope, *allowed) if globs is not None] or [(_ANY,)]


def _before(plan: Plan, bits: dict[Task, int]) -> dict[Task, int]:
    """Return for each task those that have ended when it begins, as a sum of their bits."""
    found = dict.fromkeys(bits, 0)
    done: dict[str, int] = {}
    for name in plan.workstream_order():
        workstream = plan.workstreams[name]
        outer = _all(done.get(need, 0) for need in workstream.needs)
        for task in workstream.task_order():
            needs = [(name, need) for need in workstream.tasks[task].needs]
            found[name, task] = outer | _all(found.get(need, 0) | bits.get(need, 0) for need in needs)
        done[name] = outer | _all(bits.get((name, task), 0) for task in workstream.tasks)
    return found


def _all(sets: Iterable[int]) -> int:
    together = 0
    for one in sets:
        together |= one
    return together


@lru_cache(maxsize=65536)
def _may_overlap(globs_a: tuple[str, ...], globs_b: tuple[str, ...]) -> bool:
    return may_overlap(globs_a, globs_b)


@lru_cache(maxsize=65536)
def _parts(glob: str) -> tuple[str, ...]:
    """Return the folders and the name that a glob asks for; more may come below it (gitignore(5))."""
    text = glob.rstrip("\n\r")
    while text.endswith(" ") and not text.endswith("\\ "):
        text = text[:-1]
    is_tied = "/" in text.rstrip("/")
    parts: list[str] = [] if is_tied else [_ANY]
    for part in text.strip("/").split("/"):
        if "[" in part or part.endswith("\\"):
            return (*parts, _ANY)
        if part:
            parts.append(part)
    return (*parts, _ANY)


@lru_cache(maxsize=65536)
def _meet(one: tuple[str, ...], other: tuple[str, ...]) -> bool:
    """Tell whether a path matches both; ``**`` stands for any number of folders."""
    reached = {(0, 0)}
    waiting = [(0, 0)]
    while waiting:
        here = waiting.pop()
        if here == (len(one), len(other)):
            return True
        for place in _steps(one, other, *here):
            if place not in reached:
                reached.add(place)
                waiting.append(place)
    return False


def _steps(one: tuple[str, ...], other: tuple[str, ...], i: int, j: int) -> list[tuple[int, int]]:
    steps: list[tuple[int, int]] = []
    at_one = one[i] if i < len(one) else None
    at_other = other[j] if j < len(other) else None
    if at_one == _ANY:
        steps.append((i + 1, j))
        if at_other is not None:
            steps.append((i, j + 1))
    if at_other == _ANY:
        steps.append((i, j + 1))
        if at_one is not None:
            steps.append((i + 1, j))
    if at_one is not None and at_other is not None and _names_meet(at_one, at_other):
        steps.append((i + 1, j + 1))
    return steps


@lru_cache(maxsize=65536)
def _names_meet(one: str, other: str) -> bool:
    """Tell whether a single name matches both globs."""
    a, b = _tokens(one), _tokens(other)
    reachable = {(0, 0)}
    waiting = [(0, 0)]
    while waiting:
        i, j = waiting.pop()
        if (i, j) == (len(a), len(b)):
            return True
        x = a[i] if i < len(a) else None
        y = b[j] if j < len(b) else None
        steps = []
        if x is _STAR:
            steps += [(i + 1, j), *([] if y is None else [(i, j + 1)])]
        if y is _STAR:
            steps += [(i, j + 1), *([] if x is None else [(i + 1, j)])]
        if x is not None and y is not None and (x is _ONE or y is _ONE or x == y):
            steps.append((i + 1, j + 1))
        for step in steps:
            if step not in reachable:
                reachable.add(step)
                waiting.append(step)
    return False


def _tokens(glob: str) -> list[_Token]:
    tokens: list[_Token] = []
    characters = iter(glob)
    for character in characters:
        if character == "\\":
            tokens.append(next(characters, "\\"))
        else:
            tokens.append({"*": _STAR, "?": _ONE}.get(character, character))
    return tokens
