"""The words that a plan chooses from."""

from enum import StrEnum
from typing import Literal


class LandingStyle(StrEnum):
    """How a workstream's commits come onto the target branch."""

    MERGE = "merge"
    SQUASH = "squash"
    REBASE = "rebase"


class GateType(StrEnum):
    """What kind of proof a gate is (docs/SPECIFICATION.md §2.3)."""

    LINT = "LINT"
    UNIT = "UNIT"
    INTEGRATION = "INTEGRATION"
    SECURITY = "SECURITY"


class Level(StrEnum):
    """Where a gate runs by default: on each task's patch, or on the merged result before it lands."""

    TASK = "task"
    LANDING = "landing"


class CaptureSource(StrEnum):
    """Where a tool's result is taken from."""

    WORKTREE = "worktree"
    STDOUT = "stdout"


class PromptBy(StrEnum):
    """How a tool is told what to do."""

    FILE = "file"
    """A file outside the worktree; `{prompt_file}` in the command, and MAINGATE_PROMPT_FILE, name it."""
    ARGUMENT = "argument"
    """`{prompt}` in the command."""
    STDIN = "stdin"
    """Standard input."""


class Overlap(StrEnum):
    """What becomes of tasks whose tools may write the same paths."""

    SERIAL = "serial"
    """One after the other."""
    ALLOW = "allow"
    """Side by side; what conflicts is made again."""


class TaskKind(StrEnum):
    """What a task's patch comes from."""

    PATCH = "patch"
    TOOL = "tool"
    COMMAND = "command"
    """Nothing: a command is run, and has to end well."""
    NOOP = "noop"
    """Nothing at all: a point that others need."""

    @property
    def gives_a_patch(self) -> bool:
        """Return whether there is something to apply, judge and land."""
        return self in {TaskKind.PATCH, TaskKind.TOOL}


Preset = Literal["claude", "codex", "aider", "gemini", "opencode"]
