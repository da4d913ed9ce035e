"""Write a list of work as a plan in which a tool makes each patch."""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Final, get_args

from maingate.errors import OutsideFaultError, UsageError
from maingate.importers.json_files import SourceFile
from maingate.importers.plan_files import ImportedPlan, checked, refuse_existing
from maingate.importers.plan_names import NameGiver
from maingate.importers.task_lists.work_list import Todo, TodoList
from maingate.plan.checks.circles_of_needs import circles
from maingate.plan.choices import LandingStyle, Overlap, Preset
from maingate.plan.writers.writer import write_document
from maingate.settings.problems import did_you_mean
from maingate.wording import listed

DEFAULT_TOOL: Final = "claude"

_EVERY_PATH: Final = "**"


@dataclass(frozen=True, kw_only=True)
class ToolPlanOptions:
    """Keys of a plan of tool-made patches, besides its tasks.

    Args:
        name: The plan's name; by default the source's.
        target: The branch to land on; by default the plan's default.
        landing: The landing style; by default the plan's default.
        gates: Commands by gate name.
        tool: A preset's name, or ``NAME=COMMAND``.
        overlap: The plan's `overlap`. With `serial` each task declares that it may write every path, so that
            tools run one after the other; by default no task declares anything, and they run side by side.
        notes: Notes about these for the user.
        is_strict: Whether dependencies that lead nowhere are refused; by default they are left out and told.
    """

    name: str | None = None
    target: str | None = None
    landing: LandingStyle | None = None
    gates: Mapping[str, str] = field(default_factory=dict)
    tool: str = DEFAULT_TOOL
    overlap: Overlap | None = None
    is_strict: bool = False
    notes: tuple[str, ...] = ()

    def tool_definition(self) -> tuple[str, dict[str, Any]]:
        """Return the tool's name and its definition.

        Raises:
            UsageError: The text is neither a preset nor ``NAME=COMMAND``.
        """
        name, equals, command = self.tool.partition("=")
        if equals and name and command.strip():
            return name, {"run": command}
        presets = get_args(Preset)
        if not equals and name in presets:
            return name, {"preset": name}
        hint = did_you_mean(name, presets) or f"presets: {', '.join(presets)}"
        raise UsageError(
            f"invalid --tool {self.tool!r}: write a preset's name or "
            f'--tool "NAME=COMMAND with {{prompt_file}}"; {hint}'
        )


def write_tool_plan(
    todos: TodoList, *, file: SourceFile, out: Path, name: str, options: ToolPlanOptions
) -> ImportedPlan:
    """Write a plan whose tasks a tool does.

    Args:
        todos: The list of work.
        file: Its file, whose problems are raised.
        out: The plan file to write.
        name: The list's name for people, unless the options have another.
        options: The plan's other keys.

    Raises:
        PlanError: The source has problems; all are listed, and nothing is written.
        UsageError: A file would be overwritten, the options are invalid, or there is nothing to do.
        OutsideFaultError: The plan could not be written.
    """
    tool, definition = options.tool_definition()
    file.refuse_problems(is_strict=options.is_strict)
    refuse_existing(out)
    if not todos.todos:
        raise UsageError(f"{file.path} has no open items; there is nothing to do")
    groups = _groups(todos.todos)
    made_by = {"tool": tool, **({"scope": [_EVERY_PATH]} if options.overlap is Overlap.SERIAL else {})}
    workstreams = _workstreams(todos, groups, made_by)
    head = {
        "maingate": 1,
        "name": options.name or _printable(name) or _printable(file.path.stem) or "imported",
        "target": options.target,
        "landing": None if options.landing is None else str(options.landing),
        "overlap": None if options.overlap is None else str(options.overlap),
        "gates": {gate: {"run": command} for gate, command in options.gates.items()},
        "tools": {tool: definition},
    }
    data = {
        **{key: value for key, value in head.items() if value},
        "workstreams": workstreams,
    }
    _write(out, write_document(checked(data), file=out.name, comments=[f"Imported from {file.path}."]))
    return ImportedPlan(
        path=out,
        patches=None,
        tasks=len(todos.todos),
        workstreams=len(workstreams),
        skipped=tuple(todos.left_out),
        notes=(
            *options.notes,
            *todos.notes,
            *_notes_on_dead_ends(file),
            *_notes(groups, options),
            *_note_on_overlap(todos, options),
        ),
    )


def _notes_on_dead_ends(file: SourceFile) -> Iterator[str]:
    """Yield each part of the file that leads nowhere, and how to have them refused."""
    for told in sorted(file.passed_over, key=lambda each: each.line or 0):
        hint = f" ({told.hint})" if told.hint.startswith("did you mean") else ""
        yield f"line {told.line}: {told.message}{hint}; left out"
    if file.passed_over:
        yield f"parts that lead nowhere, left out: {len(file.passed_over)}; --strict refuses them"


