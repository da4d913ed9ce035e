"""The trial of items that are to land: which of them conflict with the target, or with one another.

Each item is put on the target, with what it needs. The items that change the same paths are then merged pair
by pair. Nothing moves: no ref, no worktree, and the objects go where the given repository writes them (a
scratch: `git.scratch_repository`). An item that conflicts with one ahead is held, not refused: it is tried
again when that one has left. Gates are not run.
"""

from collections import defaultdict
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import replace
from typing import Final

from maingate.commits import Tip
from maingate.errors import MissingObjectError
from maingate.git.repository import Repository, Target
from maingate.landing.trial.grounds import Grounds
from maingate.landing.trial.pairs import Folders, ItemPair, Own, SharedPaths, conflicts_of, first_of
from maingate.landing.trial.values import Conflict, ConflictTrial, Placed, TrialItem, TrialState, TriedItem
from maingate.patches.text.quoting import show_path
from maingate.reasons import Reason, ReasonCode
from maingate.wording import listed, short

_SHOWN: Final = 5


def try_items(
    repository: Repository, target: Target, items: Sequence[TrialItem], *, into: str | None = None
) -> ConflictTrial:
    """Find which items conflict with the target, or with one another.

    Args:
        repository: The repository that trees are read from and written to.
        target: The branch, and the commit to try on.
        items: The items in the order in which they land, each after those that it needs.
        into: Full name of the branch whose ``mergeOptions`` count; None where items are rebased.
    """
    trial = _Trial(repository, target, items, into)
    with_target = [found for found in map(_with_target, trial.tried) if found is not None]
    conflicts = [*with_target, *trial.between()]
    conflicts.sort(key=lambda found: trial.numbers[found.item])
    return ConflictTrial(
        target=target.ref,
        commit=target.commit,
        items=tuple(_with_holds(items, trial.tried, conflicts)),
        conflicts=tuple(conflicts),
        pairs_left_out=trial.left_out,
    )


class _Trial:
    """The items, each placed on the target, and the pairs that change the same paths."""

    def __init__(
        self, repository: Repository, target: Target, items: Sequence[TrialItem], into: str | None
    ) -> None:
        self._repository, self._items, self._into = repository, items, into
        self._grounds = Grounds(repository, target.commit, into=into)
        self._head = repository.tree_of(target.commit)
        self._shared = SharedPaths()
        self._pairs: list[tuple[int, int]] = []
        self.numbers = {item.name: number for number, item in enumerate(items)}
        self.tried: list[TriedItem] = []
        self.left_out = 0
        for item in items:
            self.tried.append(self._try(item))

    def _try(self, item: TrialItem) -> TriedItem:
        direct = [self.numbers[need] for need in item.needs if need in self.numbers]
        needs, needed = self._grounds.needs_of(direct), [self.tried[number] for number in direct]
        onto = self._grounds.with_all(needs)
        if (blocked := _without_its_needs(item, needed)) is not None:
            self._grounds.stays_out(needs)
            return blocked
        if onto is None:
            self._grounds.stays_out(needs)
            names = listed([need.name for need in needed])
            return _untried(item, f"{short(item.name)} needs {names}, which conflict with one another")
        tried, placed = self._placed(item, onto)
        if placed is not None and tried.is_open:
            self._place(item, needs, onto, placed)
        else:
            self._grounds.stays_out(needs)
        return tried

    def _placed(self, item: TrialItem, onto: Tip) -> tuple[TriedItem, tuple[str, Own] | None]:
        """Place an item on a commit; return its result, and its tree with what it changes there."""
        try:
            placed = item.place(onto)
            own = self._repository.changed_paths(onto.tree, placed.tree)
            self._require_content(own)
        except MissingObjectError as error:
            return _untried(item, f"{short(item.name)} cannot be tried: {error}"), None
        return _found(item, onto, placed), (placed.tree, own)

    def _place(self, item: TrialItem, needs: int, onto: Tip, placed: tuple[str, Own]) -> None:
        number, (tree, own) = len(self.tried), placed
        self._grounds.place(needs, onto, tree, own, item.commit)
        shared = self._shared.add(number, own, Folders.of(self._repository, own, tree))
        met = [ahead for ahead in shared if not self._grounds.is_needed(ahead, number)]
        chosen = first_of(met, len(self._items))
        self.left_out += len(met) - len(chosen)
        self._pairs += [(ahead, number) for ahead in chosen]

    def _require_content(self, own: Own) -> None:
        """Raise if content that a merge would read is missing, as in a partial clone.

        Raises:
            MissingObjectError: It is.
        """
        for path, entries in own.items():
            for entry in entries:
                if entry is not None and entry.is_blob and not self._repository.has_object(entry.id):
                    raise MissingObjectError(f"the content of {show_path(path)} is missing ({entry.id})")

    def between(self) -> Iterator[Conflict]:
        """Yield the conflicts of the items with one another."""
        names: list[tuple[str, str]] = []
        pairs: list[ItemPair] = []
        for ahead, behind in self._pairs:
            pair = self._grounds.pair(ahead, behind)
            if pair is not None:
                names.append((self._items[ahead].name, self._items[behind].name))
                pairs.append(replace(pair, judge=self._items[behind].judge))
        found = conflicts_of(self._repository, pairs, rules_of=self._head, into=self._into)
        for (ahead_name, name), paths in zip(names, found, strict=True):
            if paths:
                yield Conflict(item=name, other=ahead_name, paths=tuple(map(show_path, paths)))


