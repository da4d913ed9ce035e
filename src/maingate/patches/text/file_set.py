"""One change per file: several parts about one file are merged if that is certain, else refused."""

from collections import Counter
from collections.abc import Sequence
from dataclasses import replace
from itertools import chain

from maingate.patches.model import ChangeKind, FileChange, Hunk, HunkDoubt
from maingate.patches.repair_record import Repair, RepairKind
from maingate.patches.text.lines import DiffError
from maingate.patches.text.quoting import show_path

_REMOVERS = frozenset({ChangeKind.DELETE, ChangeKind.RENAME})


def one_change_per_file(changes: Sequence[FileChange]) -> tuple[tuple[FileChange, ...], list[Repair]]:
    """Merge parts that change the same file, and refuse sets of parts that lead to no single tree.

    A file may be deleted and added again (git's form of a change of type), and be the source of one change
    and the target of another.

    Returns:
        The changes, each file once, and the repairs of merged parts.

    Raises:
        DiffError: Two parts claim one file in ways that cannot be merged.
    """
    writers = Counter(change.new_path for change in changes if change.new_path is not None)
    merges: list[Repair] = []
    if writers and max(writers.values()) > 1:
        changes = _merged(changes, {path for path, count in writers.items() if count > 1})
        merges = [
            Repair(
                kind=RepairKind.PARTS,
                said=f"{count} parts about this file were merged",
                file=path,
                was=count,
                now=1,
            )
            for path, count in writers.items()
            if count > 1
        ]
    _refuse_clashes(changes)
    return tuple(changes), merges


def _merged(changes: Sequence[FileChange], paths: set[bytes]) -> list[FileChange]:
    parts: dict[bytes, list[FileChange]] = {path: [] for path in paths}
    for change in changes:
        if change.new_path is not None and change.new_path in parts:
            parts[change.new_path].append(change)
    out: list[FileChange] = []
    for change in changes:
        if change.new_path is None or change.new_path not in paths:
            out.append(change)
        elif (group := parts.pop(change.new_path, None)) is not None:
            out.append(_merge(group))
    return out


def _merge(parts: Sequence[FileChange]) -> FileChange:
    """Merge parts that only change lines; later ones may refer to the base or to the changed file.

    If the earlier parts move no lines, both are the same. Else the base must decide the place of each hunk.
    """
    first = parts[0]
    if any(
        part.kind is not ChangeKind.MODIFY or not part.hunks or part.old_mode != part.new_mode
        for part in parts
    ):
        raise DiffError(
            f"several parts of the patch make or change {show_path(first.path)}; put them into one"
        )
    hunks: list[Hunk] = []
    for part in parts:
        if all(hunk.insertions == hunk.deletions for hunk in hunks):
            hunks += [replace(hunk, doubt=HunkDoubt.COUNTS) for hunk in part.hunks]
        else:
            hunks += [replace(hunk, old_start=None, doubt=HunkDoubt.PLACE) for hunk in part.hunks]
    doubts = frozenset(chain.from_iterable(part.doubts for part in parts))
    return replace(first, hunks=tuple(hunks), doubts=doubts, new_blob=None)


def _refuse_clashes(changes: Sequence[FileChange]) -> None:
    removed = Counter(change.old_path for change in changes if change.kind in _REMOVERS)
    modified = {change.path for change in changes if change.kind is ChangeKind.MODIFY}
    made: set[bytes] = set()
    for change in changes:
        path = change.old_path
        if change.kind in _REMOVERS and (removed[path] > 1 or path in modified):
            raise DiffError(f"several parts of the patch change or remove {show_path(change.paths[0])}")
        if change.kind is ChangeKind.DELETE and path in made:
            raise DiffError(f"the patch makes {show_path(change.path)} and deletes it afterwards")
        if change.kind is ChangeKind.ADD:
            made.add(change.path)
