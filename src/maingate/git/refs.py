"""The refs of a repository: read in this process, moved by git itself, as compare-and-swap.

Git moves refs that others watch, because it alone knows every way in which a repository may store refs and
reflogs. Maingate's own refs, which no other program writes, are written in this process because they are
many.
"""

import os
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Final

from maingate.errors import GitError
from maingate.git.command import run_git
from maingate.git.library import failures, oid, translated
from maingate.git.objects import ObjectStore

PRIVATE_REFS: Final = "refs/maingate/"
"""The folder of Maingate's own refs; only these are written without compare-and-swap."""

_BY_GIT_FROM: Final = 24
"""Refs that git writes in less time than the library, though a process has to be started."""

_ABSENT: Final = "0" * 40

_LOCKED: Final = re.compile(r"Unable to create '([^']+\.lock)': File exists")
"""git's message that a file of refs is locked, at the beginning of eight lines of advice."""


@dataclass(frozen=True, kw_only=True)
class RefChange:
    """One ref to move: None as ``old`` means it must not exist, None as ``new`` deletes it."""

    ref: str
    new: str | None
    old: str | None


@dataclass(frozen=True, kw_only=True)
class RefMoved:
    """A ref was not at its expected commit, so nothing was changed."""

    ref: str
    expected: str | None
    found: str | None


class RefStore(ObjectStore):
    """The refs of a repository, over its objects."""

    def ref_value(self, ref: str) -> str | None:
        """Return the id that a ref points to; None when there is no such ref, or none can have that name."""
        try:
            return str(self.handle.lookup_reference(ref).resolve().target)
        except (KeyError, ValueError):
            return None
        except failures() as error:
            raise GitError(f"the ref {ref} could not be read: {error}") from error

    def final_name(self, ref: str) -> str:
        """Return the ref that moves: the target of a symbolic ref."""
        with translated(f"read {ref}"):
            return str(self.handle.lookup_reference(ref).resolve().name)

    def refs_under(self, prefix: str) -> dict[str, str]:
        """Return the refs whose names start with a prefix, with their commits."""
        with translated(f"list the refs under {prefix}"):
            names = [name for name in self.handle.listall_references() if name.startswith(prefix)]
        found = {name: self.ref_value(name) for name in names}
        return {name: value for name, value in found.items() if value is not None}

    def update_ref(
        self, ref: str, new: str | None, old: str | None, *, message: str, keep_open: Sequence[int] = ()
    ) -> RefMoved | None:
        """Move one ref if it is at its expected commit; see ``update_refs``."""
        return self.update_refs([RefChange(ref=ref, new=new, old=old)], message=message, keep_open=keep_open)

    def update_refs(
        self, changes: Sequence[RefChange], *, message: str, keep_open: Sequence[int] = ()
    ) -> RefMoved | None:
        """Move refs by compare-and-swap, all of them or none.

        Args:
            changes: The moves; if a ref is not at its ``old``, none is made.
            message: The text of the reflog after ``maingate: ``.
            keep_open: Descriptors that git inherits: their locks are held until it has ended.

        Returns:
            None when all have moved, else a ref that was elsewhere, with its commit.

        Raises:
            GitError: git could not do it for another reason.
        """
        text = b"".join(
            b"update %s\0%s\0%s\0"
            % (os.fsencode(c.ref), (c.new or _ABSENT).encode(), (c.old or _ABSENT).encode())
            for c in changes
        )
        try:
            run_git(
                "update-ref",
                "-m",
                f"maingate: {message}",
                "--stdin",
                "-z",
                git_dir=self.git_dir,
                input=text,
                keep_open=keep_open,
            )
        except GitError as error:
            for change in changes:
                found = self.ref_value(change.ref)
                if found != change.old:
                    return RefMoved(ref=change.ref, expected=change.old, found=found)
            if (lock := _LOCKED.search(error.stderr)) is not None:
                raise _held(lock[1], error) from error
            raise
        return None

    def keep(self, ref: str, commit: str) -> None:
        """Point one of Maingate's own refs at a commit, so that it is never garbage-collected.

        Raises:
            ValueError: The ref is not under ``refs/maingate/``.
            GitError: It could not be written.
        """
        _refuse_foreign(ref)
        with translated(f"write {ref}"):
            self.handle.references.create(ref, oid(commit), force=True)

    def keep_all(self, commits: Mapping[str, str]) -> None:
        """Point each of some of Maingate's own refs at a commit; many by one git process.

        Args:
            commits: The commits, by the full names of the refs.

        Raises:
            ValueError: A ref is not under ``refs/maingate/``.
            GitError: They could not be written.
        """
        if len(commits) < _BY_GIT_FROM:
            for ref, commit in commits.items():
                self.keep(ref, commit)
            return
        for ref in commits:
            _refuse_foreign(ref)
        text = b"".join(
            b"update %s\0%s\0\0" % (os.fsencode(ref), commit.encode()) for ref, commit in commits.items()
        )
        run_git("update-ref", "--stdin", "-z", git_dir=self.git_dir, input=text)

    def forget(self, ref: str) -> None:
        """Delete one of Maingate's own refs, if it exists.

        Raises:
            ValueError: The ref is not under ``refs/maingate/``.
            GitError: It could not be deleted.
        """
        _refuse_foreign(ref)
        if self.ref_value(ref) is not None:
            with translated(f"delete {ref}"):
                self.handle.references.delete(ref)

    def unlock(self, prefix: str) -> None:
        """Remove the locks that a killed process left on some of Maingate's own refs.

        Only for a caller that knows that no process writes them: their run is over, or its target is held.

        Args:
            prefix: A folder of refs, such as ``refs/maingate/<run>/``.

        Raises:
            ValueError: It is not under ``refs/maingate/``.
            GitError: One cannot be removed.
        """
        _refuse_foreign(prefix)
        try:
            for lock in (self.git_dir / prefix).rglob("*.lock"):
                lock.unlink(missing_ok=True)
        except OSError as error:
            raise GitError(f"a lock under {prefix} could not be removed: {error}") from error


def _refuse_foreign(ref: str) -> None:
    if not ref.startswith(PRIVATE_REFS):
        raise ValueError(f"{ref} is not one of Maingate's own refs ({PRIVATE_REFS}…)")


def _held(lock: str, error: GitError) -> GitError:
    """Return the error that another git has locked refs, or left them locked."""
    message = (
        f"{lock} is there: another git is moving refs just now, or one that was killed has left it; "
        "nothing was moved. When no git is running there, remove it, and try again"
    )
    return GitError(message, command=error.command, exit_code=error.exit_code, stderr=error.stderr)
