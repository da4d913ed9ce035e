"""Schemas of patches, their approvals and rollbacks."""

from typing import Any, Literal

from pydantic import BaseModel, Field

from maingate.api.schemas.base import Lifecycle, Page, Reason, RolledBackSince, Target


class Scope(BaseModel):
    """The size of a patch."""

    files: int
    insertions: int
    deletions: int
    hunks: int


class PatchItem(Lifecycle):
    """A patch, as the ledger has it."""

    id: str
    run_id: str
    repo: str
    task: str
    task_id: str
    state: str = Field(examples=["committed"])
    reason: Reason | None
    summary: str
    scope: Scope
    paths: list[str]
    repairs: list[dict[str, Any]]
    method: str | None
    base_ref: str
    base_commit: str
    commit: str | None
    tree: str | None
    origin: dict[str, Any]
    replaces: str | None
    committed_at: str | None


class Change(BaseModel):
    """A change of state, or a decision by hand."""

    at: str
    type: str
    from_: str | None = Field(alias="from")
    to: str | None
    trigger: str | None
    operator: str | None
    reason: dict[str, Any] | None


class JudgingGate(BaseModel):
    """An execution of a gate that judged a patch or the result that it is part of."""

    id: str
    name: str
    type: str
    judged: Literal["patch", "base", "merged result"]
    state: str
    exit_code: int | None
    seconds: float | None
    attempts: int
    is_flaky: bool
    is_lost: bool
    fault: str | None
    tree: str
    log: str | None = Field(description="The address of its log.")
    output: str | None


class PatchDetail(PatchItem):
    """A patch, with the gates that judged it and its history."""

    gates: list[JudgingGate]
    taken_back: RolledBackSince | None
    history: list[Change]


class PatchState(BaseModel):
    """The state of a patch."""

    id: str
    state: str
    reason: Reason | None


class Approved(BaseModel):
    """One approval."""

    operator: str
    message: str
    at: str


class PatchApproved(PatchState):
    """The state of a patch, with its approvals."""

    is_new: bool
    approvals: list[Approved]


class RolledBackPatch(BaseModel):
    """A patch that was rolled back; ``by_hand`` when it had been reverted by hand before."""

    id: str
    task: str
    state: str
    commit: str | None
    by_hand: bool


class RolledBack(BaseModel):
    """A rollback, with the patches that it took back."""

    state: str
    id: str
    what: str
    target: Target
    patches: list[RolledBackPatch]
    gates: list[str]
    reason: Reason | None
    notes: list[str]


class Patches(Page):
    """A page of patches."""

    items: list[PatchItem]
