"""What a tool leaves in its worktree is taken as a patch that leads exactly there, whatever the tool did."""

# Names on disk are bytes, which pathlib cannot hold.
# ruff: noqa: PTH101, PTH102, PTH104, PTH108, PTH112, PTH113, PTH114, PTH115, PTH118, PTH120, PTH211

import os
import re
import shutil
import socket
import stat
import subprocess
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from maingate.git.repository import Repository
from maingate.patches.apply.outcomes import Applied
from maingate.patches.intake import Intake, take_in
from maingate.uet.capture import Capture, Captured
from maingate.uet.worktree.worktree import Worktree
from support.applying import apply_patch
from support.diff_world import MAX_BYTES
from support.examples import examples
from support.factories import GitRepo

BASE: Mapping[str, str | bytes | None] = {
    "README.md": "one\ntwo\nthree\n",
    "src/a.py": "a = 1\n",
    "src/b.py": "b = 1\n",
    "docs/deep/er/page.md": "page\n",
    "binary": b"\x00\x01\x02" * 40,
    "empty": "",
    "no-newline": "no newline",
    ".gitignore": "*.log\nbuild/\n",
}

Tree = dict[bytes, tuple[str, bytes]]


def tree_on_disk(top: Path, *, ignored: Callable[[bytes], bool] = lambda _: False) -> Tree:
    """Read a work tree by itself: mode and content of each file and link."""
    found: Tree = {}
    for folder, folders, names in os.walk(os.fsencode(top)):
        folders[:] = [name for name in folders if name != b".git"]
        for name in [*names, *(n for n in folders if os.path.islink(os.path.join(folder, n)))]:
            path = os.path.join(folder, name)
            relative = os.path.relpath(path, os.fsencode(top))
            info = os.lstat(path)
            if relative == b".git" or ignored(relative):
                continue
            if stat.S_ISLNK(info.st_mode):
                found[relative] = ("120000", os.readlink(path))
            elif stat.S_ISREG(info.st_mode):
                mode = "100755" if info.st_mode & stat.S_IXUSR else "100644"
                found[relative] = (mode, Path(os.fsdecode(path)).read_bytes())
    return found


def tree_in_git(repo: GitRepo, tree: str) -> Tree:
    """Read a tree of the repository."""
    listed = repo.git_bytes("ls-tree", "-r", "-z", tree).split(b"\0")[:-1]
    found: Tree = {}
    for line in listed:
        head, _, path = line.partition(b"\t")
        mode, _, oid = head.split(b" ")
        content = b"" if mode == b"160000" else repo.git_bytes("cat-file", "blob", oid.decode())
        found[path] = (mode.decode(), content)
    return found


@dataclass
class Slot:
    """A slot at a commit, in which a test plays the tool."""

    repo: GitRepo
    worktree: Worktree
    commit: str
    diff: Path
    since: int = 0

    def begin(self, *keep: str) -> Path:
        """Move the tree to the commit and begin."""
        self.worktree.move(self.commit, keep=keep)
        _, self.since = self.worktree.begin("do it")
        return self.worktree.tree

    def capture(self, *keep: str, secrets: tuple[str, ...] = (), max_bytes: int = 1 << 20) -> Captured:
        """Take what is there."""
        wanted = Capture(mode="worktree", max_bytes=max_bytes)
        return self.worktree.capture(
            wanted, self.diff, commit=self.commit, keep=keep, since=self.since, secrets=secrets
        )

    def landed(self) -> Tree:
        """Give the tree that the patch makes of the base, by Maingate's own intake."""
        taken = take_in(self.diff.read_bytes(), max_bytes=MAX_BYTES)
        assert isinstance(taken, Intake), taken
        repository = Repository.open(self.repo.path)
        applied = apply_patch(repository, repository.tree_of(self.commit), taken)
        assert isinstance(applied, Applied), applied
        return tree_in_git(self.repo, applied.tree)


@pytest.fixture
def slot(repo: GitRepo, tmp_path: Path) -> Iterator[Slot]:
    """Give a slot and a base with a file of each kind."""
    repo.write(BASE)
    (repo.path / "run.sh").write_text("#!/bin/sh\n")
    (repo.path / "run.sh").chmod(0o755)
    (repo.path / "link").symlink_to("src/a.py")
    commit = repo.commit({})
    worktree = Worktree(tmp_path / "slot", repo.path / ".git")
    yield Slot(repo, worktree, commit, tmp_path / "out" / "patch.diff")
    worktree.destroy()


def git(tree: Path, *args: str) -> None:
    """Run git as a tool would."""
    identity = ("-c", "user.name=t", "-c", "user.email=t@t", "-c", "protocol.file.allow=always")
    subprocess.run(["git", *identity, *args], cwd=tree, check=True, capture_output=True)


def run_as_tool(slot: Slot, tree: Path, script: str) -> None:
    """Run a script in the worktree as a tool would."""
    identity = {f"GIT_{who}_{what}": "t@t" for who in ("AUTHOR", "COMMITTER") for what in ("NAME", "EMAIL")}
    env = {**os.environ, **identity, "MAINGATE_BASE": slot.commit, "TMPDIR": str(slot.diff.parent.parent)}
    subprocess.run(["sh", "-ec", script], cwd=tree, env=env, check=True, capture_output=True)


