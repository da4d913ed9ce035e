"""Import a ``prd.json``: user stories in the order of their priority, each building on those before.

Stories of one priority do not wait for each other; those without a priority come last, one after another.
"""

import itertools
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

from maingate.importers.json_fields import ImportedObject
from maingate.importers.json_files import Value, open_source, read_whole
from maingate.importers.plan_files import ImportedPlan
from maingate.importers.task_lists.tool_plans import ToolPlanOptions, write_tool_plan
from maingate.importers.task_lists.work_list import Need, TodoItem, todo_list


@dataclass(frozen=True, kw_only=True)
class _Story:
    item: TodoItem
    rank: tuple[float, int] | None
    """Rank of the story: stories of one rank do not wait for each other; None for an invalid one."""


def import_prd(source: Path, *, out: Path, options: ToolPlanOptions | None = None) -> ImportedPlan:
    """Write a plan in which a tool does the stories of a ``prd.json`` that do not pass yet.

    Args:
        source: The ``prd.json``.
        out: The plan file to write.
        options: The plan's other keys.

    Raises:
        UsageError: The file cannot be read, or all its stories pass.
        PlanError: The file has problems; all are listed, and nothing is written.
    """
    file = open_source(source)
    name, notes = source.stem, []
    stories: list[_Story] = []
    found = read_whole(file)
    head = None if found is None else ImportedObject.of(found, label="the PRD")
    if head is not None:
        name = head.text("project").strip() or name
        if branch := head.text("branchName").strip():
            notes.append(f"the PRD is for the branch {branch!r}: to land there, create it and give --target")
        if not head.has("userStories"):
            head.note("userStories", "'userStories' is missing", "a list of stories was expected")
        stories = [
            story
            for number, value in enumerate(head.entries("userStories"), start=1)
            if (story := _story(value, number)) is not None
        ]
    todos = todo_list(list(_in_order(stories)), file=file, kind="story", notes=notes)
    return write_tool_plan(todos, file=file, out=out, name=name, options=options or ToolPlanOptions())


def _story(value: Value, number: int) -> _Story | None:
    record = ImportedObject.of(value, label=f"story {number}")
    if record is None:
        return None
    identifier = record.identifier("id")
    if identifier:
        record = ImportedObject(value, label=f"story {identifier!r}")
    item = TodoItem(
        id=identifier,
        line=record.line,
        title=record.text("title", is_required=True),
        text="\n\n".join(_said(record)),
        needs=tuple(Need(on=need, line=where.line) for need, where in record.identifiers("dependencies")),
        left_out="passes" if record.truth("passes") else "",
    )
    rank = _rank(record, number)
    return _Story(item=item, rank=rank if identifier else None)


def _rank(record: ImportedObject, number: int) -> tuple[float, int] | None:
    priority = record.number("priority")
    if priority is None:
        return None if record.has("priority") else (float("inf"), number)
    return (priority, 0)


def _said(record: ImportedObject) -> Iterator[str]:
    if description := record.text("description").strip():
        yield description
    if criteria := [
        one.strip() for one in record.texts("acceptanceCriteria", passes_null=True) if one.strip()
    ]:
        yield "Accepted when:\n" + "\n".join(f"- {one}" for one in criteria)
    if notes := record.text("notes").strip():
        yield f"Notes:\n{notes}"


def _in_order(stories: Sequence[_Story]) -> Iterator[TodoItem]:
    """Yield the stories by rank; each waits for the open stories of the rank before."""
    yield from (story.item for story in stories if story.rank is None)
    ranked = sorted((story.rank, place) for place, story in enumerate(stories) if story.rank is not None)
    before: list[TodoItem] = []
    for _, group in itertools.groupby(ranked, lambda one: one[0]):
        level = [stories[place].item for _, place in group]
        for item in level:
            waits = [Need(on=one.id, line=item.line) for one in before]
            yield item if item.left_out else replace(item, needs=(*item.needs, *waits))
        before = [item for item in level if not item.left_out] or before
