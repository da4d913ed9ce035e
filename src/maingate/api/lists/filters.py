"""Filters that several lists share, as parameters of endpoints."""

from typing import Annotated, Final

from fastapi import Query

_ID_LENGTH: Final = 40

States = Annotated[
    list[str],
    Query(
        default_factory=list,
        max_length=20,
        description="Only those in this state; may be given several times.",
    ),
]
NamePart = Annotated[
    str | None, Query(max_length=200, description="Only those whose name contains this, in any case.")
]
OfRun = Annotated[
    str | None, Query(alias="run", max_length=_ID_LENGTH, description="Only those of this run.")
]
OfWorkstream = Annotated[
    str | None,
    Query(alias="workstream", max_length=_ID_LENGTH, description="Only those of this workstream."),
]
OfTask = Annotated[
    str | None, Query(alias="task", max_length=_ID_LENGTH, description="Only those of this task.")
]
OfPatch = Annotated[
    str | None, Query(alias="patch", max_length=_ID_LENGTH, description="Only those of this patch.")
]
Fields = Annotated[
    str | None, Query(max_length=500, description="Only these fields of it, separated by commas.")
]


def one(value: str | None) -> list[str] | None:
    """Return a filter's value as a list."""
    return None if value is None else [value]