def edit(tree: Path) -> None:
    """Make the edit that all tools of these tests make."""
    (tree / "src" / "a.py").write_text("a = 2\n")
    (tree / "new file").write_text("new\n")


EDITED = {b"src/a.py": ("100644", b"a = 2\n"), b"new file": ("100644", b"new\n")}


def expected(slot: Slot, changes: Mapping[bytes, tuple[str, bytes] | None] = EDITED) -> Tree:
    """Give the base with changes; None deletes."""
    tree: dict[bytes, tuple[str, bytes] | None] = {**tree_in_git(slot.repo, slot.commit), **changes}
    return {path: entry for path, entry in tree.items() if entry is not None}


def test_an_untouched_tree_is_an_empty_patch(slot: Slot) -> None:
    """A tool that did nothing has made nothing, and that is no problem of the capture."""
    slot.begin()

    assert slot.capture() == Captured(bytes=0)
    assert slot.diff.read_bytes() == b""


def test_edits_are_taken(slot: Slot) -> None:
    """Edits, new, deleted and renamed files, links and modes are in the patch."""
    tree = slot.begin()
    edit(tree)
    (tree / "binary").write_bytes(bytes(range(256)) * 8)
    (tree / "empty").unlink()
    (tree / "README.md").rename(tree / "READ ME")
    (tree / "run.sh").chmod(0o644)
    (tree / "link").unlink()
    (tree / "link").symlink_to("../outside")
    (tree / "src" / "b.py").unlink()
    (tree / "src" / "b.py").symlink_to("a.py")

    captured = slot.capture()

    assert captured == Captured(bytes=slot.diff.stat().st_size)
    assert slot.landed() == tree_on_disk(tree)


def commits_of_its_own(tree: Path) -> None:
    """Commit, move the branch, go back, detach."""
    edit(tree)
    git(tree, "checkout", "-q", "-b", "mine")
    git(tree, "add", "-A")
    git(tree, "commit", "-q", "-m", "mine")
    git(tree, "tag", "mine-too")


def reset_after_commit(tree: Path) -> None:
    """Leave HEAD where nobody expects it."""
    commits_of_its_own(tree)
    git(tree, "reset", "-q", "--soft", "HEAD~1")
    git(tree, "checkout", "-q", "--orphan", "nothing")
    git(tree, "rm", "-q", "-r", "--cached", ".")


def without_repository(tree: Path) -> None:
    """Remove the repository."""
    shutil.rmtree(tree / ".git")
    edit(tree)


def repository_replaced_by_a_pipe(tree: Path) -> None:
    """Put what never answers in its place."""
    without_repository(tree)
    os.mkfifo(tree / ".git")


def hostile_configuration(tree: Path) -> None:
    """Let everything that git could run in the repository leave a mark."""
    mark = tree.parent / "scratch" / "mark"
    for name in ("core.fsmonitor", "filter.f.clean", "filter.f.process", "diff.d.command", "diff.d.textconv"):
        git(tree, "config", name, f"touch {mark}; cat")
    git(tree, "config", "core.hooksPath", str(tree / ".git" / "hooks"))
    for name in ("pre-commit", "post-index-change", "post-checkout", "reference-transaction"):
        hook = tree / ".git" / "hooks" / name
        hook.parent.mkdir(exist_ok=True)
        hook.write_text(f"#!/bin/sh\ntouch {mark}\n")
        hook.chmod(0o755)
    (tree / ".git" / "info").mkdir(exist_ok=True)
    (tree / ".git" / "info" / "attributes").write_text("* filter=f diff=d\n")
    (tree / ".git" / "info" / "exclude").write_text("*\n")
    (tree / ".git" / "index").write_bytes(b"nonsense")
    edit(tree)


def hostile_control(tree: Path) -> None:
    """Do the same to the git directory beside the tree."""
    control = tree.parent / "control"
    (control / "config").write_text("[core]\n\tfsmonitor = false\n\tworktree = /nowhere\n[filter")
    (control / "info").mkdir()
    (control / "info" / "exclude").write_text("*\n")
    (control / "index").write_bytes(b"nonsense")
    (tree.parent / "capture").mkdir()
    (tree.parent / "capture" / "index").write_bytes(b"nonsense")
    edit(tree)


def control_is_gone(tree: Path) -> None:
    """Leave nothing beside the tree but a link that leads away."""
    shutil.rmtree(tree.parent / "control")
    (tree.parent / "control").symlink_to(tree / "src")
    edit(tree)


def closed_folders(tree: Path) -> None:
    """Take away rights to read."""
    edit(tree)
    (tree / "new file").chmod(0o200)
    (tree / "src").chmod(0)


def backdated(tree: Path) -> None:
    """Give an edited file of the same size the time that it had."""
    before = (tree / "src" / "a.py").stat()
    edit(tree)
    os.utime(tree / "src" / "a.py", ns=(before.st_atime_ns, before.st_mtime_ns))


def sockets_and_pipes(tree: Path) -> None:
    """Leave what a server leaves."""
    edit(tree)
    os.mkfifo(tree / "pipe")
    (tree / "new").mkdir()
    os.mkfifo(tree / "new" / ".gitignore")
    os.mkfifo(tree / "new" / ".gitattributes")
    here = Path.cwd()
    os.chdir(tree)
    with socket.socket(socket.AF_UNIX) as listening:
        listening.bind("sock")
    os.chdir(here)


