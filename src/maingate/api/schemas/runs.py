"""Schemas of runs and their reports, and of submitted plans."""

from typing import Any

from pydantic import BaseModel, Field

from maingate.api.schemas.base import Lifecycle, Page, Reason, RolledBackSince, Sparse, Target
from maingate.api.schemas.workstreams_and_tasks import TaskPatch


class RunItem(Lifecycle):
    """A run, without its parts."""

    id: str
    run_id: str
    repo: str
    name: str
    state: str = Field(examples=["succeeded"])
    alive: bool
    reason: Reason | None
    target: Target
    plan_file: str | None
    retry_of: str | None


class SubmittedRun(RunItem):
    """A run that was made of a submitted plan, with notes about what may not be meant."""

    notes: list[str]


class Answered(BaseModel):
    """The answer of the process that carried a request out, as a sentence."""

    id: str
    answer: str


class PlanChecked(BaseModel):
    """A valid plan, as the run that it defines, and what of it conflicts.

    `ok` is false if a critical workstream could not land on the target as that is now; `trial` is null where
    there is no target.
    """

    ok: bool
    plan: dict[str, Any]
    trial: dict[str, Any] | None


class LandingTargetFound(BaseModel):
    """The branch that finished work lands on, with its newest commit."""

    repo: str
    ref: str
    commit: str


class LandedWork(BaseModel):
    """A piece of finished work: its workstream, and what of it the target has already."""

    argument: str
    branch: str | None = Field(examples=["refs/heads/agent/parser"])
    title: str
    workstream: str | None
    state: str = Field(examples=["pending"])
    note: str | None = Field(examples=["already_applied"])
    patches: int
    applied: list[str]
    left_out: list[str]
    uncommitted: list[str]
    merged: bool
    own_commits: bool
    notes: list[str]


class LandingAnswer(BaseModel):
    """The beginning of a landing: its run, if one is needed, and each piece of work; or its preview."""

    repo: str
    run_id: str | None
    state: str
    target: Target
    items: list[LandedWork]
    preview: dict[str, Any] | None
    workstreams: list[dict[str, Any]]
    tasks: list[dict[str, Any]]
    next_action: dict[str, Any]


class PlanSimulated(BaseModel):
    """The simulation of a plan: the same object as that of `maingate plan simulate --json`.

    `estimates` has the seconds, runs of gates and landed workstreams as p50 and p90 for each number of
    workers and each order of landing; `times` and `failure_rate` say what is on record and what is assumed.
    """

    name: str
    workstreams: int
    tasks: int
    times: list[dict[str, Any]]
    failure_rate: dict[str, Any]
    critical_path: dict[str, Any]
    parallelism: dict[str, Any]
    estimates: list[dict[str, Any]]
    plays: int
    seed: int
    look_ahead: int
    note: str


class Waiting(BaseModel):
    """Why an entity that has not ended is where it is."""

    code: str
    for_: str = Field(alias="for")
    since: str
    until: str
    moving: bool
    kind: str
    about: dict[str, Any]


class ReportWorkstream(BaseModel):
    """A workstream in a report."""

    id: str
    name: str
    title: str
    state: str
    critical: bool
    reason: Reason | None
    landed: str | None
    waiting: Waiting | None
    stuck: dict[str, Any] | None
    taken_back: RolledBackSince | None


class ReportTask(BaseModel):
    """A task in a report."""

    id: str
    name: str
    state: str
    critical: bool
    reason: Reason | None
    retry_count: int
    patch: TaskPatch | None
    waiting: Waiting | None
    stuck: dict[str, Any] | None
    taken_back: RolledBackSince | None


class ReportTarget(Target):
    """The target of a run, with the checkouts of it that have not followed."""

    tree: str | None
    behind: list[dict[str, Any]]


class NextAction(BaseModel):
    """The next step for a person or an agent."""

    code: str = Field(examples=["approve"])
    about: str | None
    command: str | None


class RunReport(Sparse):
    """A run with all its parts: the same object as that of `maingate status --json`."""

    run_id: str
    repo: str
    name: str
    state: str
    reason: Reason | None
    alive: bool
    waiting: Waiting | None
    stopped: dict[str, Any] | None
    repository: str
    target: ReportTarget
    workstreams: list[ReportWorkstream]
    tasks: list[ReportTask]
    gates: dict[str, int]
    cost: dict[str, Any] | None
    seconds: float | None
    created_at: str | None
    started_at: str | None
    completed_at: str | None
    next_action: NextAction


class Runs(Page):
    """A page of runs."""

    items: list[RunItem]
