"""Loading of a plan file: the plan, or an error with every mistake in it.

A file with one misspelt key usually has more mistakes, and they should be corrected together. So the parts
that the model refuses are cut out of the data, and the rest is checked too, until no new mistake is found.
"""

import itertools
import os
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, Final

from pydantic import ValidationError

from maingate.errors import PlanError, Problem, SettingsError
from maingate.plan.checks.context import DefinedNames, PlanContext
from maingate.plan.checks.validation import validate
from maingate.plan.model import FORMAT_VERSION, Plan
from maingate.plan.names import ANY_NAME
from maingate.plan.readers.document import Document
from maingate.plan.readers.reader import read_document
from maingate.plan.repository_search import enclosing_root, repository_candidates
from maingate.plan.rules import NO_RULES, RepositoryRules
from maingate.settings import Settings, SettingsFiles, TargetFile, load_settings, rules_of
from maingate.settings.problems import IN_QUOTES, Location, Mistake, findings


@dataclass(frozen=True, kw_only=True)
class LoadedPlan:
    """A valid plan, and its source.

    Args:
        plan: The plan.
        path: The plan file as named by the user; its relative paths begin in the same folder.
        lines: The line of each key and list item, by its place from the top.
        root: The root of its repository, found by folders; None when there is none.
        settings: The settings it was checked against: those of `root`, or of the environment alone.
        rules: The rules that it inherits from them.
        target: The settings in the tree of its target; None where they were not read, or there are none.
    """

    plan: Plan
    path: Path
    lines: Mapping[Location, int]
    root: Path | None
    settings: Settings
    rules: RepositoryRules = NO_RULES
    target: TargetFile | None = None

    def place_of(self, *location: str | int) -> tuple[str, int | None]:
        """Return the file and the line of a value, which may be inherited from the settings."""
        return self.rules.place_of(location, self.lines) or (str(self.path), self.line_of(*location))

    def line_of(self, *location: str | int) -> int | None:
        """Return the line of a place such as ``("workstreams", "parser")``, or of the place around it."""
        return Document(data=None, lines=self.lines).line_of(location)

    def repository_candidates(self, cwd: Path) -> list[Path]:
        """Return the folders in or around which the repository is searched, first choice first."""
        return repository_candidates(self.plan.repo, self.path, cwd)

    def patch_path(self, workstream: str, task: str) -> Path:
        """Return the path of the ready diff of a task."""
        patch = self.plan.workstreams[workstream].tasks[task].patch
        if patch is None:
            raise KeyError(f"{workstream}/{task} has no ready patch")
        return self.path.parent / patch

    def prompt_text(self, workstream: str, task: str) -> str:
        """Return the prompt of a task's tool; empty when it has none."""
        wanted = self.plan.workstreams[workstream].tasks[task]
        if wanted.prompt_file is not None:
            return (self.path.parent / wanted.prompt_file).read_text(encoding="utf-8")
        return wanted.prompt or ""


ReadTarget = Callable[[Path, str | None], TargetFile | None]
"""Reads the settings in the tree of a target: by the root of its repository, and its name if it has one."""


def no_target(_root: Path, _name: str | None) -> None:
    """Read no settings of a target: those of the work tree decide."""


def load_plan(
    path: Path,
    *,
    cwd: Path | None = None,
    environ: Mapping[str, str] | None = None,
    root: Path | None = None,
    read_target: ReadTarget = no_target,
) -> LoadedPlan:
    """Read a plan file.

    Args:
        path: A YAML or JSON file.
        cwd: The folder where the repository is searched if it is not around the plan; default: the current
            folder.
        environ: The environment, for settings and programs; default: the process's own.
        root: See `parse_plan`.
        read_target: Reads the settings of the target.

    Raises:
        PlanError: Lists every mistake in the plan, and those in the settings.
        SettingsError: Only the settings are wrong.
    """
    try:
        raw = path.read_bytes()
    except OSError as error:
        hint = "`maingate init` writes an example plan" if isinstance(error, FileNotFoundError) else ""
        message = f"cannot be read: {(error.strerror or str(error)).lower()}"
        raise PlanError([Problem(file=str(path), line=None, message=message, hint=hint)]) from error
    return parse_plan(raw, path=path, cwd=cwd, environ=environ, root=root, read_target=read_target)


def parse_plan(
    raw: bytes,
    *,
    path: Path,
    cwd: Path | None = None,
    environ: Mapping[str, str] | None = None,
    root: Path | None = None,
    read_target: ReadTarget = no_target,
) -> LoadedPlan:
    """Load a plan from bytes as if they were the file at `path`; see `load_plan`.

    Args:
        raw: The bytes.
        path: The file.
        cwd: See `load_plan`.
        environ: See `load_plan`.
        root: The root of its repository, whatever folders are around it; default: it is searched.
        read_target: See `load_plan`.
    """
    document = read_document(raw, file=str(path))
    if not isinstance(document.data, dict):
        hint = "a plan is keys with values; `maingate init` writes an example"
        raise PlanError([Problem(file=str(path), line=1, message="is not a plan", hint=hint)])
    environ = os.environ if environ is None else environ
    repo, target_name = document.data.get("repo"), document.data.get("target")
    candidates = repository_candidates(repo if isinstance(repo, str) else None, path, cwd or Path.cwd())
    root = root or enclosing_root(candidates)
    about = _surroundings(root, target_name if isinstance(target_name, str) else None, environ, read_target)
    data = about.rules.inherited_by(document.data)
    names = DefinedNames.of(data)
    plan, refused = _accepted({"name": path.stem or "plan", **data})
    context = PlanContext(
        folder=path.parent,
        root=root,
        environ=environ,
        settings=about.settings,
        names=names,
        refused=document.broken | {found.location for found in refused},
    )
    found = [
        *refused,
        *about.rules.mistakes(),
        *validate(plan, context),
        *about.rules.broken_by(plan, document.lines.keys(), about.settings),
    ]
    problems = _listed(document, found, about.rules, file=str(path))
    if problems:
        raise PlanError([*problems, *(about.faults.problems if about.faults else ())])
    if about.faults:
        raise about.faults
    return LoadedPlan(
        plan=plan,
        path=path,
        lines=document.lines,
        root=root,
        settings=about.settings,
        rules=about.rules,
        target=about.target,
    )