def ignored_things(tree: Path) -> None:
    """Build, and install a package from a repository."""
    edit(tree)
    (tree / "build" / "vendor").mkdir(parents=True)
    (tree / "build" / "out").write_text("x" * 4_000_000)
    git(tree / "build" / "vendor", "init", "-q")
    (tree / "a.log").write_text("log\n")


@pytest.mark.parametrize(
    "tool",
    [
        commits_of_its_own,
        reset_after_commit,
        without_repository,
        repository_replaced_by_a_pipe,
        hostile_configuration,
        hostile_control,
        control_is_gone,
        closed_folders,
        backdated,
        sockets_and_pipes,
        ignored_things,
    ],
)
def test_only_the_tree_counts(slot: Slot, tool: Callable[[Path], None]) -> None:
    """Whatever was done: the patch is the difference, and the slot is as before."""
    tree = slot.begin()
    tool(tree)

    assert slot.capture() == Captured(bytes=slot.diff.stat().st_size)
    assert slot.landed() == expected(slot)
    assert not (tree.parent / "scratch" / "mark").exists()
    assert not (tree.parent / "capture").exists()
    again = slot.begin()
    assert tree_on_disk(again) == tree_in_git(slot.repo, slot.commit)


def test_repositories_that_a_tool_has_made_are_left_out_and_told(slot: Slot) -> None:
    """A clone, and a worktree of its own clone; one in an ignored folder does not matter."""
    tree = slot.begin()
    edit(tree)
    for folder in ("vendor/clone", "build/clone"):
        (tree / folder).mkdir(parents=True)
        git(tree / folder, "init", "-q")
        (tree / folder / "x").write_text("x\n" * 300_000)
        git(tree / folder, "add", "-A")
        git(tree / folder, "commit", "-q", "-m", "x")
    (tree / "vendor" / "beside").write_text("beside\n")
    git(tree, "worktree", "add", "-q", "--detach", ".claude/worktrees/one")

    captured = slot.capture()

    assert captured.problem == ""
    assert (
        captured.note == "repositories of their own are not in the patch: .claude/worktrees/one, vendor/clone"
    )
    assert slot.landed() == expected(slot, {**EDITED, b"vendor/beside": ("100644", b"beside\n")})


@pytest.mark.parametrize("place", ["src", "docs/deep", "docs/deep/er", "README.md", "README.md/below"])
def test_a_repository_in_place_of_what_is_tracked_is_a_problem(slot: Slot, place: str) -> None:
    """It would hide what became of that."""
    tree = slot.begin()
    if place.startswith("README"):
        (tree / "README.md").unlink()
    (tree / place).mkdir(parents=True, exist_ok=True)
    git(tree / place, "init", "-q")

    assert slot.capture().problem == f"a repository in place of what is tracked: {place}"


def test_a_pipe_in_place_of_a_file_is_a_problem(slot: Slot) -> None:
    """It cannot be in a patch, and nothing waits for it."""
    tree = slot.begin()
    edit(tree)
    (tree / ".gitignore").unlink()
    os.mkfifo(tree / ".gitignore")

    captured = slot.capture()

    assert captured.problem == "a pipe, socket or device in place of a file: .gitignore"
    assert slot.landed() == expected(slot, {**EDITED, b".gitignore": None})


def test_a_folder_replaced_by_a_link_out_of_the_tree_is_a_link(slot: Slot, tmp_path: Path) -> None:
    """What a link leads to is not read; policy judges the link."""
    tree = slot.begin()
    (tmp_path / "outside").mkdir()
    (tmp_path / "outside" / "a.py").write_text("secret\n")
    shutil.rmtree(tree / "src")
    (tree / "src").symlink_to(tmp_path / "outside")

    slot.capture()

    assert b"secret" not in slot.diff.read_bytes()
    assert b"diff --git a/src b/src\nnew file mode 120000\n" in slot.diff.read_bytes()


@pytest.mark.parametrize("how", ["removed", "linked"])
def test_without_the_tree_there_is_nothing(slot: Slot, tmp_path: Path, how: str) -> None:
    """A worktree that is gone, or leads elsewhere, is a problem and no deletion of all files."""
    tree = slot.begin()
    shutil.rmtree(tree)
    if how == "linked":
        tree.symlink_to(tmp_path)

    assert slot.capture() == Captured(problem="the tool removed or replaced the worktree itself")


def test_what_is_too_big_is_left_out_and_told(slot: Slot) -> None:
    """The rest is saved; the big file costs neither memory nor disk, though it claims a terabyte."""
    tree = slot.begin()
    edit(tree)
    with (tree / "huge").open("wb") as file:
        file.truncate(1 << 40)

    captured = slot.capture()

    assert captured.problem == "the patch is bigger than 1048576 bytes; left out: huge"
    assert slot.landed() == expected(slot)


def test_a_patch_beyond_the_limit_is_cut_and_told(slot: Slot) -> None:
    """What is left of it is for people."""
    tree = slot.begin()
    (tree / "README.md").write_text("".join(f"{number}\n" for number in range(300)))

    captured = slot.capture(max_bytes=1500)

    assert captured == Captured(bytes=1500, problem="the patch is bigger than 1500 bytes")


