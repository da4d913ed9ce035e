"""Symbolic links in a patch: their targets, and writing through them.

Git stores a link as a blob with its target and does not check it: it accepts a link to ``/etc/passwd``.
"""

from collections.abc import Callable, Iterator, Sequence
from itertools import pairwise
from typing import Final, Protocol

from maingate.patches.model import SYMLINK, ChangeKind, FileChange, patched
from maingate.patches.policy.unsafe_paths import is_dot_git, path_fault, text_of

_MOST_STEPS: Final = 256
_MOST_LINKS: Final = 40


class TreeEntry(Protocol):
    """An entry at a path of the base."""

    @property
    def mode(self) -> int:
        """Git's mode."""
        ...

    @property
    def data(self) -> bytes:
        """A link's target; used for links only."""
        ...


EntryAt = Callable[[bytes], TreeEntry | None]


class Links:
    """The symbolic links of the tree that a patch makes: those of the base with the patch's changes."""

    def __init__(self, changes: Sequence[FileChange], entry_at: EntryAt) -> None:
        self._entry_at = entry_at
        self._base: dict[bytes, bytes | None] = {}
        self.removed = {
            change.old_path
            for change in changes
            if change.kind in (ChangeKind.DELETE, ChangeKind.RENAME) and change.old_path is not None
        }
        self.made: dict[bytes, bytes | None] = {}
        """Links that the patch makes or changes, with their targets; None when a target is unknown."""
        for change in changes:
            if change.new_path is not None and self._makes_link(change):
                self.made[change.new_path] = self._new_target(change)
            elif change.new_path is not None:
                self.removed.add(change.new_path)

    def in_base(self, path: bytes) -> bytes | None:
        """Return the target of the link at a path of the base, or None when there is no link."""
        if path not in self._base:
            entry = self._entry_at(path)
            self._base[path] = entry.data if entry is not None and entry.mode == SYMLINK else None
        return self._base[path]

    def passed_by(self, path: bytes, *, is_written: bool) -> bytes | None:
        """Return the link that a path goes through, or None.

        Args:
            path: A path that the patch touches.
            is_written: Whether it exists afterwards: then the links of the new tree count. A path that is
                only removed may make room for a link.
        """
        target_of = self._target if is_written else self.in_base
        return next((prefix for prefix in _prefixes(path) if target_of(prefix) is not None), None)

    def fault_of(self, link: bytes) -> str | None:
        """Return why a link of the patch is forbidden; None when its target is in the repository."""
        target = self.made[link]
        if target is None:
            return "its target cannot be told from the patch"
        if not target or b"\0" in target:
            return "its target is empty or damaged"
        if _climbs_late(target):
            return (
                "it goes down and up again, so that where it leads depends on other paths; write it plainly"
            )
        stack = link.split(b"/")[:-1]
        return self._walk(stack, target)

    def _walk(self, stack: list[bytes], target: bytes) -> str | None:
        """Follow a target, through other links too, from the folder on the stack."""
        todo = _steps(target)
        links = 0
        for _ in range(_MOST_STEPS):
            if todo is None:
                return "it leads to an absolute path"
            if not todo:
                return None
            step = todo.pop()
            if step == b"..":
                if not stack:
                    return "it leads out of the repository"
                stack.pop()
                continue
            stack.append(step)
            if is_dot_git(text_of(step)):
                return "it leads into .git"
            following = self._target(b"/".join(stack))
            if following is not None:
                links += 1
                if links > _MOST_LINKS:
                    return None
                stack.pop()
                more = _steps(following)
                todo = None if more is None else todo + more
        return "its target has too many steps"

    def _target(self, path: bytes) -> bytes | None:
        if path in self.made:
            return self.made[path] or b"."
        return None if path in self.removed else self.in_base(path)

    def _makes_link(self, change: FileChange) -> bool:
        if change.new_mode is not None:
            return change.new_mode == SYMLINK
        return change.old_path is not None and self.in_base(change.old_path) is not None

    def _new_target(self, change: FileChange) -> bytes | None:
        base = b"" if change.old_path is None else self.in_base(change.old_path)
        target = None if base is None else patched(base, change)
        if target is None and change.hunks:
            return b"".join(change.hunks[0].new_lines())
        return target


def _prefixes(path: bytes) -> Iterator[bytes]:
    at = path.find(b"/")
    while at >= 0:
        yield path[:at]
        at = path.find(b"/", at + 1)


def _climbs_late(target: bytes) -> bool:
    """Return whether a name comes before a ``..``: a later link of that name would change the target."""
    steps = _steps(target) or []
    return any(step == b".." and name != b".." for step, name in pairwise(steps))


def _steps(target: bytes) -> list[bytes] | None:
    """Return the steps of a target, last first; None when it is absolute. A backslash separates, too."""
    if path_fault(target) == "absolute":
        return None
    steps = target.replace(b"\\", b"/").split(b"/")
    return [step for step in reversed(steps) if step not in (b"", b".")]
