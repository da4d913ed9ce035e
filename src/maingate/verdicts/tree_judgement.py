"""Judging a tree: all its gates are asked, and its base where a failure raises that question.

A patch in its lane is judged at once and for good. The merged results of a train are only asked about, once
for each run of the planner, which confirms failures and asks about bases where an answer decides something.
"""

import asyncio
from collections.abc import Awaitable, Callable, Iterable, Mapping, Sequence

from maingate.commits import Tip
from maingate.plan.definitions import GateDefinition
from maingate.reasons import NOT_RUN, ReasonCode
from maingate.verdicts.blame import Case, GateAnswer, Judgement
from maingate.verdicts.service import VerdictService
from maingate.verdicts.subject import JudgedSubject


async def judge_tree(
    verdicts: VerdictService, subject: JudgedSubject, gates: Sequence[str], *, tip: Tip, onto: Tip
) -> Judgement:
    """Run every gate on a tree that is not known already, and return what follows from their answers.

    Args:
        verdicts: Finds answers out.
        subject: The patch or workstream whose tree it is.
        gates: Names, each after those it needs.
        tip: The commit and tree to judge.
        onto: The commit and tree that it was put on; asked about when a gate fails.

    Raises:
        DrainedError: The run is stopping and starts no more gates.
    """
    definitions = verdicts.definitions

    async def answer(gate: str, failed: Sequence[GateAnswer]) -> GateAnswer:
        if failed:
            return verdicts.block(subject, gate, tip, needs=[each.gate for each in failed])
        return await verdicts.answer(subject, gate, tip)

    case = Case(
        label=subject.label,
        base=onto.commit,
        answers=await _answers(definitions, gates, answer),
        red_on_base=frozenset(name for name in gates if definitions[name].red_on_base),
    )
    base = JudgedSubject(label=case.base_label, workstream_id=subject.workstream_id, is_urgent=True)
    while (gate := case.open_question()) is not None:
        case = case.with_base(await verdicts.answer(base, gate, onto))
    return case.judgement()


async def ask_once(
    verdicts: VerdictService, subject: JudgedSubject, gates: Sequence[str], *, tip: Tip, again: bool
) -> Sequence[GateAnswer]:
    """Return what each gate says of a tree when it runs once; a known answer is taken over.

    Where the subject fails fast, the other gates are given up after a failure and have no answer. Those that
    run are stopped, too: a failure is seldom a flake, and their rest may take much longer than what they
    would have to do again.

    Nothing is recorded about the subject, since the tree may never be on the target.

    Args:
        verdicts: Finds answers out.
        subject: The workstreams whose merged result it is.
        gates: Names, each after those it needs.
        tip: The commit and tree.
        again: Whether the gates run although their answers are known.

    Raises:
        DrainedError: The run is stopping and starts no more gates.
    """
    has_failed = False

    async def answer(gate: str, failed: Sequence[GateAnswer]) -> GateAnswer:
        nonlocal has_failed
        if any(each.fault != ReasonCode.CANCELLED for each in failed):
            return GateAnswer(gate=gate, passed=False, is_blocked=True)
        if failed or has_failed:
            return GateAnswer(gate=gate, passed=False, fault=ReasonCode.CANCELLED)
        found = await verdicts.find(subject, gate, tip, again=again)
        if subject.fails_fast and not (found.passed or found.fault in NOT_RUN):
            has_failed = True
            verdicts.give_up(subject)
        return found

    answers = await _answers(verdicts.definitions, gates, answer)
    return [each for each in answers if not (has_failed and each.fault == ReasonCode.CANCELLED)]


async def _answers(
    definitions: Mapping[str, GateDefinition],
    gates: Sequence[str],
    answer: Callable[[str, Sequence[GateAnswer]], Awaitable[GateAnswer]],
) -> list[GateAnswer]:
    """Return the answer of each gate, asked with the failures of those it needs once these have answered."""
    asked: dict[str, asyncio.Task[GateAnswer]] = {}

    async def ask(gate: str, needs: Sequence[asyncio.Task[GateAnswer]]) -> GateAnswer:
        answers = [await need for need in needs]
        return await answer(gate, [each for each in answers if not each.passed])

    for name in gates:
        needs = [asked[need] for need in definitions[name].needs if need in asked]
        asked[name] = asyncio.create_task(ask(name, needs))
    return await _all_of(asked.values())


async def _all_of(asked: Iterable["asyncio.Task[GateAnswer]"]) -> list[GateAnswer]:
    """Return every answer; when one never comes, raise that once the others have."""
    ended = await asyncio.gather(*asked, return_exceptions=True)
    for end in ended:
        if isinstance(end, BaseException):
            raise end
    return [end for end in ended if isinstance(end, GateAnswer)]
