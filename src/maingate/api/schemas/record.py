"""Schemas of the record: its audit, its repositories, explanations and the inbox."""

from typing import Any

from pydantic import BaseModel

from maingate.api.schemas.base import Reason, Sparse
from maingate.api.schemas.runs import Waiting
from maingate.roles import Role


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
