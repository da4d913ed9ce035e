"""Overlapping scopes: tasks that declare that they may write the same paths do not run side by side.

Only tasks with a `scope` are kept apart, unless the plan allows them to overlap. A task without one declares
nothing: it runs beside all others, and where its patch conflicts with what came in meanwhile its tool makes
another, told of the conflict.

Whether two lists of gitignore-style globs can match one path is decided by the globs alone. Where that is
hard (brackets, negations) they count as overlapping: two tasks that wait for each other without need cost
time, two that write the same file cost a patch.
"""

from collections.abc import Iterable, Iterator, Sequence
from functools import cached_property

from maingate.plan.choices import Overlap, TaskKind
from maingate.plan.model import Plan
from maingate.plan.paths.glob_overlap import ANY_FOLDERS, heads_of, is_wild, names_overlap

TaskName = tuple[str, str]
"""A task by the names of its workstream and itself."""


class Overlaps:
    """The pairs of tasks that will not run side by side: counted at once, created on iteration.

    Args:
        tasks: All tasks, in the order of the plan.
        later: For each task, the later ones that it is kept apart from, as a sum of bits by position.
    """

    def __init__(self, tasks: Sequence[TaskName], later: Sequence[int]) -> None:
        self._tasks, self._later = tasks, later

    def __len__(self) -> int:
        return sum(bits.bit_count() for bits in self._later)

    def __iter__(self) -> Iterator[tuple[TaskName, TaskName]]:
        for task, bits in zip(self._tasks, self._later, strict=True):
            left = bits
            while left:
                lowest = left & -left
                yield task, self._tasks[lowest.bit_length() - 1]
                left ^= lowest


def overlapping(plan: Plan) -> Overlaps:
    """Return the pairs of tool tasks that will not run side by side because their scopes overlap.

    A pair is left out when one needs the other anyway, directly or through others, and when the plan allows
    the scopes of both to overlap. Each pair is in the order of the plan.
    """
    scopes = Scopes(plan)
    before = _before(plan, scopes.bits)
    after = _turned(scopes.tasks, before)
    later = []
    for place, task in enumerate(scopes.tasks):
        apart = scopes.apart_from(task) & ~before[task] & ~after[task]
        later.append(apart >> (place + 1) << (place + 1))
    return Overlaps(scopes.tasks, later)


def earlier_rivals(plan: Plan) -> dict[TaskName, list[TaskName]]:
    """Return for each tool task the ones before it in its workstream whose end it waits for.

    One that another of them waits for is left out: it has ended by then.
    """
    scopes = Scopes(plan)
    found: dict[TaskName, list[TaskName]] = {}
    ended: dict[TaskName, int] = {}
    of_workstream: dict[str, int] = {}
    for task in scopes.tasks:
        left = scopes.apart_from(task) & of_workstream.get(task[0], 0)
        found[task], ended[task] = [], left
        while left:
            nearest = scopes.tasks[left.bit_length() - 1]
            found[task].append(nearest)
            left &= ~(scopes.bits[nearest] | ended[nearest])
            ended[task] |= ended[nearest]
        of_workstream[task[0]] = of_workstream.get(task[0], 0) | scopes.bits[task]
    return found


class Scopes:
    """The scopes of a plan's tool tasks, prepared for many queries.

    Each two globs are compared once, not once per pair of tasks: a plan may have thousands of tasks, and
    nearly as many pairs as their square.

    Args:
        plan: The plan.
    """

    def __init__(self, plan: Plan) -> None:
        self._plan = plan
        self.tasks = [
            (name, task)
            for name, workstream in plan.workstreams.items()
            for task in workstream.task_order()
            if workstream.tasks[task].kind is TaskKind.TOOL
        ]
        """All tool tasks, in the order of the plan."""
        self.bits = {task: 1 << place for place, task in enumerate(self.tasks)}
        """The bit of each task."""

    def keep_apart(self, one: TaskName, other: TaskName) -> bool:
        """Return whether two tasks declare that they may write the same paths, so do not run side by side."""
        return bool(self.apart_from(one) & self.bits[other])

    def apart_from(self, task: TaskName) -> int:
        """Return the tasks that a task is kept apart from, as a sum of their bits; may include itself."""
        return self._apart[task]

    @cached_property
    def _apart(self) -> dict[TaskName, int]:
        meeting = _meeting([_limits(self._plan, *task) for task in self.tasks])
        free = _all(bit for task, bit in self.bits.items() if is_overlap_allowed(self._plan, task[0]))
        declared = _all(bit for task, bit in self.bits.items() if _has_scope(self._plan, *task))
        pairs = zip(self.bits.items(), meeting, strict=True)
        return {
            task: met & declared & (~free if bit & free else -1) if bit & declared else 0
            for (task, bit), met in pairs
        }


