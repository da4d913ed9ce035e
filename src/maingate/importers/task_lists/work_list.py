"""Lists of work from any tool: items, their parts, dependencies, and which are done.

An item with parts is no task; its parts are, and their prompts name the whole. An item that waits for the
whole waits for all its open parts, and each part waits for everything that the whole waits for.
"""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Final

from maingate.importers.json_files import SourceFile
from maingate.plan.checks.circles_of_needs import circles
from maingate.settings.problems import did_you_mean
from maingate.wording import chain

_COMPARED: Final = 500
"""Maximum ids among which a similar one is suggested; the search is linear."""


@dataclass(frozen=True, kw_only=True)
class Need:
    """A dependency: an id, and its line in the file."""

    on: str
    line: int


@dataclass(frozen=True, kw_only=True)
class TodoItem:
    """An item of a list, open or not.

    Args:
        id: Its id in the other tool; empty if unreadable, which is noted: then it is only checked for further
            problems.
        line: Its first line.
        title: One line; may be empty.
        text: Its text without the title.
        needs: Its dependencies.
        whole: The id of the item that it is a part of; None if it is no part.
        left_out: The reason why it needs no work; empty if it is open.
        group: The group that it lands with; None if it lands alone.
        priority: Higher goes first.
    """

    id: str
    line: int
    title: str
    text: str = ""
    needs: tuple[Need, ...] = ()
    whole: str | None = None
    left_out: str = ""
    group: str | None = None
    priority: int = 0

    @property
    def heading(self) -> str:
        """Id and title in one line; the id alone when there is no title."""
        title = " ".join(self.title.split())
        return f"{self.id}: {title}" if title and title != self.id else self.id


@dataclass(frozen=True, kw_only=True)
class Todo:
    """A future task: an open item without parts.

    Args:
        item: The item.
        prompt: The prompt for the tool.
        needs: The ids of the todos that come first.
    """

    item: TodoItem
    prompt: str
    needs: tuple[str, ...]


@dataclass(frozen=True, kw_only=True)
class TodoList:
    """Open and left-out items of a list.

    Args:
        todos: The future tasks, in the order of the file.
        titles: Titles of the groups, by group.
        left_out: Items left out, with reasons, for people.
        notes: Notes for the user.
    """

    todos: Sequence[Todo]
    titles: Mapping[str, str] = field(default_factory=dict)
    left_out: Sequence[str] = ()
    notes: Sequence[str] = ()


def todo_list(
    items: Sequence[TodoItem],
    *,
    file: SourceFile,
    kind: str,
    wholes: frozenset[str] | None = None,
    titles: Mapping[str, str] | None = None,
    notes: Sequence[str] = (),
) -> TodoList:
    """Return the open items of a list with their order; the file collects problems and dead ends.

    Args:
        items: All items of the file, in order.
        file: The file, which collects problems.
        kind: The noun for an item, such as ``task``.
        wholes: Ids that may have parts; None for all with parts.
        titles: Titles of the groups, by group.
        notes: Notes for the user.
    """
    return _Lister(items, file=file, kind=kind, wholes=wholes).listed(titles or {}, notes)


