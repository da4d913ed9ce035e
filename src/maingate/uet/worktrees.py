"""A worktree slot: the folder in which gates see a commit, one after the other.

A slot holds ``tree/``, the work tree; ``control/``, the git directory that Maingate itself uses to move
the tree; and ``scratch/``, the temporary folder of the job. It is a shared clone (design, Patches and git):
objects are borrowed through alternates from the person's repository, nothing else is. What a gate sees as
``tree/.git`` is one more repository, written anew for every job, in which it may commit, stash, tag and
configure what it likes; nobody reads it afterwards.

A move restores exactly the commit, whatever the gate before did: ``TreeManifest`` finds what does not belong,
git restores what changed. Where ``Stillness`` proves that a slot at the commit was not touched, there is
nothing to restore. If anything about the slot is off, the slot is destroyed and built again.
"""

# This runs before every job, and pathlib costs more than what is asked of the system.
# ruff: noqa: PTH208

import contextlib
import json
import os
import stat
from collections.abc import Collection, Sequence
from pathlib import Path
from typing import Final

from maingate.errors import GitError, WorktreeError
from maingate.faultpoints import reach
from maingate.uet.git import run_git
from maingate.uet.index_attributes import attribute_files
from maingate.uet.removal import kind_of, remove
from maingate.uet.stillness import FEW, Stillness, content_of
from maingate.uet.tool_capture import Capture, Captured, Ground, capture_tree
from maingate.uet.tree_manifest import KeepRules, OwnerChangedError, TreeManifest

_OFF: Final = (GitError, OSError, OwnerChangedError)
"""What tells that a slot is not as it was left."""

_CONTROL_CONFIG: Final = "[core]\n\trepositoryformatversion = 0\n\tbare = false\n\tlogallrefupdates = false\n"
_VISIBLE_CONFIG: Final = "[core]\n\trepositoryformatversion = 0\n\tbare = false\n\tlogallrefupdates = true\n"
_GATES_CONFIG: Final = (
    "[user]\n\tname = Maingate\n\temail = maingate@localhost\n"
    "[init]\n\tdefaultBranch = main\n[gc]\n\tauto = 0\n[maintenance]\n\tauto = false\n"
)
"""The git configuration of gates in place of the person's: theirs to write to, no signing, no background."""


_NOT_OURS: Final = ("info", "hooks", "packed-refs", "config.worktree", "commondir", "refs/replace")
"""What the control directory never has, and git would go by."""


_Place = tuple[str, tuple[bytes, ...], bytes | None]
"""A commit, what is kept beside it, and where the source's history ends."""


