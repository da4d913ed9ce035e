"""Files of a SWE-bench import: plans with their patches, all or none, and branches to land on."""

import shutil
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from maingate.errors import OutsideFaultError, Problem, UsageError
from maingate.importers.git_call import ask_git
from maingate.importers.json_files import refuse
from maingate.importers.plan_files import refuse_existing


@dataclass(frozen=True, kw_only=True)
class PlannedFile:
    """A plan before it is written.

    Args:
        name: The plan file's name, without suffix.
        text: Its contents.
        patches: Its patches, by their path from the plan's folder.
        branch: The branch that it lands on; empty for the plan's default.
        base: The first commit of that branch.
    """

    name: str
    text: str
    patches: Mapping[str, bytes]
    branch: str = ""
    base: str = ""


class PlanFolder:
    """Writes plans and patches to a temporary place, and moves them to their own when all are complete.

    Args:
        plans: The plans.
        path: The plan file, or the folder of plans, which is created.
        is_folder: Whether the path is the folder.
    """

    def __init__(self, plans: Sequence[PlannedFile], *, path: Path, is_folder: bool) -> None:
        self._plans, self._path, self._is_folder = plans, path, is_folder

    def refuse_existing(self) -> None:
        """Raise if a file would be overwritten."""
        beside = [] if self._is_folder else [self._path.with_name(f"{self._path.stem}.patches")]
        refuse_existing(self._path, *beside)

    def write(self) -> None:
        """Write all plans.

        Raises:
            OutsideFaultError: The disk refused.
        """
        half_done = self._path.with_name(f".{self._path.name}.importing")
        try:
            self._path.parent.mkdir(parents=True, exist_ok=True)
            shutil.rmtree(half_done, ignore_errors=True)
            half_done.mkdir()
            for plan in self._plans:
                for name, patch in plan.patches.items():
                    (half_done / name).parent.mkdir(exist_ok=True)
                    (half_done / name).write_bytes(patch)
                name = f"{plan.name}.yaml" if self._is_folder else self._path.name
                (half_done / name).write_bytes(plan.text.encode())
            if self._is_folder:
                half_done.rename(self._path)
                return
            for made in sorted(half_done.iterdir(), key=lambda made: made.is_file()):
                made.rename(self._path.parent / made.name)
        except OSError as error:
            where = error.filename or self._path
            raise OutsideFaultError(f"{where} could not be written: {error.strerror}") from error
        finally:
            shutil.rmtree(half_done, ignore_errors=True)


class Branches:
    """Branches that instances land on: each begins at the base of its instance.

    Args:
        plans: The plans that land on them.
        repo: The repository to create them in; None to leave that to the user.
    """

    def __init__(self, plans: Sequence[PlannedFile], repo: Path | None) -> None:
        self._plans = [plan for plan in plans if plan.branch]
        self._repo = repo
        self._missing: list[PlannedFile] = []

    def refuse_faulty(self) -> None:
        """Raise if a base commit is missing or an existing branch is not at its base."""
        if self._repo is None:
            return
        ask_git(["rev-parse", "--git-dir"], cwd=self._repo)
        faults = []
        for plan in self._plans:
            base = self._commit(plan.base)
            there = self._commit(f"refs/heads/{plan.branch}")
            if base is None:
                faults.append(f"{plan.name}: the base commit {plan.base} is missing: fetch it")
            elif there is None:
                self._missing.append(plan)
            elif there != base:
                faults.append(f"{plan.name}: the branch {plan.branch} exists and is not at {plan.base}")
        refuse([Problem(file=str(self._repo), line=None, message=fault) for fault in faults])

    def make(self) -> None:
        """Create the missing branches, all at once."""
        if self._repo is not None and self._missing:
            given = "".join(
                f"create refs/heads/{plan.branch} {self._commit(plan.base)}\n" for plan in self._missing
            )
            ask_git(["update-ref", "--stdin"], cwd=self._repo, given=given.encode())

    def notes(self) -> Iterator[str]:
        """Yield notes for the user."""
        if self._repo is not None:
            yield f"branches created: {len(self._missing)}"
        elif self._plans:
            yield "each plan lands on a branch of its own: its first lines have the command that creates it"

    def _commit(self, name: str) -> str | None:
        assert self._repo is not None  # noqa: S101 - only asked where branches are made
        try:
            said = ask_git(
                ["rev-parse", "--verify", "--quiet", "--end-of-options", f"{name}^{{commit}}"], cwd=self._repo
            )
        except UsageError:
            return None
        return said.decode().strip()
