"""The new files of a checkout, made beside it before anything is changed, with the index that goes with them.

git itself makes them: `git read-tree -m -u` on a copy of the index, with an empty folder as its working tree,
so that the person's filters, line endings and sparse patterns decide as they would at a `git checkout`. A
filter that fails or hangs, and a disk that is full, are known before the branch moves; then the
files only have to be renamed.
"""

import os
import re
import shlex
import shutil
import sys
from collections.abc import Iterable, Mapping, Sequence
from datetime import timedelta
from pathlib import Path
from typing import Final

from maingate.errors import GitError
from maingate.git.command import GitResult
from maingate.git.private_git import own_directory
from maingate.git.private_index import write_index
from maingate.git.trees import GitEntry
from maingate.landing.checkouts.working_trees import Checkout

_SUBMODULE: Final = 0o160000
_OF_FILTERS: Final = r"^filter\..*\.(clean|smudge|process)$"
_ATTEMPTS: Final = 3
"""Attempts of a git command that a signal ended, such as a supervisor's to all processes."""

Signature = tuple[int, ...]
Back = Mapping[bytes, GitEntry | None]


class CheckoutStage:
    """A folder beside a checkout's own git directory; ``remove`` ends it.

    Args:
        checkout: Whose files are made.
        folder: Where.
        timeout: How long git and the person's filters may take for it.
    """

    def __init__(self, checkout: Checkout, folder: Path, timeout: timedelta) -> None:
        self._checkout, self.folder, self._timeout = checkout, folder, timeout
        self.index, self.tree = folder / "index", folder / "tree"
        self._copied: Signature | None = None
        self._wrapped: dict[str, str] | None = None

    @property
    def is_current(self) -> bool:
        """Return whether the checkout's index is still the one that was copied."""
        return self._copied == _signature(self._checkout.index)

    def make(self, old: str, new: str, back: Back | None = None) -> tuple[str, ...]:
        """Write the files that change between two trees, and the index that goes with them.

        Args:
            old: The tree its files are at.
            new: The tree they go to.
            back: Entries that the copy of the index gets first: git makes only what the index lacks.

        Returns:
            Nothing, or sentences that say why git cannot.

        Raises:
            GitError: The disk, or git, refuses altogether.
        """
        self.remove()
        try:
            self.tree.mkdir(parents=True)
            self._copied = _signature(self._checkout.index)
            if self._copied is not None:
                shutil.copyfile(self._checkout.index, self.index)
        except OSError as error:
            raise GitError(f"{self.folder} cannot be made: {error}; nothing was changed") from error
        if back:
            self.set_entries(back)
        words = ("read-tree", "-m", "-u", "--no-recurse-submodules", old, new)
        return _complaints(self._asked(*words, index=self.index, tree=self.tree))

    def set_entries(self, entries: Back) -> None:
        """Set the entries of the index at some paths, without cached facts about their files."""
        gone = b"".join(b"0 %s\t%s\0" % (b"0" * 40, path) for path, entry in entries.items() if entry is None)
        there = b"".join(
            b"%o %s 0\t%s\0" % (entry.mode, entry.id.encode(), path)
            for path, entry in entries.items()
            if entry is not None
        )
        words = ("update-index", "--add", "--replace", "-z", "--index-info")
        self._checkout.git(*words, index=self.index, tree=self.tree, input=gone + there)

    def is_sparse(self) -> bool:
        """Return whether the checkout leaves files out that are in its index."""
        said = self._checkout.git("config", "--type=bool", "--get", "core.sparseCheckout", check=False)
        return said.stdout.strip() == b"true"

    def differing(self, entries: Mapping[bytes, GitEntry]) -> set[bytes]:
        """Return which of some files differ in the checkout from these entries, as git and filters see it."""
        plain = {path: entry for path, entry in entries.items() if entry.mode != _SUBMODULE}
        if not plain:
            return set()
        with own_directory() as folder:
            write_index(folder / "index", plain)
            options = ("--name-only", "-z", "--no-renames", "--ignore-submodules=all", "--no-ext-diff")
            settings = ("-c", "diff.autoRefreshIndex=true", "-c", "diff.relative=false")
            said = self._asked(*settings, "diff", *options, index=folder / "index")
        if said.code != 0:
            raise GitError(f"git cannot compare {self._checkout.top}: {'; '.join(_complaints(said))}")
        return {path for path in said.stdout.split(b"\0") if path}

    def same_as_checked_out(self, entries: Mapping[bytes, GitEntry]) -> set[bytes]:
        """Return those of some files that are, byte for byte, what git would check out for these entries.

        Where a file was stored against its own attributes git calls it changed, although it is not.
        """
        plain = {path: entry for path, entry in entries.items() if entry.mode != _SUBMODULE}
        if not plain:
            return set()
        with own_directory() as folder:
            write_index(folder / "index", plain)
            words = ("checkout-index", "-q", "-f", "-a", f"--prefix={folder}/tree/")
            said = self._asked(*words, index=folder / "index")
            if said.code != 0:
                return set()
            return {path for path in plain if self._is_same(folder / "tree", path)}

    def is_in_place(self, path: bytes) -> bool:
        """Return whether a file of the checkout is the one that was made for it."""
        return self._is_same(self.tree, path)

    def refresh(self) -> None:
        """Refresh the facts about the files in the index, so that git need not read them again."""
        self._asked("update-index", "-q", "--refresh", index=self.index)

    def remove(self) -> None:
        """Remove all of it; again is harmless."""
        shutil.rmtree(self.folder, ignore_errors=True)

    def _is_same(self, tree: Path, path: bytes) -> bool:
        top = self._checkout.top
        return has_real_parents(top, path) and is_same(at(tree, path), at(top, path))

    def _asked(self, *words: str, index: Path, tree: Path | None = None) -> GitResult:
        """Run git with the person's filters; again where a signal has ended it."""
        seconds = self._timeout.total_seconds()
        for _ in range(_ATTEMPTS):
            env = self._filters()
            result = self._checkout.git(*words, index=index, tree=tree, env=env, check=False, timeout=seconds)
            if result.code >= 0:
                break
        return result

    def _filters(self) -> dict[str, str]:
        """Return settings that run filters at the top of the person's working tree, as git does."""
        if self._wrapped is None:
            said = self._checkout.git("config", "-z", "--get-regexp", _OF_FILTERS, check=False)
            pairs = [os.fsdecode(each).partition("\n") for each in said.stdout.split(b"\0") if each]
            self._wrapped = _as_environment(
                [(name, self._at_the_top(command)) for name, _, command in pairs if command]
            )
        return self._wrapped

    def _at_the_top(self, command: str) -> str:
        return f"cd {shlex.quote(str(self._checkout.top))} && unset GIT_WORK_TREE GIT_INDEX_FILE && {command}"