def _without_its_needs(item: TrialItem, needed: Sequence[TriedItem]) -> TriedItem | None:
    """Return the result of an item that cannot be tried for what it needs; None where it can be."""
    if lost := [need.name for need in needed if need.state is TrialState.REFUSED]:
        message = f"{short(item.name)} needs {listed(lost)}, which could not land"
        reason = Reason(code=ReasonCode.DEPENDENCY_FAILED, message=message, detail={"needs": lost})
        return _result(item, TrialState.REFUSED, reason)
    if unknown := [need.name for need in needed if need.state is TrialState.UNTRIED]:
        return _untried(item, f"{short(item.name)} needs {listed(unknown)}, of which not all is there yet")
    return None


def _found(item: TrialItem, onto: Tip, placed: Placed) -> TriedItem:
    """Return the result of an item by how it went onto the target."""
    if placed.refusal is not None:
        tried = _result(item, TrialState.REFUSED, placed.refusal)
    elif placed.untried is not None:
        tried = _untried(item, placed.untried)
    elif placed.tree == onto.tree:
        message = f"the target has all of {short(item.name)}"
        tried = _result(
            item, TrialState.ALREADY_APPLIED, Reason(code=ReasonCode.ALREADY_APPLIED, message=message)
        )
    else:
        tried = _result(item, TrialState.CLEAR)
    return replace(tried, passed_over=placed.passed_over)


def _result(item: TrialItem, state: TrialState, reason: Reason | None = None) -> TriedItem:
    return TriedItem(name=item.name, state=state, reason=reason, is_critical=item.is_critical)


def _untried(item: TrialItem, why: str) -> TriedItem:
    return replace(_result(item, TrialState.UNTRIED), untried=why)


def _with_target(tried: TriedItem) -> Conflict | None:
    if tried.reason is None or tried.reason.code is not ReasonCode.CONFLICT:
        return None
    return Conflict(item=tried.name, other=None, paths=tuple(tried.reason.detail.get("paths", ())))


def _with_holds(
    items: Sequence[TrialItem], tried: Sequence[TriedItem], conflicts: Iterable[Conflict]
) -> Iterator[TriedItem]:
    """Yield the results of the items, with those held that conflict with one ahead, or need one that is held.

    One that is held itself holds no other: those that conflict with it go ahead of it.
    """
    ahead: defaultdict[str, list[Conflict]] = defaultdict(list)
    for found in conflicts:
        if found.other is not None:
            ahead[found.item].append(found)
    held: set[str] = set()
    for item, result in zip(items, tried, strict=True):
        on_board = [found for found in ahead[item.name] if found.other not in held]
        reason = _why_held(item, on_board, [need for need in item.needs if need in held])
        if result.is_open and reason is not None:
            held.add(item.name)
            yield replace(result, state=TrialState.HELD, reason=reason)
        else:
            yield result


def _why_held(item: TrialItem, ahead: Sequence[Conflict], held: Sequence[str]) -> Reason | None:
    if ahead:
        names = [str(each.other) for each in ahead]
        paths = sorted({path for each in ahead for path in each.paths})
        message = (
            f"{short(item.name)} conflicts with {listed(names)} in {listed(paths, _SHOWN)}: it would be held "
            "until that has landed or left"
        )
        return Reason(code=ReasonCode.CONFLICT, message=message, detail={"with": names, "paths": paths})
    if held:
        message = f"{short(item.name)} needs {listed(held)}, which would be held"
        return Reason(code=ReasonCode.DEPENDENCY_FAILED, message=message, detail={"needs": list(held)})
    return None
