"""All errors of the program, as one family.

The refusal of a patch and the failure of a gate are outcomes, not errors. ``cli.exit_codes`` maps each branch
of the family to an exit code. A message states the fact, its object, and the next step.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final

from maingate.wording import first_lines, listed, short

_CANDIDATES_SHOWN: Final = 6


class MaingateError(Exception):
    """Maingate could not do what was asked."""

    def __init__(self, message: str | None = None) -> None:
        super().__init__(message or (self.__doc__ or "").strip().splitlines()[0])


@dataclass(frozen=True, kw_only=True)
class Problem:
    """One mistake in a plan, in the settings, or in another input.

    Args:
        file: The file as the user named it, or the place of an input without a file.
        line: Line in that file, from 1; None when it has none.
        message: The mistake.
        hint: How to correct it; empty when the message is enough.
    """

    file: str
    line: int | None
    message: str
    hint: str = ""

    def __str__(self) -> str:
        place = self.file if self.line is None else f"{self.file}:{self.line}"
        return f"{place}: {self.message}" + (f" ({self.hint})" if self.hint else "")


class UsageError(MaingateError):
    """The request cannot be carried out as it was made."""


class ProblemsError(UsageError):
    """The input has problems; `problems` has all of them, the message lists the first."""

    rest = " problems"

    def __init__(self, problems: Sequence[Problem]) -> None:
        self.problems = tuple(problems)
        lines = [str(problem) for problem in self.problems]
        super().__init__("\n".join(first_lines(lines, rest=self.rest)))


class PlanError(ProblemsError):
    """The plan has problems; nothing was started."""

    rest = " problems; `maingate plan check --json` lists them all"


class SettingsError(ProblemsError):
    """The settings have problems; nothing was started."""


class RepositoryError(UsageError):
    """The repository or its target branch is not in a state to work on."""


class UnknownFormatError(RepositoryError):
    """The repository is of a format that Maingate cannot work with, whatever is asked."""


class NoStateError(UsageError):
    """Maingate has not run here yet, so there is nothing to read."""


class UnknownEntityError(UsageError):
    """No entity has that identifier."""

    def __init__(self, identifier: str, message: str | None = None) -> None:
        self.identifier = identifier
        super().__init__(
            message or f"not found: {short(identifier)!r}; `maingate status --all` lists all names"
        )


class AmbiguousNameError(UsageError):
    """Several entities have that name; give the identifier of one."""

    def __init__(self, name: str, candidates: Sequence[str]) -> None:
        self.name, self.candidates = name, tuple(candidates)
        shown = listed(self.candidates, _CANDIDATES_SHOWN)
        ids = "id in brackets" if all(each.endswith(")") for each in self.candidates) else "whole id"
        super().__init__(
            f"{short(name)!r} is ambiguous, it matches {len(self.candidates)} things; "
            f"name one by its {ids}: {shown}"
        )


class ChangedMeanwhileError(UsageError):
    """The entity is not in the version that the decision was made about; read it again and decide anew."""


class TransitionError(MaingateError):
    """A change of state was not made; nothing was written."""


class InvalidTransitionError(TransitionError):
    """The machine's table does not allow this change of state."""

    def __init__(
        self, *, machine: str, entity_id: str, state: str, to: str, trigger: str, allowed: Sequence[str]
    ) -> None:
        self.machine, self.entity_id, self.state = machine, entity_id, state
        self.to, self.trigger, self.allowed = to, trigger, tuple(allowed)
        ways = ", ".join(self.allowed) or "nothing: the state is terminal"
        super().__init__(
            f"{machine} {entity_id} is {state} and cannot go to {to} by {trigger}; allowed from there: {ways}"
        )


class StaleTransitionError(TransitionError):
    """Another process changed the entity first; read it again and decide anew."""

    def __init__(self, *, entity_ids: Sequence[str]) -> None:
        self.entity_ids = tuple(entity_ids)
        super().__init__(f"changed by another process since they were read: {listed(self.entity_ids)}")


class OutsideFaultError(MaingateError):
    """Something outside Maingate failed: git, the database, the disk."""


class GitError(OutsideFaultError):
    """A git command failed that should not have.

    Args:
        message: The failure; the first line of this text when not given.
        command: The arguments after ``git``, without the options every command gets.
        exit_code: git's exit code; negative for a signal, None when it did not run to its end.
        stderr: git's standard error.
    """

    def __init__(
        self,
        message: str | None = None,
        *,
        command: Sequence[str] = (),
        exit_code: int | None = None,
        stderr: str = "",
    ) -> None:
        self.command, self.exit_code, self.stderr = tuple(command), exit_code, stderr
        super().__init__(message)


class CheckoutError(OutsideFaultError):
    """A checkout of the target has not followed the branch; `maingate checkout repair` completes it."""


class MissingObjectError(GitError):
    """The repository lacks an object that it should have."""


class UnreadablePatchError(OutsideFaultError):
    """The file of a patch cannot be read."""


class ProcessLostError(OutsideFaultError):
    """The process was killed too often while it worked on this."""


class PatchFolderError(OutsideFaultError):
    """The folder with the patches of a plan is gone."""


class ProgramVersionError(OutsideFaultError):
    """A command of a gate's `versions` could not be run."""

    def __init__(self, *, gate: str, command: str, message: str) -> None:
        self.gate = gate
        super().__init__(
            f"gate {short(gate)}: `{short(command)}`, one of its `versions`, {message}; "
            "install the program, or change the plan"
        )


class DatabaseError(OutsideFaultError):
    """The database could not be used."""


class RecordError(DatabaseError):
    """The database is not the one that this process opened."""


class InvariantError(MaingateError):
    """The database refused a change that would break an invariant; nothing was written."""


class TargetBusyError(OutsideFaultError):
    """Another run holds the target branch.

    Args:
        what: The branch, and its holder.
        remedy: The next step; pointless for a process that waits already.
    """

    def __init__(self, what: str = "the target is held", remedy: str = "try again later") -> None:
        self.what = what
        super().__init__(f"{what}; {remedy}")


class RunBusyError(TargetBusyError):
    """A living process is at work on the run, or other work holds it."""


class ServerBusyError(OutsideFaultError):
    """Another server has the repository."""


class LeaseLostError(OutsideFaultError):
    """Another process took the target over."""


class WorkerError(OutsideFaultError):
    """A worker process could not be used."""


class WorkerProtocolError(WorkerError):
    """A worker and its control process do not understand each other."""


class WorktreeError(OutsideFaultError):
    """A worktree could not be prepared; check the disk, the permissions of the cache, and the commit."""


class FilterError(WorktreeError):
    """A filter of git's configuration failed, so that a file has no content that could be shown or stored."""


class InterruptedRunError(MaingateError):
    """The run was interrupted and can be resumed."""
