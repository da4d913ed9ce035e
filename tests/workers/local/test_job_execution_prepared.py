"""What `prepare` makes is there for the gate, for every gate alike, whoever had the slot before."""

import errno
import os
import signal
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from maingate.system.process_tree import adopt_orphans
from maingate.uet.capture import Capture
from maingate.uet.process.command import CommandResult
from maingate.uet.worktree.slot_tree import SlotTree
from maingate.uet.worktree.worktree import Worktree
from maingate.workers.local.job_execution import execute
from maingate.workers.local.protocol import Ready, Result, Shutdown
from support.factories import GitRepo
from support.pools import artifacts_in, gate_job
from support.worker_line import Worker


@pytest.fixture
def commit(repo: GitRepo) -> str:
    """Commit something."""
    return repo.commit({"file": "x\n", "build/tracked": "t\n"})


@pytest.fixture
def slot(repo: GitRepo, tmp_path: Path) -> Worktree:
    """Give an empty slot."""
    return Worktree(tmp_path / "slots" / "0", repo.path / ".git")


@pytest.fixture(autouse=True)
def _reaper() -> Iterator[None]:
    """Adopt orphans, as a worker does."""
    adopt_orphans()
    yield
    adopt_orphans(on=False)


class Jobs:
    """Runs jobs of one plan in a slot."""

    def __init__(self, slot: Worktree, folder: Path, commit: str, **plan: Any) -> None:
        self._slot, self._folder, self._commit, self._plan = slot, folder, commit, plan

    def run(self, script: str, commit: str = "", **options: Any) -> CommandResult:
        """Run a job."""
        job = gate_job(commit or self._commit, script, **self._plan, **options)
        return execute(job, worktree=self._slot, artifacts=artifacts_in(self._folder))


def test_without_keep_every_job_is_prepared(slot: Worktree, tmp_path: Path, commit: str) -> None:
    """All that `prepare` leaves is there for the gate, changes of tracked files too, in every job alike."""
    ran = tmp_path / "ran"
    prepare = f"echo x >> {ran}; test -e made || echo m > made; echo changed > file; echo t > $TMPDIR/t"
    jobs = Jobs(slot, tmp_path, commit, prepare=(prepare,))

    for _ in range(3):
        outcome = jobs.run("cat made file $TMPDIR/t; echo evil > made")
        assert (outcome.passed, outcome.excerpt) == (True, "m\nchanged\nt\n")
    assert ran.read_text() == "x\n" * 3


def test_a_prepare_that_takes_too_long_names_its_limit(slot: Worktree, tmp_path: Path, commit: str) -> None:
    """It is ended, and the message says by which setting it gets more time."""
    outcome = Jobs(slot, tmp_path, commit, prepare=("exec sleep 60",), prepare_timeout=0.2).run("true")
    assert outcome.fault == "prepare_failed"
    assert outcome.message == (
        "preparing the worktree with `exec sleep 60` failed: prepare did not end within 0.2 s and was ended; "
        "`prepare_timeout` in the plan or the settings gives it longer"
    )


def test_with_keep_a_worktree_is_prepared_once(slot: Worktree, tmp_path: Path, commit: str) -> None:
    """What is kept is there for every job as it was left; all else that `prepare` did is there for none."""
    ran = tmp_path / "ran"
    prepare = (
        f"echo x >> {ran}; mkdir lib; echo m > lib/m; echo made > made; echo changed > file; rm build/tracked"
    )
    jobs = Jobs(slot, tmp_path, commit, prepare=(prepare,), keep=("lib", "build"))

    for _ in range(3):
        outcome = jobs.run(
            "cat file lib/* build/*; test -e made && cat made; echo evil > lib/m; touch lib/n build/n"
        )
        assert (outcome.passed, outcome.excerpt) == (True, "x\nm\nt\n")
    assert ran.read_text() == "x\n"


def test_a_gate_that_misses_what_is_not_kept_is_told_so(slot: Worktree, tmp_path: Path, commit: str) -> None:
    """The message of every job that fails names what `prepare` made and `keep` does not."""
    prepare = ("mkdir -p lib dist build/deep/er; touch lib/m dist/x build/new build/deep/er/f",)
    jobs = Jobs(slot, tmp_path, commit, prepare=prepare, keep=("lib", "build/deep/er"))
    for _ in range(2):
        assert jobs.run("test -e dist/x").message == (
            "unit exited with 1; `prepare` also made build/new, dist, which `keep` does not name, "
            "so it is there for no job"
        )
    assert jobs.run("test -e lib/m").message == ""


