"""What is kept beside a commit is what `prepare` left, for every job alike, and never what a tree tracked."""

import contextlib
import os
import shutil
import subprocess
from pathlib import Path

import pytest

from maingate.errors import WorktreeError
from maingate.uet.worktree.worktree import Worktree
from support.examples import crossed
from support.factories import GitRepo
from support.worktree_files import Snapshot, checked_out, snapshot

KEEP = [".venv", "build", "deep/cache"]
AFTERS = {name: name for name in ("the same worker", "one that follows", "one that was lost")}


@pytest.fixture
def bare(repo: GitRepo) -> str:
    """Commit a tree that tracks nothing at the kept paths."""
    return repo.commit({"src/a.c": "a\n", "README": "read me\n"}, "bare")


@pytest.fixture
def worktree(tmp_path: Path, repo: GitRepo) -> Worktree:
    """Give a slot that borrows from the repository."""
    return another(tmp_path, repo)


def another(tmp_path: Path, repo: GitRepo) -> Worktree:
    """Return the slot as a worker that takes it over has it."""
    return Worktree(tmp_path / "slots" / "0", repo.path / ".git")


def to(worktree: Worktree, commit: str, key: str = "key") -> bool:
    """Move a slot for a job that prepares; tells whether it has to."""
    worktree.move(commit, keep=KEEP, prepared_for=key)
    return not worktree.is_prepared()


def run(worktree: Worktree, script: str) -> None:
    """Run a script as a gate or `prepare` is run."""
    env = {**os.environ, **worktree.environment()}
    subprocess.run(["sh", "-ec", script], cwd=worktree.tree, env=env, check=True, capture_output=True)


def prepare(worktree: Worktree, commit: str, script: str, key: str = "key") -> None:
    """Prepare a slot."""
    assert to(worktree, commit, key)
    run(worktree, script)
    worktree.mark_prepared()
    assert not to(worktree, commit, key)


def seen(worktree: Worktree) -> Snapshot:
    """Return what a gate sees."""
    return snapshot(worktree.tree, without=(".git",))


def times(worktree: Worktree) -> dict[str, int]:
    """Return the times of what is kept."""
    kept = [name for name in seen(worktree) if name.split("/")[0] in {".venv", "build"} or "cache" in name]
    return {name: (worktree.tree / name).lstat().st_mtime_ns for name in kept}


MAKE = """
mkdir -p .venv/bin .venv/empty build/o deep/cache build/shut
echo py > .venv/bin/python; chmod 755 .venv/bin/python
ln -s python .venv/bin/python3; ln -s /nowhere .venv/away
echo o > build/o/a.o; chmod 400 build/o/a.o
touch -d 2001-02-03T04:05:06.789 build/o/a.o .venv/bin
chmod 555 .venv/empty; echo c > deep/cache/c; printf '' > build/none
printf x > "build/new
line"
printf x > "build/$(printf '\\377')"
echo h > build/h1; ln build/h1 build/h2; chmod 0 build/h1
mkfifo build/fifo; echo s > build/shut/s; chmod 0 build/shut
"""

GATES: dict[str, str] = {
    "does nothing": "true",
    "writes beside": "echo x > build/more; mkdir .venv/lib; echo x > deep/more; mkdir deep/cache/d",
    "changes a file": "echo evil >> .venv/bin/python",
    "changes a file and hides it": "touch -r .venv/bin/python $TMPDIR/t; printf 'PY\\n' > .venv/bin/python;"
    " touch -r $TMPDIR/t .venv/bin/python",
    "changes a time": "touch -d 2040-01-01 build/o/a.o build",
    "changes rights": "chmod 777 .venv/empty .venv/bin/python build/o/a.o build",
    "removes a file": "rm -f build/o/a.o",
    "removes a folder": "rm -rf .venv/bin",
    "removes all": "rm -rf .venv build deep",
    "removes the tree": 'rm -rf "$PWD"',
    "removes the slot": 'rm -rf "$(dirname "$PWD")"',
    "puts a link in place of a folder": "mv .venv $TMPDIR/v; ln -s $TMPDIR/v .venv",
    "puts a link in place of a file": "rm .venv/bin/python; ln -s ../../README .venv/bin/python",
    "puts a file in place of a folder": "rm -rf build; echo x > build",
    "puts a folder in place of a file": "rm .venv/bin/python; mkdir .venv/bin/python",
    "points a link elsewhere": "ln -sfn README .venv/away",
    "adds a pipe": "mkfifo build/pipe .venv/empty/pipe || mkfifo build/pipe2",
    "links a file to another": "ln -f README .venv/bin/python",
    "writes to the copy": 'for f in ../kept/*; do echo evil > "$f"; done; rm -rf .venv build',
    "writes to the copy and hides it": 'for f in ../kept/*; do touch -r "$f" $TMPDIR/t; echo EV > "$f";'
    ' touch -r $TMPDIR/t "$f"; done; echo evil > .venv/bin/python',
    "removes a file of the copy": "rm ../kept/*; rm -rf .venv build",
    "removes the list of the copy": "rm -f ../kept.json; rm -rf .venv",
    "puts a link in place of the copy": 'mv ../kept "$TMPDIR/k"; ln -s "$TMPDIR/k" ../kept; rm -rf .venv',
    "leaves something beside the tree": "mkdir ../node_modules; echo x > ../conftest.py",
}


