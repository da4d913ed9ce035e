"""Gates that misbehave: clear outcomes, nothing left running or dirty, the person's repository untouched.

Every row of the table is played on a real pool: the hostile gate, then a witness in the same slot that sees
exactly its commit.
"""

import asyncio
import os
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pytest

from maingate.reasons import ReasonCode
from maingate.uet.process.command import CommandResult
from maingate.workers.backend import JobEnd, WorkerLost
from maingate.workers.pool_manager import PoolManager
from support.chains import noted
from support.factories import GitRepo
from support.pools import Bell, Recorder, at_work_in, gate_job, outcome_of, pool_for, processes_of
from support.worktree_files import checked_out, snapshot

WITNESS = """
set -e
test "$(git rev-parse HEAD)" = "$MAINGATE_COMMIT"
test -z "$(git status --porcelain --ignored)"
test -z "$(git stash list)$(git tag)$(git branch --format='%(refname)' | grep refs/ || true)"
test -z "$(git config --local --get-regexp 'alias|user|hookspath' || true)"
test -z "$(ls -A .git/hooks)$(cat .git/info/exclude)"
test -z "$(ls -A "$TMPDIR")"
git log --oneline | wc -l
"""


@dataclass(frozen=True, kw_only=True)
class Hostile:
    """A gate that misbehaves, and what is to come of it."""

    run: str | tuple[str, ...]
    passed: bool = False
    exit_code: int | None = None
    timed_out: str | None = None
    fault: str | None = None
    leftovers: bool = False
    options: dict[str, Any] = field(default_factory=dict)


QUICK = {"timeout": 0.5, "grace": 0.3}
TABLE = {
    "missing program": Hostile(run="no-such-program", exit_code=127, fault="missing_program"),
    "missing program as a list": Hostile(run=("no-such-program",), exit_code=127, fault="missing_program"),
    "exits 0 after being told to end": Hostile(
        run="trap 'exit 0' TERM; while :; do sleep 0.05; done", exit_code=0, timed_out="wall", options=QUICK
    ),
    "hangs": Hostile(run="sleep 300", timed_out="wall", options=QUICK),
    "hangs and is deaf": Hostile(
        run="trap '' TERM INT HUP; while :; do sleep 1; done", exit_code=137, timed_out="wall", options=QUICK
    ),
    "hangs in a session of its own": Hostile(run="setsid -w sleep 300", timed_out="wall", options=QUICK),
    "silent for ever": Hostile(run="echo begun; sleep 300", timed_out="idle", options={"idle_timeout": 0.4}),
    "reads standard input": Hostile(run="cat; read line || exit 7", exit_code=7),
    "dies of a signal": Hostile(run="kill -9 $$", exit_code=137, fault="signal"),
    "leaves a background process": Hostile(
        run="sleep 300 & exit 0", passed=True, exit_code=0, leftovers=True
    ),
    "leaves a nohup process": Hostile(
        run="nohup sleep 300 >/dev/null 2>&1 & exit 3", exit_code=3, leftovers=True
    ),
    "leaves a daemon": Hostile(
        run="(setsid sh -c 'trap \"\" TERM HUP; (while :; do sleep 1; done) &' &)",
        passed=True,
        exit_code=0,
        leftovers=True,
        options={"grace": 0.3},
    ),
    "leaves a daemon without environment": Hostile(
        run="env -i setsid sleep 300 >/dev/null 2>&1 &", passed=True, exit_code=0, leftovers=True
    ),
    "forks and forks": Hostile(
        run="for i in $(seq 100); do (sleep 300 & sleep 300) & done; exit 1", exit_code=1, leftovers=True
    ),
    "writes into the worktree": Hostile(
        run="echo x >> src/a.py; mkdir -p build/x; touch build/x/y new; rm src/b.py; chmod +x README; exit 1",
        exit_code=1,
    ),
    "writes what is ignored": Hostile(
        run="mkdir __pycache__; touch __pycache__/x a.log", passed=True, exit_code=0
    ),
    "stages and commits": Hostile(
        run="date > when; git add -A; git commit -qm mine; git branch mine; git tag mine",
        passed=True,
        exit_code=0,
    ),
    "stashes": Hostile(run="date > src/a.py; git stash -q", passed=True, exit_code=0),
    "configures git": Hostile(
        run="git config user.name x; git config --global alias.st status; git config core.hooksPath /tmp/x",
        passed=True,
        exit_code=0,
    ),
    "installs hooks": Hostile(
        run="mkdir -p .git/hooks; printf '#!/bin/sh\\nexit 1\\n' > .git/hooks/post-checkout;"
        " chmod +x .git/hooks/post-checkout; exit 1",
        exit_code=1,
    ),
    "asks git to run filters": Hostile(
        run="git config filter.x.smudge false; git config filter.x.required true;"
        " echo '* filter=x' > .git/info-attributes; exit 1",
        exit_code=1,
    ),
    "collects garbage": Hostile(run="git gc -q --prune=now; git repack -adq", passed=True, exit_code=0),
    "deletes its worktree": Hostile(run='rm -rf "$PWD"', passed=True, exit_code=0),
    "deletes all files": Hostile(run="rm -rf * .[!.]*; exit 1", exit_code=1),
    "makes it read-only": Hostile(run="chmod -R a-w . ; exit 1", exit_code=1),
    "takes all rights from it": Hostile(run="chmod 0 src README; exit 1", exit_code=1),
    "makes .git a link to the person's": Hostile(
        run='rm -rf .git; ln -s "$(dirname "$PERSON")/repo/.git" .git; exit 1', exit_code=1
    ),
    "makes a folder a link to the person's": Hostile(
        run='rm -rf src; ln -s "$PERSON" src; exit 1', exit_code=1
    ),
    "leaves a repository in the tree": Hostile(
        run="git init -q nested; git init -q src; exit 1", exit_code=1
    ),
    "fills the temporary folder": Hostile(
        run='mktemp; mkdir "$TMPDIR/a"; chmod 0 "$TMPDIR/a"; exit 1', exit_code=1
    ),
}


