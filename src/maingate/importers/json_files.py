"""JSON and JSON Lines of other tools, read with line numbers, so that each problem has a place."""

import codecs
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from maingate.errors import PlanError, Problem, UsageError
from maingate.plan.readers.document import Document, Unreadable
from maingate.plan.readers.json_reader import read_json
from maingate.settings.problems import Location


@dataclass(frozen=True, kw_only=True)
class SourceFile:
    """An imported file with the problems found in it.

    Args:
        path: The file as the user named it.
        text: Its contents.
        problems: The problems found so far; raised together by :meth:`refuse_problems`.
        passed_over: Parts that lead nowhere and are left out, such as a dependency on a deleted issue.
    """

    path: Path
    text: str
    problems: list[Problem] = field(default_factory=list)
    passed_over: list[Problem] = field(default_factory=list)

    def note(self, line: int | None, message: str, hint: str = "") -> None:
        """Add a problem."""
        self.problems.append(Problem(file=str(self.path), line=line, message=message, hint=hint))

    def pass_over(self, line: int | None, message: str, hint: str = "") -> None:
        """Add a part that leads nowhere and is left out."""
        self.passed_over.append(Problem(file=str(self.path), line=line, message=message, hint=hint))

    def refuse_problems(self, *, is_strict: bool = False) -> None:
        """Raise if there are problems.

        Args:
            is_strict: Whether parts that lead nowhere are problems, too.

        Raises:
            PlanError: All problems and all parts that lead nowhere, in the order of the file.
        """
        if self.problems or is_strict:
            refuse([*self.problems, *self.passed_over])


def refuse(problems: list[Problem]) -> None:
    """Raise all problems in the order of their lines, each once, if there are any."""
    if problems:
        known = dict.fromkeys(problems)
        raise PlanError(sorted(known, key=lambda problem: (problem.file, problem.line or 0)))


@dataclass(frozen=True, kw_only=True)
class Value:
    """A value in a JSON file, with its place.

    Args:
        data: Mappings, lists, text, numbers, truths and None.
        file: The file it is in.
        document: The document it is a part of.
        place: Its place in that document.
        first_line: The line of the file that the document begins on, from 1.
    """

    data: Any
    file: SourceFile
    document: Document
    place: Location = ()
    first_line: int = 1

    @property
    def line(self) -> int:
        """The line of the value in the file."""
        return (self.document.line_of(self.place) or 1) + self.first_line - 1

    def at(self, key: str | int) -> "Value":
        """Return the value at an existing key or list position."""
        return Value(
            data=self.data[key],
            file=self.file,
            document=self.document,
            place=(*self.place, key),
            first_line=self.first_line,
        )

    def each(self) -> "Iterator[Value]":
        """Yield the items of a list."""
        return (self.at(index) for index in range(len(self.data)))


def open_source(path: Path) -> SourceFile:
    """Read a file as text: UTF-8, with or without a byte-order mark.

    Raises:
        UsageError: The file cannot be read.
        PlanError: The file is not UTF-8, or empty.
    """
    try:
        raw = path.read_bytes()
    except (OSError, ValueError) as error:
        said = error.strerror if isinstance(error, OSError) and error.strerror else str(error)
        raise UsageError(f"{path} cannot be read: {said.lower()}") from error
    try:
        text = raw.removeprefix(codecs.BOM_UTF8).decode()
    except UnicodeDecodeError as error:
        line = raw.count(b"\n", 0, error.start) + 1
        file = SourceFile(path=path, text="")
        file.note(line, "is not UTF-8 text", "save it as UTF-8")
        raise PlanError(file.problems) from error
    file = SourceFile(path=path, text=text)
    if not text.strip():
        file.note(None, "is empty")
    file.refuse_problems()
    return file


def open_noting(path: Path) -> SourceFile:
    """Read a file that is imported with others; text that is not UTF-8 is noted as a problem.

    Raises:
        UsageError: The file cannot be read.
    """
    try:
        return open_source(path)
    except PlanError as error:
        return SourceFile(path=path, text="", problems=list(error.problems))


def read_whole(file: SourceFile) -> Value | None:
    """Read a file as one JSON document; note a problem and return None if it is not JSON."""
    return _document(file, file.text, first_line=1)


def read_lines(file: SourceFile) -> Iterator[Value]:
    """Yield the documents of a JSON Lines file; blank lines are skipped, invalid ones noted."""
    for number, text in enumerate(file.text.split("\n"), start=1):
        if text.strip():
            value = _document(file, text, first_line=number)
            if value is not None:
                yield value


def read_either(file: SourceFile) -> Iterator[Value]:
    """Yield the documents of a file that is one JSON document or JSON Lines, decided by its first line."""
    lines = [line for line in file.text.split("\n") if line.strip()]
    if not lines:
        return
    if len(lines) > 1 and (file.path.suffix in {".jsonl", ".ndjson"} or _is_whole(lines[0])):
        yield from read_lines(file)
        return
    whole = read_whole(file)
    if whole is not None:
        yield whole


def _is_whole(line: str) -> bool:
    try:
        return isinstance(read_json(line.strip()).data, dict)
    except Unreadable:
        return False


def _document(file: SourceFile, text: str, *, first_line: int) -> Value | None:
    try:
        document = read_json(text)
    except Unreadable as error:
        line = None if error.line is None else error.line + first_line - 1
        file.note(line, error.message, error.hint)
        return None
    for line, finding in document.faults:
        file.note(line + first_line - 1, finding.message, finding.hint)
    return Value(data=document.data, file=file, document=document, first_line=first_line)
