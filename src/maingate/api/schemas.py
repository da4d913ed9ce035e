"""The JSON objects of the interface, as its description has them.

The answers are made by `queries`; the tests hold them against these models. Fields may be left out of an
answer with `fields`, so none is marked as required in the description.
"""

from typing import Any, Literal

from pydantic import BaseModel, ConfigDict, Field

from maingate.roles import Role


def _without_required(schema: dict[str, Any]) -> None:
    schema.pop("required", None)


class Sparse(BaseModel):
    """An object of which a caller may ask for some fields only."""

    model_config = ConfigDict(json_schema_extra=_without_required)


class Reason(BaseModel):
    """Why an entity is in its state: a stable code, a sentence, and values for programs."""

    code: str = Field(examples=["gate_failed"])
    message: str
    detail: dict[str, Any]


class Target(BaseModel):
    """The target of a run: its ref, and the commits before and after."""

    ref: str = Field(examples=["refs/heads/main"])
    old: str | None
    new: str | None


class Lifecycle(Sparse):
    """The version of an entity, which grows with each change of state, and its times."""

    version: int
    created_at: str
    changed_at: str
    started_at: str | None
    completed_at: str | None


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


class WorkstreamItem(Lifecycle):
    """A workstream."""

    id: str
    run_id: str
    repo: str
    name: str
    title: str
    state: str = Field(examples=["completed"])
    critical: bool
    priority: int
    reason: Reason | None
    base: str | None
    head: str | None
    landed: str | None


class TaskPatch(BaseModel):
    """The present patch of a task."""

    id: str
    state: str
    reason: Reason | None
    commit: str | None
    method: str | None
    repairs: list[dict[str, Any]]


class TaskItem(Lifecycle):
    """A task."""

    id: str
    run_id: str
    workstream_id: str
    repo: str
    name: str = Field(examples=["parser/drop-regex"])
    kind: str
    state: str = Field(examples=["completed"])
    critical: bool
    reason: Reason | None
    attempt: int
    retry_count: int
    max_retries: int
    patch: TaskPatch | None


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


class Decided(BaseModel):
    """A decision by hand, and the state of its entity after it."""

    id: str
    name: str
    action: str
    state: str
    reason: Reason | None
    operator: str
    run_id: str


class Answered(BaseModel):
    """The answer of the process that carried a request out, as a sentence."""

    id: str
    answer: str


class PlanChecked(BaseModel):
    """A valid plan, as the run that it defines."""

    ok: Literal[True]
    plan: dict[str, Any]


class RecordAudit(Sparse):
    """The audit of a record."""

    repo: str
    intact: bool
    chains: int
    rows: int
    facts: int
    anchors: int
    findings: list[dict[str, Any]]
    notes: list[str]


class Waiting(BaseModel):
    """Why an entity that has not ended is where it is."""

    code: str
    for_: str = Field(alias="for")
    since: str
    until: str
    moving: bool
    kind: str


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


class ReportTarget(Target):
    """The target of a run, with the checkouts of it that have not followed."""

    tree: str | None
    behind: list[dict[str, Any]]


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


class WorkerItem(Sparse):
    """A worker, or the process that controls a run."""

    id: str
    repo: str
    name: str
    state: str
    alive: bool
    reason: Reason | None
    host: str
    pid: int | None
    capabilities: list[str]
    affinity: dict[str, Any]
    load: int
    capacity: int
    job: dict[str, Any] | None
    heartbeat_at: str | None
    silent_seconds: float | None
    stuck: dict[str, Any] | None
    started_at: str
    ended_at: str | None
    slots: list[dict[str, Any]]


class BreakerItem(Sparse):
    """The circuit breaker of a tool."""

    id: str
    repo: str
    tool: str
    state: str = Field(examples=["CLOSED"])
    failures: int
    threshold: int
    cooldown_seconds: float
    opened_at: str | None
    next_try_at: str | None
    probe: dict[str, Any] | None
    reason: Reason | None


class EventContext(BaseModel):
    """The run, workstream and task that an event belongs to."""

    run_id: str | None
    workstream_id: str | None
    task_id: str | None