def test_a_tool_finds_nothing_that_would_be_in_its_patch(slot: Worktree, tmp_path: Path, commit: str) -> None:
    """What `prepare` makes and nothing keeps is removed before a tool begins."""
    jobs = Jobs(slot, tmp_path, commit, prepare=("touch made; echo changed > file",))
    wanted = Capture(mode="worktree")

    outcome = jobs.run("test ! -e made && echo y >> file", capture=wanted)

    assert outcome.passed
    assert (tmp_path / "logs" / "job.diff").read_text().count("\n+") == 2
    assert "+y\n" in (tmp_path / "logs" / "job.diff").read_text()


@pytest.mark.parametrize("keep", [("lib",), ()], ids=["kept", "nothing kept"])
@pytest.mark.parametrize("is_shared", [False, True], ids=["from a copy", "shared"])
def test_half_of_what_is_prepared_is_nothing(
    slot: Worktree, tmp_path: Path, commit: str, keep: tuple[str, ...], is_shared: bool
) -> None:
    """After a `prepare` that failed, the next job begins it on a worktree without what it left."""
    flag = tmp_path / "works"
    prepare = ("test ! -e lib && mkdir lib && touch lib/first", f"test -e {flag} && touch lib/second")
    jobs = Jobs(slot, tmp_path, commit, prepare=prepare, keep=keep, keep_shared=is_shared)

    for _ in range(2):
        assert jobs.run("true").fault == "prepare_failed"
    flag.touch()

    outcome = jobs.run("ls lib")
    assert (outcome.passed, outcome.excerpt) == (True, "first\nsecond\n")


def test_shared_content_outlasts_a_worker_that_ends_in_order(
    repo: GitRepo, tmp_path: Path, commit: str
) -> None:
    """What a worker leaves that was killed is never seen; one that was sent home hands on its slot."""

    def answer(worker: Worker, script: str) -> str:
        worker.say(gate_job(commit, script, keep=("cache",), keep_shared=True))
        result = worker.hear()
        assert isinstance(result, Result)
        return result.outcome.excerpt

    first = Worker(repo, tmp_path / "slots" / "0")
    assert isinstance(first.hear(), Ready)
    assert answer(first, "mkdir cache; touch cache/one; ls cache") == "one\n"
    first.say(Shutdown())
    assert first.process.wait(20) == 0
    first.end()

    second = Worker(repo, tmp_path / "slots" / "0")
    assert isinstance(second.hear(), Ready)
    assert answer(second, "ls cache; touch cache/two") == "one\n"
    os.kill(second.process.pid, signal.SIGKILL)
    assert second.end() == -signal.SIGKILL

    third = Worker(repo, tmp_path / "slots" / "0")
    assert isinstance(third.hear(), Ready)
    assert answer(third, "test -e cache || echo none") == "none\n"
    third.say(Shutdown())
    assert third.end() == 0


@pytest.mark.parametrize(
    ("number", "said"),
    [
        (errno.EBUSY, "a job has mounted something there; `umount /slot/tree/x` helps"),
        (errno.EACCES, "files of another user there, as from a container; `sudo rm -rf /slot/tree/x` helps"),
        (errno.EIO, "Input/output error: /slot/tree/x"),
    ],
)
def test_what_cannot_be_removed_is_told_with_the_way_out(  # noqa: PLR0917 - fixtures and cases
    slot: Worktree, tmp_path: Path, commit: str, monkeypatch: pytest.MonkeyPatch, number: int, said: str
) -> None:
    """No patch is blamed for a slot that cannot be made ready."""

    def refuse(_: Worktree) -> None:
        raise OSError(number, os.strerror(number), b"/slot/tree/x")

    monkeypatch.setattr(Worktree, "destroy", refuse)
    monkeypatch.setattr(SlotTree, "move", lambda *_: (_ for _ in ()).throw(OSError(number, "busy")))
    result = Jobs(slot, tmp_path, commit).run("true")
    assert (result.passed, result.fault) == (False, "worktree_failed")
    assert said in result.message
