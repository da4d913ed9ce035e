"""Names of workstreams, tasks, gates and tools, which can be a part of a git ref; and names of branches."""

import re
from collections.abc import Callable
from typing import Annotated, Final

from pydantic import AfterValidator, ValidationInfo, WithJsonSchema
from pydantic_core import PydanticCustomError

from maingate.settings.problems import as_written

LONGEST_NAME: Final = 100
_NAME: Final = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]*", re.ASCII)


def fault_of_name(name: str) -> str | None:
    """Return why a name cannot be used; None when it can.

    A workstream's name becomes a part of its ref (``refs/maingate/<run>/<workstream>``), so a name that
    git-check-ref-format(1) refuses is refused here, for all kinds of names.
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
    """Check a name and return it."""
    if fault := fault_of_name(name):
        shown = name if len(name) <= LONGEST_NAME else f"{name[:20]}…"
        raise PydanticCustomError(
            "name_invalid", "{message}", {"message": f"{shown!r} cannot be used as a name", "hint": fault}
        )
    return name


_FAULTS_OF_BRANCHES: Final = tuple(
    (re.compile(pattern), fault)
    for pattern, fault in (
        (r"\A(?:HEAD)?\Z", "say which branch is meant"),
        (r"\Arefs/(?!heads/)", "patches land on branches (refs/heads/…) only"),
        (r"[\x00-\x20\x7f]", "the name of a branch has no spaces and no control characters"),
        (r"[~^:?*\[\\]", "the name of a branch has none of ~ ^ : ? * [ \\"),
        (r"\.\.|@\{|//", "the name of a branch cannot contain '..', '@{' or '//'"),
        (r"\A[-/]", "the name of a branch cannot begin with '-' or '/'"),
        (r"[/.]\Z", "the name of a branch cannot end in '/' or '.'"),
        (r"(?:\A|/)\.|\.lock(?:\Z|/)", "no part of a branch's name can begin with '.' or end in '.lock'"),
    )
)


def fault_of_branch(name: str) -> str | None:
    """Return why a branch cannot have that name, short or in full; None when it can.

    These are the rules of git-check-ref-format(1). Only git knows whether there is such a branch.
    """
    return next((fault for pattern, fault in _FAULTS_OF_BRANCHES if pattern.search(name)), None)


def _check_branch(name: str) -> str:
    if fault := fault_of_branch(name):
        message = f"{as_written(name)} cannot be the name of a branch"
        raise PydanticCustomError("branch_invalid", "{message}", {"message": message, "hint": fault})
    return name


ANY_NAME: Final = "any name"
"""The key in the context of a validation by which names are not checked, because they were already."""


def _unless_judged(check: Callable[[str], str]) -> AfterValidator:
    def judged(name: str, info: ValidationInfo) -> str:
        return name if info.context and info.context.get(ANY_NAME) else check(name)

    return AfterValidator(judged)


Name = Annotated[
    str,
    _unless_judged(check_name),
    WithJsonSchema({"type": "string", "pattern": f"^{_NAME.pattern}$", "maxLength": LONGEST_NAME}),
]
"""A name of the plan: a letter or digit, then letters, digits, ``.``, ``_`` and ``-``."""

BranchName = Annotated[str, _unless_judged(_check_branch)]
"""The name of a branch, short or in full (``heads/…``, ``refs/heads/…``)."""