@dataclass(frozen=True, kw_only=True)
class _Surroundings:
    """The settings that a plan is checked against; if they are faulty, the defaults with the error."""

    settings: Settings
    rules: RepositoryRules = NO_RULES
    target: TargetFile | None = None
    faults: SettingsError | None = None


def _surroundings(
    root: Path | None, target: str | None, environ: Mapping[str, str], read_target: ReadTarget
) -> _Surroundings:
    try:
        around = None if root is None else root.resolve()
        files = SettingsFiles.around(around)
        if root is not None:
            files = replace(files, target=read_target(root, target))
        settings = load_settings(around, environ, files=files)
        rules = RepositoryRules(files=rules_of(files))
    except SettingsError as error:
        return _Surroundings(settings=Settings(), faults=error)
    return _Surroundings(settings=settings, rules=rules, target=files.target)


_STAND_IN: Final = "\0"
"""The name that stands in for refused workstreams and tasks; no name of a plan can be the same."""
_NO_TASKS: Final[Mapping[str, Any]] = {_STAND_IN: {"patch": "x"}}
_NO_WORKSTREAMS: Final[Mapping[str, Any]] = {_STAND_IN: {"tasks": _NO_TASKS}}
_NO_COMMAND: Final = ":"


def _accepted(data: dict[str, Any]) -> tuple[Plan, list[Mistake]]:
    """Return the plan as far as the model accepts it, and the findings of the model."""
    refused: list[Mistake] = []
    last: list[Mistake] = []
    while True:
        try:
            plan = Plan.model_validate(data, context={ANY_NAME: bool(refused)})
        except ValidationError as error:
            found = findings(error, Plan)
            if found == last:
                raise RuntimeError(f"could not cut out {found[0]}") from error
            last, refused = found, refused or found
            for finding in found:
                _cut(data, finding)
            if not data.get("workstreams"):
                data["workstreams"] = _NO_WORKSTREAMS
        else:
            return (_without_stand_ins(plan) if refused else plan), refused


def _without_stand_ins(plan: Plan) -> Plan:
    workstreams = {
        name: workstream.model_copy(
            update={"tasks": {key: task for key, task in workstream.tasks.items() if key != _STAND_IN}}
        )
        for name, workstream in plan.workstreams.items()
        if name != _STAND_IN
    }
    return plan.model_copy(update={"workstreams": workstreams})


def _cut(data: dict[str, Any], finding: Mistake) -> None:
    """Remove a refused value from the data; a list is removed as a whole.

    A key that must be given gets a stand-in, so that the other keys around it are checked too.
    """
    if finding.is_name:
        return
    place = [*itertools.takewhile(lambda part: not isinstance(part, int), finding.location)]
    if place == ["maingate"]:
        data["maingate"] = FORMAT_VERSION
        return
    inside: Any = data
    for part in place[:-1]:
        inside = inside.get(part, {})
    match place:
        case ["workstreams", _, "tasks"]:
            inside["tasks"] = _NO_TASKS
        case ["gates", _, "run"]:
            inside["run"] = _NO_COMMAND
        case _:
            inside.pop(place[-1], None)


def _listed(
    document: Document, found: Iterable[Mistake], rules: RepositoryRules, *, file: str
) -> list[Problem]:
    """Return the findings as problems with their lines, in the order of the file, inherited ones last."""
    placed = [(file, line, finding) for line, finding in document.faults]
    for finding in found:
        if not (finding.missing and finding.location in document.broken):
            outer = finding.location[:-1] if finding.missing else finding.location
            inherited = rules.place_of(outer, document.lines.keys())
            placed.append((*(inherited or (file, document.line_of(outer) or 1)), finding))
    problems = [_problem(document, finding, line=line, file=where) for where, line, finding in placed]
    return sorted(dict.fromkeys(problems), key=lambda problem: (problem.file != file, problem.line or 0))


def _problem(document: Document, finding: Mistake, *, line: int, file: str) -> Problem:
    where = ".".join(str(part) for part in finding.location[:-1] if not isinstance(part, int))
    message = f"{where}: {finding.message}" if where else finding.message
    hint = finding.hint
    if hint.startswith(IN_QUOTES) and finding.location in document.spelling:
        hint = f'{IN_QUOTES} "{document.spelling[finding.location]}"'
    return Problem(file=file, line=line, message=message, hint=hint)
