"""Capture the patch of a tool from the tree that it leaves, trusting nothing that it touched.

The difference between the base commit and the work tree is taken by git in a repository made for that moment:
an empty configuration but for the filters of the user and of the repository (``git.filter_drivers``), the
index of the checkout, no hooks. Changes of the tool to ``tree/.git`` (commits of its own, another HEAD,
configuration, hooks, nothing left of it) do not matter: the tree counts, and commits are a way to get there.
Put aside first is all that git would stumble over: pipes and
sockets, which it would wait for, and the ``.git`` of nested repositories, which it would record as a
submodule and whose configuration it would obey.

``git add -A`` goes by the ``.gitignore`` files as the tool left them: an untracked, ignored file
is no part of the patch, and a tool that changes a ``.gitignore`` has that change in its patch. Which files it
tracks, and which it has out of its sight, its index tells (``tool_index``).

Standard library and few modules of ``uet`` only: a UET worker process imports this.
"""

# Names on disk are bytes, which pathlib cannot hold.
# ruff: noqa: PTH118, PTH120

import contextlib
import os
import time
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Final

from maingate.errors import GitError
from maingate.git.command import run_git
from maingate.git.filter_drivers import NONE, FilterDrivers, filters_of, is_filter_failure
from maingate.system.removal import remove, unlock
from maingate.uet.capture import CAPTURE_TIMEOUT, LEAKS, Capture, Captured, too_big
from maingate.uet.leaked_secrets import blot_leaked
from maingate.uet.worktree.checkout_index import without_touched
from maingate.uet.worktree.keep_rules import KeepRules
from maingate.uet.worktree.nested_repositories import Nested, Submodule, sort_nested, submodule_at
from maingate.uet.worktree.other_work import add_objects, find_other_work
from maingate.uet.worktree.slot_repository import CONTROL_CONFIG, exclude, make_repository
from maingate.uet.worktree.tool_index import ToolIndex, has_conflict, read_tool_index
from maingate.uet.worktree.tool_message import message_header
from maingate.uet.worktree.tree_survey import Survey, survey
from maingate.wording import listed

_SETTINGS: Final = ("-c", "core.excludesFile=/dev/null", "-c", "core.fsync=none", "-c", "core.longPaths=true")
_DIFF: Final = (
    "diff-index",
    "--cached",
    "--binary",
    "--full-index",
    "--no-ext-diff",
    "--no-textconv",
    "--no-renames",
    "--no-color",
    "--unified=3",
    "--submodule=short",
    "--src-prefix=a/",
    "--dst-prefix=b/",
)
_AS_IT_IS: Final = b"* !text !eol !crlf !ident !working-tree-encoding\n"
_FILES: Final = frozenset({b"100644", b"100755"})
_NONE: Final = frozenset({b"000000"})
"""The mode of a file that is gone."""
_EXCLUDE: Final = b"exclude"
"""The name of the file by which kept paths, and what presets leave out, are ignored."""
_SHOWN: Final = 3
_LATER: Final = 86400
"""Seconds by which an index is younger than all that it tells of."""
_LONGEST_SHOWN: Final = 200


@dataclass(frozen=True, kw_only=True)
class Ground:
    """The place in which a tool worked.

    Args:
        tree: The work tree.
        git_dir: A git directory that the tool has never seen, over the source's objects; it is used up.
        commit: The base.
        index: The content of the index that the checkout of the base left.
        keep: Paths that are no part of any patch.
        since: The time of the file system, in nanoseconds, at which the tool began.
        drivers: The filters by which content is stored.
    """

    tree: Path
    git_dir: Path
    commit: str
    index: bytes
    keep: KeepRules
    since: int
    drivers: FilterDrivers = NONE


def capture_apart(
    ground: Ground, wanted: Capture, diff: Path, *, source: Path, secrets: Collection[str] = ()
) -> Captured:
    """Capture a tree with a git directory that is made for it, and removed.

    Args:
        ground: Where the tool worked.
        wanted: How big the patch may be, and what is no part of it.
        diff: Where it is written.
        source: The common git directory of the repository whose objects are borrowed.
        secrets: Values that no patch may have in it.
    """
    try:
        remove(os.fsencode(ground.git_dir))
        make_repository(ground.git_dir, source, config=CONTROL_CONFIG, head="ref: refs/heads/unborn")
        exclude(ground.git_dir, ground.keep, *wanted.exclude)
        return capture_tree(ground, wanted, diff, secrets=secrets)
    except OSError as error:
        return Captured(problem=f"what the tool left could not be taken: {error}")
    finally:
        with contextlib.suppress(OSError):
            remove(os.fsencode(ground.git_dir))


