"""The lines of spec-kit's ``tasks.md``: ``- [ ] T014 [P] [US1] Do this (depends on T012, T013)``.

Order of the tasks:

- A task waits for its dependencies (``T012``, ``T012-T015``, or ``US1`` for all of a story).
- Within its phase, a task without ``[P]`` waits for the one before: for the last one without ``[P]``, and for
  those with ``[P]`` since. A task with ``[P]`` waits for none of its phase.
- A task without a story waits for all earlier phases; a task of a story waits for the earlier tasks without
  a story. So setup and foundations come first, stories do not wait for each other, and the rest
  comes last.

The tasks of a story land together; so do the tasks of a phase without a story.
"""

import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from typing import Final

from maingate.importers.json_files import SourceFile
from maingate.importers.task_lists.checkboxes import Checkbox
from maingate.importers.task_lists.work_list import Need, TodoItem

_ID: Final = re.compile(r"(?:\*\*|`)?(?P<id>T\d+[a-z]?)(?:\*\*|`)?[:.]?(?:\s+|$)")
_MARK: Final = re.compile(r"\[(?P<mark>P|US\d+)\]\s*", re.IGNORECASE)
_DEPENDS: Final = re.compile(r"\s*\((?:depends\s+on|blocked\s+by):?\s+(?P<ids>[^()]*)\)", re.IGNORECASE)
_PARTING: Final = re.compile(r"\s*(?:[,;&+]|\band\b)\s*|\s+", re.IGNORECASE)
_RANGE: Final = re.compile(r"T(?P<first>\d+)\s*[-\u2013\u2014]\s*T?(?P<last>\d+)", re.IGNORECASE)
_WIDEST: Final = 1000
"""Maximum plausible tasks in a range."""


@dataclass(frozen=True, kw_only=True)
class _TaskLine:
    box: Checkbox
    id: str
    title: str
    is_parallel: bool
    story: str
    depends: tuple[str, ...]


def is_spec_kit(boxes: Sequence[Checkbox]) -> bool:
    """Return whether a file's checkboxes are spec-kit's: at least one has an id."""
    return any(_ID.match(box.title) for box in boxes)


def spec_kit_items(boxes: Sequence[Checkbox], file: SourceFile) -> tuple[list[TodoItem], dict[str, str]]:
    """Return the items with their needs, and the titles of the groups that land together."""
    lines = [_line(box) for box in boxes]
    waits = _Order(lines).waits()
    phases = _names_of_phases(boxes)
    titles: dict[str, str] = {}
    items = []
    for line in lines:
        if not line.title:
            file.note(line.box.line, f"task {line.id!r} says nothing", "write what is to be done")
        group = line.story or phases[line.box.phase]
        titles.setdefault(group, _title(group, line))
        items.append(
            TodoItem(
                id=line.id,
                line=line.box.line,
                title=line.title,
                text=_text(line),
                needs=tuple(
                    Need(on=on, line=line.box.line)
                    for on in dict.fromkeys((*_meant(line, lines, file), *waits[line.box.line]))
                ),
                left_out="done" if line.box.is_done else "",
                group=group,
            )
        )
    return items, titles


def _line(box: Checkbox) -> _TaskLine:
    title = box.title
    depends: list[str] = []
    for clause in _DEPENDS.finditer(title):
        spread = _RANGE.sub(lambda found: f"T{found['first']}-T{found['last']}", clause["ids"])
        depends.extend(part for part in _PARTING.split(spread) if part)
    title = _DEPENDS.sub("", title)
    identifier = ""
    if found := _ID.match(title):
        identifier, title = found["id"], title[found.end() :]
    marks = []
    while found := _MARK.match(title):
        marks.append(found["mark"].upper())
        title = title[found.end() :]
    return _TaskLine(
        box=box,
        id=identifier or f"line {box.line}",
        title=title.strip(),
        is_parallel="P" in marks,
        story=next((mark for mark in marks if mark != "P"), ""),
        depends=tuple(depends),
    )


def _meant(line: _TaskLine, lines: Sequence[_TaskLine], file: SourceFile) -> Iterator[str]:
    """Yield the ids in a line's dependencies; invalid ones are noted."""
    known = {one.id.upper(): one.id for one in lines}
    for word in line.depends:
        upper = word.upper()
        if spread := _RANGE.fullmatch(word):
            yield from _spread(spread, word, line, file)
        elif re.fullmatch(r"T\d+[A-Z]?", upper):
            yield known.get(upper, word)
        elif re.fullmatch(r"US\d+", upper) and any(one.story == upper for one in lines):
            yield from (one.id for one in lines if one.story == upper and one.id != line.id)
        else:
            hint = "write ids such as T012, T013"
            message = f"task {line.id!r} depends on {word!r}, which is not a task id"
            file.pass_over(line.box.line, message, hint)


def _spread(found: re.Match[str], word: str, line: _TaskLine, file: SourceFile) -> Iterator[str]:
    """Yield the ids of a range, padded like the first one."""
    first, last = int(found["first"][:18]), int(found["last"][:18])
    if not first <= last < first + _WIDEST:
        file.pass_over(line.box.line, f"task {line.id!r} depends on {word!r}, which is not a range of tasks")
        return
    yield from (f"T{number:0{len(found['first'])}}" for number in range(first, last + 1))


@dataclass
class _Order:
    """Needs of each line by its position; only open tasks count."""

    lines: Sequence[_TaskLine]
    _since: list[_TaskLine] = field(default_factory=list)

    def waits(self) -> dict[int, list[str]]:
        """Return, by the number of each line, the ids that it waits for."""
        found: dict[int, list[str]] = {line.box.line: [] for line in self.lines}
        shared: list[_TaskLine] = []
        earlier: list[_TaskLine] = []
        for phase in dict.fromkeys(line.box.phase for line in self.lines):
            here = [line for line in self.lines if line.box.phase == phase and not line.box.is_done]
            self._since = []
            for line in here:
                found[line.box.line].extend(one.id for one in (shared if line.story else earlier))
                found[line.box.line].extend(self._before(line))
            without_story = [line for line in here if not line.story]
            if without_story:
                # They wait for everything earlier, so a task that waits for them does, too.
                shared, earlier = without_story, here
            else:
                earlier = [*earlier, *here]
        return found

    def _before(self, line: _TaskLine) -> list[str]:
        if line.is_parallel:
            self._since.append(line)
            return []
        before, self._since = self._since, [line]
        return [one.id for one in before]


def _names_of_phases(boxes: Sequence[Checkbox]) -> dict[int, str]:
    """Return the name of each phase: its heading, or its number if the heading is missing or not unique."""
    names: dict[int, str] = {}
    for box in boxes:
        if box.phase not in names:
            name = box.phase_title if box.phase_title not in names.values() else ""
            names[box.phase] = name or (f"tasks {box.phase}" if box.phase else "tasks")
    return names


def _title(group: str, line: _TaskLine) -> str:
    heading = line.box.phase_title
    return f"{group}: {heading}" if line.story and heading else group


def _text(line: _TaskLine) -> str:
    section = line.box.phase_title
    if line.box.section != section:
        section = f"{section}, {line.box.section}" if section else line.box.section
    return "\n\n".join(
        part for part in (line.box.text, f"From the section: {section}" if section else "") if part
    )