def test_rules_too_big_to_be_read_are_a_problem(slot: Slot) -> None:
    """Git holds them in memory; it is not let."""
    tree = slot.begin()
    edit(tree)
    (tree / "src" / ".gitignore").touch()
    os.truncate(tree / "src" / ".gitignore", 1 << 40)

    captured = slot.capture()

    assert captured.problem.startswith("rules for git that are too big to be read: src/.gitignore")
    assert slot.landed() == expected(slot)


def test_a_secret_in_the_patch_is_a_problem(slot: Slot) -> None:
    """A key must not land, and not be kept in a file either."""
    tree = slot.begin()
    (tree / "src" / "a.py").write_text("key = 'hunter2-hunter2'\n")

    captured = slot.capture(secrets=("hunter2-hunter2",))

    assert captured.problem == "the patch has the value of a secret in it"
    assert b"hunter2" not in slot.diff.read_bytes()
    assert b"key = '[redacted]'" in slot.diff.read_bytes()


def test_what_is_kept_is_no_part_of_the_patch(slot: Slot) -> None:
    """Nor is a repository in it of interest."""
    tree = slot.begin(".venv")
    edit(tree)
    (tree / ".venv" / "src").mkdir(parents=True)
    git(tree / ".venv" / "src", "init", "-q")

    assert slot.capture(".venv").problem == ""
    assert slot.landed() == expected(slot)
    assert (tree / ".venv" / "src" / ".git").is_dir()


def test_ignoring_more_hides_only_what_is_new(slot: Slot) -> None:
    """A `.gitignore` counts as the tool left it: what is tracked stays tracked, and the edit is seen."""
    tree = slot.begin()
    edit(tree)
    (tree / ".gitignore").write_text("*\n")

    assert slot.capture().problem == ""
    wanted = {b"src/a.py": EDITED[b"src/a.py"], b".gitignore": ("100644", b"*\n")}
    assert slot.landed() == expected(slot, wanted)


def test_files_that_git_would_convert_are_not_changed_by_looking(slot: Slot) -> None:
    """Where attributes ask for other line ends than the base has, only what the tool wrote is taken."""
    slot.commit = slot.repo.commit({"crlf.txt": b"one\r\ntwo\r\n", "other.txt": b"one\r\ntwo\r\n"})
    tree_before = tree_in_git(slot.repo, slot.commit)
    slot.repo.write({".gitattributes": "*.txt text\n"})
    slot.repo.git("add", ".gitattributes")
    slot.repo.git("commit", "-q", "-m", "attributes")
    slot.commit = slot.repo.head()
    assert tree_in_git(slot.repo, slot.commit).items() > tree_before.items()
    tree = slot.begin()
    (tree / "other.txt").write_bytes(b"one\r\nthree\r\n")
    (tree / "src" / "a.py").write_text("a = 2\n")

    assert slot.capture().problem == ""
    wanted = {b"src/a.py": EDITED[b"src/a.py"], b"other.txt": ("100644", b"one\nthree\n")}
    assert slot.landed() == expected(slot, wanted)


def test_folders_that_changed_places_are_seen(slot: Slot) -> None:
    """A file bears its old time though its folder was renamed: the place counts, not the time."""
    slot.commit = slot.repo.commit({"x/f": "1111\n", "y/f": "2222\n"})
    tree = slot.begin()
    (tree / "x").rename(tree / "z")
    (tree / "y").rename(tree / "x")
    (tree / "z").rename(tree / "y")

    slot.capture()

    assert slot.landed() == tree_on_disk(tree)


def test_planted_objects_do_not_stand_for_those_of_the_source(slot: Slot) -> None:
    """What lies in the slot's own store under a wrong name is not what the next job sees."""
    tree = slot.begin()
    oid = slot.repo.git("rev-parse", f"{slot.commit}:src/a.py")
    wrong = slot.repo.git("hash-object", "-w", "--stdin", stdin=b"evil = 1\n")
    source = slot.repo.path / ".git" / "objects"
    planted = tree.parent / "control" / "objects" / oid[:2] / oid[2:]
    planted.parent.mkdir()
    shutil.copyfile(source / wrong[:2] / wrong[2:], planted)
    (tree / "src" / "a.py").unlink()

    slot.capture()

    assert slot.landed() == expected(slot, {b"src/a.py": None})
    assert (slot.begin() / "src" / "a.py").read_text() == "a = 1\n"


def test_a_link_in_place_of_the_control_directorys_store_is_not_followed(slot: Slot, tmp_path: Path) -> None:
    """Cleaning up never reaches out of the slot."""
    tree = slot.begin()
    outside = tmp_path / "precious"
    (outside / "info").mkdir(parents=True)
    (outside / "file").write_text("x")
    shutil.rmtree(tree.parent / "control" / "objects")
    (tree.parent / "control" / "objects").symlink_to(outside)

    slot.capture()
    slot.begin()

    assert (outside / "file").read_text() == "x"


