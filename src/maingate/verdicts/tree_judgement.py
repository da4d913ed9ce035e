"""Judging a tree: all its gates are asked, and its base where a failure raises that question.

A patch in its lane is judged at once and for good. The merged results of a train are only asked about, once
for each run of the planner, which confirms failures and asks about bases where an answer decides something.
"""

import asyncio
from collections.abc import Awaitable, Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import TypeVar

from maingate.commits import Tip
from maingate.plan.definitions import GateDefinition
from maingate.reasons import NOT_RUN, ReasonCode
from maingate.verdicts.blame import Case, GateAnswer, Judgement
from maingate.verdicts.service import VerdictService
from maingate.verdicts.subject import JudgedSubject

Result = TypeVar("Result")


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


@dataclass(frozen=True, kw_only=True)
class Question:
    """A commit, and the gates that are asked about it.

    Args:
        subject: The workstreams whose commit it is.
        gates: Names, each after those it needs.
        tip: The commit and tree.
    """

    subject: JudgedSubject
    gates: Sequence[str]
    tip: Tip


async def ask_each(
    verdicts: VerdictService, questions: Sequence[Question], *, again: bool
) -> Sequence[Sequence[GateAnswer]]:
    """Return what gates say of several commits, each as `ask_once` does; a failure ends the others, too.

    Args:
        verdicts: Finds answers out.
        questions: The commits.
        again: Whether the gates run although their answers are known.

    Raises:
        DrainedError: The run is stopping and starts no more gates.
    """
    has_failed = False

    async def ask(question: Question) -> Sequence[GateAnswer]:
        nonlocal has_failed
        found = await ask_once(verdicts, question.subject, question.gates, tip=question.tip, again=again)
        if question.subject.fails_fast and any(map(_is_failure, found)):
            has_failed = True
            for other in questions:
                verdicts.give_up(other.subject)
        return found

    asked = [asyncio.create_task(ask(question)) for question in questions]
    answers = await _all_of(asked)
    return [
        [each for each in found if not (has_failed and each.fault == ReasonCode.CANCELLED)]
        for found in answers
    ]


def joined(questions: Sequence[Question], answers: Sequence[Sequence[GateAnswer]]) -> Sequence[GateAnswer]:
    """Return the answer of each gate about all of some commits: a pass only where it passed on each.

    A gate that was given up on one of them, and failed on none, has no answer.

    Args:
        questions: The commits.
        answers: The answers about each.
    """
    about: dict[str, list[GateAnswer | None]] = {}
    for question, found in zip(questions, answers, strict=True):
        by_gate = {answer.gate: answer for answer in found}
        for gate in question.gates:
            about.setdefault(gate, []).append(_named(by_gate.get(gate), question, of=len(questions)))
    decided = [_worst(found) for found in about.values()]
    return [answer for answer in decided if answer is not None]


def _named(answer: GateAnswer | None, question: Question, *, of: int) -> GateAnswer | None:
    """Return an answer that says of which commit a failure is, where there are several."""
    if answer is None or answer.passed or of == 1:
        return answer
    return replace(answer, message=f"{question.subject.label}: {answer.message}")


def _worst(found: Sequence[GateAnswer | None]) -> GateAnswer | None:
    """Return the first failure, else the first answer that is none, else the last pass."""
    failures = [each for each in found if each is not None and not each.passed]
    if failures:
        return next(filter(_is_failure, failures), failures[0])
    return None if None in found else found[-1]


def _is_failure(answer: GateAnswer) -> bool:
    return not (answer.passed or answer.is_blocked or answer.fault in NOT_RUN)


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


async def _all_of(asked: Iterable["asyncio.Task[Result]"]) -> list[Result]:
    """Return every answer; when one never comes, raise that once the others have."""
    ended = await asyncio.gather(*asked, return_exceptions=True)
    for end in ended:
        if isinstance(end, BaseException):
            raise end
    return [end for end in ended if not isinstance(end, BaseException)]
