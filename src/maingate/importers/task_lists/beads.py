"""Import a Beads export, ``issues.jsonl``: one issue per line.

``blocks``, ``conditional-blocks`` and ``waits-for`` make an issue wait for another; other relations do not.
An epic with child issues (``parent-child``) is no task; its children are.
"""

from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Final

from maingate.importers.json_fields import ImportedObject
from maingate.importers.json_files import Value, open_source, read_lines
from maingate.importers.plan_files import ImportedPlan
from maingate.importers.task_lists.tool_plans import ToolPlanOptions, write_tool_plan
from maingate.importers.task_lists.work_list import Need, TodoItem, todo_list
from maingate.wording import listed

BLOCKING: Final = ("blocks", "conditional-blocks", "waits-for")
"""Dependency types that make an issue wait."""

_PART_OF: Final = "parent-child"
_LEFT_OUT: Final = {"closed": "closed", "tombstone": "deleted"}
_NO_WORK: Final = ("event", "message")
"""Issue types without work."""
_NOT_READY: Final = ("deferred", "pinned")
"""Statuses of open issues that Beads does not offer as work."""
_MIDDLE: Final = 2
"""The middle of the priorities 0 (highest) to 4."""


@dataclass(frozen=True, kw_only=True)
class _Dependencies:
    needs: tuple[Need, ...]
    whole: str | None
    is_conditional: bool


def import_beads(source: Path, *, out: Path, options: ToolPlanOptions | None = None) -> ImportedPlan:
    """Write a plan in which a tool does the open issues of a Beads export.

    Args:
        source: The ``issues.jsonl``.
        out: The plan file to write.
        options: The plan's other keys.

    Raises:
        UsageError: The file cannot be read, or nothing in it is open.
        PlanError: The file has problems; all are listed, and nothing is written.
    """
    file = open_source(source)
    found = _Export()
    for value in read_lines(file):
        if (record := ImportedObject.of(value, label=f"line {value.line}")) is not None:
            found.take(record)
    todos = todo_list(
        found.items, file=file, kind="issue", wholes=frozenset(found.epics), notes=list(found.notes())
    )
    return write_tool_plan(todos, file=file, out=out, name=source.stem, options=options or ToolPlanOptions())


@dataclass
class _Export:
    """The part of an export that has been read."""

    items: list[TodoItem] = field(default_factory=list)
    epics: set[str] = field(default_factory=set)
    not_ready: list[str] = field(default_factory=list)
    conditional: list[str] = field(default_factory=list)
    passed_over: int = 0

    def take(self, record: ImportedObject) -> None:
        if _is_no_issue(record.value):
            self.passed_over += 1
            return
        identifier = record.identifier("id")
        issue = ImportedObject(record.value, label=f"issue {identifier!r}" if identifier else record.label)
        dependencies = _dependencies(issue, identifier)
        self.items.append(_item(issue, identifier, dependencies))
        if not identifier:
            return
        if issue.text("issue_type").strip().lower() == "epic":
            self.epics.add(identifier)
        if issue.text("status").strip().lower() in _NOT_READY:
            self.not_ready.append(identifier)
        if dependencies.is_conditional:
            self.conditional.append(identifier)

    def notes(self) -> Iterator[str]:
        if self.passed_over:
            yield f"lines that are no issues, ignored: {self.passed_over}"
        if self.not_ready:
            yield f"{' or '.join(_NOT_READY)}, but in the plan: {listed(self.not_ready, 10)}"
        if self.conditional:
            shown = listed(self.conditional, 10)
            yield f"conditional-blocks is imported as blocks: {shown}"


def _is_no_issue(value: Value) -> bool:
    """Return whether a line is no issue: the schema, or an entry of another ``_type`` such as a memory."""
    return "_schema" in value.data or value.data.get("_type", "issue") != "issue"


def _item(record: ImportedObject, identifier: str, dependencies: _Dependencies) -> TodoItem:
    status = record.text("status").strip().lower()
    kind = record.text("issue_type").strip().lower()
    priority = record.number("priority")
    return TodoItem(
        id=identifier,
        line=record.line,
        title=record.text("title", is_required=True),
        text="\n\n".join(_paragraphs(record)),
        needs=dependencies.needs,
        whole=dependencies.whole,
        left_out=_LEFT_OUT.get(status, f"a {kind}" if kind in _NO_WORK else ""),
        priority=0 if priority is None else _MIDDLE - int(priority),
    )


def _paragraphs(record: ImportedObject) -> Iterator[str]:
    for key, heading in (
        ("description", ""),
        ("design", "Design:\n"),
        ("acceptance_criteria", "Accepted when:\n"),
        ("notes", "Notes:\n"),
    ):
        if said := record.text(key).strip():
            yield f"{heading}{said}"


def _dependencies(record: ImportedObject, identifier: str) -> _Dependencies:
    needs: list[Need] = []
    whole: str | None = None
    is_conditional = False
    for value in record.entries("dependencies"):
        dependency = ImportedObject.of(value, label=f"{record.label}: a dependency")
        if dependency is None:
            continue
        kind = dependency.text("type").strip().lower() or BLOCKING[0]
        if kind not in (*BLOCKING, _PART_OF):
            continue
        own = dependency.identifier("issue_id") if dependency.has("issue_id") else ""
        if own and identifier and own != identifier:
            dependency.note(
                "issue_id", "'issue_id' is another issue's", f"the line is that of {identifier!r}"
            )
        if not dependency.has("depends_on_id"):
            dependency.value.file.pass_over(dependency.line, f"{dependency.label} names no issue")
            continue
        on = dependency.identifier("depends_on_id")
        if kind == _PART_OF:
            whole = on or whole
        elif on:
            needs.append(Need(on=on, line=dependency.line))
            is_conditional |= kind == "conditional-blocks"
    return _Dependencies(needs=tuple(needs), whole=whole, is_conditional=is_conditional)
