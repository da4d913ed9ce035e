"""Import checkbox lists of a Markdown file, such as the ``tasks.md`` of spec-kit.

The outermost checkboxes are the tasks; everything under one, other checkboxes too, is its text. In a bullet
list no task waits for another; in a numbered list each waits for the one before. If any line of the file has
a spec-kit id (``T014``), spec-kit's rules hold for all: see :mod:`spec_kit`.
"""

from collections.abc import Iterator, Sequence
from pathlib import Path

from maingate.importers.json_files import SourceFile, open_source
from maingate.importers.plan_files import ImportedPlan
from maingate.importers.task_lists.checkboxes import Checkbox, checkboxes
from maingate.importers.task_lists.spec_kit import is_spec_kit, spec_kit_items
from maingate.importers.task_lists.tool_plans import ToolPlanOptions, write_tool_plan
from maingate.importers.task_lists.work_list import Need, TodoItem, todo_list


def import_markdown(source: Path, *, out: Path, options: ToolPlanOptions | None = None) -> ImportedPlan:
    """Write a plan in which a tool does the open checkboxes of a file.

    Args:
        source: The Markdown file.
        out: The plan file to write.
        options: The plan's other keys.

    Raises:
        UsageError: The file cannot be read, or nothing in it is open.
        PlanError: The file has problems; all are listed, and nothing is written.
    """
    file = open_source(source)
    boxes = [box for box in checkboxes(file) if _has_words(box, file)]
    if not boxes:
        file.note(None, "has no checkboxes", "write tasks as '- [ ] Do this'")
    titles: dict[str, str] = {}
    items: list[TodoItem] = []
    if is_spec_kit(boxes):
        items, titles = spec_kit_items(boxes, file)
    else:
        items = list(_items(boxes))
    todos = todo_list(items, file=file, kind="task", titles=titles, notes=list(_notes(boxes)))
    return write_tool_plan(todos, file=file, out=out, name=source.stem, options=options or ToolPlanOptions())


def _has_words(box: Checkbox, file: SourceFile) -> bool:
    """Return whether a checkbox has a usable text; note a problem if not."""
    fault = "says nothing" if not box.title else ""
    if "\0" in box.title or "\0" in box.text:
        fault = "has a NUL character in it"
    if fault:
        file.note(box.line, f"the checkbox {fault}", "write what is to be done")
    return not fault


def _notes(boxes: Sequence[Checkbox]) -> Iterator[str]:
    for box in boxes:
        if box.is_done and box.open_inside:
            yield f"line {box.line} is ticked, so what is open under it was left out too"


def _items(boxes: Sequence[Checkbox]) -> Iterator[TodoItem]:
    before: Checkbox | None = None
    for box in boxes:
        waits = (
            before is not None
            and box.is_numbered
            and (before.list_number, before.indent) == (box.list_number, box.indent)
        )
        yield TodoItem(
            id=f"line {box.line}",
            line=box.line,
            title=box.title,
            text=_text(box),
            needs=(Need(on=f"line {before.line}", line=box.line),) if waits and before else (),
            left_out="done" if box.is_done else "",
        )
        if not box.is_done or not waits:
            before = box


def _text(box: Checkbox) -> str:
    """Return a task's text without its title, and the heading above it."""
    section = f"From the section: {box.section}" if box.section else ""
    return "\n\n".join(part for part in (box.text, section) if part)