class Worktree:
    """One slot. Not for two processes at once: whoever made it holds its lock.

    Args:
        slot_dir: The slot's folder; made when it is missing, reused when it is there.
        source_git_dir: The common git directory of the repository whose objects are borrowed.
    """

    def __init__(self, slot_dir: Path, source_git_dir: Path) -> None:
        self.slot_dir, self._source = slot_dir.absolute(), source_git_dir.absolute()
        self.tree = self.slot_dir / "tree"
        self._control = self.slot_dir / "control"
        self._scratch = self.slot_dir / "scratch"
        self._prepared = self.slot_dir / "prepared"
        self._manifest: TreeManifest | None = None
        self._index: bytes | None = None
        self._place: _Place | None = None
        self._stillness: Stillness | None = None

    def move(self, commit: str, *, keep: Sequence[str] = ()) -> None:
        """Make the tree exactly that commit, with a fresh ``.git`` and a fresh scratch folder.

        Args:
            commit: The full id of a commit of the source repository.
            keep: Untracked paths that stay: a name at any depth, or a path from the root; globs are allowed.

        Raises:
            WorktreeError: It could not be done, not even in a slot built anew.
        """
        rules = KeepRules(keep)
        try:
            try:
                self._move(commit, rules)
            except _OFF:
                self._forget()
                self._see_commit(commit)
                self.destroy()
                self._move(commit, rules)
        except _OFF as error:
            self._forget()
            raise WorktreeError(f"the worktree {self.tree} cannot be moved to {commit}: {error}") from error

    def destroy(self) -> None:
        """Remove the slot with all it holds; what symbolic links in it point to stays.

        Raises:
            OSError: Something in it cannot be removed.
        """
        self._forget()
        remove(os.fsencode(self.slot_dir))

    def environment(self) -> dict[str, str]:
        """Return the variables by which a gate keeps to its slot: temporary folder and git configuration."""
        scratch = str(self._scratch / "tmp")
        return {
            "TMPDIR": scratch,
            "TMP": scratch,
            "TEMP": scratch,
            "GIT_CONFIG_GLOBAL": str(self._scratch / "gitconfig"),
            "GIT_TERMINAL_PROMPT": "0",
        }

    def sweep(self) -> None:
        """Remove the scratch folder of the job that ended.

        Raises:
            WorktreeError: Something in it cannot be removed.
        """
        try:
            if not self._is_scratch_fresh():
                remove(os.fsencode(self._scratch))
        except OSError as error:
            raise WorktreeError(f"{self._scratch} cannot be removed: {error}") from error

    def begin(self, prompt: str) -> tuple[Path, int]:
        """Get ready for a tool: write down its prompt, where its edits cannot reach it by accident.

        Returns:
            The prompt's file, and the time of the file system now, in nanoseconds.

        Raises:
            WorktreeError: It cannot be written.
        """
        path = self._scratch / "prompt.md"
        try:
            path.write_text(prompt, encoding="utf-8", errors="surrogateescape")
            os.utime(self.slot_dir)
            return path, self.slot_dir.lstat().st_ctime_ns
        except OSError as error:
            raise WorktreeError(f"{path} cannot be written: {error}") from error

    def capture(
        self,
        wanted: Capture,
        *,
        commit: str,
        keep: Sequence[str] = (),
        since: int = 0,
        secrets: Collection[str] = (),
    ) -> Captured:
        """Take what a tool left in the tree, see ``tool_capture``. Nothing may run in the slot meanwhile.

        Args:
            wanted: Where the patch goes.
            commit: What the tree was moved to before.
            keep: What was kept then; it is no part of the patch.
            since: When the tool began, as ``begin`` told.
            secrets: Values that no patch may have in it.
        """
        self._stillness = None
        git_dir = self.slot_dir / "capture"
        try:
            if self._index is None or not _are_folders(self.slot_dir, self.tree):
                return Captured(problem="the tool removed or replaced the worktree itself")
            rules = KeepRules(keep)
            remove(os.fsencode(git_dir))
            _make_repository(git_dir, self._source, config=_CONTROL_CONFIG, head="ref: refs/heads/unborn")
            _exclude(git_dir, rules, *wanted.exclude)
            ground = Ground(
                tree=self.tree, git_dir=git_dir, commit=commit, index=self._index, keep=rules, since=since
            )
            return capture_tree(ground, wanted, secrets=secrets)
        except OSError as error:
            return Captured(problem=f"what the tool left could not be taken: {error}")
        finally:
            with contextlib.suppress(OSError):
                remove(os.fsencode(git_dir))

    def is_prepared(self, key: str) -> bool:
        """Tell whether the slot was prepared for this key, and what was kept then is still there."""
        try:
            stamp = json.loads(self._prepared.read_bytes())
            return stamp["key"] == key and all(os.path.lexists(self.tree / name) for name in stamp["kept"])
        except (OSError, ValueError, KeyError, TypeError):
            return False

    def mark_prepared(self, key: str, keep: Sequence[str]) -> None:
        """Remember that the slot was prepared.

        Args:
            key: What it was prepared with and from.
            keep: The patterns of what it keeps; those that are plain paths must be found again later.

        Raises:
            WorktreeError: The mark cannot be written.
        """
        kept = [name for name in keep if os.path.lexists(self.tree / name)]
        try:
            self._prepared.write_text(json.dumps({"key": key, "kept": kept}))
        except OSError as error:
            raise WorktreeError(f"{self._prepared} cannot be written: {error}") from error

    def _move(self, commit: str, rules: KeepRules) -> None:
        place = (commit, rules.patterns, _shallow(self._source))
        if not self._stands_untouched_at(place):
            was_there, self._place = place == self._place, None
            self._restore(commit, rules, was_there=was_there)
            self._place = place
        self._renew_scratch()

    def _stands_untouched_at(self, place: _Place) -> bool:
        if place != self._place or self._stillness is None:
            return False
        return self._is_sound() and self._stillness.holds()

    def _restore(self, commit: str, rules: KeepRules, *, was_there: bool) -> None:
        """Make the tree that commit and give it a fresh ``.git``, whatever was done to the slot."""
        if not self._is_sound():
            self._build()
        self._renew_control()
        manifest = self._manifest
        if manifest is None or manifest.keep.patterns != rules.patterns:
            self._manifest, manifest = None, TreeManifest(os.fsencode(self.tree), rules)
            manifest.expect(self._listed())
        is_untouched = manifest.clean()
        before, self._index = self._index, self._checked_out(commit)
        if before is not None and attribute_files(before) != attribute_files(self._index):
            # Git leaves a file alone whose blob is the same, though it would now be written otherwise.
            remove(os.fsencode(self._control / "index"))
            self._index = self._checked_out(commit)
        reach("worktree.setup")
        self._show_repository(commit, rules, self._index)
        manifest.survey()
        self._manifest = manifest
        is_untouched = is_untouched and was_there and before == self._index
        self._stillness = self._survey(manifest, self._index, is_untouched=is_untouched)

    def _checked_out(self, commit: str) -> bytes:
        """Have git write the commit's files; return the index that it leaves."""
        self._git("checkout", "--quiet", "--force", "--detach", "--no-recurse-submodules", commit)
        return content_of(os.fsencode(self._control / "index"))

    def _survey(self, manifest: TreeManifest, index: bytes, *, is_untouched: bool) -> Stillness | None:
        """Remember the slot as it is now, where that pays and covers all that git would look at.

        A large tree is surveyed once a gate has left it untouched: most gates of it may be of the other kind.
        What is kept is not surveyed; git restores what is tracked there.
        """
        folders, files = manifest.paths()
        is_dear = len(folders) + len(files) > FEW
        is_kept = bool(manifest.keep.patterns) and len(files) < _entries_of(index)
        if is_kept or (is_dear and not is_untouched):
            return None
        repositories = _all_of(os.fsencode(self.tree / ".git")) + _all_of(os.fsencode(self._control))
        return Stillness([*folders, *repositories, *files], clock=os.fsencode(self.slot_dir))

    def _forget(self) -> None:
        """Believe nothing about the slot any more."""
        self._manifest = self._place = self._stillness = None

    def _renew_control(self) -> None:
        """Restore what git goes by in the control directory: a gate may have found and changed it."""
        for name in _NOT_OURS:
            remove(os.fsencode(self._control / name))
        _make_repository(self._control, self._source, config=_CONTROL_CONFIG, head="ref: refs/heads/unborn")
        _leave_only(self._control / "objects", "info")
        _leave_only(self._control / "objects" / "info", "alternates")
        index = self._control / "index"
        if self._index is None or not index.is_file() or index.read_bytes() != self._index:
            remove(os.fsencode(index))

    def _see_commit(self, commit: str) -> None:
        """Raise GitError when the source does not have the commit: no slot could be moved there."""
        run_git("cat-file", "-e", f"{commit}^{{commit}}", git_dir=self._source)

    def _is_sound(self) -> bool:
        """Whether the slot has its parts, each a folder of its own and not a link to somewhere."""
        return _are_folders(self.slot_dir, self._control, self.tree)

    def _build(self) -> None:
        """Make an empty slot in place of whatever is there."""
        self.destroy()
        self.tree.mkdir(parents=True)
        _make_repository(self._control, self._source, config=_CONTROL_CONFIG, head="ref: refs/heads/unborn")

    def _listed(self) -> list[bytes]:
        if not (self._control / "index").exists():
            return []
        listed = self._git("ls-files", "--stage", "-z")
        return listed.split(b"\0")[:-1]

    def _git(self, *args: str) -> bytes:
        env = {"GIT_WORK_TREE": str(self.tree), "GIT_INDEX_FILE": str(self._control / "index")}
        return run_git(*args, git_dir=self._control, cwd=self.tree, env=env).stdout

    def _show_repository(self, commit: str, rules: KeepRules, index: bytes) -> None:
        """Write the repository that the gate sees, as it is after a checkout: nothing is changed."""
        visible = self.tree / ".git"
        remove(os.fsencode(visible))
        _make_repository(visible, self._source, config=_VISIBLE_CONFIG, head=commit)
        (visible / "index").write_bytes(index)
        _exclude(visible, rules)

    def _is_scratch_fresh(self) -> bool:
        """Whether the scratch folder is as a job finds it: then it need not be made anew."""
        scratch = os.fsencode(self._scratch)
        temporary, config = scratch + b"/tmp", scratch + b"/gitconfig"
        return (
            stat.S_ISDIR(kind_of(scratch) or 0)
            and sorted(os.listdir(scratch)) == [b"gitconfig", b"tmp"]
            and kind_of(temporary) == stat.S_IFDIR | stat.S_IRWXU
            and not os.listdir(temporary)
            and kind_of(config) == stat.S_IFREG | stat.S_IRUSR | stat.S_IWUSR
            and content_of(config) == _GATES_CONFIG.encode()
        )

    def _renew_scratch(self) -> None:
        if self._is_scratch_fresh():
            return
        remove(os.fsencode(self._scratch))
        (self._scratch / "tmp").mkdir(parents=True, mode=0o700)
        (self._scratch / "gitconfig").touch(mode=0o600)
        (self._scratch / "gitconfig").write_text(_GATES_CONFIG)


