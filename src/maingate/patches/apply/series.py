"""Several patches in one go: the own reading applies them one on the other, git judges them all at once.

A patch costs mostly the process that judges it. Where patches wait for nothing in between, one `git apply` is
given all of them, in order, on one private index: it applies each on what the one before left. When it says
that every one applies, none of them moved, and what it ends with is what the own reading made step by step,
then each step is what git alone would have made of it. Anything else (a conflict, an offset, a binary, a hunk
without context) is no matter for this short way: the caller applies one by one, and learns there what is
wrong with which.
"""

from collections.abc import Mapping, Sequence

from maingate.git.repository import Repository
from maingate.git.trees import GitEntry, TreeConflictError
from maingate.patches.apply.apply import Applied, ApplyMethod, may_be_meant_elsewhere, unlike_stated
from maingate.patches.apply.expected import Reading, outcome, read_change
from maingate.patches.apply.git_apply import judge_series, private_entries
from maingate.patches.intake import Intake
from maingate.patches.model import ChangeKind, FileChange


def apply_series(repository: Repository, base_tree: str, intakes: Sequence[Intake]) -> list[Applied] | None:
    """Apply patches one on the other, all exactly; None when that short way does not lead through.

    Args:
        repository: Where the tree is.
        base_tree: The tree that the first is applied on.
        intakes: The patches as taken in.

    Raises:
        GitError: Git or the disk failed; it says nothing about the patches.
    """
    made: list[Applied] = []
    final: dict[bytes, GitEntry | None] = {}
    tree = base_tree
    for intake in intakes:
        step = _step(repository, tree, intake)
        if step is None:
            return None
        applied, changed = step
        made.append(applied)
        final |= changed
        tree = applied.tree
    return made if _git_agrees(repository, base_tree, intakes, final) else None


def _step(
    repository: Repository, tree: str, intake: Intake
) -> tuple[Applied, Mapping[bytes, GitEntry | None]] | None:
    """Apply one patch by the own reading alone; what it writes are objects that nobody refers to yet."""
    if intake.needs_base or intake.is_zero_context or any(change.binary for change in intake.files):
        return None
    readings = [_read(repository, tree, change) for change in intake.files]
    if not all(reading.is_exact and not may_be_meant_elsewhere(repository, reading) for reading in readings):
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


def _read(repository: Repository, tree: str, change: FileChange) -> Reading:
    before = None if change.old_path is None else repository.entry_at(tree, change.old_path)
    return read_change(repository, before if before is not None and before.is_blob else None, change)


def _is_in_the_way(repository: Repository, tree: str, reading: Reading) -> bool:
    """Is there something where the change puts a new file?"""
    change = reading.change
    if change.kind in {ChangeKind.MODIFY, ChangeKind.DELETE} or change.new_path is None:
        return False
    return repository.entry_at(tree, change.new_path) is not None


def _git_agrees(
    repository: Repository, base_tree: str, intakes: Sequence[Intake], final: Mapping[bytes, GitEntry | None]
) -> bool:
    """Let git apply the whole series, and hold what it ends with against the own reading."""
    touched = {path for intake in intakes for change in intake.files for path in change.paths}
    before = private_entries(touched, lambda path: repository.entry_at(base_tree, path), repository)
    wanted = {path: entry for path, entry in (before | dict(final)).items() if entry is not None}
    return (
        judge_series(repository.private_git_dir(), before, [intake.render() for intake in intakes]) == wanted
    )
