"""Values that a plan chooses from."""

from enum import StrEnum
from typing import Literal


class LandingStyle(StrEnum):
    """The form in which a workstream's commits land on the target branch."""

    MERGE = "merge"
    SQUASH = "squash"
    REBASE = "rebase"


class Proof(StrEnum):
    """The positions of the target that must have passed as they are; the tightest first."""

    COMMIT = "commit"
    """Each, and each patch by itself: workstreams land one at a time."""

    REF = "ref"
    """Each that the branch ever has: several workstreams land by one move."""

    LATER = "later"
    """A later one that passes vouches for those before it: several workstreams land, one move each."""

    def is_looser_than(self, other: "Proof") -> bool:
        """Return whether it promises less than another one."""
        order = list(Proof)
        return order.index(self) > order.index(other)


class GateType(StrEnum):
    """The kinds of gates (docs/SPECIFICATION.md §2.3)."""

    LINT = "LINT"
    UNIT = "UNIT"
    INTEGRATION = "INTEGRATION"
    SECURITY = "SECURITY"


class Level(StrEnum):
    """The places where a gate runs by default: each task's patch, or the merged result before it lands."""

    TASK = "task"
    LANDING = "landing"


class CaptureSource(StrEnum):
    """The sources of a tool's result."""

    WORKTREE = "worktree"
    STDOUT = "stdout"


class PromptBy(StrEnum):
    """The ways to pass a prompt to a tool."""

    FILE = "file"
    """A file outside the worktree; `{prompt_file}` in the command, and MAINGATE_PROMPT_FILE, name it."""
    ARGUMENT = "argument"
    """`{prompt}` in the command."""
    STDIN = "stdin"
    """Standard input."""


class OnApplied(StrEnum):
    """The end of work that the target has already."""

    SKIP = "skip"
    """It is done, with a note."""
    REFUSE = "refuse"
    """It is refused."""


class Overlap(StrEnum):
    """The treatment of tasks whose scopes say that their tools may write the same paths."""

    SERIAL = "serial"
    """One after the other."""
    ALLOW = "allow"
    """Side by side; a patch that conflicts is made again."""


class SubmoduleDepth(StrEnum):
    """The submodules that gates and tools have."""

    NONE = "none"
    SHALLOW = "shallow"
    """Those of the repository, each without its history."""
    RECURSIVE = "recursive"
    """All, those of submodules too, with their histories."""


class Whitespace(StrEnum):
    """The treatment of a patch whose line endings are others than those of the file."""

    KEEP = "keep"
    """It is refused, as one that does not fit."""
    FIX_EOL = "fix-eol"
    """It takes the line endings of the file."""


class TaskKind(StrEnum):
    """The sources of a task's patch."""

    PATCH = "patch"
    TOOL = "tool"
    COMMAND = "command"
    """No patch: a command is run and must succeed."""
    NOOP = "noop"
    """No patch and no work: a point that others need."""

    @property
    def gives_a_patch(self) -> bool:
        """Return whether the task gives a patch to apply, judge and land."""
        return self in {TaskKind.PATCH, TaskKind.TOOL}


Preset = Literal["claude", "codex", "aider", "gemini", "opencode"]
