"""Schemas that others are made of, and the document of a problem."""

from typing import Any

from pydantic import BaseModel, ConfigDict, Field


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


class Page(BaseModel):
    """A page of a list. ``next`` is the cursor of the next page; null on the last one."""

    next: str | None


class ProblemDocument(BaseModel):
    """An error, as RFC 9457 has it. ``code`` is stable; ``problems`` are those of an input."""

    type: str = Field(examples=["urn:maingate:problem:not_found"])
    title: str
    status: int
    detail: str
    code: str = Field(examples=["not_found"])
    problems: list[dict[str, Any]] | None = None
    errors: list[dict[str, Any]] | None = None


class RolledBackSince(BaseModel):
    """The rollback by which a change that the target had already is not there any more."""

    patch: str
    run: str
    message: str
    at: str
