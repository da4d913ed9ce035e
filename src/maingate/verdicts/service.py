"""Answers of gates about trees: a known one is taken over, one that is being found out is joined, others run.

A verdict belongs to the tree (or to the gate's inputs in it), the gate's definition and the environment, so
one tree is never tested twice for the same question (docs/SPECIFICATION.md §2.3). An answer is a fact about a
tree; ``verdicts.blame`` decides what follows from it for a patch.
"""

import asyncio
from collections import Counter
from collections.abc import Collection, Coroutine, Mapping
from dataclasses import replace
from typing import Any

from maingate.commits import Tip
from maingate.db.dao import verdicts
from maingate.db.dao.gates import GateRow
from maingate.db.dao.verdicts import Verdict
from maingate.db.engine import Database
from maingate.ids import GateId, UetWorkerId, new_id
from maingate.plan.definitions import GateDefinition
from maingate.reasons import Reason, ReasonCode
from maingate.state.steps import gates as gate_steps
from maingate.verdicts.blame import GateAnswer
from maingate.verdicts.keys import VerdictKeys
from maingate.verdicts.named_files import NamedFiles
from maingate.verdicts.records import VerdictRecords, answer_of
from maingate.verdicts.repeated_executions import DrainedError, GateExecutions, Running
from maingate.verdicts.subject import JudgedSubject