class _Lister:
    def __init__(
        self, items: Sequence[TodoItem], *, file: SourceFile, kind: str, wholes: frozenset[str] | None
    ) -> None:
        self._file, self._kind, self._all = file, kind, items
        self._items = self._unique(items)
        nested = {key: self._whole_of(one) for key, one in self._items.items()}
        self._refuse_circles(nested, "are parts of")
        endless = {key for circle in circles(nested) for key in circle}
        self._parts: dict[str, list[str]] = {}
        for key, outer in nested.items():
            for whole in outer:
                if key not in endless and (wholes is None or whole in wholes):
                    self._parts.setdefault(whole, []).append(key)

    def listed(self, titles: Mapping[str, str], notes: Sequence[str]) -> TodoList:
        todos: list[Todo] = []
        left_out: list[str] = []
        for one in self._items.values():
            why = self._why_left_out(one)
            if why:
                left_out.append(f"{one.heading} ({why})")
            elif one.id not in self._parts:
                todos.append(Todo(item=one, prompt=self._prompt(one), needs=tuple(self._needs(one))))
            elif not self._open_parts(one.id):
                left_out.append(f"{one.heading} (nothing of it is open)")
        for one in self._all:
            self._judge_needs(one)
            if not self._why_left_out(one):
                self._judge_dead_ends(one)
        self._refuse_circles({todo.item.id: todo.needs for todo in todos}, "wait for")
        return TodoList(todos=todos, titles=titles, left_out=left_out, notes=notes)

    def _unique(self, items: Sequence[TodoItem]) -> dict[str, TodoItem]:
        found: dict[str, TodoItem] = {}
        for one in items:
            if not one.id:
                continue
            first = found.setdefault(one.id, one)
            if first is not one:
                self._file.note(
                    one.line, f"the {self._kind} {one.id!r} is there twice", f"first on line {first.line}"
                )
        return found

    def _whole_of(self, one: TodoItem) -> tuple[str, ...]:
        return (one.whole,) if one.whole is not None and one.whole in self._items else ()

    def _wholes(self, one: TodoItem) -> Iterator[TodoItem]:
        """Yield the wholes around an item, from the inside out."""
        while one.whole is not None and one.id in self._parts.get(one.whole, ()):
            one = self._items[one.whole]
            yield one

    def _why_left_out(self, one: TodoItem) -> str:
        outer = next((whole for whole in self._wholes(one) if whole.left_out), None)
        return one.left_out or (f"a part of {outer.id}, {outer.left_out}" if outer else "")

    def _open_parts(self, whole: str) -> list[str]:
        """Return the open parts of an item that are tasks, at any depth."""
        found: list[str] = []
        waiting = list(reversed(self._parts.get(whole, ())))
        while waiting:
            key = waiting.pop()
            if key in self._parts:
                waiting.extend(reversed(self._parts[key]))
            elif not self._why_left_out(self._items[key]):
                found.append(key)
        return found

    def _needs(self, one: TodoItem) -> Iterator[str]:
        """Yield the needs of an item and of all wholes around it."""
        seen: set[str] = set()
        for level in (one, *self._wholes(one)):
            own = set(self._open_parts(level.id)) if level is not one else set()
            outer = {whole.id for whole in self._wholes(level)}
            for need in (need for need in level.needs if need.on not in outer):
                for key in self._meant_by(need.on):
                    if key not in seen and key not in own:
                        seen.add(key)
                        yield key

    def _meant_by(self, needed: str) -> Sequence[str]:
        if needed in self._parts:
            return () if self._why_left_out(self._items[needed]) else self._open_parts(needed)
        found = self._items.get(needed)
        return () if found is None or self._why_left_out(found) else (needed,)

    def _shown(self, one: TodoItem) -> str:
        return f"{self._kind} {one.id!r}" if one.id else f"this {self._kind}"

    def _judge_dead_ends(self, one: TodoItem) -> None:
        """Note what an open item refers to and the list does not have."""
        if one.whole and one.whole not in self._items:
            message = f"{self._shown(one)} is a part of {one.whole!r}, which does not exist"
            self._file.pass_over(one.line, message)
        for need in one.needs:
            if need.on not in self._items:
                self._file.pass_over(
                    need.line,
                    f"{self._shown(one)} waits for {need.on!r}, which does not exist",
                    did_you_mean(need.on, self._items) if len(self._items) <= _COMPARED else "",
                )

    def _judge_needs(self, one: TodoItem) -> None:
        inside = {whole.id for whole in self._wholes(one)}
        for need in one.needs:
            if need.on in inside and not self._why_left_out(one):
                message = f"{self._shown(one)} waits for {need.on!r}, which it is a part of"
                self._file.note(need.line, message, "the whole is done when its parts are")

    def _prompt(self, one: TodoItem) -> str:
        asked = [one.title.strip() or one.id, one.text.strip()]
        around = [
            f"This is a part of: {whole.title.strip() or whole.id}\n\n{whole.text.strip()}".strip()
            for whole in self._wholes(one)
        ]
        return "\n\n".join(part for part in (*asked, *around) if part)

    def _refuse_circles(self, needs: Mapping[str, Sequence[str]], verb: str) -> None:
        for circle in circles(needs):
            start = self._items[circle[0]]
            line = next((need.line for need in start.needs if need.on == circle[1]), start.line)
            kinds = f"{self._kind[:-1]}ies" if self._kind.endswith("y") else f"{self._kind}s"
            message = f"{kinds} {verb} each other in a circle: {chain(circle)}"
            if len(circle) == 2:  # noqa: PLR2004 - a → a
                message = f"{self._kind} {circle[0]!r} {verb.replace('are parts', 'is a part')} itself"
                message = message.replace("wait for", "waits for")
            self._file.note(line, message, "take one of these dependencies away")
