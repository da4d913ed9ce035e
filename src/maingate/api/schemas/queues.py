"""Schemas of queues: workstreams on board, tests under way, and orders."""

from pydantic import BaseModel, Field

from maingate.api.actions.idempotent_requests import Decision
from maingate.api.schemas.runs import NextAction
from maingate.state.landing_terms import TermsPart
from maingate.state.queue_control import QueueOrder


class Freeze(Decision):
    """A freeze: until a time, for a while from now on, or at the times of a line of cron for a while each."""

    until: str | None = Field(None, max_length=40, description="Its end.", examples=["2026-01-31T18:00"])
    cron: str | None = Field(None, max_length=200, description="A line of cron.", examples=["0 18 * * 5"])
    for_seconds: int | None = Field(None, ge=60, le=31 * 86_400, description="How long it is.")
    zone: str = Field("UTC", max_length=64, description="The time zone of both.", examples=["Europe/Berlin"])


class NamedWorkstream(BaseModel):
    """A workstream by its name."""

    id: str
    name: str


class QueueObstacle(NamedWorkstream):
    """The workstream that another one waits for: it conflicts with it, or has a place ahead of it."""

    why: str = Field(examples=["conflict"])


class ExpectedSeconds(BaseModel):
    """Seconds until a workstream lands: the median, and what nine of ten do not exceed."""

    p50: float
    p90: float


class LinePlace(BaseModel):
    """The place of a run in the line of the server, which has processes for some on a branch at once."""

    place: int
    limit: int
    why: str


class QueueRun(NamedWorkstream):
    """A run that has not ended. ``line`` is null unless it waits for the server to start its process."""

    alive: bool
    line: LinePlace | None


class TermsPartDiffers(BaseModel):
    """A part in which two runs are not proved alike; ``gate`` is null for one that is about no gate."""

    part: TermsPart
    gate: str | None


class KeptWaitingWorkstream(NamedWorkstream):
    """A workstream that waits until its own run has the branch, since the two are not proved alike."""

    run_id: str
    differences: list[TermsPartDiffers]
    why: str


class BoardedWorkstream(BaseModel):
    """A workstream on board. ``expected_seconds`` is null where nothing is known."""

    place: int
    id: str
    name: str
    run_id: str
    state: str = Field(examples=["testing"])
    held_by: QueueObstacle | None
    tests: list[str]
    expected_seconds: ExpectedSeconds | None


class RunningTest(BaseModel):
    """Gates that run on the merged result of some workstreams."""

    id: str
    contains: list[NamedWorkstream]
    assumes_bad: list[NamedWorkstream]
    purpose: str = Field(examples=["search"])
    chance: float
    since: str
    gates: list[str]


class OrderItem(BaseModel):
    """An order of a person about the queue."""

    order: QueueOrder
    by: str
    reason: str
    given_at: str
    in_force: bool
    since: str | None
    until: str | None
    cron: str | None
    zone: str | None
    for_seconds: int | None


class QueueTarget(BaseModel):
    """The branch of a queue."""

    ref: str = Field(examples=["refs/heads/main"])
    name: str = Field(examples=["main"])


class QueueReport(BaseModel):
    """The queue of a target. ``alive`` says whether a process controls it; ``at`` is its moment."""

    repo: str
    target: QueueTarget
    alive: bool
    run_id: str | None
    at: str
    run_name: str | None
    runs: list[QueueRun]
    orders: list[OrderItem]
    on_board: list[BoardedWorkstream]
    kept_waiting: list[KeptWaitingWorkstream]
    tests: list[RunningTest]
    blocked_by: QueueObstacle | None
    conflicts: list[list[NamedWorkstream]]
    not_on_board: int
    next_action: NextAction