def capture_tree(ground: Ground, wanted: Capture, diff: Path, *, secrets: Collection[str] = ()) -> Captured:
    """Write the patch that leads from the base to the tree as it is now. No process may work in it.

    Args:
        ground: Where the tool worked.
        wanted: How big the patch may be.
        diff: Where it is written, also when the tool failed or was killed (salvage).
        secrets: Values that no patch may have in it.
    """
    taking = _Taking(ground, wanted, diff, secrets)
    try:
        taking.take()
        problems = taking.problems
    except (GitError, OSError, ValueError) as error:
        problems = [*taking.problems, f"what the tool left could not be taken: {error}"]
    settled = _settled(wanted, diff, problems, secrets)
    return replace(settled, fault=taking.fault, note="; ".join(taking.notes))


def _settled(wanted: Capture, diff: Path, problems: list[str], secrets: Collection[str]) -> Captured:
    """Check the patch that was written against its limit and the secrets."""
    try:
        size = diff.stat().st_size
        if size > wanted.max_bytes:
            os.truncate(diff, wanted.max_bytes)
            problems.append(too_big(wanted.max_bytes))
        if secrets and blot_leaked(diff, secrets):
            problems.append(LEAKS)
        size = diff.stat().st_size
    except FileNotFoundError:
        size = 0
    except OSError as error:
        return Captured(problem="; ".join([*problems, f"the patch could not be written: {error}"]))
    return Captured(bytes=size, problem="; ".join(problems))


