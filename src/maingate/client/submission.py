"""Plans as they are submitted: the text of the plan, and the files that it names."""

import base64
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path, PurePosixPath
from typing import Any

from maingate.errors import PlanError, Problem
from maingate.plan.readers.reader import read_document


@dataclass(frozen=True, kw_only=True)
class PlanSource:
    """A plan, and the files that it names.

    Args:
        plan: The plan as an object, or as the text of a YAML or JSON file.
        files: The content of each file, by its path relative to the plan.
    """

    plan: Mapping[str, Any] | str
    files: Mapping[str, bytes] = field(default_factory=dict)

    def as_json(self) -> dict[str, Any]:
        """Return it as it is sent."""
        plan = self.plan if isinstance(self.plan, str) else dict(self.plan)
        return {"plan": plan, "files": {name: file_json(content) for name, content in self.files.items()}}


def read_submission(path: Path) -> PlanSource:
    """Read a plan file and the files that it names; the server checks the rest.

    Raises:
        PlanError: One of them cannot be read, or is not below the folder of the plan.
    """
    raw = _read(path, path)
    document = read_document(raw, file=str(path))
    problems: list[Problem] = []
    files: dict[str, bytes] = {}
    for location, name in _named(document.data):
        try:
            files[str(PurePosixPath(name))] = _content(path, name)
        except PlanError as error:
            line = document.line_of(location)
            problems += [Problem(file=str(path), line=line, message=one.message) for one in error.problems]
    if problems:
        raise PlanError(problems)
    return PlanSource(plan=raw.decode("utf-8-sig"), files=files)


def _named(data: Any) -> Iterator[tuple[tuple[str, ...], str]]:
    """Yield the place of each path in a plan's tasks, and the path, whatever else is wrong with the plan."""
    for stream, planned in _items(data.get("workstreams") if isinstance(data, dict) else None):
        for task, each in _items(planned.get("tasks") if isinstance(planned, dict) else None):
            for key in ("patch", "prompt_file"):
                name = each.get(key) if isinstance(each, dict) else None
                if isinstance(name, str):
                    yield ("workstreams", stream, "tasks", task, key), name


def _items(value: Any) -> list[tuple[str, Any]]:
    return list(value.items()) if isinstance(value, dict) else []


def _content(plan: Path, name: str) -> bytes:
    if PurePosixPath(name).is_absolute() or ".." in PurePosixPath(name).parts:
        message = f"{name!r} is not below the folder of the plan, so it cannot be sent; copy it there"
        raise PlanError([Problem(file=str(plan), line=None, message=message)])
    return _read(plan.parent / name, plan)


def _read(path: Path, plan: Path) -> bytes:
    try:
        return path.read_bytes()
    except OSError as error:
        said = (error.strerror or str(error)).lower()
        message = f"cannot be read: {said}" if path == plan else f"{str(path)!r} cannot be read: {said}"
        raise PlanError([Problem(file=str(plan), line=None, message=message)]) from error


def file_json(content: bytes) -> str | dict[str, str]:
    """Return the content of a file as it is sent: text where it is UTF-8."""
    try:
        return content.decode()
    except UnicodeDecodeError:
        return base64_json(content)


def base64_json(content: bytes) -> dict[str, str]:
    """Return bytes as they are sent."""
    return {"base64": base64.b64encode(content).decode()}
