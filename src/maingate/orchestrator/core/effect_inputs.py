"""Inputs of effects, as values that the core makes of its nodes: the shell and its threads get no node."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from maingate.commits import Tip
from maingate.ids import PatchId, RunId, TaskId, WorkstreamId
from maingate.plan.model import Plan, TaskPlan
from maingate.reasons import Reason
from maingate.settings.policy_layer import PolicyLayer


@dataclass(frozen=True, kw_only=True)
class RunInput:
    """A run: the facts about it that stay the same until it ends.

    Args:
        id: The run.
        plan: Its plan.
        target: Full name of the branch that it lands on.
        base: The target's head when the run was admitted.
    """

    id: RunId
    plan: Plan
    target: str
    base: Tip


@dataclass(frozen=True, kw_only=True)
class TaskInput:
    """A task: the facts about it that stay the same until the run ends.

    Args:
        id: The task.
        label: Its name for people, such as ``parser/drop-regex``.
        workstream: Its workstream.
        plan: Its description in the plan.
        policy: The policy of its workstream; its own is part of ``plan``.
    """

    id: TaskId
    label: str
    workstream: WorkstreamId
    plan: TaskPlan
    policy: PolicyLayer


@dataclass(frozen=True, kw_only=True)
class PatchInput:
    """An accepted patch that is to be applied.

    Args:
        task: Its task.
        patch: The patch.
        material: The parsed patch, as it was taken in.
    """

    task: TaskInput
    patch: PatchId
    material: Any


@dataclass(frozen=True, kw_only=True)
class RetryInput:
    """The reason why the last attempt of a task failed, for the tool that makes the next one.

    Args:
        reason: Why it failed.
        patch: The patch that it made; None where it made none.
    """

    reason: Reason
    patch: PatchId | None


@dataclass(frozen=True, kw_only=True)
class RecordedCommit:
    """A commit of a workstream's own ref that the record has.

    Args:
        task: The task whose patch it is.
        patch: The patch.
        tip: The commit.
    """

    task: TaskInput
    patch: PatchId
    tip: Tip


@dataclass(frozen=True, kw_only=True)
class RecordedChain:
    """The recorded commits of a workstream that has not ended.

    Args:
        workstream: The workstream.
        name: Its name.
        base: The commit that the first is applied to.
        commits: The commits, each applied to the one before it.
    """

    workstream: WorkstreamId
    name: str
    base: Tip
    commits: Sequence[RecordedCommit]
