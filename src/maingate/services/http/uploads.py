"""Plans that are submitted to a server with the files that they name: stored, checked, and loaded.

A submitted plan is for the repository that it is submitted to, and names no file but those that came with it.
"""

import re
import shutil
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field, replace
from datetime import timedelta
from pathlib import Path, PurePosixPath
from typing import Final

from maingate.db.dao import runs
from maingate.errors import OutsideFaultError, PlanError, Problem, ProblemsError
from maingate.ids import new_id
from maingate.plan.loader import LoadedPlan
from maingate.repository_context import RepositoryContext
from maingate.services.runs.plan_loading import parse_plan
from maingate.wording import short

UPLOADED_PLAN: Final = "plan.yaml"
"""The name of the plan's file; JSON is YAML, too."""
MOST_FILES: Final = 10_000
_ADMITTED_WITHIN: Final = timedelta(days=1)
"""Time within which a stored plan has its run, by far."""

_LONGEST_NAME: Final = 255
_LONGEST_PATH: Final = 1_024
_HIDDEN: Final = re.compile(r"[\x00-\x1f\x7f\ud800-\udfff\\]")


@dataclass(frozen=True, kw_only=True)
class Upload:
    """A plan with the files that it names.

    Args:
        plan: The plan, YAML or JSON.
        files: The content of each file, by its path relative to the plan.
    """

    plan: bytes
    files: Mapping[str, bytes] = field(default_factory=dict)


class UploadService:
    """Stores submitted plans in the state folder of one repository.

    Args:
        context: The repository and its record.
    """

    def __init__(self, context: RepositoryContext) -> None:
        self._context = context

    @contextmanager
    def loaded(self, upload: Upload, *, is_kept: bool) -> Iterator[LoadedPlan]:
        """Store a plan and load it; all of it is removed when anything goes wrong.

        Args:
            upload: The plan and its files.
            is_kept: Whether to keep it for a run; else it is removed in any case.

        Raises:
            PlanError: Lists every mistake in the plan, and every file that may not be stored.
            SettingsError: The repository's settings are wrong.
            OutsideFaultError: It could not be stored.
        """
        _require_good_names(upload.files)
        folder = self._context.paths.uploads / new_id("req").removeprefix("req_")
        is_done = False
        try:
            _write(folder, upload)
            yield self._load(folder, upload)
            is_done = True
        except ProblemsError as error:
            raise _without_folder(error, folder) from error
        finally:
            if not (is_done and is_kept):
                _remove(folder)

    def sweep(self) -> list[Path]:
        """Remove what processes left that were killed between the storing of a plan and its admission.

        Those are folders that no run names, also where the repository was moved since; young ones may still
        get their run.

        Returns:
            The folders.

        Raises:
            OutsideFaultError: One cannot be removed.
        """
        context = self._context
        before = (context.clock.now() - _ADMITTED_WITHIN).timestamp()
        with context.database.read() as conn:
            orphans = [
                folder
                for folder in sorted(context.paths.uploads.glob("*"))
                if _is_older(folder, before) and not runs.has_plan_at(conn, f"/{folder.name}/{UPLOADED_PLAN}")
            ]
        for folder in orphans:
            try:
                _remove(folder)
            except OSError as error:
                raise OutsideFaultError(f"{folder} cannot be removed: {error}; remove it by hand") from error
        return orphans

    def _load(self, folder: Path, upload: Upload) -> LoadedPlan:
        root = self._context.repository.root
        loaded = parse_plan(upload.plan, path=folder / UPLOADED_PLAN, cwd=root, root=root)
        problems = list(_outside(loaded, upload.files))
        if problems:
            raise PlanError(problems)
        return loaded


def _write(folder: Path, upload: Upload) -> None:
    """Write a plan and its files into a new folder.

    Raises:
        OutsideFaultError: They cannot be written.
    """
    try:
        folder.mkdir(parents=True)
        (folder / UPLOADED_PLAN).write_bytes(upload.plan)
        for name, content in upload.files.items():
            path = folder / name
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_bytes(content)
    except OSError as error:
        raise OutsideFaultError(f"the plan cannot be stored in the state folder: {error.strerror}") from error


def _is_older(folder: Path, moment: float) -> bool:
    try:
        return folder.stat().st_mtime < moment
    except FileNotFoundError:  # that of a plan which was only checked
        return False


def _remove(folder: Path) -> None:
    if folder.exists():
        shutil.rmtree(folder)


def _require_good_names(files: Mapping[str, bytes]) -> None:
    """Refuse names of files that lead elsewhere, that cannot be stored, or that are in each other's way.

    Raises:
        PlanError: Lists them.
    """
    problems = [
        Problem(file=short(name), line=None, message=fault, hint="name it relative to the plan")
        for name in files
        if (fault := _fault_of_name(name, files)) is not None
    ]
    if len(files) > MOST_FILES:
        problems.append(Problem(file=UPLOADED_PLAN, line=None, message=f"has more than {MOST_FILES} files"))
    if problems:
        raise PlanError(problems)


def _fault_of_name(name: str, files: Mapping[str, bytes]) -> str | None:
    path = PurePosixPath(name)
    parts = name.split("/")
    if _HIDDEN.search(name) or path.is_absolute() or {"", ".", ".."} & set(parts):
        return "is no path of a file below the plan"
    if any(len(part.encode()) > _LONGEST_NAME for part in parts) or len(name.encode()) > _LONGEST_PATH:
        return "is longer than a file's name may be"
    if name == UPLOADED_PLAN or any(str(parent) in files for parent in path.parents):
        return "is in the way of another file"
    return None


def _outside(loaded: LoadedPlan, files: Mapping[str, bytes]) -> Iterator[Problem]:
    """Find the repository and the files that a plan names besides those that came with it."""
    if loaded.plan.repo is not None:
        yield _problem(loaded, ("repo",), "'repo': a submitted plan is for the repository that it is sent to")
    for stream, planned in loaded.plan.workstreams.items():
        for task, each in planned.tasks.items():
            for key, name in (("patch", each.patch), ("prompt_file", each.prompt_file)):
                if name is not None and str(PurePosixPath(name)) not in files:
                    where = ("workstreams", stream, "tasks", task, key)
                    yield _problem(
                        loaded, where, f"{'.'.join(where[:-1])}: {name!r} did not come with the plan"
                    )


def _problem(loaded: LoadedPlan, where: tuple[str, ...], message: str) -> Problem:
    return Problem(file=UPLOADED_PLAN, line=loaded.line_of(*where), message=message, hint="")


def _without_folder(error: ProblemsError, folder: Path) -> ProblemsError:
    """Return the error with the places in the state folder named as the sender knows them."""

    def told(text: str) -> str:
        return text.replace(f"{folder.resolve()}/", "").replace(f"{folder}/", "")

    problems = [
        replace(each, file=told(each.file), message=told(each.message), hint=told(each.hint))
        for each in error.problems
    ]
    return type(error)(problems)