def test_a_submodule_of_the_base_stays_what_it_is(slot: Slot, tmp_path: Path) -> None:
    """A tool that checks it out, and configures it, runs nothing of Maingate's and changes no link to it."""
    inner = GitRepo.create(tmp_path / "inner")
    commit = inner.commit({"x": "x\n"})
    slot.repo.git("update-index", "--add", "--cacheinfo", f"160000,{commit},sub")
    slot.repo.git("commit", "-q", "-m", "submodule")
    slot.commit = slot.repo.head()
    tree = slot.begin()
    edit(tree)
    git(tree, "clone", "-q", str(inner.path), "sub")
    mark = tree.parent / "scratch" / "mark"
    git(tree / "sub", "config", "core.fsmonitor", f"touch {mark}")
    (tree / "sub" / "x").write_text("y\n")

    captured = slot.capture()

    assert captured.problem == ""
    assert captured.note == "what changed in the submodule sub is not in the patch"
    assert not mark.exists()
    assert b"Subproject" not in slot.diff.read_bytes()
    assert slot.landed() == expected(slot)


@pytest.mark.parametrize("way", ["update", "clone", "kept"])
def test_a_tool_may_move_a_submodule_to_what_others_can_have(slot: Slot, tmp_path: Path, way: str) -> None:
    """The link is its patch, where policy allows it; a commit of its own in there is a problem."""
    inner = GitRepo.create(tmp_path / "inner")
    first, second = inner.commit({"x": "x\n"}), inner.commit({"x": "y\n"})
    third = inner.commit({"x": "z\n"})
    slot.repo.write({".gitmodules": f'[submodule "sub"]\n\tpath = sub\n\turl = {inner.path}\n'})
    slot.repo.git("add", ".gitmodules")
    slot.repo.git("update-index", "--add", "--cacheinfo", f"160000,{first},sub")
    slot.repo.git("commit", "-q", "-m", "submodule")
    slot.commit = slot.repo.head()
    for commit in ("", second, third, "own"):
        keep = ("sub",) if way == "kept" else ()
        tree = slot.begin(*keep)
        if way != "update":
            git(tree, "clone", "-q", str(inner.path), "sub")
            git(tree / "sub", "checkout", "-q", "--detach", first)
        else:
            git(tree, "submodule", "update", "--init", "-q")
        edit(tree)
        if commit == "own":
            git(tree / "sub", "commit", "-q", "--allow-empty", "-m", "own")
        elif commit:
            git(tree / "sub", "checkout", "-q", commit)

        captured = slot.capture(*keep)

        assert captured.note == ""
        if commit == "own":
            assert re.fullmatch("a submodule at .{12}, which no remote of it has: sub", captured.problem)
        else:
            assert captured.problem == ""
        said = slot.diff.read_text()
        moved = f"-Subproject commit {first}\n+Subproject commit {commit}\n"
        assert (moved in said) is (commit in {second, third})
        assert said.count("Subproject") == (2 if commit in {second, third} else 0)


def test_a_submodule_that_a_tool_adds_is_in_its_patch(slot: Slot, tmp_path: Path) -> None:
    """With the file that configures it; a repository that is not configured is left out."""
    inner = GitRepo.create(tmp_path / "inner")
    commit = inner.commit({"x": "x\n"})
    tree = slot.begin()
    git(tree, "submodule", "--quiet", "add", str(inner.path), "libs/new")
    git(tree, "clone", "-q", str(inner.path), "libs/other")

    captured = slot.capture()

    assert captured.problem == ""
    assert captured.note == "repositories of their own are not in the patch: libs/other"
    landed = slot.landed()
    assert landed[b"libs/new"] == ("160000", b"")
    assert f"+Subproject commit {commit}" in slot.diff.read_text()
    assert landed.keys() - expected(slot, {}).keys() == {b"libs/new", b".gitmodules"}


@dataclass(frozen=True)
class Left:
    """Work that a tool leaves beside its worktree.

    Args:
        script: Its commands.
        taken: The files that are taken, with their content.
        note: The beginning of the note.
        saved: The subjects of the commits that are saved.
    """

    script: str
    taken: Mapping[bytes, tuple[str, bytes]]
    note: str = ""
    saved: tuple[str, ...] = ()


