"""Judging a tree: all its gates are asked, and its base where a failure raises that question."""

import asyncio
from collections.abc import Iterable, Sequence

from maingate.commits import Tip
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
    asked: dict[str, asyncio.Task[GateAnswer]] = {}
    for name in gates:
        needs = [asked[need] for need in definitions[name].needs if need in asked]
        asked[name] = asyncio.create_task(_answer(verdicts, subject, name, tip, needs))
    case = Case(
        label=subject.label,
        base=onto.commit,
        answers=await _all_of(asked.values()),
        red_on_base=frozenset(name for name in gates if definitions[name].red_on_base),
    )
    base = JudgedSubject(label=case.base_label, workstream_id=subject.workstream_id)
    while (gate := case.open_question()) is not None:
        case = case.with_base(await verdicts.answer(base, gate, onto))
    return case.judgement()


async def _answer(
    verdicts: VerdictService,
    subject: JudgedSubject,
    gate: str,
    tip: Tip,
    needs: Sequence["asyncio.Task[GateAnswer]"],
) -> GateAnswer:
    """Return a gate's answer once those that it needs have passed; it is not run when one has not."""
    failed = [answer.gate for answer in [await need for need in needs] if not answer.passed]
    if failed:
        return verdicts.block(subject, gate, tip, needs=failed)
    return await verdicts.answer(subject, gate, tip)


async def _all_of(asked: Iterable["asyncio.Task[GateAnswer]"]) -> list[GateAnswer]:
    """Return every answer; when one never comes, raise that once the others have."""
    ended = await asyncio.gather(*asked, return_exceptions=True)
    for end in ended:
        if isinstance(end, BaseException):
            raise end
    return [end for end in ended if isinstance(end, GateAnswer)]
