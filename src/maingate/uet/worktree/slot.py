"""A worktree slot: the folder in which gates see a commit, one after the other.

A slot holds ``tree/``, the work tree; ``control/``, the git directory that Maingate itself uses to move
the tree; and ``scratch/``, the temporary folder of the job. It is a shared clone (docs/ARCHITECTURE.md,
"git"): objects are borrowed through alternates from the person's repository, nothing else is. What a gate
sees as ``tree/.git`` is one more repository, written anew for every job, in which it may commit, stash, tag
and configure what it likes; nobody reads it afterwards.

A move restores exactly the commit, whatever the gate before did: ``TreeManifest`` finds what does not belong,
git restores what changed. Where ``Stillness`` proves that a slot at the commit was not touched, there is
nothing to restore. If anything about the slot is off, the slot is destroyed and built again.

Beside the commit there is what the plan keeps, untracked. After ``prepare`` it is put by in ``KeptCopy``,
from which every job gets the same; only where the plan says that jobs share it, it stays as the job before
left it. A worker that takes a slot over believes of the tree only what proves true of a note that the worker
before wrote when it ended in order; else the tree is made anew.
"""

# This runs before every job, and pathlib costs more than what is asked of the system.
# ruff: noqa: PTH208

import contextlib
import hashlib
import os
import stat
from collections.abc import Collection, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, Final

from maingate.errors import GitError, WorktreeError
from maingate.faultpoints import reach
from maingate.git.command import run_git
from maingate.git.index_attributes import attribute_files
from maingate.system.removal import kind_of, remove
from maingate.uet.capture import Capture, Captured
from maingate.uet.worktree.keep_rules import KeepRules, folders_listed
from maingate.uet.worktree.kept_copy import CopyBrokenError, KeptCopy
from maingate.uet.worktree.manifest import OwnerChangedError, TreeManifest
from maingate.uet.worktree.slot_record import read_note, write_note
from maingate.uet.worktree.slot_repository import (
    CONTROL_CONFIG,
    VISIBLE_CONFIG,
    exclude,
    leave_only,
    make_repository,
    shallow_of,
)
from maingate.uet.worktree.stillness import FEW, Stillness, content_of, now_of, outwait
from maingate.uet.worktree_capture import Ground, capture_tree

_OFF: Final = (GitError, OSError, OwnerChangedError, CopyBrokenError)
"""What tells that a slot is not as it was left."""

_GATES_CONFIG: Final = (
    "[user]\n\tname = Maingate\n\temail = maingate@localhost\n"
    "[init]\n\tdefaultBranch = main\n[gc]\n\tauto = 0\n[maintenance]\n\tauto = false\n"
)
"""The git configuration of gates in place of the person's: theirs to write to, no signing, no background."""


_OF_CONTROL: Final = frozenset({"HEAD", "config", "index", "objects", "refs", "shallow"})
"""All that the control directory has in it; git would go by much else, and a lock would stop it."""

_PARTS: Final = frozenset({"tree", "control", "scratch", "kept", "kept.json"})
"""All that a slot has in it while a worker has it."""