def _turned(tasks: Sequence[TaskName], before: dict[TaskName, int]) -> dict[TaskName, int]:
    """Return for each task the tasks that begin when it has ended, as a sum of their bits."""
    if not any(before.values()):
        return before
    rows = (f"{before[task]:0{len(tasks)}b}"[::-1] for task in tasks)
    return {
        task: int("".join(column)[::-1], 2)
        for task, column in zip(tasks, zip(*rows, strict=True), strict=True)
    }


def _meeting(limits: Sequence[list[tuple[str, ...]]]) -> list[int]:
    """Return for each task the tasks that may write a path that it may write, as a sum of bits by position.

    Args:
        limits: For each task its lists of globs. Each of its lists must overlap each list of the other.
    """
    most = max(map(len, limits), default=0)
    tries = [_trie_of([lists[n : n + 1] for lists in limits]) for n in range(most)]
    lacking = [_all(1 << place for place, lists in enumerate(limits) if len(lists) <= n) for n in range(most)]
    distinct = {globs for lists in limits for globs in lists}
    heads = {head for globs in distinct for head in heads_of(globs)}
    found = dict.fromkeys(distinct, -1)
    for trie, others in zip(tries, lacking, strict=True):
        met = {head: trie.met_by(head) for head in heads}
        for globs in distinct:
            found[globs] &= others | _all(met[head] for head in heads_of(globs))
    return [_common(found[globs] for globs in lists) for lists in limits]


def _trie_of(column: Sequence[Sequence[tuple[str, ...]]]) -> "_Trie":
    trie = _Trie()
    for place, lists in enumerate(column):
        for globs in lists:
            for head in heads_of(globs):
                trie.add(head, 1 << place)
    return trie


class _Trie:
    """Globs by their folders, with the tasks they belong to as a sum of bits.

    Folders without wildcards are looked up directly, so that thousands of tasks with folders of their own are
    not compared with each other.
    """

    def __init__(self) -> None:
        self._here = self._below = 0
        self._plain: dict[str, _Trie] = {}
        self._wild: dict[str, _Trie] = {}

    def add(self, head: Sequence[str], owner: int) -> None:
        """Add a glob."""
        self._below |= owner
        if not head:
            self._here |= owner
            return
        children = self._wild if is_wild(head[0]) else self._plain
        children.setdefault(head[0], _Trie()).add(head[1:], owner)

    def met_by(self, head: Sequence[str]) -> int:
        """Return the tasks with a glob that can match a path that a given glob can match."""
        if not head:
            return self._below
        name, rest = head[0], head[1:]
        found = self._here
        if not is_wild(name):
            found |= self._plain[name].met_by(rest) if name in self._plain else 0
        others = self._wild if not is_wild(name) else {**self._plain, **self._wild}
        return found | _all(trie.met_by(rest) for other, trie in others.items() if names_overlap(name, other))


def is_overlap_allowed(plan: Plan, workstream: str) -> bool:
    """Return whether a workstream allows its tasks to overlap: by its own `overlap`, else by the plan's."""
    return (plan.workstreams[workstream].overlap or plan.overlap) is Overlap.ALLOW


def _has_scope(plan: Plan, workstream: str, task: str) -> bool:
    return plan.workstreams[workstream].tasks[task].scope is not None


def _limits(plan: Plan, workstream: str, task: str) -> list[tuple[str, ...]]:
    """Return the lists of globs of a task; a path that it may write matches all of them."""
    scope = plan.workstreams[workstream].tasks[task].scope
    allowed = [layer.allow for layer in plan.policy_layers(workstream, task)]
    return [tuple(globs) for globs in (scope, *allowed) if globs is not None] or [(ANY_FOLDERS,)]


def _before(plan: Plan, bits: dict[TaskName, int]) -> dict[TaskName, int]:
    """Return for each task the tasks that have ended when it begins, as a sum of their bits."""
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


def _common(sets: Iterable[int]) -> int:
    together = -1
    for one in sets:
        together &= one
    return together


def _all(sets: Iterable[int]) -> int:
    together = 0
    for one in sets:
        together |= one
    return together