def _printable(text: str) -> str:
    return "".join(letter for letter in " ".join(text.split()) if letter.isprintable())


def _notes(groups: Mapping[str, Sequence[str]], options: ToolPlanOptions) -> Iterator[str]:
    for first, *others in groups.values():
        if others:
            yield f"{first} lands together with {listed(others, 10)}: their parts wait for each other"
    if not options.gates:
        yield "the plan has no gates, so patches land untested: add --gate NAME=COMMAND"


def _note_on_overlap(todos: TodoList, options: ToolPlanOptions) -> Iterator[str]:
    if len(todos.todos) > 1 and options.overlap is None:
        yield "tools run side by side where no task needs the other: --overlap serial for one at a time"


def _group_of(todo: Todo) -> str:
    return todo.item.id if todo.item.group is None else todo.item.group


def _groups(todos: Sequence[Todo]) -> dict[str, list[str]]:
    """Join groups that wait for parts of each other: neither could land first.

    Returns:
        The joined groups, by the first group of each.
    """
    group_of = {todo.item.id: _group_of(todo) for todo in todos}
    leader = {group: group for group in group_of.values()}
    while True:
        needs: dict[str, list[str]] = {group: [] for group in dict.fromkeys(leader.values())}
        for todo in todos:
            own = leader[group_of[todo.item.id]]
            needs[own].extend(other for need in todo.needs if (other := leader[group_of[need]]) != own)
        found = circles(needs)
        if not found:
            break
        place = {group: number for number, group in enumerate(needs)}
        for circle in found:
            first = min(circle, key=place.__getitem__)
            leader.update({group: first for group, old in leader.items() if old in circle})
    joined: dict[str, list[str]] = {}
    for group, first in leader.items():
        joined.setdefault(first, []).append(group)
    return joined


def _workstreams(
    todos: TodoList, groups: Mapping[str, Sequence[str]], made_by: Mapping[str, Any]
) -> dict[str, Any]:
    leader = {group: first for first, members in groups.items() for group in members}
    members: dict[str, list[Todo]] = {first: [] for first in groups}
    where: dict[str, str] = {}
    for todo in todos.todos:
        where[todo.item.id] = leader[_group_of(todo)]
        members[where[todo.item.id]].append(todo)
    giver = NameGiver()
    names = {
        first: giver.name(*_words(first, todos, members[first]), otherwise=f"part-{number}")
        for number, first in enumerate(groups, start=1)
    }
    return {
        names[first]: _workstream(
            first, members[first], todos=todos, where=where, names=names, made_by=made_by
        )
        for first in groups
    }


def _words(first: str, todos: TodoList, members: Sequence[Todo]) -> tuple[str, ...]:
    """Return the words for a workstream's name: its group, or its only item."""
    if first in todos.titles:
        return (first,)
    own = next((todo.item for todo in members if todo.item.id == first), None)
    return (first,) if own is None else (first, own.title)


def _workstream(
    first: str,
    members: Sequence[Todo],
    *,
    todos: TodoList,
    where: Mapping[str, str],
    names: Mapping[str, str],
    made_by: Mapping[str, Any],
) -> dict[str, Any]:
    outside = dict.fromkeys(
        names[where[need]] for todo in members for need in todo.needs if where[need] != first
    )
    title = todos.titles.get(first) or next(
        (todo.item.heading for todo in members if todo.item.id == first), first
    )
    giver = NameGiver()
    tasks = {
        todo.item.id: giver.name(todo.item.id, todo.item.title, otherwise=f"task-{number}")
        for number, todo in enumerate(members, start=1)
    }
    described = {
        "title": title,
        "needs": list(outside),
        "priority": max(todo.item.priority for todo in members),
        "tasks": {tasks[todo.item.id]: _task(todo, tasks, made_by) for todo in members},
    }
    return {key: value for key, value in described.items() if value}


def _task(todo: Todo, names: Mapping[str, str], made_by: Mapping[str, Any]) -> dict[str, Any]:
    needs = [names[need] for need in todo.needs if need in names]
    described = {"title": todo.item.heading, **made_by, "prompt": todo.prompt, "needs": needs}
    return {key: value for key, value in described.items() if value}


def _write(out: Path, text: str) -> None:
    is_ours = False
    try:
        out.parent.mkdir(parents=True, exist_ok=True)
        with out.open("xb") as stream:
            is_ours = True
            stream.write(text.encode())
    except OSError as error:
        if is_ours:
            out.unlink(missing_ok=True)
        raise OutsideFaultError(f"{error.filename or out} could not be written: {error.strerror}") from error