@dataclass(frozen=True, kw_only=True)
class _Wanted:
    """What the tree is to be.

    Args:
        commit: The commit.
        patterns: What is kept beside it.
        is_shared: Whether what is kept stays as the job before left it.
        key: What preparing the tree depends on; empty when nothing is kept of that.
        tracked: Paths that the commit has where something is kept.
        folders: Its folders, on which kept things may stand.
        shallow: Where the source's history ends.
    """

    commit: str
    patterns: tuple[str, ...]
    is_shared: bool
    key: str
    shallow: bytes | None
    tracked: tuple[bytes, ...] = ()
    folders: frozenset[bytes] = frozenset()

    @property
    def ways(self) -> list[object]:
        """By what the tree is watched over; a tree that was watched otherwise is made anew."""
        return [list(self.patterns), self.is_shared]

    @property
    def is_strict(self) -> bool:
        """Whether anything is kept, so that the times of files matter."""
        return bool(self.patterns) and (self.is_shared or bool(self.key))

    @property
    def left_alone(self) -> KeepRules:
        """What nobody looks after."""
        return KeepRules(self.patterns if self.is_shared else ())


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
        self._note = os.fsencode(self.slot_dir / "slot.json")
        self._copy = KeptCopy(os.fsencode(self.slot_dir))
        self._asked: _Wanted | None = None
        self._wanted: _Wanted | None = None
        self._has_begun = False
        self._prepared, self._prepared_names = "", [""]
        self._manifest: TreeManifest | None = None
        self._ways: list[object] = []
        self._index: bytes | None = None
        self._placed = ""
        self._place: _Wanted | None = None
        self._stillness: Stillness | None = None
        self._past = 0

    def move(
        self, commit: str, *, keep: Sequence[str] = (), shared: bool = False, prepared_for: str = ""
    ) -> None:
        """Make the tree that commit and what is kept, with a fresh ``.git`` and a fresh scratch folder.

        Args:
            commit: The full id of a commit of the source repository.
            keep: Untracked paths that are kept: a name at any depth, or a path from the root; globs are
                allowed.
            shared: They stay as the job before left them. Else they are as ``mark_prepared`` found them.
            prepared_for: What the tree is prepared with and from; empty when nothing prepares it.

        Raises:
            WorktreeError: It could not be done, not even in a slot built anew.
        """
        try:
            wanted = self._to_be(commit, tuple(keep), prepared_for, is_shared=shared and bool(keep))
            try:
                self._move(wanted)
            except _OFF:
                self._see_commit(commit)
                self.destroy()
                self._move(wanted)
        except _OFF as error:
            raise WorktreeError(f"the worktree {self.tree} cannot be moved to {commit}: {error}") from error

    def is_prepared(self) -> bool:
        """Tell whether the tree has what preparing it for what it is would leave."""
        wanted = self._wanted
        if wanted is None or not wanted.key:
            return False
        if not wanted.is_shared:
            return self._copy.is_for(wanted.key)
        names = self._prepared_names
        return self._prepared == wanted.key and all(os.path.lexists(self.tree / name) for name in names)

    def mark_prepared(self) -> None:
        """Take what lies at the kept paths for what preparing the tree leaves, now and for later jobs.

        Raises:
            WorktreeError: It cannot be taken, for later jobs no more than for this one.
        """
        wanted = self._wanted
        if wanted is None or not wanted.key:
            return
        try:
            if not self._is_sound():
                raise OSError("the worktree itself was removed or replaced")
            if wanted.is_shared:
                names = [name for name in wanted.patterns if os.path.lexists(self.tree / name)]
                self._prepared, self._prepared_names = wanted.key, names
            else:
                listed = self._listed(wanted.commit, "--name-only")
                rules = KeepRules(wanted.patterns)
                self._copy.take(wanted.key, os.fsencode(self.tree), rules, listed)
        except _OFF as error:
            raise WorktreeError(f"what was prepared in {self.tree} cannot be kept: {error}") from error

    def leave(self) -> None:
        """Note how a tree is that keeps something, so that the next worker need not make it anew.

        Nothing may run in it.

        Raises:
            WorktreeError: It cannot be noted.
        """
        try:
            remove(self._note)
            if self._place is not None and self._place.is_strict and self._manifest is not None:
                write_note(self._note, self._noted(self._place, self._manifest))
        except OSError as error:
            raise WorktreeError(f"{os.fsdecode(self._note)} cannot be written: {error}") from error

    def _noted(self, place: _Wanted, manifest: TreeManifest) -> dict[str, Any]:
        """Return what ``_take_over`` reads."""
        return {
            "ways": self._ways,
            "index": hashlib.sha256(self._index or b"").hexdigest(),
            "placed": self._placed,
            "prepared": [self._prepared, self._prepared_names],
            "tree": manifest.to_json(),
            "tracked": [path.decode("latin-1") for path in place.tracked],
        }

    def destroy(self) -> None:
        """Remove the slot with all it holds; what symbolic links in it point to stays.

        Raises:
            OSError: Something in it cannot be removed.
        """
        self._forget()
        self._prepared = ""
        self._copy.forget()
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
        diff: Path,
        *,
        commit: str,
        keep: Sequence[str] = (),
        since: int = 0,
        secrets: Collection[str] = (),
    ) -> Captured:
        """Take what a tool left in the tree, see ``worktree_capture``. Nothing may run in the slot meanwhile.

        Args:
            wanted: How big the patch may be, and what is no part of it.
            diff: The file that it is written to.
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
            make_repository(git_dir, self._source, config=CONTROL_CONFIG, head="ref: refs/heads/unborn")
            exclude(git_dir, rules, *wanted.exclude)
            ground = Ground(
                tree=self.tree, git_dir=git_dir, commit=commit, index=self._index, keep=rules, since=since
            )
            return capture_tree(ground, wanted, diff, secrets=secrets)
        except OSError as error:
            return Captured(problem=f"what the tool left could not be taken: {error}")
        finally:
            with contextlib.suppress(OSError):
                remove(os.fsencode(git_dir))

    def _to_be(self, commit: str, keep: tuple[str, ...], prepared_for: str, *, is_shared: bool) -> _Wanted:
        """Work out what is wanted; where something is kept, what is tracked there is part of it."""
        asked = _Wanted(
            commit=commit,
            patterns=keep,
            is_shared=is_shared,
            key=prepared_for,
            shallow=shallow_of(self._source),
        )
        if self._wanted is None or asked != self._asked:
            self._wanted, self._asked = self._worked_out(asked), asked
        return self._wanted

    def _worked_out(self, wanted: _Wanted) -> _Wanted:
        if not wanted.patterns or not (wanted.is_shared or wanted.key):
            return replace(wanted, key="")
        listed = self._listed(wanted.commit)
        lines = KeepRules(wanted.patterns).among(listed)
        key = hashlib.sha256(wanted.key.encode(errors="surrogateescape"))
        for line in () if wanted.is_shared else lines:
            key.update(b"\0" + line)
        return replace(
            wanted,
            key=key.hexdigest() if wanted.key else "",
            tracked=tuple(line.partition(b"\t")[2] for line in lines),
            folders=frozenset() if wanted.is_shared else folders_listed(listed),
        )

    def _move(self, wanted: _Wanted) -> None:
        self._weed()
        if not self._has_begun:
            self._has_begun = True
            self._take_over(wanted)
        copy = wanted.key if not wanted.is_shared and self._copy.is_for(wanted.key) else ""
        if not self._stands_untouched_at(wanted, copy):
            was_there, self._place = wanted == self._place and copy == self._placed, None
            self._restore(wanted, copy, was_there=was_there)
            self._place = wanted
        self._renew_scratch()

    def _stands_untouched_at(self, wanted: _Wanted, copy: str) -> bool:
        if wanted != self._place or copy != self._placed or self._stillness is None:
            return False
        return self._is_sound() and self._stillness.holds()

    def _restore(self, wanted: _Wanted, copy: str, *, was_there: bool) -> None:
        """Make the tree what is wanted and give it a fresh ``.git``, whatever was done to the slot."""
        manifest = self._watched(wanted, copy)
        self._renew_control()
        is_untouched = manifest.clean()
        if copy:
            self._copy.clear(os.fsencode(self.tree), wanted.folders)
        if wanted.is_shared:
            outwait(os.fsencode(self.slot_dir), now_of(os.fsencode(self.slot_dir)))
        before, self._index = self._index, self._checked_out(wanted.commit)
        if before is not None and attribute_files(before) != attribute_files(self._index):
            # Git leaves a file alone whose blob is the same, though it would now be written otherwise.
            remove(os.fsencode(self._control / "index"))
            self._index = self._checked_out(wanted.commit)
        reach("worktree.setup")
        if copy:
            self._copy.place(os.fsencode(self.tree), wanted.folders)
        self._show_repository(wanted, self._index)
        manifest.track(wanted.tracked if wanted.is_shared else ())
        manifest.survey()
        self._placed, self._ways = copy, wanted.ways
        is_proven = not wanted.is_strict or self._outwait(manifest.newest)
        self._manifest = manifest if is_proven else None
        is_untouched = is_untouched and was_there and before == self._index
        self._stillness = self._survey(manifest, is_untouched=is_untouched) if is_proven else None

    def _watched(self, wanted: _Wanted, copy: str) -> TreeManifest:
        """Return what is known of the tree; where that is not enough, the tree is emptied."""
        if not self._is_sound():
            self._build()
        manifest, self._manifest = self._manifest, None
        if manifest is not None and self._ways == wanted.ways and self._placed in ("", copy):
            return manifest
        self._index, self._prepared, self._placed = None, "", ""
        remove(os.fsencode(self.tree))
        self.tree.mkdir()
        return TreeManifest(os.fsencode(self.tree), wanted.left_alone, is_strict=wanted.is_strict)

    def _checked_out(self, commit: str) -> bytes:
        """Have git write the commit's files; return the index that it leaves."""
        self._git("checkout", "--quiet", "--force", "--detach", "--no-recurse-submodules", commit)
        return content_of(os.fsencode(self._control / "index"))

    def _outwait(self, newest: int) -> bool:
        """Wait until nothing that is done can bear that time; what was waited for once is past."""
        if newest > self._past:
            if not outwait(os.fsencode(self.slot_dir), newest):
                return False
            self._past = newest
        return True

    def _take_over(self, wanted: _Wanted) -> None:
        """Believe what the worker before noted, as far as it proves true; the note holds only once."""
        note = read_note(self._note)
        remove(self._note)
        if note is None or not self._is_sound():
            return
        manifest = TreeManifest(os.fsencode(self.tree), wanted.left_alone, is_strict=wanted.is_strict)
        try:
            index = content_of(os.fsencode(self._control / "index"))
            if note["ways"] != wanted.ways or hashlib.sha256(index).hexdigest() != note["index"]:
                return
            manifest.track([path.encode("latin-1") for path in note["tracked"]])
            manifest.load(note["tree"])
            self._prepared, self._prepared_names = note["prepared"]
            self._placed, self._ways = note["placed"], note["ways"]
        except (OSError, LookupError, TypeError, ValueError, AttributeError):
            return
        self._manifest, self._index = manifest, index

    def _weed(self) -> None:
        """Remove from the slot what a gate has put beside the tree: programs look for their files above."""
        if _are_folders(self.slot_dir):
            parts = _PARTS if self._has_begun else {*_PARTS, "slot.json"}
            for name in set(os.listdir(self.slot_dir)) - parts:
                remove(os.fsencode(self.slot_dir / name))

    def _survey(self, manifest: TreeManifest, *, is_untouched: bool) -> Stillness | None:
        """Remember the slot as it is now, where that pays and covers all that git would look at.

        A large tree is surveyed once a gate has left it untouched: most gates of it may be of the other kind.
        """
        folders, files = manifest.paths()
        if len(folders) + len(files) > FEW and not is_untouched:
            return None
        repositories = _all_of(os.fsencode(self.tree / ".git")) + _all_of(os.fsencode(self._control))
        return Stillness([*folders, *repositories, *files], clock=os.fsencode(self.slot_dir))

    def _forget(self) -> None:
        """Believe nothing about the slot any more."""
        self._manifest = self._place = self._stillness = None

    def _renew_control(self) -> None:
        """Restore what git goes by in the control directory: a gate may have found and changed it."""
        for name in set(os.listdir(self._control)) - _OF_CONTROL:
            remove(os.fsencode(self._control / name))
        remove(os.fsencode(self._control / "refs" / "replace"))
        make_repository(self._control, self._source, config=CONTROL_CONFIG, head="ref: refs/heads/unborn")
        leave_only(self._control / "objects", "info")
        leave_only(self._control / "objects" / "info", "alternates")
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
        """Make an empty slot in place of whatever is there; a copy of what is kept proves itself."""
        self._forget()
        for part in (self.tree, self._control) if _are_folders(self.slot_dir) else (self.slot_dir,):
            remove(os.fsencode(part))
        self.tree.mkdir(parents=True)
        make_repository(self._control, self._source, config=CONTROL_CONFIG, head="ref: refs/heads/unborn")

    def _listed(self, commit: str, *options: str) -> list[bytes]:
        """List what a commit tracks."""
        listed = run_git("ls-tree", "-r", "-z", "--full-tree", *options, commit, git_dir=self._source)
        return listed.stdout.split(b"\0")[:-1]

    def _git(self, *args: str) -> bytes:
        env = {"GIT_WORK_TREE": str(self.tree), "GIT_INDEX_FILE": str(self._control / "index")}
        return run_git(*args, git_dir=self._control, cwd=self.tree, env=env).stdout

    def _show_repository(self, wanted: _Wanted, index: bytes) -> None:
        """Write the repository that the gate sees, as it is after a checkout: nothing is changed."""
        visible = self.tree / ".git"
        remove(os.fsencode(visible))
        make_repository(visible, self._source, config=VISIBLE_CONFIG, head=wanted.commit)
        (visible / "index").write_bytes(index)
        exclude(visible, KeepRules(wanted.patterns))

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


def _all_of(folder: bytes) -> list[bytes]:
    """List a folder and all below it."""
    paths = [folder]
    with os.scandir(folder) as entries:
        for entry in entries:
            paths += _all_of(entry.path) if entry.is_dir(follow_symlinks=False) else [entry.path]
    return paths
