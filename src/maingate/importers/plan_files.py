"""Write an imported plan: the patches first, the plan last; existing files are never overwritten."""

import re
import shutil
import unicodedata
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Final

from pydantic import ValidationError

from maingate.errors import OutsideFaultError, UsageError
from maingate.importers.diffs import ReadDiff
from maingate.importers.series_entry import Entry
from maingate.plan.choices import LandingStyle
from maingate.plan.model import Plan
from maingate.plan.readers.reader import is_json
from maingate.plan.writers.writer import write_document
from maingate.settings.problems import findings

_SLUG: Final = 48
"""Maximum letters of a subject in a task's name."""


@dataclass(frozen=True, kw_only=True)
class ImportOptions:
    """Keys of an imported plan, besides its patches.

    Args:
        name: The plan's name; by default the source's.
        target: The branch to land on; by default the plan's default.
        landing: The landing style; by default the plan's default.
        gates: Commands by gate name.
        gate_last: The number of last tasks with gates; None for all.
        workstream_size: Tasks per workstream, each of which needs the one before; None for one workstream.
        notes: Notes about these for the user.
    """

    name: str | None = None
    target: str | None = None
    landing: LandingStyle | None = None
    gates: Mapping[str, str] = field(default_factory=dict)
    gate_last: int | None = None
    workstream_size: int | None = None
    notes: tuple[str, ...] = ()


@dataclass(frozen=True, kw_only=True)
class ImportedPlan:
    """Result of an import.

    Args:
        path: The plan file.
        patches: The folder of its patches; None without ready patches.
        tasks: The number of tasks.
        workstreams: The number of workstreams.
        skipped: Entries left out, with reasons.
        notes: Notes for the user.
    """

    path: Path
    patches: Path | None
    tasks: int
    workstreams: int
    skipped: tuple[str, ...]
    notes: tuple[str, ...]


@dataclass(frozen=True, kw_only=True)
class PlannedTask:
    """A task of an imported plan.

    Args:
        name: Its name.
        spec: Its keys.
    """

    name: str
    spec: dict[str, Any]


def notes_about(entry: Entry) -> Iterator[str]:
    """Yield the notes about an entry for the user."""
    yield from entry.notes
    if entry.date is not None and entry.date.loss:
        yield entry.date.loss + ("" if entry.date.is_storable else ", which git cannot keep")


def planned_task(entry: Entry, *, number: int, folder: str) -> PlannedTask:
    """Return the task of an entry of a series.

    Args:
        entry: The entry.
        number: Its place in the series, from 1.
        folder: The folder of the patches, relative to the plan.
    """
    name = "-".join(part for part in (f"{number:04}", slug(entry.subject)) if part)
    title = _one_line(entry.subject)
    spec = {
        "title": title,
        "patch": f"{folder}/{name}.patch",
        "message": entry.message if entry.message != title else None,
        "author": entry.author,
        "date": None if entry.date is None else entry.date.as_plan_text(),
    }
    return PlannedTask(name=name, spec={key: value for key, value in spec.items() if value})


def write_plan(
    entries: Iterable[Entry], *, out: Path, source: str, comments: Sequence[str], options: ImportOptions
) -> ImportedPlan:
    """Write entries as a plan and its patches.

    Args:
        entries: The series, in order; entries without a diff are left out and reported.
        out: The plan file to write; the patches go beside it into ``<stem>.patches/``.
        source: The series' name for people.
        comments: Comments at the top of the plan; for JSON, which has none, they are notes.
        options: The plan's other keys.

    Raises:
        UsageError: A file would be overwritten, the options are invalid, or there is nothing to import.
        OutsideFaultError: A file could not be written.
    """
    patches = out.with_name(f"{out.stem}.patches")
    refuse_existing(out, patches)
    _check(options)
    half_done = out.with_name(f".{out.stem}.patches.importing")
    try:
        out.parent.mkdir(parents=True, exist_ok=True)
        shutil.rmtree(half_done, ignore_errors=True)
        half_done.mkdir()
        written = _Writer(half_done, folder=patches.name)
        for entry in entries:
            written.take(entry)
        if not written.tasks:
            raise UsageError(f"no diff found in {source}; there are no patches to import")
        data = _plan(written, source, options)
        text = write_document(checked(data), file=out.name, comments=comments)
        half_done.rename(patches)
        out.write_text(text, encoding="utf-8", newline="\n")
    except OSError as error:
        raise OutsideFaultError(f"{error.filename or out} could not be written: {error.strerror}") from error
    finally:
        shutil.rmtree(half_done, ignore_errors=True)
    return ImportedPlan(
        path=out,
        patches=patches,
        tasks=len(written.tasks),
        workstreams=len(data["workstreams"]),
        skipped=tuple(written.skipped),
        notes=(*options.notes, *written.notes(), *(comments if is_json(out.name) else ())),
    )