@pytest.fixture
def commits(repo: GitRepo) -> list[str]:
    """Commit twice, and leave the person's repository with a stash, a tag, hooks and staged work."""
    files = {"README": "r\n", "src/a.py": "a\n", "src/b.py": "b\n", ".gitignore": "*.log\n__pycache__/\n"}
    made = [repo.commit(dict(files), "one"), repo.commit({"src/a.py": "a2\n"}, "two")]
    repo.git("tag", "v1")
    repo.git("config", "alias.st", "status")
    repo.write({"README": "stashed\n"})
    repo.git("stash", "-q")
    repo.write({"README": "staged\n"})
    repo.git("add", "README")
    repo.write({"src/b.py": "not staged\n", "untracked": "u\n"})
    (repo.path / ".git/hooks/post-checkout").write_text("#!/bin/sh\nexit 1\n")
    (repo.path / ".git/hooks/post-checkout").chmod(0o755)
    return made


@pytest.fixture(autouse=True)
def _nothing_is_left(tmp_path: Path) -> Iterator[None]:
    yield
    assert processes_of(tmp_path / "slots") == []


@pytest.mark.parametrize("names", [list(TABLE)[::2], list(TABLE)[1::2]], ids=["even rows", "odd rows"])
def test_hostile_gate_has_a_clear_outcome_and_leaves_nothing(
    repo: GitRepo, tmp_path: Path, commits: list[str], names: list[str]
) -> None:
    """The outcome says what happened; the slot's next gate and the person's repository see none of it."""
    ends = _played(repo, tmp_path, commits, {name: TABLE[name] for name in names})
    assert {name: _told(end) for name, end in ends.items()} == {
        name: _expected(TABLE[name], end) for name, end in ends.items()
    }


def _told(end: JobEnd) -> tuple[object, ...]:
    assert isinstance(end, CommandResult), end
    return (
        end.passed,
        end.timed_out,
        end.fault,
        end.exit_code,
        end.leftovers_killed > 0,
        end.settled,
    )


def _expected(hostile: Hostile, end: JobEnd) -> tuple[object, ...]:
    """Return the outcome of a hostile gate; its exit code is as it came where the table names none."""
    assert isinstance(end, CommandResult), end
    return (
        hostile.passed,
        hostile.timed_out,
        hostile.fault,
        end.exit_code if hostile.exit_code is None else hostile.exit_code,
        hostile.leftovers,
        hostile.fault is None,
    )


def test_a_gate_that_deletes_its_slot_has_no_verdict(
    repo: GitRepo, tmp_path: Path, commits: list[str]
) -> None:
    """A person who clears the cache looks the same, and a gate without files says nothing about a patch."""
    hostile = Hostile(run='rm -rf "$(dirname "$PWD")"; exit 1')
    end = _played(repo, tmp_path, commits, {"deletes its slot": hostile})["deletes its slot"]
    assert isinstance(end, WorkerLost), end
    assert end.code is ReasonCode.WORKTREE_FAILED
    assert "was removed while the job ran" in end.message


def _played(
    repo: GitRepo, tmp_path: Path, commits: list[str], table: Mapping[str, Hostile]
) -> dict[str, JobEnd]:
    """Run hostile gates in one slot, after each the witnesses that see none of it; return how they ended."""
    expected = checked_out(repo, commits[0], tmp_path / "expected")
    before = snapshot(repo.path)
    environment = {"PATH": os.environ["PATH"], "HOME": os.environ["HOME"], "PERSON": str(repo.path)}
    ends = {}

    async def scenario() -> None:
        async with pool_for(repo, tmp_path, environment=environment) as pool:
            for name, hostile in table.items():
                with noted(f"the gate that {name}"):
                    ends[name] = await _played_in(pool, tmp_path, commits, hostile)
                    assert snapshot(tmp_path / "slots/0/tree", without=(".git",)) == expected
                    assert snapshot(repo.path) == before

    asyncio.run(scenario())
    return ends


