"""Presets from the plan's word to the patch, on programs that behave, and misbehave, like the agents."""

import os
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

from maingate.plan.definitions import ToolDefinition
from maingate.system.process_tree import adopt_orphans
from maingate.tools.adapters import ToolReport, command_of, report_of
from maingate.tools.presets import PRESETS
from maingate.uet.capture import Capture
from maingate.uet.process.command import CommandResult, CommandSpec
from maingate.uet.worktree.worktree import Worktree
from maingate.workers.artifacts import Artifacts
from maingate.workers.jobs import Job
from maingate.workers.local.job_execution import execute
from support.agents import DONE, EDIT, RATE_LIMITED, Agent
from support.examples import thorough
from support.factories import GitRepo
from support.pools import processes_of

PROMPT = "Change the file.\n"


@dataclass
class Bench:
    """A worktree in which agents are run as the worker runs them."""

    folder: Path
    worktree: Worktree
    commit: str

    @property
    def bin(self) -> Path:
        """Where agents are installed."""
        return self.folder / "bin"

    @property
    def patch(self) -> str:
        """What was captured."""
        return (self.folder / "job.diff").read_text()

    def run(self, agent: Agent, timeout: float = 60.0, **keys: Any) -> tuple[CommandResult, ToolReport]:
        """Run a preset whose program is this agent."""
        agent.install(self.bin)
        tool = ToolDefinition.model_validate({"preset": agent.name, **keys})
        command = command_of(tool, prompt=PROMPT, budget_usd=1.0)
        job = Job(
            job_id="job",
            commit=self.commit,
            command=CommandSpec(name="w/t", run=command.run, timeout=timeout, env=command.env, grace=0.2),
            log="job.log",
            capture=Capture(
                mode=str(command.capture),
                prompt=PROMPT,
                stdin=command.stdin,
                exclude=command.exclude,
            ),
        )
        outcome = execute(job, worktree=self.worktree, artifacts=Artifacts(self.folder))
        log = (self.folder / job.log).read_bytes()
        return outcome, report_of(tool, output=log, exit_code=outcome.exit_code)


@pytest.fixture
def bench(repo: GitRepo, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Bench]:
    """Give a worktree and a PATH with nothing but the system and the agents."""
    commit = repo.commit({"file": "old\n", "tests/test_x": "assert True\n"})
    worktree = Worktree(tmp_path / "slots" / "0", repo.path / ".git")
    monkeypatch.setenv("PATH", f"{tmp_path / 'bin'}{os.pathsep}{os.environ['PATH']}")
    adopt_orphans()
    yield Bench(tmp_path, worktree, commit)
    adopt_orphans(on=False)
    worktree.destroy()
    assert processes_of(tmp_path / "slots") == []


@pytest.mark.parametrize("name", PRESETS)
def test_an_agent_that_does_its_work(bench: Bench, name: str) -> None:
    """It is told the prompt, its edits are the patch, and what it says of its cost is read."""
    outcome, report = bench.run(Agent.good(name, does=f"{EDIT}; echo cache > .aider.tags"))

    assert outcome.passed, outcome
    assert report.failure == "none"
    assert (report.tokens_in, report.tokens_out) == (1000, 200)
    assert report.cost_usd == (0.25 if name in ("claude", "aider", "opencode") else None)
    assert outcome.captured is not None
    assert outcome.captured.problem == ""
    assert "+edited" in bench.patch
    assert (".aider.tags" in bench.patch) == (name != "aider")
    is_by_file = name == "aider"
    assert (bench.bin / f"{name}.stdin").read_text() == ("" if is_by_file else PROMPT)
    arguments = (bench.bin / f"{name}.args").read_text().splitlines()
    assert ("--message-file" in arguments) == is_by_file
    assert PROMPT.strip() not in arguments


@pytest.mark.parametrize("name", PRESETS)
def test_an_agent_whose_provider_refuses_it(bench: Bench, name: str) -> None:
    """Whatever it exits with, it is told apart from one that failed; half an edit is saved."""
    code, prints = RATE_LIMITED[name]

    outcome, report = bench.run(Agent(name=name, does="echo half > file", prints=prints, code=code))

    assert report.failure == "rate_limited"
    assert report.retry_after == (60.0 if name == "codex" else None)
    assert outcome.passed == (code == 0)
    assert "+half" in bench.patch


@pytest.mark.parametrize("name", ["claude", *map(thorough, sorted(set(PRESETS) - {"claude"}))])
def test_an_agent_that_hangs(bench: Bench, name: str) -> None:
    """It is ended with all that it started, and half an edit is saved."""
    does = "echo half > file; (trap '' TERM; setsid sleep 300) & sleep 300"

    outcome, report = bench.run(Agent.good(name, does=does), timeout=1.0)

    assert outcome.timed_out == "wall"
    assert report.failure == "failed"
    assert "+half" in bench.patch


HOSTILE = {
    "commits": f"{EDIT}; git add -A; git commit -qm mine; git checkout -q -b mine",
    "leaves children": f"{EDIT}; setsid sleep 300 & ",
    "leaves its scope": f"{EDIT}; echo outside > tests/test_x",
    "rewrites history": f"{EDIT}; rm -rf .git; git init -q .; git add -A; git commit -qm all",
    "prints gigabytes": f"{EDIT}; head -c 300000000 /dev/zero; echo",
}


@pytest.mark.parametrize("does", HOSTILE.values(), ids=HOSTILE)
def test_an_agent_with_bad_manners(bench: Bench, does: str) -> None:
    """The difference is the patch, all of it, and its result is read from the end of a bounded log."""
    outcome, report = bench.run(Agent.good("claude", does=does))

    assert outcome.passed, outcome
    assert report.cost_usd == 0.25
    assert "+edited" in bench.patch
    assert ("+outside" in bench.patch) == ("outside" in does)
    assert bench.patch.count("diff --git") == (3 if "outside" in does else 2)
    assert (bench.folder / "job.log").stat().st_size < 2_000_000


def test_an_agent_that_says_it_is_done_and_did_nothing(bench: Bench) -> None:
    """What it says proves nothing: the patch is empty."""
    outcome, report = bench.run(Agent.good("claude", does="true"))

    assert report.failure == "none"
    assert outcome.captured is not None
    assert outcome.captured.bytes == 0
    assert DONE["claude"]
