"""The one family of errors. What is expected of a patch or a gate is an outcome, not an error.

The command line maps each branch of the family to an exit code in one place (``cli.exit_codes``).
A message says what happened, to what, and what to do next.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final

from maingate.wording import first_lines, listed, short

_SHOWN: Final = 6


class MaingateError(Exception):
    """Something kept Maingate from doing what was asked."""

    def __init__(self, message: str | None = None) -> None:
        super().__init__(message or (self.__doc__ or "").strip().splitlines()[0])


@dataclass(frozen=True, kw_only=True)
class Problem:
    """One thing that is wrong in what the user wrote.

    Args:
        file: The file as the user named it, or where it came from.
        line: Line in that file, from 1; None when it has none.
        message: What is wrong.
        hint: What to do about it; empty when the message says it all.
    """

    file: str
    line: int | None
    message: str
    hint: str = ""

    def __str__(self) -> str:
        place = self.file if self.line is None else f"{self.file}:{self.line}"
        return f"{place}: {self.message}" + (f" ({self.hint})" if self.hint else "")


class UsageError(MaingateError):
    """What was asked for cannot be done as asked."""


class ProblemsError(UsageError):
    """The input has problems; all of them are here, the message lists the first."""

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


class NoStateError(UsageError):
    """Maingate has not run here yet, so there is nothing to read."""


class UnknownEntityError(UsageError):
    """No entity has that identifier."""

    def __init__(self, identifier: str, message: str | None = None) -> None:
        self.identifier = identifier
        super().__init__(
            message or f"nothing here is called {short(identifier)!r}; `maingate status` lists what there is"
        )


class AmbiguousNameError(UsageError):
    """Several entities have that name; say which one."""

    def __init__(self, name: str, candidates: Sequence[str]) -> None:
        self.name, self.candidates = name, tuple(candidates)
        shown = listed(self.candidates, _SHOWN)
        ids = "id in brackets" if all(each.endswith(")") for each in self.candidates) else "whole id"
        super().__init__(
            f"{short(name)!r} may mean {len(self.candidates)} things; "
            f"give the {ids} of the one that you mean: {shown}"
        )


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
    """Somebody else changed the entity first; read it again and decide anew."""

    def __init__(self, *, entity_ids: Sequence[str]) -> None:
        self.entity_ids = tuple(entity_ids)
        super().__init__(f"changed by someone else since they were read: {listed(self.entity_ids)}")


class OutsideFaultError(MaingateError):
    """Something outside Maingate failed: git, the database, the disk."""


class GitError(OutsideFaultError):
    """A git command failed that should not have.

    Args:
        message: What happened; the first line of this text when not given.
        command: The arguments after ``git``, without the options every command gets.
        exit_code: What git exited with; negative for a signal, None when it did not run to its end.
        stderr: What git wrote on standard error.
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
    """A checkout of the target has not followed it; `maingate checkout repair` brings it along."""


class MissingObjectError(GitError):
    """The repository lacks an object that it should have."""


class UnreadablePatchError(OutsideFaultError):
    """The file of a patch cannot be read."""


class ProcessLostError(OutsideFaultError):
    """The process was ended too often while it worked on this."""


class PatchFolderError(OutsideFaultError):
    """The folder with the patches of a plan is gone."""


class ProgramVersionError(OutsideFaultError):
    """A program whose version a gate declares could not be asked for it."""

    def __init__(self, *, gate: str, command: str, message: str) -> None:
        self.gate = gate
        super().__init__(
            f"gate {short(gate)}: `{short(command)}`, one of its `versions`, {message}; "
            "install the program, or change the plan"
        )


class DatabaseError(OutsideFaultError):
    """The database could not be used."""


class RecordError(DatabaseError):
    """The record is not the one that this process began with."""


class InvariantError(MaingateError):
    """The database refused what would break an invariant; nothing was written."""


class TargetBusyError(OutsideFaultError):
    """Another run holds the target branch.

    Args:
        what: Which branch is held, and by what.
        remedy: What to do about it; of no use to one that waits already.
    """

    def __init__(self, what: str = "another run holds the target", remedy: str = "try again later") -> None:
        self.what = what
        super().__init__(f"{what}; {remedy}")


class LeaseLostError(OutsideFaultError):
    """Another process took the target over."""


class WorkerError(OutsideFaultError):
    """A worker process could not be used."""


class WorkerProtocolError(WorkerError):
    """A worker and its control process do not understand each other."""


class WorktreeError(OutsideFaultError):
    """A worktree could not be made ready; look at the disk, the rights on the cache, and the commit."""


class InterruptedRunError(MaingateError):
    """The run was interrupted and can be resumed."""
