"""Schemas of gates."""

from pydantic import Field

from maingate.api.schemas.base import Lifecycle, Page, Reason


class GateItem(Lifecycle):
    """An execution of a gate."""

    id: str
    run_id: str
    workstream_id: str | None
    patch_id: str | None
    repo: str
    name: str
    type: str
    tree: str
    state: str = Field(examples=["PASSED"])
    reason: Reason | None
    exit_code: int | None
    seconds: float | None
    attempts: int
    is_flaky: bool
    is_lost: bool
    fault: str | None
    output: str | None
    has_log: bool


class Gates(Page):
    """A page of executions of gates."""

    items: list[GateItem]