class VerdictService:
    """Finds out what gates say of trees, each question once.

    Args:
        definitions: The plan's gates by name.
        keys: Makes the key under which a verdict is known.
        executions: Runs gates.
        records: Writes down what was found out.
        files: Looks up the files that gates name.
        database: Holds what earlier runs found out.
    """

    def __init__(
        self,
        *,
        definitions: Mapping[str, GateDefinition],
        keys: VerdictKeys,
        executions: GateExecutions,
        records: VerdictRecords,
        files: NamedFiles,
        database: Database,
    ) -> None:
        self.definitions, self._keys, self._database = definitions, keys, database
        self._executions, self._records, self._files = executions, records, files
        with database.read() as conn:
            self._has_past = verdicts.are_there(conn)
        self._answers: dict[str, asyncio.Task[GateAnswer]] = {}
        self._failures: Counter[str] = Counter()

    @property
    def running(self) -> Mapping[str, Running]:
        """The executions that run now, by the ids of their gates."""
        return self._executions.running

    async def answer(self, subject: JudgedSubject, gate: str, tip: Tip) -> GateAnswer:
        """Return a gate's answer about a tree, and record that it counts for the subject.

        Raises:
            DrainedError: The run is stopping and starts no more gates.
            WorkerError: No worker can be started.
        """
        key = self._keys.key(gate, tip.commit, tip.tree)
        answer = await self._join(key)
        if answer is None or not (answer.passed or (answer.is_sure and not subject.failures)):
            answer = await self._begin(key, self._find_out(subject, gate, tip, key, once=False))
        self._records.attach(subject, tip, answer, is_reused=answer.is_known)
        return answer

    async def find(self, subject: JudgedSubject, gate: str, tip: Tip, *, again: bool) -> GateAnswer:
        """Return what a gate says of a tree when it runs once; its failure is not confirmed.

        Args:
            subject: The merged result whose tree it is.
            gate: The gate.
            tip: The commit and tree.
            again: Whether it runs, by itself, although its answer is known.

        Raises:
            DrainedError: The run is stopping and starts no more gates.
            WorkerError: No worker can be started.
        """
        key = self._keys.key(gate, tip.commit, tip.tree)
        answer = None if again else await self._join(key)
        if answer is not None:
            return answer
        return await self._begin(key, self._find_out(subject, gate, tip, key, once=True, again=again))

    async def _join(self, key: str) -> GateAnswer | None:
        """Return the answer of an execution of this run; None without one."""
        while (joined := self._answers.get(key)) is not None:
            self._executions.joined[key] += 1
            try:
                answer = await asyncio.shield(joined)
            finally:
                self._executions.joined[key] -= 1
            if answer.fault is None:
                return replace(answer, is_known=True)
            if self._answers.get(key) is joined:
                del self._answers[key]
        return None

    async def _begin(self, key: str, finding_out: Coroutine[Any, Any, GateAnswer]) -> GateAnswer:
        """Find an answer out for all who ask meanwhile; a failure is not kept, so it can be tried again."""
        task = asyncio.create_task(finding_out)
        self._answers[key] = task
        try:
            return await task
        except BaseException:
            if self._answers.get(key) is task:
                del self._answers[key]
            raise

    def block(self, subject: JudgedSubject, gate: str, tip: Tip, *, needs: list[str]) -> GateAnswer:
        """Record that a gate is not run, because others that it needs did not pass."""
        message = f"not run, because it needs {', '.join(needs)}"
        row = self._row(subject, gate, tip)
        reason = Reason(code=ReasonCode.GATE_FAILED, message=message)
        self._records.post(row, gate_steps.block(row.head, reason), is_new=True)
        return GateAnswer(gate=gate, passed=False, is_blocked=True)

    def forget(self, commit: str) -> None:
        """Cancel the gates that run on a commit; their answers are not wanted any more."""
        self._executions.cancel(commit)

    def give_up(self, subject: JudgedSubject) -> None:
        """Cancel the gates that run or wait for a subject alone; their answers are not wanted any more."""
        self._executions.give_up(subject)

    def forget_all_but(self, kept: Collection[str]) -> None:
        """Cancel the gates that run, except on some commits; no other answer is wanted any more."""
        self._executions.cancel_all_but(kept)

    def drain(self) -> None:
        """Start no more gates; those that run may finish, those that wait for a worker are given up."""
        self._executions.drain()

    def job_started(self, job_id: str, uet_id: UetWorkerId) -> None:
        """Record that a worker took a gate's job on: from now on it is an execution on record."""
        self._executions.job_started(job_id, uet_id)

    async def recorded(self) -> None:
        """Return once all that was found out so far is on record.

        Raises:
            DatabaseError: It cannot be written.
        """
        await self._records.written()

    async def close(self) -> None:
        """Cancel what is still being found out."""
        for task in self._answers.values():
            task.cancel()
        await asyncio.gather(*self._answers.values(), return_exceptions=True)

    async def _find_out(
        self, subject: JudgedSubject, gate: str, tip: Tip, key: str, *, once: bool, again: bool = False
    ) -> GateAnswer:
        known = None if again else self._known(key)
        if known is not None and known.state == "PASSED":
            return GateAnswer(
                gate=gate, passed=True, gate_id=known.gate_id, is_known=True, is_flaky=known.is_flaky
            )
        row = self._row(subject, gate, tip, key)
        try:
            ended = await self._executions.run_until_sure(subject, row, tip, once=once, alone=again)
        except (asyncio.CancelledError, DrainedError):
            if row.id in self.running:
                self._records.abandon(row)
            raise
        finally:
            self._executions.forget_row(row.id)
        answer = answer_of(row, ended)
        if answer.passed:  # of several confirmations that run at once, the first pass shows the flake
            answer = replace(answer, is_flaky=answer.is_flaky or self._failures.pop(key, 0) > 0)
        elif answer.fault is None:
            self._failures[key] += 1
            is_sure = not once or self._failures[key] > 1
            answer = replace(answer, is_sure=is_sure, lacks=self._files.absent(gate, tip.tree))
        if ended.attempts == 0:
            return replace(answer, gate_id=None)
        # The consequences of the answer are recorded after it, in the same order: no need to wait here.
        self._records.finish(row, ended, answer)
        return answer

    def _known(self, key: str) -> Verdict | None:
        """Return the verdict of earlier runs; those of this run are in memory."""
        if not self._has_past:
            return None
        with self._database.read() as conn:
            return verdicts.known(conn, [key]).get(key)

    def _row(self, subject: JudgedSubject, gate: str, tip: Tip, key: str = "") -> GateRow:
        return GateRow(
            id=GateId(new_id("gate")),
            run_id=self._records.run_id,
            workstream_id=subject.workstream_id,
            patch_id=subject.patch_id,
            name=gate,
            type=str(self.definitions[gate].type),
            tree=tip.tree,
            verdict_key=key,
        )