class _Writer:
    """Writes each patch at once and keeps only its entry in the plan."""

    def __init__(self, target: Path, *, folder: str) -> None:
        self._target, self._folder = target, folder
        self.tasks: list[PlannedTask] = []
        self.skipped: list[str] = []
        self.permissions: dict[str, bool] = {}
        self.told: list[str] = []

    def take(self, entry: Entry) -> None:
        self.told += [f"{entry.origin}: {note}" for note in notes_about(entry)]
        if not entry.diff.strip():
            self.skipped.append(f"{entry.origin}: {entry.subject}" if entry.message else entry.origin)
            return
        task = planned_task(entry, number=len(self.tasks) + 1, folder=self._folder)
        (self._target / f"{task.name}.patch").write_bytes(entry.diff)
        self.permissions |= ReadDiff(entry.diff).permissions
        self.tasks.append(task)

    def notes(self) -> list[str]:
        notes = self.told
        if "binary" in self.permissions:
            notes.append("the series has binary files, so the plan's policy allows them (binary: true)")
        if "submodules" in self.permissions:
            notes.append("the series changes submodules, so the plan's policy allows that (submodules: true)")
        return notes


def slug(text: str) -> str:
    """Return a text as lower-case letters, digits and dashes; may be empty."""
    plain = unicodedata.normalize("NFKD", text).encode("ascii", "ignore").decode().lower()
    return re.sub(r"[^a-z0-9]+", "-", plain)[:_SLUG].strip("-")


def _plan(written: _Writer, source: str, options: ImportOptions) -> dict[str, Any]:
    head = {
        "maingate": 1,
        "name": options.name or source,
        "target": options.target,
        "landing": None if options.landing is None else str(options.landing),
        "policy": dict(sorted(written.permissions.items())),
        "gates": {name: {"run": command} for name, command in options.gates.items()},
    }
    return {
        **{key: value for key, value in head.items() if value},
        "workstreams": _workstreams(written.tasks, options),
    }


def _workstreams(tasks: Sequence[PlannedTask], options: ImportOptions) -> dict[str, Any]:
    ungated = 0 if options.gate_last is None else max(0, len(tasks) - options.gate_last)
    size = options.workstream_size or len(tasks)
    starts = range(0, len(tasks), size)
    digits = len(str(len(starts)))
    made: dict[str, Any] = {}
    for number, start in enumerate(starts, start=1):
        part = tasks[start : start + size]
        workstream: dict[str, Any] = {"needs": [next(reversed(made))]} if made else {}
        if options.gates and start + len(part) <= ungated:
            workstream["gates"] = []
        workstream["tasks"] = {
            task.name: {**task.spec, "gates": []} if options.gates and start + index < ungated else task.spec
            for index, task in enumerate(part)
        }
        made["series" if len(starts) == 1 else f"part-{number:0{digits}}"] = workstream
    return made


def checked(data: dict[str, Any]) -> dict[str, Any]:
    """Return the data if it is a valid plan; names from the command line may be invalid."""
    try:
        Plan.model_validate(data)
    except ValidationError as error:
        said = "; ".join(f"{found.message} ({found.hint})" for found in findings(error, Plan))
        raise UsageError(f"the plan would be invalid: {said}") from error
    return data


def _check(options: ImportOptions) -> None:
    if options.workstream_size is not None and options.workstream_size < 1:
        raise UsageError("--workstream-size must be at least 1")
    if options.gate_last is not None and options.gate_last < 0:
        raise UsageError("--gate-last must be at least 0")
    if options.gate_last is not None and not options.gates:
        raise UsageError("--gate-last needs a gate: add --gate NAME=COMMAND")


def refuse_existing(*paths: Path) -> None:
    """Raise if a path exists: an import overwrites nothing."""
    for path in paths:
        if path.exists() or path.is_symlink():
            raise UsageError(
                f"{path} already exists and is not overwritten; remove it, or choose another with -o"
            )


def _one_line(text: str) -> str:
    return " ".join(text.split())
