"""The patch ledger: a patch's life from its capture to the target branch or to quarantine.

``applied``, ``verified`` and ``committed`` are written once they are true of the commit that lands, so a
patch never goes backwards. Quarantine keeps the patch and its evidence, and blocks nothing else. Two final
states
have a way out, by a person only: a committed patch can be rolled back, a quarantined one dropped.
"""

from enum import StrEnum

from maingate.state.machine import Machine


class PatchState(StrEnum):
    """The states of a patch."""

    CREATED = "created"
    """Captured as bytes. The checks of format, scope and constraints move it on."""
    VALIDATED = "validated"
    """It is a well-formed diff of known scope. Policy moves it on."""
    QUEUED = "queued"
    """Policy accepts it. The workstream's lane moves it on by applying it."""
    APPLIED = "applied"
    """It is on its workstream's ref. The task gates move it on; without any it moves on at once."""
    APPLY_FAILED = "apply_failed"
    """It did not apply. The executor moves it on: another attempt on a moved base, or quarantine."""
    VERIFIED = "verified"
    """Its task gates passed. The landing of its workstream moves it on."""
    COMMITTED = "committed"
    """Final but for a rollback: it is on the target branch."""
    ROLLED_BACK = "rolled_back"
    """The end: it was on the target branch and has been compensated there."""
    QUARANTINED = "quarantined"
    """The end but for a person who drops it: refused, kept with the reason and the evidence."""
    DROPPED = "dropped"
    """The end: discarded, never on the target branch."""


PATCH_LEDGER = Machine(
    name="patch_ledger",
    states=PatchState,
    initial=PatchState.CREATED,
    terminal=frozenset({PatchState.ROLLED_BACK, PatchState.QUARANTINED, PatchState.DROPPED}),
    table={
        PatchState.CREATED: (
            (PatchState.VALIDATED, "validation_passed"),
            (PatchState.QUARANTINED, "validation_failed"),
            (PatchState.DROPPED, "discarded"),
        ),
        PatchState.VALIDATED: (
            (PatchState.QUEUED, "accepted_for_merge"),
            (PatchState.QUARANTINED, "policy_violation"),
            (PatchState.DROPPED, "discarded"),
        ),
        PatchState.QUEUED: (
            (PatchState.APPLIED, "apply_succeeded"),
            (PatchState.APPLY_FAILED, "apply_failed"),
            (PatchState.DROPPED, "discarded"),
        ),
        PatchState.APPLIED: (
            (PatchState.VERIFIED, "gates_passed"),
            (PatchState.QUARANTINED, "gates_failed"),
            (PatchState.DROPPED, "discarded"),
        ),
        PatchState.APPLY_FAILED: (
            (PatchState.QUARANTINED, "apply_attempts_exhausted"),
            (PatchState.DROPPED, "discarded"),
            (PatchState.QUEUED, "apply_retried"),
        ),
        PatchState.VERIFIED: (
            (PatchState.COMMITTED, "commit_succeeded"),
            (PatchState.QUARANTINED, "gates_failed"),
            (PatchState.DROPPED, "discarded"),
        ),
        PatchState.COMMITTED: ((PatchState.ROLLED_BACK, "rollback_requested"),),
        PatchState.ROLLED_BACK: (),
        PatchState.QUARANTINED: ((PatchState.DROPPED, "discarded"),),
        PatchState.DROPPED: (),
    },
    extensions={
        (PatchState.APPLY_FAILED, PatchState.QUEUED, "apply_retried"): (
            "a patch has three attempts to apply, since its base may have moved"
        ),
        (PatchState.VERIFIED, PatchState.QUARANTINED, "gates_failed"): (
            "the merged result failed its gates, or conflicts"
        ),
        (
            PatchState.QUARANTINED,
            PatchState.DROPPED,
            "discarded",
        ): "the one way out of quarantine: a person",
        (
            PatchState.CREATED,
            PatchState.DROPPED,
            "discarded",
        ): "a patch that will not be committed is discarded",
        (
            PatchState.VALIDATED,
            PatchState.DROPPED,
            "discarded",
        ): "a patch that will not be committed is discarded",
        (
            PatchState.QUEUED,
            PatchState.DROPPED,
            "discarded",
        ): "a patch that will not be committed is discarded",
        (
            PatchState.APPLIED,
            PatchState.DROPPED,
            "discarded",
        ): "a patch that will not be committed is discarded",
        (
            PatchState.VERIFIED,
            PatchState.DROPPED,
            "discarded",
        ): "a patch that will not be committed is discarded",
    },
)