_NEW = {b"new": ("100644", b"new\n")}
_COMMIT = "echo new > new; git add new; git commit -qm new"
_SAVED = "its work in {} is not in the patch; it is saved: git fetch "
LEFT = {
    "a branch ahead": Left(
        f"git checkout -qb topic; {_COMMIT}; git checkout -q --detach HEAD~1",
        _NEW,
        "the patch is the branch topic of its clone; the worktree was as before",
    ),
    "several commits": Left(
        f"git checkout -qb topic; {_COMMIT}; echo b > b; git add b; git commit -qm b;"
        " git checkout -q --detach HEAD~2",
        {**_NEW, b"b": ("100644", b"b\n")},
        "the patch is the branch topic of its clone; the worktree was as before",
    ),
    "a worktree of its clone": Left(
        f"git worktree add -q -b topic .claude/x; cd .claude/x; {_COMMIT}",
        _NEW,
        "repositories of their own are not in the patch: .claude/x; the patch is the branch topic",
    ),
    "two branches": Left(
        f"git checkout -qb one; {_COMMIT}; git checkout -q --detach HEAD~1; git checkout -qb two;"
        " echo b > b; git add b; git commit -qm b; git checkout -q --detach HEAD~1",
        {},
        _SAVED.format("one, two"),
        ("b", "new"),
    ),
    "a branch beside other work": Left(
        f"git checkout -qb topic; {_COMMIT}; git checkout -q --detach HEAD~1; echo a > src/a.py",
        {b"src/a.py": ("100644", b"a\n")},
        _SAVED.format("topic"),
        ("new",),
    ),
    "a branch that is not ahead": Left(
        f"git checkout -q --orphan topic; {_COMMIT}; git checkout -qf --detach $MAINGATE_BASE",
        {},
        _SAVED.format("topic"),
        ("new",),
    ),
    "stashes": Left(
        "echo a > src/a.py; git stash -q; echo b > src/b.py; git stash -q; echo new > new",
        _NEW,
        _SAVED.format("stash@{0}, stash@{1}"),
        ("WIP", "WIP"),
    ),
    "a branch and a stash": Left(
        f"echo a > src/a.py; git stash -q; git checkout -qb topic; {_COMMIT};"
        " git checkout -q --detach HEAD~1",
        _NEW,
        "the patch is the branch topic of its clone; the worktree was as before; "
        + _SAVED.format("stash@{0}"),
        ("WIP",),
    ),
    "commits that are checked out": Left(f"git checkout -qb topic; {_COMMIT}", _NEW),
    "commits and more": Left(f"{_COMMIT}; echo a > src/a.py", {**_NEW, b"src/a.py": ("100644", b"a\n")}),
    "a squashed branch": Left(
        f"git checkout -qb topic; {_COMMIT}; git checkout -q --detach HEAD~1; git merge -q --squash topic",
        _NEW,
    ),
    "a tag": Left(
        f"{_COMMIT}; git tag v1; git reset -q --hard HEAD~1", {}, _SAVED.format("tags/v1"), ("new",)
    ),
    "a tag with a message": Left(
        f"{_COMMIT}; git tag -a -m v1 v1; git reset -q --hard HEAD~1", {}, _SAVED.format("tags/v1"), ("new",)
    ),
    "a commit that belongs to nothing": Left(
        f"{_COMMIT}; git checkout -q --detach $MAINGATE_BASE", {}, "its work in commit ", ("new",)
    ),
    "commits that were made again": Left(f"{_COMMIT}; git commit -q --amend -m again", _NEW),
    "a commit that was dropped for other work": Left(
        f"{_COMMIT}; git reset -q --hard HEAD~1; echo a > src/a.py", {b"src/a.py": ("100644", b"a\n")}
    ),
    "commits that were fetched": Left(
        "git init -q $TMPDIR/far; cd $TMPDIR/far; git commit -q --allow-empty -m far; git tag far; cd -;"
        " git fetch -q $TMPDIR/far HEAD:refs/remotes/far/main tag far; git branch topic far/main;"
        " rm -rf $TMPDIR/far",
        {},
    ),
    "a branch of the source": Left("git branch other HEAD", {}),
    "work that was taken back": Left(f"{_COMMIT}; git checkout -qb topic; git rm -qf new; rm -f new", {}),
}


_IGNORED = "echo x > a.log; git add -f a.log; git commit -qm x"
_CONFLICT = (
    "git checkout -qb topic; echo t > src/a.py; git commit -qam t; git checkout -q --detach HEAD~1;"
    " echo b > src/a.py; git commit -qam b; git merge -q topic || true"
)
TRACKED: Mapping[str, tuple[str, Mapping[bytes, tuple[str, bytes] | None]]] = {
    "a part of the tree only": (
        "git sparse-checkout set --no-cone '/*' '!/docs'; test ! -e docs; echo new > new",
        _NEW,
    ),
    "a part of the tree only, by folders": ("git sparse-checkout set docs; echo new > new", _NEW),
    "a removal outside of that part": (
        "git sparse-checkout set --no-cone '/*' '!/src'; git rm -q --sparse src/b.py",
        {b"src/b.py": None},
    ),
    "an ignored file that was added": (
        "echo x > a.log; echo y > b.log; git add -f a.log",
        {b"a.log": ("100644", b"x\n")},
    ),
    "an ignored file that was committed": (
        "mkdir build; echo x > build/x; git add -f build/x; git commit -qm x",
        {b"build/x": ("100644", b"x\n")},
    ),
    "an ignored file of a branch": (
        f"git checkout -qb topic; {_IGNORED}; git checkout -q --detach HEAD~1",
        {b"a.log": ("100644", b"x\n")},
    ),
    "a file that is tracked no more": (
        "git rm -q --cached empty; echo empty >> .gitignore",
        {b"empty": None, b".gitignore": ("100644", b"*.log\nbuild/\nempty\n")},
    ),
    "a file that is tracked no more and not ignored": ("git rm -q --cached empty; echo new > new", _NEW),
    "a conflict that is resolved": (
        f"{_CONFLICT}; echo both > src/a.py",
        {b"src/a.py": ("100644", b"both\n")},
    ),
    "no index": ("rm .git/index; echo new > new", _NEW),
    "an index that is damaged": ("echo junk > .git/index; echo new > new", _NEW),
    "an index that is empty": ("git read-tree --empty; echo new > new", _NEW),
}


@pytest.mark.parametrize(("script", "taken"), TRACKED.values(), ids=TRACKED.keys())
def test_files_are_taken_as_the_tool_tracks_them(
    slot: Slot, script: str, taken: Mapping[bytes, tuple[str, bytes] | None]
) -> None:
    """Where the work tree does not show it, its index does, as for a commit of the tool's."""
    run_as_tool(slot, slot.begin(), script)
    captured = slot.capture()
    assert captured.problem == ""
    assert slot.landed() == expected(slot, taken)


