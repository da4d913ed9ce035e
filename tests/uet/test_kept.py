"""What is kept beside a commit is what `prepare` left, for every job alike, and never what a tree tracked."""

import contextlib
import os
import subprocess
from pathlib import Path

import pytest

from factories import GitRepo
from maingate.errors import WorktreeError
from maingate.uet.worktrees import Worktree
from worktree_files import Snapshot, checked_out, snapshot

KEEP = [".venv", "build", "deep/cache"]


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


@pytest.mark.parametrize("gate", GATES.values(), ids=GATES)
@pytest.mark.parametrize("after", ["the same worker", "one that follows", "one that was lost"])
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


@pytest.mark.parametrize("is_shared", [True, False], ids=["shared", "from a copy"])
@pytest.mark.parametrize("after", ["the same worker", "one that follows", "one that was lost"])
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