@pytest.mark.parametrize(("gate", "after"), crossed(GATES, AFTERS))
def test_every_job_finds_what_prepare_left(  # noqa: PLR0917 - fixtures and cases
    tmp_path: Path, repo: GitRepo, worktree: Worktree, bare: str, gate: str, after: str
) -> None:
    """A job sees the commit and what was prepared, and nothing that a gate did, whoever has the slot."""
    prepare(worktree, bare, MAKE)
    expected, expected_times = seen(worktree), times(worktree)

    for _ in range(2):
        run(worktree, gate)
        if after == "one that follows":
            with contextlib.suppress(WorktreeError):
                worktree.leave()
        if after != "the same worker":
            worktree = another(tmp_path, repo)
        if to(worktree, bare):
            run(worktree, MAKE)
            worktree.mark_prepared()
            assert not to(worktree, bare)
            expected_times = times(worktree)
        assert seen(worktree) == expected
        assert times(worktree) == expected_times
        beside = {"tree", "control", "scratch", "kept", "kept.json"}
        assert {path.name for path in worktree.slot_dir.iterdir()} <= beside


def test_what_was_prepared_looks_as_it_was_left(worktree: Worktree, bare: str) -> None:
    """Contents, rights, times, links and empty folders are as `prepare` left them; pipes are not kept."""
    assert to(worktree, bare)
    run(worktree, MAKE)
    left, left_times = seen(worktree), times(worktree)
    worktree.mark_prepared()
    assert not to(worktree, bare)

    assert left.pop("build/fifo")
    assert left_times.pop("build/fifo")
    assert seen(worktree) == left
    assert times(worktree) == left_times


def test_without_prepare_nothing_is_kept(worktree: Worktree, bare: str) -> None:
    """What a gate leaves at a kept path is gone when nothing prepares, unless jobs share it."""
    worktree.move(bare, keep=KEEP)
    run(worktree, MAKE)

    worktree.move(bare, keep=KEEP)

    assert set(seen(worktree)) == {"README", "src", "src/a.c"}


@pytest.mark.parametrize(("after", "is_shared"), crossed(AFTERS, {"shared": True, "from a copy": False}))
def test_what_a_tree_tracked_is_never_kept(  # noqa: PLR0917 - fixtures and cases
    tmp_path: Path, repo: GitRepo, worktree: Worktree, bare: str, is_shared: bool, after: str
) -> None:
    """Tracked files at kept paths follow the commit: added, changed, removed, links, modes, submodules."""
    variants = [
        {"build/ok.txt": "ok\n", "build/run": "#!/bin/sh\n", ".venv": "a file\n"},
        {"build/ok.txt": "other\n", "build/ok/deep": "x\n", ".venv/bin/python": "tracked\n"},
        {"build": "a file\n", "deep/cache/x": "x\n"},
        {"deep": "a file\n"},
        {"deep/cache": "a file\n", "src/build/x": "x\n"},
    ]
    commits = [bare]
    for files in variants:
        repo.git("checkout", "-q", "--force", bare)
        repo.git("clean", "-qffdx")
        commits.append(repo.commit(dict(files)))
    repo.git("checkout", "-q", "--force", bare)
    repo.git("clean", "-qffdx")
    (repo.path / "build").symlink_to("src")
    commits.append(repo.commit({}, "link"))
    expected = {commit: checked_out(repo, commit, tmp_path / commit) for commit in commits}
    tracked = {
        (name, what) for each in expected.values() for name, what in each.items() if what[0] != "folder"
    }
    key = "" if is_shared else "key"
    prepared: dict[str, Snapshot] = {}

    for number in (0, 1, 0, 2, 3, 2, 0, 4, 5, 1, 6, 0, 6, 2, 6, 5, 0):
        commit = commits[number]
        worktree.move(commit, keep=KEEP, shared=is_shared, prepared_for=key)
        there = seen(worktree)
        assert expected[commit].items() <= there.items()
        assert there.items() & tracked <= expected[commit].items()
        assert "src/own" not in there
        if not worktree.is_prepared():
            run(worktree, "mkdir -p build deep/cache || true; touch own build/own deep/cache/own || true")
            worktree.mark_prepared()
            worktree.move(commit, keep=KEEP, shared=is_shared, prepared_for=key)
        if not is_shared:
            assert seen(worktree) == prepared.setdefault(commit, seen(worktree))
        run(worktree, "rm -rf build; ln -s ./src build" if number % 2 else "rm -rf build; touch build")
        if after == "one that follows":
            worktree.leave()
        if after != "the same worker":
            worktree = another(tmp_path, repo)