class EventItem(Sparse):
    """An event: a change of state, a decision by hand, a warning or an error."""

    seq: int
    event_id: str
    timestamp: str
    event_type: str
    severity: str
    entity_type: str | None
    entity_id: str | None
    from_state: str | None
    to_state: str | None
    trigger: str | None
    reason: dict[str, Any] | None
    metadata: dict[str, Any]
    operator: str | None
    context: EventContext


class Page(BaseModel):
    """A page of a list. ``next`` is the cursor of the next page; null on the last one."""

    next: str | None


class Runs(Page):
    """A page of runs."""

    items: list[RunItem]


class Workstreams(Page):
    """A page of workstreams."""

    items: list[WorkstreamItem]


class Tasks(Page):
    """A page of tasks."""

    items: list[TaskItem]


class Patches(Page):
    """A page of patches."""

    items: list[PatchItem]


class Gates(Page):
    """A page of executions of gates."""

    items: list[GateItem]


class Workers(BaseModel):
    """Workers, oldest first."""

    items: list[WorkerItem]


class Breakers(BaseModel):
    """Circuit breakers, by tool."""

    items: list[BreakerItem]


class Events(Page):
    """A page of events."""

    items: list[EventItem]


class EventCount(BaseModel):
    """The number of events of one kind."""

    event_type: str
    entity_type: str | None
    from_state: str | None
    to_state: str | None
    trigger: str | None
    count: int
    first: str
    last: str


class EventCounts(BaseModel):
    """Numbers of events, most frequent kind first."""

    items: list[EventCount]


class EventTable(BaseModel):
    """The answer to a query of events: a row for each group, with the values of its columns by their names.

    ``source`` is ``rows`` where values are exact, and ``rollups`` where percentiles are those of a histogram.
    """

    source: str = Field(examples=["rollups"])
    columns: list[str] = Field(examples=[["gate", "count"]])
    left_off: int
    items: list[dict[str, Any]]


class Why(BaseModel):
    """The reason why an entity is where it is, and what it waits for; null for one that has ended."""

    repo: str
    id: str
    kind: str
    run_id: str
    state: str
    reason: Reason | None
    waiting: Waiting | None


class InboxAbout(BaseModel):
    """The subject of an open matter."""

    kind: str
    id: str | None
    name: str
    run_id: str | None
    run_name: str | None


class InboxMatter(BaseModel):
    """An open matter that a person has to decide, with the one command that ends it."""

    repo: str
    code: str
    about: InboxAbout
    why: str
    since: str | None
    command: str
    severity: str


class Inbox(BaseModel):
    """The open matters of all repositories that the caller may read, the heaviest of each first."""

    items: list[InboxMatter]


class Repository(BaseModel):
    """A repository of the server."""

    name: str
    path: str
    role: Role


class Me(BaseModel):
    """The caller, and the repositories that it may read."""

    name: str
    repositories: list[Repository]


class Liveness(BaseModel):
    """The process answers."""

    status: Literal["alive"]


class HealthSummary(BaseModel):
    """The worst state of all parts, and whether work is taken."""

    state: Literal["ok", "degraded", "failed"]
    ready: bool
    hindrance: str | None = Field(description="Why no work is taken, such as `draining`.")


class HealthTrouble(BaseModel):
    """Something that is wrong, with the command that mends it."""

    state: Literal["degraded", "failed"]
    reason: str
    command: str | None


class HealthCheck(BaseModel):
    """The answer of one check, and how old it is."""

    name: str = Field(examples=["database"])
    repository: str | None
    state: Literal["ok", "degraded", "failed"]
    vital: bool = Field(description="Whether nothing can be served without the part.")
    reason: str
    command: str | None
    troubles: list[HealthTrouble]
    detail: dict[str, Any]
    checked_at: str | None
    age_seconds: float
    took_seconds: float
    timeout_seconds: float


class HealthReport(HealthSummary):
    """Every check."""

    checks: list[HealthCheck]


class ProblemDocument(BaseModel):
    """An error, as RFC 9457 has it. ``code`` is stable; ``problems`` are those of an input."""

    type: str = Field(examples=["urn:maingate:problem:not_found"])
    title: str
    status: int
    detail: str
    code: str = Field(examples=["not_found"])
    problems: list[dict[str, Any]] | None = None
    errors: list[dict[str, Any]] | None = None