def _are_folders(*paths: Path) -> bool:
    """Tell whether all of them are folders, and none a link to one."""
    kinds = [kind_of(os.fsencode(path)) for path in paths]
    return all(kind is not None and stat.S_ISDIR(kind) for kind in kinds)


def _put(file: Path, content: bytes) -> None:
    """Let a file have a content, without writing what is there; a link in its place is removed."""
    if file.is_file() and not file.is_symlink() and file.read_bytes() == content:
        return
    remove(os.fsencode(file))
    file.write_bytes(content)


def _leave_only(folder: Path, name: str) -> None:
    """Remove all else from a folder of objects: they would stand for those of the source."""
    if folder.is_symlink() or not folder.is_dir():
        remove(os.fsencode(folder))
        return
    for there in os.listdir(folder):
        if there != name:
            remove(os.fsencode(folder / there))


def _shallow(source: Path) -> bytes | None:
    """Return where the history of a shallow clone ends."""
    with contextlib.suppress(FileNotFoundError):
        return (source / "shallow").read_bytes()
    return None


def _entries_of(index: bytes) -> int:
    """Return how many entries an index has, as its head tells (gitformat-index)."""
    return int.from_bytes(index[8:12], "big")


def _all_of(folder: bytes) -> list[bytes]:
    """List a folder and all below it."""
    paths = [folder]
    with os.scandir(folder) as entries:
        for entry in entries:
            paths += _all_of(entry.path) if entry.is_dir(follow_symlinks=False) else [entry.path]
    return paths


def _exclude(git_dir: Path, rules: KeepRules, *more: str) -> None:
    """Let a git directory ignore what is kept, and more."""
    if rules.patterns or more:
        lines = [(b"/" if b"/" in pattern else b"") + pattern + b"\n" for pattern in rules.patterns]
        lines += [os.fsencode(pattern) + b"\n" for pattern in more]
        (git_dir / "info").mkdir()
        (git_dir / "info" / "exclude").write_bytes(b"".join(lines))


def _make_repository(git_dir: Path, source: Path, *, config: str, head: str) -> None:
    """Make a git directory by plain files, a tenth of the cost of ``git init``."""
    (git_dir / "objects" / "info").mkdir(parents=True, exist_ok=True)
    (git_dir / "refs" / "heads").mkdir(parents=True, exist_ok=True)
    _put(git_dir / "objects" / "info" / "alternates", os.fsencode(source / "objects") + b"\n")
    _put(git_dir / "config", config.encode())
    _put(git_dir / "HEAD", f"{head}\n".encode())
    if (shallow := _shallow(source)) is not None:
        (git_dir / "shallow").write_bytes(shallow)