def test_what_stands_on_a_folder_that_is_gone_is_gone(
    tmp_path: Path, repo: GitRepo, worktree: Worktree, bare: str
) -> None:
    """A kept name stays only in folders that the commit has, whether the slot was prepared there or not."""
    keep = ["node_modules"]

    def at(commit: str, slot: Worktree) -> Snapshot:
        slot.move(commit, keep=keep, prepared_for="key")
        return seen(slot)

    with_package = repo.commit({"packages/x/package.json": "{}\n", "packages/y/p": "y\n"})
    repo.git("rm", "-rq", "packages/x")
    (repo.path / "packages" / "x").symlink_to("y")
    with_link = repo.commit({})
    at(with_package, worktree)
    run(worktree, "mkdir packages/x/node_modules; touch packages/x/node_modules/m")
    worktree.mark_prepared()

    for commit in (bare, with_link):
        assert "packages/x/node_modules/m" in at(with_package, worktree)
        left = at(commit, worktree)
        assert left == at(commit, another(tmp_path, repo)) == checked_out(repo, commit, tmp_path / commit)
        assert worktree.is_prepared()


def test_a_submodule_that_moves_is_prepared_anew(tmp_path: Path, repo: GitRepo, worktree: Worktree) -> None:
    """What is kept in a submodule's folder belongs to the commit that is recorded there."""
    repo.commit({"a": "a\n"})
    inner = GitRepo.create(tmp_path / "inner")
    commits = []
    for number in range(2):
        linked = inner.commit({"in": f"{number}\n"})
        repo.git("update-index", "--add", "--cacheinfo", f"160000,{linked},lib/sub")
        repo.git("commit", "-q", "-m", "moved")
        commits.append(repo.head())

    def prepare_at(commit: str) -> bool:
        worktree.move(commit, keep=["lib/sub"], prepared_for="key")
        is_due = not worktree.is_prepared()
        if is_due:
            assert list((worktree.tree / "lib/sub").iterdir()) == []
            run(worktree, f"git -c protocol.file.allow=always clone -q {inner.path} lib/sub")
            worktree.mark_prepared()
            worktree.move(commit, keep=["lib/sub"], prepared_for="key")
        assert (worktree.tree / "lib/sub/.git/HEAD").exists()
        return is_due

    assert [prepare_at(commits[number]) for number in (0, 0, 1, 1)] == [True, False, True, False]


def test_a_link_that_is_kept_is_not_followed(tmp_path: Path, worktree: Worktree, bare: str) -> None:
    """A kept path may be a link to elsewhere; what is there is neither taken nor removed."""
    (tmp_path / "outside").mkdir()
    (tmp_path / "outside/precious").write_text("p")
    prepare(worktree, bare, f"ln -s {tmp_path}/outside build; ln -s src .venv")

    run(worktree, "rm build .venv; mkdir build; touch build/x")
    assert not to(worktree, bare)
    assert (worktree.tree / "build").readlink() == tmp_path / "outside"
    assert (worktree.tree / ".venv").readlink() == Path("src")
    worktree.move(bare)
    assert not (worktree.tree / "build").is_symlink()
    assert (tmp_path / "outside/precious").read_text() == "p"