def at(top: Path, path: bytes) -> bytes:
    """Return where a path is below a folder, as bytes."""
    return os.path.join(os.fsencode(top), path)  # noqa: PTH118 - names are bytes


def signature(top: Path, path: bytes) -> Signature | None:
    """Return the signature of a path below a folder, without following links; None when it is absent."""
    return _signature(at(top, path)) if has_real_parents(top, path) else None


def has_real_parents(top: Path, path: bytes) -> bool:
    """Return whether all folders of a path are folders, and not links that lead elsewhere."""
    parts = path.split(b"/")[:-1]
    return not any(
        os.path.islink(at(top, b"/".join(parts[:length])))  # noqa: PTH114 - names are bytes
        for length in range(1, len(parts) + 1)
    )


def is_same(one: bytes, other: bytes) -> bool:
    """Return whether two files, or links, are the same in kind, content and mode."""
    try:
        first, second = os.lstat(one), os.lstat(other)
    except (FileNotFoundError, NotADirectoryError):
        return False
    if (first.st_mode ^ second.st_mode) & 0o170100:
        return False
    if os.path.islink(one):  # noqa: PTH114 - names are bytes
        return os.readlink(one) == os.readlink(other)  # noqa: PTH115 - names are bytes
    if not os.path.isfile(one) or first.st_size != second.st_size:  # noqa: PTH113 - names are bytes
        return False
    with open(one, "rb") as left, open(other, "rb") as right:  # noqa: PTH123 - names are bytes
        return all(a == b for a, b in iter(lambda: (left.read(1 << 20), right.read(1 << 20)), (b"", b"")))


def new_stage(checkout: Checkout, timeout: timedelta, name: str) -> CheckoutStage:
    """Describe a stage that is not made yet."""
    return CheckoutStage(checkout, checkout.git_dir / f"maingate-stage-{name}", timeout)


def remove_stages(checkout: Checkout) -> None:
    """Remove the remains of killed processes beside a checkout; its branch's record must be held."""
    for path in checkout.git_dir.glob("maingate-*"):
        if path.is_dir() and not path.is_symlink():
            shutil.rmtree(path, ignore_errors=True)
        else:
            path.unlink(missing_ok=True)


def _as_environment(pairs: Sequence[tuple[str, str]]) -> dict[str, str]:
    """Return settings as variables: `git -c` cannot take every name of a filter."""
    env = {"GIT_CONFIG_COUNT": str(len(pairs))}
    for number, (name, value) in enumerate(pairs):
        env |= {f"GIT_CONFIG_KEY_{number}": name, f"GIT_CONFIG_VALUE_{number}": value}
    return env


def _signature(path: Path | bytes) -> Signature | None:
    try:
        there = os.lstat(path)
    except (FileNotFoundError, NotADirectoryError):
        return None
    return (there.st_mode, there.st_ino, there.st_size, there.st_mtime_ns, there.st_ctime_ns)


def _complaints(result: GitResult) -> tuple[str, ...]:
    if result.code == 0:
        return ()
    lines = [re.sub("^(error|fatal|warning): ", "", line).strip() for line in result.stderr.splitlines()]
    return tuple(dict.fromkeys(line for line in lines if line)) or (f"git exited with {result.code}",)


def paths_of(found: Iterable[bytes]) -> list[str]:
    """Return paths as people may read them."""
    return [
        os.fsdecode(path).encode(sys.getfilesystemencoding(), "backslashreplace").decode() for path in found
    ]
