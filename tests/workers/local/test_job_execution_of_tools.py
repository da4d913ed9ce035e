"""A tool runs as a job like a gate does, is told what to do, and its patch is taken however it ends."""

import subprocess
import sys
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from maingate.system.process_tree import adopt_orphans
from maingate.uet.capture import Capture
from maingate.uet.process.command import CommandResult
from maingate.uet.worktree.worktree import Worktree
from maingate.workers.jobs import Job
from maingate.workers.local.job_execution import execute
from support.factories import GitRepo
from support.pools import artifacts_in, gate_job, processes_of

NASTY = "say 'hi' \"there\" $(touch pwned) `touch pwned` {prompt_file} \\ \n- end"


@pytest.fixture
def slot(repo: GitRepo, tmp_path: Path) -> Iterator[Worktree]:
    """Give an empty slot."""
    worktree = Worktree(tmp_path / "slots" / "0", repo.path / ".git")
    yield worktree
    worktree.destroy()


@pytest.fixture(autouse=True)
def _reaper() -> Iterator[None]:
    """Adopt orphans, as a worker does."""
    adopt_orphans()
    yield
    adopt_orphans(on=False)


def tool_job(commit: str, run: str | tuple[str, ...], *, prompt: str = "do it", **options: Any) -> Job:
    """Make a job that captures."""
    of_capture = {
        name: options.pop(name) for name in ("stdin", "max_bytes", "mode", "task") if name in options
    }
    job = gate_job(commit, run, **options)
    mode = of_capture.pop("mode", "worktree")
    wanted = Capture(mode=mode, prompt=prompt, **of_capture)
    return replace(job, capture=wanted)


def patch_of(folder: Path, job: Job) -> str:
    """Read what was captured."""
    return artifacts_in(folder).path_of(job.diff).read_text()


def log_of(folder: Path, job: Job) -> str:
    """Read what was printed."""
    return artifacts_in(folder).path_of(job.log).read_text()


def problem_of(outcome: CommandResult) -> str:
    """Return what the capture complains about."""
    assert outcome.captured is not None
    return outcome.captured.problem


@pytest.fixture
def commit(repo: GitRepo) -> str:
    """Commit something."""
    return repo.commit({"file": "x\n"})


def test_the_patch_of_a_tool_is_taken(slot: Worktree, tmp_path: Path, commit: str) -> None:
    """The outcome tells how it ended and how much it left."""
    job = tool_job(commit, "echo y > file; echo done")

    outcome = execute(job, worktree=slot, artifacts=artifacts_in(tmp_path))

    assert (outcome.passed, outcome.excerpt) == (True, "done\n")
    assert outcome.captured is not None
    assert outcome.captured.bytes == len(patch_of(tmp_path, job))
    assert "-x\n+y\n" in patch_of(tmp_path, job)


@pytest.mark.parametrize("how", ["argument", "file", "shell", "quoted in shell", "stdin", "variable"])
def test_a_tool_is_told_its_prompt_and_runs_nothing_of_it(
    slot: Worktree, tmp_path: Path, commit: str, how: str
) -> None:
    """Whatever is in a prompt, it arrives as it is."""
    code = "import sys; open('got', 'w').write(sys.argv[1])"
    runs: dict[str, str | tuple[str, ...]] = {
        "argument": (sys.executable, "-c", code, "{prompt}"),
        "file": ("cp", "{prompt_file}", "got"),
        "shell": "printf %s {prompt} > got",
        "quoted in shell": 'IFS= ; set -f; printf %s "{prompt}" > got',
        "stdin": "cat > got",
        "variable": 'cp "$MAINGATE_PROMPT_FILE" got',
    }
    job = tool_job(commit, runs[how], prompt=NASTY, stdin=how == "stdin")

    outcome = execute(job, worktree=slot, artifacts=artifacts_in(tmp_path))

    assert outcome.passed, outcome
    assert (slot.tree / "got").read_text() == NASTY
    assert not (slot.tree / "pwned").exists()
    assert patch_of(tmp_path, job).count("diff --git") == 1


def test_without_a_prompt_on_it_standard_input_is_empty(slot: Worktree, tmp_path: Path, commit: str) -> None:
    """A tool that asks gets no answer, at once."""
    job = tool_job(commit, "cat > got; env | grep ^MAINGATE_ >> got", task="parser/x", attempt=3)

    execute(job, worktree=slot, artifacts=artifacts_in(tmp_path))

    told = (slot.tree / "got").read_text().splitlines()
    assert {"MAINGATE_TASK=parser/x", "MAINGATE_ATTEMPT=3"} <= set(told)