def test_a_file_that_another_commit_has_is_newer_than_what_is_kept(
    repo: GitRepo, worktree: Worktree, bare: str
) -> None:
    """`make` builds anew what was made from another commit's file, whatever times `prepare` and gates set."""
    changed = repo.commit({"src/a.c": "b\n"})
    prepare(worktree, bare, "mkdir build; cp src/a.c build/a.o; touch -d 2040-01-01 build/a.o")

    def is_stale() -> bool:
        object_file, source = worktree.tree / "build/a.o", worktree.tree / "src/a.c"
        return source.stat().st_mtime_ns > object_file.stat().st_mtime_ns

    assert not to(worktree, changed)
    assert is_stale()
    for gate in ("touch -d 1999-01-01 src/a.c", "touch build/a.o", "cp src/a.c build/a.o", "rm src/a.c"):
        run(worktree, gate)
        assert not to(worktree, changed)
        assert is_stale()
        assert (worktree.tree / "build/a.o").read_text() == "a\n"


def test_what_prepare_links_from_a_cache_is_copied(tmp_path: Path, worktree: Worktree, bare: str) -> None:
    """A package manager's links to its own cache: writing there, later, reaches no job, nor the other way."""
    (tmp_path / "cache").write_text("package\n")
    prepare(worktree, bare, f"mkdir .venv; ln {tmp_path}/cache .venv/package")

    (tmp_path / "cache").write_text("evil\n")
    run(worktree, "rm .venv/package")
    assert not to(worktree, bare)
    assert (worktree.tree / ".venv/package").read_text() == "package\n"
    run(worktree, "echo evil > .venv/package")
    assert not to(worktree, bare)
    assert (worktree.tree / ".venv/package").read_text() == "package\n"
    assert (worktree.tree / ".venv/package").stat().st_nlink == 1


def test_extended_attributes_are_those_that_prepare_left(worktree: Worktree, bare: str) -> None:
    """Attributes of kept files are restored, and those that a gate gave to a folder are taken away."""
    prepare(worktree, bare, "mkdir .venv; touch .venv/x")
    try:
        os.setxattr(worktree.tree / "src", "user.gate", b"1")
    except OSError:
        pytest.skip("this file system has no extended attributes")
    worktree.move(bare)
    prepare(worktree, bare, 'python3 -c \'import os; os.setxattr("README", "user.a", b"1")\'', "other")
    run(worktree, "true")
    os.setxattr(worktree.tree / "src", "user.gate", b"1")

    assert not to(worktree, bare, "other")
    assert os.listxattr(worktree.tree / "src") == []
    assert os.listxattr(worktree.tree / "README") == []


@pytest.mark.parametrize("note", ["{}", "[]", "no note", '{"boot": "x"}'])
def test_a_slot_whose_notes_are_nonsense_is_made_anew(
    tmp_path: Path, repo: GitRepo, worktree: Worktree, bare: str, note: str
) -> None:
    """A note that cannot be read, or is of another boot, proves nothing."""
    prepare(worktree, bare, MAKE)
    run(worktree, "touch junk build/junk")
    worktree.leave()
    for name in ("slot.json", "kept.json"):
        (worktree.slot_dir / name).write_text(note)

    worktree = another(tmp_path, repo)

    assert to(worktree, bare)
    assert seen(worktree) == checked_out(repo, bare, tmp_path / "out")


def test_a_note_is_believed_once_and_as_far_as_it_proves_true(
    tmp_path: Path, repo: GitRepo, worktree: Worktree, bare: str
) -> None:
    """A worker that comes after one that was lost finds no note; an index that was changed voids one."""
    keep = ["build"]
    worktree.move(bare, keep=keep, shared=True)
    run(worktree, "mkdir build; touch build/mine")
    worktree.leave()
    worktree = another(tmp_path, repo)
    worktree.move(bare, keep=keep, shared=True)
    assert (worktree.tree / "build/mine").exists()

    run(worktree, "touch ../slot.json")
    worktree = another(tmp_path, repo)
    worktree.move(bare, keep=keep, shared=True)
    assert not (worktree.tree / "build").exists()

    run(worktree, "mkdir build; touch build/mine")
    worktree.leave()
    (worktree.slot_dir / "control" / "index").write_bytes(b"")
    worktree = another(tmp_path, repo)
    worktree.move(bare, keep=keep, shared=True)
    assert not (worktree.tree / "build").exists()


def test_what_cannot_be_kept_is_an_error(worktree: Worktree, bare: str) -> None:
    """A `prepare` that removes the worktree itself leaves nothing that could be kept."""
    assert to(worktree, bare)
    shutil.rmtree(worktree.tree)
    with pytest.raises(WorktreeError, match="cannot be kept: the worktree itself"):
        worktree.mark_prepared()
    assert to(worktree, bare)
