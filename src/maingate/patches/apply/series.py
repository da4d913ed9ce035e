"""Series of patches: our own reading applies them one on the other, one git process checks them all.

The cost of a patch is mostly that of the git process. If patches need nothing in between, one `git apply`
gets all of them, in order, on one private index. If git applies each, none of them moved, and its result is
that of our own reading, then every step is what git alone would have made. Any other case (a conflict, an
offset, a binary, a hunk without context) is left to the caller, who applies one by one.
"""

from collections.abc import Mapping, Sequence

from maingate.git.repository import Repository
from maingate.git.trees import GitEntry, TreeConflictError
from maingate.patches.apply.doubts import may_merge_otherwise
from maingate.patches.apply.expected import ChangeReading, outcome, read_change
from maingate.patches.apply.git_apply import judge_series, private_entries
from maingate.patches.apply.outcomes import Applied, ApplyMethod
from maingate.patches.apply.repairs_made import unlike_stated
from maingate.patches.intake import Intake
from maingate.patches.model import ChangeKind, FileChange


def apply_series(repository: Repository, base_tree: str, intakes: Sequence[Intake]) -> list[Applied] | None:
    """Apply patches one on the other, all exactly; None when that is not possible.

    Args:
        repository: The repository.
        base_tree: The tree that the first is applied on.
        intakes: The patches.

    Raises:
        GitError: git or the disk failed, which means nothing about the patches.
    """
    made: list[Applied] = []
    final: dict[bytes, GitEntry | None] = {}
    tree = base_tree
    for intake in intakes:
        step = read_exactly(repository, tree, intake)
        if step is None:
            return None
        applied, changed = step
        made.append(applied)
        final |= changed
        tree = applied.tree
    return made if _git_agrees(repository, base_tree, intakes, final) else None


def read_exactly(
    repository: Repository, tree: str, intake: Intake
) -> tuple[Applied, Mapping[bytes, GitEntry | None]] | None:
    """Apply one patch by our own reading alone, without git; it writes objects without references.

    Returns:
        The result and the entries that it changed; None where only git can tell.
    """
    if intake.needs_base or intake.is_zero_context or any(change.binary for change in intake.files):
        return None
    readings = [_read(repository, tree, change) for change in intake.files]
    if not all(
        reading.is_exact and not may_merge_otherwise(repository, tree, reading) for reading in readings
    ):
        return None
    wanted = outcome(readings)
    changed = {path: entry for path, entry in wanted.items() if repository.entry_at(tree, path) != entry}
    if not changed or any(_is_in_the_way(repository, tree, reading) for reading in readings):
        return None
    for reading in readings:
        if reading.content is not None:
            repository.write_blob(reading.content)
    try:
        after = repository.splice(tree, changed)
    except TreeConflictError:
        return None
    repairs = (*intake.repairs, *unlike_stated(readings))
    return Applied(tree=after, method=ApplyMethod.EXACT, repairs=repairs), changed


def _read(repository: Repository, tree: str, change: FileChange) -> ChangeReading:
    before = None if change.old_path is None else repository.entry_at(tree, change.old_path)
    return read_change(repository, before if before is not None and before.is_blob else None, change)


def _is_in_the_way(repository: Repository, tree: str, reading: ChangeReading) -> bool:
    """Return whether the path of a new file is taken."""
    change = reading.change
    if change.kind in {ChangeKind.MODIFY, ChangeKind.DELETE} or change.new_path is None:
        return False
    return repository.entry_at(tree, change.new_path) is not None


def _git_agrees(
    repository: Repository, base_tree: str, intakes: Sequence[Intake], final: Mapping[bytes, GitEntry | None]
) -> bool:
    """Return whether git's result of the whole series is that of our own reading."""
    touched = {path for intake in intakes for change in intake.files for path in change.paths}
    before = private_entries(touched, lambda path: repository.entry_at(base_tree, path), repository)
    wanted = {path: entry for path, entry in (before | dict(final)).items() if entry is not None}
    return (
        judge_series(repository.private_git_dir(), before, [intake.render() for intake in intakes]) == wanted
    )
