"""Reasons and events of effects whose item is given up: a code for the fault, and blame for no patch."""

import errno
from typing import Final

from maingate.errors import (
    GitError,
    MaingateError,
    MissingObjectError,
    ProcessLostError,
    UnreadablePatchError,
    WorktreeError,
)
from maingate.orchestrator.core.effects import (
    ApplyPatches,
    BuildChain,
    Effect,
    JudgeChain,
    JudgePatch,
    MoveWorkstreamRef,
    RestorePatch,
    RunCommand,
    RunTool,
    SealCar,
    TakePatch,
)
from maingate.orchestrator.core.events import (
    AttemptEnd,
    AttemptEnded,
    ChainBuilt,
    ChainJudged,
    CoreEvent,
    LandingFailed,
    LinkRefused,
    NoPatchTaken,
    PatchesApplied,
    PatchJudged,
    PatchRestored,
    ToolEnd,
    ToolEnded,
    WorkstreamBroken,
)
from maingate.reasons import Reason, ReasonCode
from maingate.verdicts.blame import Judgement, Opinion

_OF_PATHS: Final = frozenset({errno.ENAMETOOLONG, errno.EILSEQ, errno.ELOOP})
"""Error numbers of a path that the file system cannot hold."""


def reason_of(what: str, fault: Exception) -> Reason:
    """Return the reason why an item is given up.

    Args:
        what: The thing that could not be done.
        fault: The error.
    """
    said = str(fault) if isinstance(fault, MaingateError) else f"{type(fault).__name__}: {fault}"
    return Reason(
        code=_code_of(fault),
        message=f"{what}: {said.rstrip('.')}. All else works, so only this ends, and no patch is blamed",
        detail={"fault": type(fault).__name__},
    )


def _code_of(fault: Exception) -> ReasonCode:
    if isinstance(fault, OSError) and fault.errno in _OF_PATHS:
        return ReasonCode.PATH_UNUSABLE
    codes: tuple[tuple[type[Exception], ReasonCode], ...] = (
        (MissingObjectError, ReasonCode.OBJECT_MISSING),
        (ProcessLostError, ReasonCode.PROCESS_LOST),
        (UnreadablePatchError, ReasonCode.PATCH_UNREADABLE),
        (WorktreeError, ReasonCode.WORKTREE_FAILED),
        (GitError, ReasonCode.GIT_FAILED),
    )
    return next((code for kind, code in codes if isinstance(fault, kind)), ReasonCode.INTERNAL_FAULT)


def given_up(effect: Effect, fault: Exception) -> CoreEvent | None:  # noqa: PLR0911, C901 - a table
    """Return the event of an effect that is given up for a fault; None where it has no event."""
    match effect:
        case TakePatch(task=task):
            return NoPatchTaken(task=task, reason=reason_of("its patch could not be read", fault))
        case RestorePatch(task=task):
            return PatchRestored(task=task, refusal=reason_of("its patch could not be read again", fault))
        case RunCommand(task=task, attempt=attempt):
            reason = reason_of("its command could not be run", fault)
            return AttemptEnded(task=task, attempt=attempt, end=AttemptEnd.FAILED, reason=reason)
        case RunTool(task=task, attempt=attempt):
            reason = reason_of("its tool could not be run", fault)
            return ToolEnded(task=task, attempt=attempt, end=ToolEnd.FAILED, reason=reason)
        case ApplyPatches(tasks=tasks, onto=onto):
            reason = reason_of("its patch could not be applied", fault)
            return PatchesApplied(tasks=tasks, onto=onto, applied=(), refusal=reason)
        case JudgePatch(task=task, tip=tip):
            judgement = _undecided(reason_of("its gates could not be run", fault))
            return PatchJudged(task=task, commit=tip.commit, judgement=judgement)
        case BuildChain(build=build, workstreams=(workstream, *_)):
            reason = reason_of("it could not be merged", fault)
            refused = LinkRefused(workstream=workstream, reason=reason)
            return ChainBuilt(build=build, candidates=(), refused=refused)
        case JudgeChain(run=run):
            reason = reason_of("its gates could not be run", fault)
            return ChainJudged(run=run, answers=(), started=0.0, ended=0.0, fault=reason)
        case SealCar(car=car):
            return LandingFailed(car=car, reason=reason_of("it could not be landed", fault))
        case MoveWorkstreamRef(workstream=workstream):
            reason = reason_of("its ref could not be written", fault)
            return WorkstreamBroken(workstream=workstream, reason=reason)
        case _:
            return None


def _undecided(reason: Reason) -> Judgement:
    return Judgement(opinion=Opinion.UNDECIDED, reason=reason)


def reason_in(event: CoreEvent | None) -> Reason | None:
    """Return the reason that an event of a job gives; None without one."""
    match event:
        case PatchJudged(judgement=judgement):
            return judgement.reason
        case ChainJudged():
            return event.unanswered()
        case AttemptEnded(reason=reason) | ToolEnded(reason=reason):
            return reason
        case _:
            return None