@pytest.mark.parametrize(
    ("script", "options"),
    [
        ("exit 3", {}),
        ("sleep 300", {"timeout": 0.5}),
        ("sleep 300", {"idle_timeout": 0.5}),
        ("kill -9 $$", {}),
        ("setsid sleep 300 & sleep 300", {"timeout": 0.5, "grace": 0.2}),
    ],
)
def test_what_a_failed_tool_left_is_saved(
    slot: Worktree, tmp_path: Path, commit: str, script: str, options: dict[str, Any]
) -> None:
    """A tool that failed, hung or was killed in the middle of an edit has its work saved."""
    job = tool_job(commit, f"echo half > file; {script}", **options)

    outcome = execute(job, worktree=slot, artifacts=artifacts_in(tmp_path))

    assert not outcome.passed
    assert problem_of(outcome) == ""
    assert "+half" in patch_of(tmp_path, job)
    assert processes_of(tmp_path / "slots") == []


class Unwanted:
    """A watch that stops what runs once a file is there."""

    interval = 0.02

    def __init__(self, path: Path) -> None:
        self._path = path

    def filenos(self) -> list[int]:
        """Return nothing to listen to."""
        return []

    def should_stop(self) -> bool:
        """Look whether the file is there."""
        return self._path.exists()


def test_what_was_cancelled_is_not_taken(slot: Worktree, tmp_path: Path, commit: str) -> None:
    """Nobody wants it, and nobody waits for it."""
    job = tool_job(commit, "echo y > file; touch begun; sleep 300")

    outcome = execute(
        job, worktree=slot, artifacts=artifacts_in(tmp_path), watch=Unwanted(slot.tree / "begun")
    )

    assert outcome.cancelled
    assert outcome.captured is None


def test_the_diff_that_a_tool_prints_is_taken(slot: Worktree, tmp_path: Path, commit: str) -> None:
    """Standard output as it is; what it complains about is in the log only."""
    job = tool_job(commit, "echo loud >&2; printf 'a\\r\\nno newline'; echo y > file", mode="stdout")

    outcome = execute(job, worktree=slot, artifacts=artifacts_in(tmp_path))

    assert outcome.captured is not None
    assert outcome.captured.bytes == 13
    assert job.capture is not None
    assert artifacts_in(tmp_path).path_of(job.diff).read_bytes() == b"a\r\nno newline"
    assert "loud" in log_of(tmp_path, job)
    assert "no newline" in log_of(tmp_path, job)


def test_gigabytes_of_output_fill_nothing(slot: Worktree, tmp_path: Path, commit: str) -> None:
    """Log and patch are bounded, and that the patch is not whole is told."""
    run = "head -c 300000000 /dev/zero; head -c 100000000 /dev/zero >&2"
    job = tool_job(commit, run, mode="stdout", max_bytes=1000)

    outcome = execute(job, worktree=slot, artifacts=artifacts_in(tmp_path))

    assert outcome.passed
    assert outcome.output_bytes == 400_000_000
    assert problem_of(outcome) == "the patch is bigger than 1000 bytes"
    assert len(patch_of(tmp_path, job)) == 1000
    assert artifacts_in(tmp_path).path_of(job.log).stat().st_size < 2_000_000


@pytest.mark.parametrize("mode", ["worktree", "stdout"])
def test_a_secret_is_in_no_file_and_in_no_outcome(
    slot: Worktree, tmp_path: Path, commit: str, mode: str
) -> None:
    """The tool sees it; log, excerpt and patch do not have it, and a patch with it must not be used."""
    run = 'test ${#KEY} = 15 && for i in h u; do echo "key: $KEY"; done; echo $KEY > file'
    job = tool_job(commit, run, mode=mode, secret_env={"KEY": "hunter2-hunter2"})

    outcome = execute(job, worktree=slot, artifacts=artifacts_in(tmp_path))

    assert outcome.passed
    assert problem_of(outcome) == "the patch has the value of a secret in it"
    assert "hunter2" not in repr(outcome) + patch_of(tmp_path, job) + log_of(tmp_path, job) + repr(job)
    assert log_of(tmp_path, job) == "key: [redacted]\nkey: [redacted]\n"


def test_a_slot_is_as_it_was_after_a_tool(slot: Worktree, tmp_path: Path, repo: GitRepo, commit: str) -> None:
    """Nothing of a tool is left for the next job."""
    run = "echo y > file; git commit -qam mine; git checkout -q -b mine; rm -rf ../control/*; mkdir new"
    execute(tool_job(commit, run), worktree=slot, artifacts=artifacts_in(tmp_path))

    slot.move(commit)

    assert (slot.tree / "file").read_text() == "x\n"
    assert not (slot.tree / "new").exists()
    said = subprocess.run(
        ["git", "status", "--porcelain", "--branch"], cwd=slot.tree, capture_output=True, check=True
    )
    assert said.stdout == b"## HEAD (no branch)\n"
    assert repo.git("branch", "--list") == "* main"


def test_a_tool_that_is_not_there_is_told(slot: Worktree, tmp_path: Path, commit: str) -> None:
    """It is no failure of the task."""
    job = tool_job(commit, ("no-such-tool",))
    outcome = execute(job, worktree=slot, artifacts=artifacts_in(tmp_path))

    assert outcome.fault == "missing_program"
    assert problem_of(outcome) == ""