def test_a_conflict_that_is_not_resolved_is_a_problem(slot: Slot) -> None:
    """As for a commit; the markers would land."""
    run_as_tool(
        slot,
        slot.begin(),
        _CONFLICT,
    )
    assert slot.capture().problem == "a conflict that is not resolved: src/a.py"


def test_what_is_kept_stays_out_of_the_patch_though_a_tool_adds_it(slot: Slot) -> None:
    """So does what the tool's preset leaves out."""
    tree = slot.begin("node_modules")
    run_as_tool(
        slot, tree, "mkdir node_modules; echo x > node_modules/x; git add -f node_modules; echo new > new"
    )
    assert slot.capture("node_modules").problem == ""
    assert slot.landed() == expected(slot, _NEW)


@pytest.mark.parametrize("left", LEFT.values(), ids=LEFT.keys())
def test_work_beside_the_worktree_is_never_lost(slot: Slot, left: Left) -> None:
    """It is taken, or saved in a bundle and told; what is in the patch is not told."""
    run_as_tool(slot, slot.begin(), left.script)

    captured = slot.capture()

    assert captured.problem == ""
    assert captured.note.startswith(left.note)
    assert bool(captured.note) is bool(left.note)
    assert (slot.landed() if captured.bytes else expected(slot, {})) == expected(slot, left.taken)
    bundle = slot.diff.with_suffix(".bundle")
    assert bundle.exists() is bool(left.saved)
    if left.saved:
        fetched = GitRepo(path=slot.repo.path)
        fetched.git("fetch", "-q", str(bundle), "refs/saved/*:refs/saved/*")
        subjects = fetched.git("for-each-ref", "--format=%(subject)", "refs/saved").splitlines()
        assert sorted(
            subject[: len(want)] for subject, want in zip(sorted(subjects), sorted(left.saved), strict=True)
        ) == sorted(left.saved)


def test_saved_work_has_no_secrets_and_is_not_too_big(slot: Slot) -> None:
    """It is told all the same."""
    for options, why in (
        ({"secrets": ("hunter2-hunter2",)}, "it has the value of a secret in it"),
        ({"max_bytes": 1000}, "it is bigger than 1000 bytes"),
    ):
        tree = slot.begin()
        (tree / "src/a.py").write_bytes(b"hunter2-hunter2" + os.urandom(4000))
        git(tree, "stash", "-q")
        captured = slot.capture(**options)
        assert captured.note == f"its work in stash@{{0}} was not saved: {why}"
        assert not slot.diff.with_suffix(".bundle").exists()


def test_a_clone_that_lies_is_not_obeyed(slot: Slot, tmp_path: Path) -> None:
    """Links, pipes, wrong ids, broken objects and drivers of the clone neither stop nor run anything."""
    tree = slot.begin()
    edit(tree)
    mark = tmp_path / "mark"
    refs = tree / ".git" / "refs" / "heads"
    (refs / "link").symlink_to(tmp_path)
    os.mkfifo(refs / "pipe")
    (refs / "broken").write_text("1" * 40 + "\n")
    (refs / "odd").write_text("../../x\n")
    (tree / ".git" / "packed-refs").write_bytes(b"\xff" * 1000)
    git(tree, "config", "core.fsmonitor", f"touch {mark}")
    git(tree, "config", "core.sshCommand", f"touch {mark}")

    captured = slot.capture()

    assert captured.problem == ""
    assert captured.note.startswith("the tool's own commits could not be read: ")
    assert slot.landed() == expected(slot)
    assert not mark.exists()


@pytest.mark.parametrize("replaced", ["file", "link", "gone"])
def test_a_clone_without_its_git_directory_has_no_other_work(slot: Slot, replaced: str) -> None:
    """A link to the person's repository is not followed."""
    tree = slot.begin()
    edit(tree)
    shutil.rmtree(tree / ".git")
    if replaced == "file":
        (tree / ".git").write_text(f"gitdir: {slot.repo.path}/.git\n")
    elif replaced == "link":
        (tree / ".git").symlink_to(slot.repo.path / ".git")
    captured = slot.capture()
    assert (captured.problem, captured.note) == ("", "")
    assert slot.landed() == expected(slot)


def test_a_name_that_git_refuses_is_a_problem_and_the_rest_is_saved(slot: Slot) -> None:
    """On other file systems it would be the repository itself."""
    tree = slot.begin()
    edit(tree)
    (tree / ".GIT").mkdir()
    (tree / ".GIT" / "config").write_text("x")
    (tree / "git~1").write_text("x")

    captured = slot.capture()

    assert captured.problem.startswith("git could not take all that the tool left: ")
    assert slot.landed() == expected(slot)


def test_a_file_that_cannot_be_converted_is_saved_as_it_is_and_told(slot: Slot) -> None:
    """A tool that claims another encoding than its file has does not hide the file."""
    tree = slot.begin()
    edit(tree)
    (tree / ".gitattributes").write_text("new* working-tree-encoding=UTF-16\n")

    captured = slot.capture()

    assert "git could not take all that the tool left" in captured.problem
    attributes = (tree / ".gitattributes").read_bytes()
    assert slot.landed() == expected(slot, {**EDITED, b".gitattributes": ("100644", attributes)})


