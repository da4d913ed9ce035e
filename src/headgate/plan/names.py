"""Names that people give to workstreams, tasks, gates and tools: words that can be a part of a git ref."""

import re
from typing import Annotated, Final

from pydantic import AfterValidator, ValidationInfo, WithJsonSchema
from pydantic_core import PydanticCustomError

LONGEST_NAME: Final = 100
_NAME: Final = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]*", re.ASCII)


def fault_of_name(name: str) -> str | None:
    """Tell what keeps a name from being used, or None when nothing does.

    A workstream's name becomes a part of its ref (``refs/headgate/<run>/<workstream>``), so what
    git-check-ref-format(1) refuses is refused here, for all names alike.
    """
    if len(name) > LONGEST_NAME:
        return f"it is longer than {LONGEST_NAME} characters"
    if not _NAME.fullmatch(name):
        return "a name starts with a letter or digit and goes on with letters, digits, '.', '_' and '-'"
    if ".." in name:
        return "a name cannot contain '..'"
    if name.endswith((".", ".lock")):
        return "a name cannot end in '.' or '.lock'"
    return None


def check_name(name: str) -> str:
    """Return the name, or raise with what is wrong with it."""
    if fault := fault_of_name(name):
        shown = name if len(name) <= LONGEST_NAME else f"{name[:20]}…"
        raise PydanticCustomError(
            "name_invalid", "{message}", {"message": f"{shown!r} cannot be used as a name", "hint": fault}
        )
    return name


ANY_NAME: Final = "any name"
"""With this in the context of a validation, names are not judged: they were already."""


def _check(name: str, info: ValidationInfo) -> str:
    return name if info.context and info.context.get(ANY_NAME) else check_name(name)


Name = Annotated[
    str,
    AfterValidator(_check),
    WithJsonSchema({"type": "string", "pattern": f"^{_NAME.pattern}$", "maxLength": LONGEST_NAME}),
]
"""A name of the plan: a letter or digit, then letters, digits, ``.``, ``_`` and ``-``."""
