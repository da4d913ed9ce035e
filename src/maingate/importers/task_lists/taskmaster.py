"""Import a ``tasks.json``: tagged (``{"master": {"tasks": […]}}``) or legacy (``{"tasks": […]}``).

A task is a workstream; the subtasks of a task are the tasks of its workstream. Ids and dependencies may be
text or numbers. Within a task, a dependency without a dot means the subtask of that number, else the task.
"""

from collections.abc import Collection, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from maingate.errors import UsageError
from maingate.importers.json_fields import ImportedObject
from maingate.importers.json_files import Value, open_source, read_whole
from maingate.importers.plan_files import ImportedPlan
from maingate.importers.task_lists.tool_plans import ToolPlanOptions, write_tool_plan
from maingate.importers.task_lists.work_list import Need, TodoItem, todo_list
from maingate.settings.problems import did_you_mean

DEFAULT_TAG: Final = "master"
_LEFT_OUT: Final = {"done": "done", "completed": "done", "cancelled": "cancelled", "canceled": "cancelled"}
_STATUSES: Final = ("pending", "in-progress", "review", "blocked", "deferred", *_LEFT_OUT)
_PRIORITIES: Final[Mapping[str, int]] = {"critical": 2, "high": 1, "medium": 0, "low": -1}


def import_taskmaster(
    source: Path, *, out: Path, tag: str | None = None, options: ToolPlanOptions | None = None
) -> ImportedPlan:
    """Write a plan in which a tool does the open tasks of a ``tasks.json``.

    Args:
        source: The ``tasks.json``.
        out: The plan file to write.
        tag: The list of tasks to import; by default ``master``, or the only one.
        options: The plan's other keys.

    Raises:
        UsageError: The file cannot be read, lacks the tag, or has no open task.
        PlanError: The file has problems; all are listed, and nothing is written.
    """
    file = open_source(source)
    name, tasks = source.stem, None
    found = read_whole(file)
    if found is not None:
        name, tasks = _list_of(found, tag)
    raw = [] if tasks is None else list(_tasks_of(tasks))
    known = {one.id for one in raw if one.id}
    items = [_item(one, known) for one in raw]
    deferred = [one.id for one in raw if one.id and one.status == "deferred"]
    todos = todo_list(
        items,
        file=file,
        kind="task",
        titles={one.id: one.heading for one in items if one.group == one.id},
        notes=[f"deferred, but in the plan: {', '.join(deferred)}"] if deferred else [],
    )
    return write_tool_plan(todos, file=file, out=out, name=name, options=options or ToolPlanOptions())


@dataclass(frozen=True, kw_only=True)
class _TaskmasterTask:
    """A task or subtask of the file, with its parent.

    An unreadable id becomes empty, as do the ids of its subtasks.
    """

    record: ImportedObject
    id: str
    whole: str | None
    outermost: str
    status: str


def _list_of(found: Value, tag: str | None) -> tuple[str, Value | None]:
    """Return the list of tasks and its name."""
    name = found.file.path.stem
    if not isinstance(found.data, dict):
        found.file.note(found.line, "is not a tasks.json", 'it begins like {"master": {"tasks": [')
        return name, None
    tags = [key for key, value in found.data.items() if isinstance(value, dict) and "tasks" in value]
    is_legacy = "tasks" in found.data and (tag is None or not tags)
    if is_legacy and tag not in (None, DEFAULT_TAG):
        raise UsageError(f"{found.file.path} has no tags: leave out --tag {tag}")
    if is_legacy:
        return name, found.at("tasks")
    wanted = tag or (DEFAULT_TAG if DEFAULT_TAG in tags or len(tags) != 1 else tags[0])
    if wanted in tags:
        return wanted, found.at(wanted).at("tasks")
    if tag is None and not tags:
        found.file.note(found.line, "is not a tasks.json: it has no 'tasks'")
        return name, None
    which = did_you_mean(wanted, tags) or "the file has none"
    raise UsageError(f"{found.file.path} has no tag {wanted!r}; choose one with --tag ({which})")


def _tasks_of(tasks: Value, whole: _TaskmasterTask | None = None) -> Iterator[_TaskmasterTask]:
    """Yield all tasks in their order, each before its subtasks."""
    if not isinstance(tasks.data, list):
        if tasks.data is not None or whole is None:
            tasks.file.note(tasks.line, "the tasks must be a list")
        return
    for number, value in enumerate(tasks.each(), start=1):
        label = f"task {number}"
        if whole is not None:
            label = f"subtask {number} of {whole.id or whole.record.label}"
        if value.data is None:
            value.file.pass_over(value.line, f"{label} is null")
            continue
        record = ImportedObject.of(value, label=label)
        if record is None:
            continue
        identifier = _within(whole, record.identifier("id"))
        if identifier:
            record = ImportedObject(value, label=f"task {identifier!r}")
        task = _TaskmasterTask(
            record=record,
            id=identifier,
            whole=None if whole is None else whole.id,
            outermost=identifier if whole is None else whole.outermost,
            status=record.one_of("status", _STATUSES, default="pending"),
        )
        yield task
        if "subtasks" in value.data:
            yield from _tasks_of(value.at("subtasks"), task)


def _within(whole: _TaskmasterTask | None, identifier: str) -> str:
    """Return the full id; empty if it or its parent's is unknown."""
    if whole is None or not identifier:
        return identifier
    if not whole.id:
        return ""
    return identifier if identifier.startswith(f"{whole.id}.") else f"{whole.id}.{identifier}"


def _item(task: _TaskmasterTask, known: Collection[str]) -> TodoItem:
    record = task.record
    said = [record.text("description"), *_headed(record)]
    return TodoItem(
        id=task.id,
        line=record.line,
        title=record.text("title"),
        text="\n\n".join(part.strip() for part in said if part.strip()),
        needs=tuple(
            Need(on=_meant_by(need, task, known), line=where.line)
            for need, where in record.identifiers("dependencies")
            if task.whole != ""  # else its siblings are unknown
        ),
        whole=task.whole,
        left_out=_LEFT_OUT.get(task.status, ""),
        group=task.outermost,
        priority=_PRIORITIES[record.one_of("priority", _PRIORITIES, default="medium")],
    )


def _headed(record: ImportedObject) -> Iterator[str]:
    for key, heading in (("details", "Details:"), ("testStrategy", "How it is tested:")):
        if said := record.text(key).strip():
            yield f"{heading}\n{said}"


def _meant_by(need: str, task: _TaskmasterTask, known: Collection[str]) -> str:
    sibling = f"{task.whole}.{need}"
    return sibling if task.whole is not None and "." not in need and sibling in known else need