def test_what_a_tool_keeps_for_itself_is_no_part_of_the_patch(slot: Slot) -> None:
    """Caches of agents are left out, at any depth."""
    tree = slot.begin()
    edit(tree)
    (tree / ".agent-cache").mkdir()
    (tree / ".agent-cache" / "x").write_text("x")
    (tree / "src" / ".agent.log").write_text("x")
    wanted = Capture(mode="worktree", exclude=(".agent*",))

    assert slot.worktree.capture(wanted, slot.diff, commit=slot.commit, since=slot.since).problem == ""
    assert slot.landed() == expected(slot)


def test_a_deep_tree_is_taken_or_told(slot: Slot) -> None:
    """Folders too deep for the system to name are told, and nothing else is lost."""
    tree = slot.begin()
    edit(tree)
    here = Path.cwd()
    os.chdir(tree)
    for _ in range(600):
        os.mkdir("deep-folder")
        os.chdir("deep-folder")
    Path("file").write_text("x")
    os.chdir(here)

    captured = slot.capture()

    assert captured.problem.startswith("it cannot be read: deep-folder/")
    assert {path for path in slot.landed() if not path.startswith(b"deep-folder")} == set(expected(slot))
    assert tree_on_disk(slot.begin()) == tree_in_git(slot.repo, slot.commit)


NAMES = [
    *(b"README.md", b"src/a.py", b"src/b.py", b"src", b"docs/deep", b"empty", b"no-newline", b"binary"),
    *(b"link", b"run.sh", b"t\tab", b"n\nl", b'q"uo', b"\xff\xfe", b" lead", b"trail ", b"-dash", b":(top)x"),
    *(b"x/y/z", b"x/y", b"x", b"b/b", b"a b/c", b"\\", b".gitkeep", b"*", b"~", b"CON"),
]
CONTENTS = st.one_of(
    st.sampled_from([b"", b"\n", b"x", b"one\r\ntwo\r\n", b"\x00\xff" * 9, b"@@ -1 +1 @@\n", b"a = 1\n"]),
    st.binary(max_size=40),
    st.lists(st.sampled_from([b"one\n", b"two\n", b"-- x\n", b"\r\n", b"last"]), max_size=12).map(b"".join),
)
EDITS = st.one_of(
    st.tuples(st.just("write"), st.sampled_from(NAMES), CONTENTS),
    st.tuples(st.just("delete"), st.sampled_from(NAMES), st.none()),
    st.tuples(st.just("rename"), st.sampled_from(NAMES), st.sampled_from(NAMES)),
    st.tuples(st.just("link"), st.sampled_from(NAMES), st.sampled_from([b"src/a.py", b"/etc", b"../x"])),
    st.tuples(st.just("mode"), st.sampled_from(NAMES), st.sampled_from([0o755, 0o644, 0o600])),
)


def _gone(path: bytes) -> None:
    if os.path.isdir(path) and not os.path.islink(path):
        shutil.rmtree(path)
    elif os.path.lexists(path):
        os.unlink(path)


def _make_room(top: bytes, path: bytes) -> bytes:
    """Make the folders above a path, in place of what is there."""
    folder = top
    for part in path.split(b"/")[:-1]:
        folder = os.path.join(folder, part)
        if not os.path.isdir(folder) or os.path.islink(folder):
            _gone(folder)
            os.mkdir(folder)
    return os.path.join(top, path)


def play(tree: Path, kind: str, name: bytes, what: object) -> None:
    """Make one random edit."""
    top = os.fsencode(tree)
    if kind in ("write", "link"):
        path = _make_room(top, name)
        _gone(path)
        if isinstance(what, bytes) and kind == "link":
            os.symlink(what, path)
        elif isinstance(what, bytes):
            Path(os.fsdecode(path)).write_bytes(what)
        return
    path = os.path.join(top, name)
    folder = os.path.dirname(path)
    if not os.path.lexists(path) or os.path.realpath(folder) != folder:
        return
    if kind == "delete":
        _gone(path)
    elif kind == "mode" and isinstance(what, int) and os.path.isfile(path) and not os.path.islink(path):
        os.chmod(path, what)
    elif kind == "rename" and isinstance(what, bytes):
        if what == name or what.startswith(name + b"/") or name.startswith(what + b"/"):
            return
        aside = top + b"-aside"
        os.rename(path, aside)
        target = _make_room(top, what)
        _gone(target)
        os.rename(aside, target)


@settings(
    max_examples=examples(60),
    deadline=None,
    suppress_health_check=[HealthCheck.function_scoped_fixture, HealthCheck.too_slow],
)
@given(st.lists(EDITS, min_size=1, max_size=8))
def test_the_patch_leads_exactly_to_the_tree(slot: Slot, edits: list[tuple[str, bytes, object]]) -> None:
    """For all edits: read by the intake and applied to the base, the patch gives the tree the tool left."""
    tree = slot.begin()
    for one in edits:
        play(tree, *one)

    captured = slot.capture()

    assert captured.problem == ""
    left = tree_on_disk(tree)
    if captured.bytes == 0:
        assert left == tree_in_git(slot.repo, slot.commit)
    else:
        assert slot.landed() == left
