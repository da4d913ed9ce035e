"""Gates that fail only beside other jobs."""

import asyncio
from typing import Any

from maingate.clock import SystemClock
from maingate.commits import Tip
from maingate.db.dao.gates import GateRow
from maingate.ids import GateId, RunId, WorkstreamId
from maingate.plan.definitions import GateDefinition
from maingate.uet.process.command import CommandResult, CommandSpec
from maingate.verdicts.clashes import Clashes
from maingate.verdicts.repeated_executions import GateExecutions
from maingate.verdicts.subject import JudgedSubject
from maingate.workers.jobs import Job


def ended(passed: bool, *, beside: bool) -> CommandResult:
    """Return how a gate ended."""
    return CommandResult(passed=passed, had_company=beside)


def clash(clashes: Clashes, tree: str) -> None:
    """Fail beside another job, and pass alone."""
    clashes.note("e2e", tree, ended(False, beside=True))
    clashes.note("e2e", tree, ended(True, beside=False))


def test_a_gate_that_clashes_again_runs_alone_from_then_on_and_that_is_told_once() -> None:
    """One clash may be a flake."""
    told: list[str] = []
    clashes = Clashes(told.append)
    clash(clashes, "a")
    assert (clashes.is_lonely("e2e"), told) == (False, [])
    clash(clashes, "b")
    assert clashes.is_lonely("e2e")
    clash(clashes, "c")
    (text,) = told
    assert text.startswith("gate e2e failed 2 times beside other jobs and then passed alone")
    assert "`exclusive: true`" in text


def test_a_gate_that_mostly_passes_beside_others_keeps_its_company() -> None:
    """It fails by chance, and would only make the other workers wait."""
    clashes = Clashes(lambda _: None)
    for tree in "abc":
        clashes.note("e2e", tree, ended(True, beside=True))
    clash(clashes, "d")
    clash(clashes, "e")
    assert not clashes.is_lonely("e2e")
    clash(clashes, "f")
    assert clashes.is_lonely("e2e")


def test_a_gate_that_flakes_alone_keeps_its_company() -> None:
    """What fails without others beside it has no need to be alone; a tree that stays red tells nothing."""
    clashes = Clashes(lambda _: None)
    for tree in ("red", "red"):
        clashes.note("e2e", tree, ended(False, beside=False))
    clash(clashes, "a")
    clash(clashes, "b")
    assert clashes.is_lonely("e2e")
    flaky = Clashes(lambda _: None)
    flaky.note("e2e", "a", ended(False, beside=False))
    flaky.note("e2e", "a", ended(True, beside=False))
    clash(flaky, "b")
    clash(flaky, "c")
    assert not flaky.is_lonely("e2e")


def test_no_other_job_runs_beside_a_gate_that_clashes() -> None:
    """Its second execution on a tree is alone in any case; after two clashes, the first one is, too."""
    alone: list[bool] = []

    class Pool:
        async def run(self, job: Job, **_: Any) -> CommandResult:
            alone.append(job.exclusive)
            return ended(job.exclusive, beside=not job.exclusive)

    def job(gate: str, tip: Tip, job_id: str, attempt: int, log: str, *, urgent: bool) -> Job:
        spec = CommandSpec(name=gate, run="true")
        return Job(job_id=job_id, commit=tip.commit, command=spec, log=log, attempt=attempt, priority=urgent)

    pool: Any = Pool()
    unused: Any = None  # no execution begins on record
    executions = GateExecutions(
        definitions={"e2e": GateDefinition(run="true")},
        make_job=job,
        backend=pool,
        records=unused,
        clock=SystemClock(),
        confirm=True,
        clashes=Clashes(lambda _: None),
    )

    async def judge(tree: str) -> None:
        row = GateRow(
            id=GateId(tree), run_id=RunId("run"), workstream_id=WorkstreamId("w"), name="e2e", tree=tree
        )
        subject = JudgedSubject(label="w", workstream_id=WorkstreamId("w"))
        found = await executions.run_until_sure(subject, row, Tip(commit=tree, tree=tree))
        assert found.end == ended(True, beside=False)

    for tree in "abc":
        asyncio.run(judge(tree))
    assert alone == [False, True, False, True, True]