async def _played_in(pool: PoolManager, tmp_path: Path, commits: list[str], hostile: Hostile) -> JobEnd:
    job = gate_job(commits[1], hostile.run, **hostile.options)
    end = await asyncio.wait_for(pool.run(job), 60)
    if isinstance(end, CommandResult):  # a worker that was lost is still being replaced
        await _nothing_but_the_worker(pool, tmp_path)
    for commit, history in ((commits[1], 2), (commits[0], 1)):
        witness = await outcome_of(pool, gate_job(commit, WITNESS, job_id="witness"))
        assert (witness.exit_code, witness.excerpt.strip()) == (0, str(history))
    return end


async def _nothing_but_the_worker(pool: PoolManager, tmp_path: Path) -> None:
    assert len(at_work_in(tmp_path / "slots")) == pool.workers


def peak_memory(pid: int | None) -> int:
    """Return the most memory a process ever had, in KiB."""
    status = Path(f"/proc/{pid}/status").read_text()
    return next(int(line.split()[1]) for line in status.splitlines() if line.startswith("VmHWM"))


def test_two_hundred_megabytes_of_output_are_flat(repo: GitRepo, tmp_path: Path, commits: list[str]) -> None:
    """Output of any size passes through a worker that stays small, into a log that stays small."""
    recorder = Recorder()

    async def scenario() -> tuple[CommandResult, int]:
        async with pool_for(repo, tmp_path, observer=recorder) as pool:
            script = "yes 0123456789abcdef0123456789abcde | head -c 200000000; exit 1"
            outcome = await outcome_of(pool, gate_job(commits[0], script))
            return outcome, peak_memory(*recorder.pids.values())

    outcome, peak_kib = asyncio.run(scenario())

    assert (outcome.exit_code, outcome.output_bytes) == (1, 200_000_000)
    assert peak_kib < 100 * 1024
    assert (tmp_path / "logs/job.log").stat().st_size < 1024 * 1024 + 100


def test_a_gate_that_kills_its_worker_loses_its_job_only(
    repo: GitRepo, tmp_path: Path, commits: list[str]
) -> None:
    """The job is lost, its processes are ended, and the slot serves the next job."""
    before = snapshot(repo.path)

    async def scenario() -> None:
        async with pool_for(repo, tmp_path) as pool:
            end = await pool.run(gate_job(commits[0], "setsid sleep 300 & kill -9 $PPID; sleep 300"))
            assert isinstance(end, WorkerLost)
            assert at_work_in(tmp_path / "slots") == []
            assert (await outcome_of(pool, gate_job(commits[0], WITNESS))).passed

    asyncio.run(scenario())

    assert snapshot(repo.path) == before


def test_an_exclusive_gate_is_the_only_one(repo: GitRepo, tmp_path: Path, commits: list[str]) -> None:
    """A gate that wants to be the only one running finds nobody beside it, whatever is asked meanwhile."""
    lock = tmp_path / "lock"
    alone = f"mkdir {lock} && sleep 0.1 && rmdir {lock}"
    beside = f"test ! -e {lock} && sleep 0.05 && test ! -e {lock}"

    async def scenario() -> None:
        async with pool_for(repo, tmp_path, size=3) as pool:
            jobs = [
                gate_job(
                    commits[n % 2],
                    alone if n % 3 == 0 else beside,
                    job_id=str(n),
                    exclusive=n % 3 == 0,
                )
                for n in range(9)
            ]
            ends = await asyncio.gather(*(pool.run(job) for job in jobs))
            assert [isinstance(end, CommandResult) and end.passed for end in ends] == [True] * 9

    asyncio.run(scenario())


def test_cancelled_gates_leave_nothing(repo: GitRepo, tmp_path: Path, commits: list[str]) -> None:
    """A gate with a whole tree of processes is ended by a cancellation, and the next one finds no trace."""
    bell = Bell(tmp_path / "bell")

    async def scenario() -> None:
        async with pool_for(repo, tmp_path) as pool:
            script = f"(setsid sleep 300 &); sleep 300 & date > src/a.py; echo > {bell.path}; wait"
            running = asyncio.create_task(pool.run(gate_job(commits[0], script)))
            await bell.rung()
            pool.cancel("job")
            end = await running
            assert isinstance(end, CommandResult)
            assert end.cancelled
            await _nothing_but_the_worker(pool, tmp_path)
            assert (await outcome_of(pool, gate_job(commits[0], WITNESS))).passed

    asyncio.run(scenario())
    bell.close()
