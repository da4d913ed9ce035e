"""Transitions of patches."""

from collections.abc import Mapping, Sequence
from typing import Any, Literal, Unpack

from maingate.reasons import Reason
from maingate.state.patch_ledger import PatchState
from maingate.state.steps.step import WRITTEN_AT, HasHead, Note, Remark, Step, step

Refusal = Literal["validation_failed", "policy_violation", "gates_failed", "apply_attempts_exhausted"]
"""The check that refuses a patch: its text, the policy, the gates, or git."""


def validate(patch: HasHead, **note: Unpack[Note]) -> Step:
    """Accept its format and scope."""
    return step(patch, PatchState.VALIDATED, "validation_passed", **note)


def enqueue(patch: HasHead, **note: Unpack[Note]) -> Step:
    """Queue in its workstream's lane: the policy accepts it."""
    return step(patch, PatchState.QUEUED, "accepted_for_merge", **note)


def applied(
    patch: HasHead,
    *,
    method: str,
    repairs: Sequence[Mapping[str, Any]] = (),
    commit: str | None = None,
    tree: str | None = None,
) -> Step:
    """Record that it applied to the workstream's ref, and all repairs for that.

    Args:
        patch: The patch.
        method: ``exact``, ``offset`` or ``three_way``.
        repairs: Its repairs, from reading it to applying it.
        commit: The commit that holds it.
        tree: The tree after it.
    """
    done = [dict(repair) for repair in repairs]
    sets = {"method": method, "repairs": done, "commit": commit, "tree": tree, "reason": None}
    metadata = {"method": method, "repairs": done}
    return step(patch, PatchState.APPLIED, "apply_succeeded", sets, metadata=metadata)


def apply_failed(patch: HasHead, reason: Reason, **remark: Unpack[Remark]) -> Step:
    """Record that it did not apply."""
    return step(patch, PatchState.APPLY_FAILED, "apply_failed", {"reason": reason}, reason=reason, **remark)


def apply_again(patch: HasHead, **note: Unpack[Note]) -> Step:
    """Queue for another attempt: the base may have moved."""
    return step(patch, PatchState.QUEUED, "apply_retried", **note)


def verify(patch: HasHead, **note: Unpack[Note]) -> Step:
    """Record that its task gates passed."""
    return step(patch, PatchState.VERIFIED, "gates_passed", **note)


def commit(patch: HasHead, *, commit: str | None = None, **note: Unpack[Note]) -> Step:
    """Record that it is on the target branch.

    Args:
        patch: The patch.
        commit: The commit on the target that holds it; None keeps the one on the workstream's ref.
        **note: Metadata, operator and reason.
    """
    sets: dict[str, Any] = {"committed_at": WRITTEN_AT} | ({"commit": commit} if commit else {})
    return step(patch, PatchState.COMMITTED, "commit_succeeded", sets, **note)


def quarantine(
    patch: HasHead,
    reason: Reason,
    *,
    trigger: Refusal,
    **remark: Unpack[Remark],
) -> Step:
    """Quarantine with the reason; nothing else waits for it.

    Args:
        patch: The patch.
        reason: Why.
        trigger: The refusing check: its text (``validation_failed``, from created), the policy (from
            validated), the gates (from applied and verified), or git (``apply_attempts_exhausted``, from
            apply_failed).
        **remark: Metadata and operator.
    """
    sets = {"quarantine_reason": reason, "reason": reason}
    return step(patch, PatchState.QUARANTINED, trigger, sets, reason=reason, **remark)


def drop(patch: HasHead, reason: Reason, **remark: Unpack[Remark]) -> Step:
    """Drop: its run was cancelled, or an operator dropped it from quarantine."""
    return step(patch, PatchState.DROPPED, "discarded", {"reason": reason}, reason=reason, **remark)


def roll_back(patch: HasHead, reason: Reason, **remark: Unpack[Remark]) -> Step:
    """Record that the target no longer has it."""
    return step(
        patch, PatchState.ROLLED_BACK, "rollback_requested", {"reason": reason}, reason=reason, **remark
    )