class _Taking:
    """One capture: clear the way, add, compare."""

    def __init__(self, ground: Ground, wanted: Capture, diff: Path, secrets: Collection[str]) -> None:
        self._ground, self._wanted, self._diff, self._secrets = ground, wanted, diff, secrets
        self._top = os.fsencode(ground.tree)
        self._deadline = time.monotonic() + CAPTURE_TIMEOUT
        self._aside = 0
        self._left_out: list[bytes] = []
        self._links: set[bytes] = set()
        self.problems: list[str] = []
        self.notes: list[str] = []
        self.fault = ""

    def take(self) -> None:
        """Write the patch, and save the work that is not in it."""
        self._take_tree()
        try:
            self._take_other_work()
        except GitError as error:
            self.notes.append(f"the tool's own commits could not be read: {error}")

    def _take_other_work(self) -> None:
        """Take the branch that has the tool's work where the tree has none, and save all other commits."""
        ground = self._ground
        work = find_other_work(ground.tree, ground.git_dir, ground.commit, self._git)
        if work is None:
            return
        is_empty, tip = not (self.problems or self._diff.stat().st_size), work.head
        if is_empty and (branch := work.only_branch()) is not None:
            words = ("checkout", "--quiet", "--force", "--detach", "--no-recurse-submodules")
            tip = work.tips[branch]
            self._git(*words, tip)
            self._take_tree(tip)
            self.notes.append(f"the patch is the branch {branch} of its clone; the worktree was as before")
            is_empty = False
        if lost := work.lost(self._git("write-tree").decode().strip(), is_empty=is_empty):
            path = self._diff.with_suffix(".bundle")
            self.notes.append(work.save(lost, path, limit=self._wanted.max_bytes, secrets=self._secrets))
        self._add_message(work.messages(tip))

    def _add_message(self, messages: Sequence[bytes]) -> None:
        """Write the message of the tool's own commits before its patch, if there is one."""
        diff = self._diff.read_bytes()
        if diff and (header := message_header(messages)):
            self._diff.write_bytes(header + diff)

    def _take_tree(self, branch: str | None = None) -> None:
        """Write the patch of the tree as it is; of a branch that is checked out, with all files it tracks."""
        found = survey(self._top, self._ground.keep, since=self._ground.since)
        index = self._index_of_tool() if branch is None else self._index_at(branch)
        self._write_index()
        self._clear(found)
        left_out = self._excluded(found)
        self._add(_specs(left_out), left_out)
        if index is not None:
            self._go_by(index, left_out)
        self._check_links()
        self._drop_unfiltered()
        self._diff.parent.mkdir(exist_ok=True)
        self._diff.unlink(missing_ok=True)
        self._git(*_DIFF, f"--output={self._diff.absolute()}", self._ground.commit, "--")

    def _write_index(self) -> None:
        """Write the index of the base; git believes its stamps, for none is of a second that is not over."""
        index = without_touched(self._ground.tree, self._ground.index, since=self._ground.since)
        path = self._ground.git_dir / "index"
        path.write_bytes(index)
        later = time.time() + _LATER
        os.utime(path, (later, later))

    def _clear(self, found: "Survey") -> None:
        """Move away all that git must not meet; it is a problem where it hides something from the patch."""
        nested = self._nested(found)
        for path in [*found.special, *found.nested, *found.monstrous]:
            self._put_aside(path)
        self._leave_out(nested)
        self._complain("a pipe, socket or device in place of a file", self._tracked(found.special))
        self._complain("rules for git that are too big to be read", found.monstrous)
        self._complain("it cannot be read", self._not_ignored(found.unreadable))

    def _nested(self, found: "Survey") -> Nested:
        folders = self._not_ignored([os.path.dirname(path) for path in found.nested])
        staged = self._git("ls-files", "--stage", "-z") if folders else b""
        nested = sort_nested(self._top, folders, staged)
        for submodule in nested.submodules:
            self._take_submodule(submodule)
        return nested

    def _take_submodule(self, submodule: Submodule) -> None:
        """Record the move of a submodule, to a commit that others can have, and tell other changes in it."""
        add_objects(self._ground.git_dir, submodule.objects)
        commit, path = submodule.commit, submodule.path
        self._links.add(path)
        if self._is_changed(submodule):
            self.notes.append(f"what changed in the submodule {_readable(path)} is not in the patch")
        if commit == submodule.link:
            return
        if self._git("rev-list", "--max-count=1", commit, "--not", *sorted(submodule.published)).strip():
            self._complain(f"a submodule at {commit[:12]}, which no remote of it has", [path])
            return
        self._git("update-index", "-z", "--index-info", given=b"160000 %s\t%s\0" % (commit.encode(), path))

    def _is_changed(self, submodule: Submodule) -> bool:
        """Return whether a submodule has other files than its commit; its own git is not asked."""
        index = self._ground.git_dir / "index-of-submodule"
        tree = self._ground.tree / os.fsdecode(submodule.path)
        env = {"GIT_WORK_TREE": str(tree), "GIT_INDEX_FILE": str(index)}
        self._git("read-tree", submodule.commit, env=env)
        self._git("update-index", "-q", "--refresh", env=env, check=False)
        shown = self._git("diff-files", "--name-only", "--ignore-submodules", env=env)
        return bool(shown or self._git("ls-files", "--others", "--exclude-standard", env=env))

    def _leave_out(self, nested: Nested) -> None:
        """Leave out what is in other repositories; one in place of tracked content is a problem."""
        self._complain("a repository in place of what is tracked", nested.in_place)
        self._left_out += [*nested.others, *nested.inside]
        if nested.others:
            names = listed(sorted(_readable(path) for path in nested.others), _SHOWN)
            self.notes.append(f"repositories of their own are not in the patch: {names}")

    def _put_aside(self, path: bytes) -> None:
        aside = os.path.join(os.fsencode(self._ground.git_dir), b"aside-%d" % self._aside)
        self._aside += 1
        unlock(os.path.dirname(os.path.join(self._top, path)))
        os.rename(os.path.join(self._top, path), aside)  # noqa: PTH104 - names are bytes

    def _excluded(self, found: "Survey") -> list[bytes]:
        """Return the files that are left out because all together are too many bytes."""
        if sum(size for _, size in found.touched) <= self._wanted.max_bytes:
            return self._left_out
        outside = [path for path, _ in found.touched if not self._is_left_out(path)]
        wanted = set(self._not_ignored(outside))
        wanted -= self._filters_of(wanted).keys()  # their stored content may be small
        touched = sorted((size, path) for path, size in found.touched if path in wanted)
        left_out, room = [], self._wanted.max_bytes
        for size, path in touched:
            room -= size
            if room < 0:
                left_out.append(path)
        if left_out:
            self.problems.append(too_big(self._wanted.max_bytes))
            self._complain("left out", left_out)
        return [*self._left_out, *left_out]

    def _is_left_out(self, path: bytes) -> bool:
        return any(path.startswith(folder + b"/") for folder in self._left_out)

    def _index_of_tool(self) -> ToolIndex | None:
        return read_tool_index(self._ground.tree, self._ground.git_dir, self._git)

    def _index_at(self, commit: str) -> ToolIndex:
        """Return what the index of a clone with a commit checked out would have."""
        return ToolIndex(tracked=self._names("ls-tree", "-r", "--name-only", "-z", "--full-tree", commit))

    def _go_by(self, index: ToolIndex, left_out: Sequence[bytes]) -> None:
        """Take files as the tool tracks them, where the work tree does not show that."""
        hidden = {path: was for path, was in self._changed(_NONE).items() if path in index.out_of_sight}
        if hidden:
            self._restore(hidden)
        added = self._names("ls-files", "-z")
        if forced := self._forced(index.tracked - added, left_out):
            specs = b"\0".join(b":(top,literal)" + path for path in forced)
            self._add(specs, left_out, "--force")
        if dropped := self._ignored(sorted(added - index.tracked)):
            given = b"\0".join(sorted(dropped)) + b"\0"
            self._git("update-index", "--force-remove", "-z", "--stdin", given=given)
        conflicts = [path for path in sorted(index.unmerged) if has_conflict(self._top, path)]
        self._complain("a conflict that is not resolved", conflicts)

    def _forced(self, paths: Collection[bytes], left_out: Sequence[bytes]) -> list[bytes]:
        """Return those of the files that a tool tracks though a `.gitignore` ignores them."""
        there = [
            path
            for path in sorted(paths)
            if os.path.lexists(os.path.join(self._top, path))
            and not (self._ground.keep.keeps(path) or self._is_left_out(path) or path in left_out)
        ]
        ignored = self._ignored(there)
        return [path for path in there if ignored.get(path, _EXCLUDE).rpartition(b"/")[2] != _EXCLUDE]

    def _ignored(self, paths: Sequence[bytes]) -> dict[bytes, bytes]:
        """Return those of the files that rules ignore, tracked or not, each with the file of the rule."""
        if not paths:
            return {}
        given = b"\0".join(paths) + b"\0"
        words = ("check-ignore", "--no-index", "--verbose", "-z", "--stdin")
        fields = self._git(*words, given=given, check=False).split(b"\0")
        found = zip(fields[::4], fields[2::4], fields[3::4], strict=False)
        return {path: file for file, pattern, path in found if not pattern.startswith(b"!")}

    def _names(self, *words: str) -> frozenset[bytes]:
        return frozenset(self._git(*words).split(b"\0")[:-1])

    def _add(self, specs: bytes, left_out: Sequence[bytes], *options: str) -> None:
        words = ("add", "-A", *options, "--ignore-errors", "--pathspec-from-file=-", "--pathspec-file-nul")
        try:
            self._git(*words, given=specs)
        except GitError as error:
            if error.exit_code is None:
                raise
            self.problems.append(f"git could not take all that the tool left: {_said(error)}")
            if is_filter_failure(error.stderr or ""):
                self.fault = "filter_failed"
                specs = _specs([*left_out, *self._filtered()])
            (self._ground.git_dir / "info").mkdir(exist_ok=True)
            (self._ground.git_dir / "info" / "attributes").write_bytes(_AS_IT_IS)
            self._git(*words, given=specs, check=False)

    def _changed(self, modes: Collection[bytes]) -> dict[bytes, tuple[bytes, bytes]]:
        """Return mode and id before of each changed path that has one of these modes now."""
        raw = self._git("diff-index", "--cached", "--raw", "-z", "--no-renames", self._ground.commit)
        fields = raw.split(b"\0")
        return {
            path: (old_mode, old_id)
            for head, path in zip(fields[::2], fields[1::2], strict=False)
            for old_mode, new_mode, old_id, *_ in [head.removeprefix(b":").split(b" ")]
            if new_mode in modes
        }

    def _restore(self, before: Mapping[bytes, tuple[bytes, bytes]]) -> None:
        """Restore entries of the base in the index."""
        lines = [b"%s %s\t%s\0" % (mode, oid, path) for path, (mode, oid) in before.items()]
        self._git("update-index", "-z", "--index-info", given=b"".join(lines))

    def _check_links(self) -> None:
        """Take the submodules at kept paths as others are: git has taken their commits unseen."""
        moved = {path: was for path, was in self._changed({b"160000"}).items() if path not in self._links}
        if moved:
            self._restore(moved)
        for path, (_, link) in moved.items():
            if (submodule := submodule_at(self._top, path, link)) is not None:
                self._take_submodule(submodule)

    def _drop_unfiltered(self) -> None:
        """Restore in the index what should have gone through a missing filter: it is raw content."""
        changed = self._changed(_FILES)
        filters = self._filters_of(changed)
        missing = {path: name for path, name in filters.items() if name not in self._ground.drivers.drivers}
        if not missing:
            return
        self.fault = "filter_failed"
        names = listed(sorted(set(missing.values())), _SHOWN)
        self._complain(
            f"git's configuration has no filter {names}, which .gitattributes asks for", [*missing]
        )
        self._restore({path: changed[path] for path in missing})

    def _filtered(self) -> list[bytes]:
        """Return the changed paths that a filter stores."""
        changed = self._git("ls-files", "-z", "--modified", "--others", "--exclude-standard").split(b"\0")
        return [*self._filters_of(set(changed) - {b""})]

    def _filters_of(self, paths: Collection[bytes]) -> dict[bytes, str]:
        """Return the driver of each path that has one."""
        if not paths:
            return {}
        given = b"\0".join(paths) + b"\0"
        return filters_of(self._git("check-attr", "-z", "--stdin", "filter", given=given))

    def _not_ignored(self, paths: Sequence[bytes]) -> list[bytes]:
        if not paths:
            return []
        given = b"\0".join(paths) + b"\0"
        ignored = self._git("check-ignore", "-z", "--stdin", given=given, check=False).split(b"\0")
        return [path for path in paths if path not in ignored]

    def _tracked(self, paths: Sequence[bytes]) -> list[bytes]:
        if not paths:
            return []
        listed = set(self._git("ls-files", "-z").split(b"\0"))
        return [path for path in paths if path in listed]

    def _complain(self, what: str, paths: Sequence[bytes]) -> None:
        if paths:
            self.problems.append(f"{what}: {listed([_readable(path) for path in paths], _SHOWN)}")

    def _git(
        self,
        *words: str,
        given: bytes | None = None,
        check: bool = True,
        env: Mapping[str, str] | None = None,
    ) -> bytes:
        ground = self._ground
        own = {"GIT_WORK_TREE": str(ground.tree), "GIT_INDEX_FILE": str(ground.git_dir / "index")}
        place = {**own, **(env or {})}
        left = max(1.0, self._deadline - time.monotonic())
        return run_git(
            *(*_SETTINGS, *words),
            git_dir=ground.git_dir,
            cwd=place["GIT_WORK_TREE"],
            env=place | ground.drivers.variables(),
            input=given,
            check=check,
            timeout=left,
            runs_programs=True,
            unsaid=ground.drivers.place,
        ).stdout


def _specs(left_out: Sequence[bytes]) -> bytes:
    """Return the pathspecs of all but some paths."""
    return b"\0".join([b":(top)", *(b":(top,exclude,literal)" + path for path in left_out)])


def _said(error: GitError) -> str:
    lines = [line.removeprefix("error: ") for line in (error.stderr or "").splitlines() if line.strip()]
    return "; ".join(lines[:_SHOWN]).encode(errors="backslashreplace").decode() or str(error)


def _readable(path: bytes) -> str:
    text = path.decode("utf-8", "backslashreplace") or "."
    return text if len(text) <= _LONGEST_SHOWN else f"{text[: _LONGEST_SHOWN - 1]}…"
