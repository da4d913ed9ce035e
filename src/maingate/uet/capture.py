"""The patch of a tool: which one is wanted, and what was captured.

Standard library and few modules of ``uet`` only: a UET worker process imports this.
"""

from dataclasses import dataclass, field
from typing import Final

WORKTREE: Final = "worktree"
"""The patch is the difference that the tool left in the tree."""

STDOUT: Final = "stdout"
"""The patch is what the tool prints on standard output."""

MAX_BYTES: Final = 256 * 1024 * 1024
"""Size above which a patch is not taken, unless a job says otherwise."""

CAPTURE_TIMEOUT: Final = 600.0
"""Seconds that taking a patch may last."""

LEAKS: Final = "the patch has the value of a secret in it"
"""Problem of a patch that must not be kept as it is."""


@dataclass(frozen=True, kw_only=True)
class Capture:
    """The patch that is wanted of a tool.

    Args:
        mode: ``worktree`` or ``stdout``.
        prompt: The prompt, which ``{prompt}`` and ``{prompt_file}`` in the command stand for.
        stdin: Whether the tool reads the prompt from standard input, which is ``/dev/null`` otherwise.
        max_bytes: Size above which a patch is not taken.
        task: The task's name; the tool sees it as ``MAINGATE_TASK``.
        exclude: Lines as in a `.gitignore`: paths that the tool leaves and that are no part of its patch.
    """

    mode: str
    prompt: str = field(default="", repr=False)
    stdin: bool = False
    max_bytes: int = MAX_BYTES
    task: str = ""
    exclude: tuple[str, ...] = ()


@dataclass(frozen=True, kw_only=True)
class Captured:
    """The patch that was captured.

    Args:
        bytes: Size of the patch; 0 when there is none.
        problem: Why it is not the whole work of the tool, or must not be used: a sentence for people. Empty
            when there is nothing to say; otherwise the patch has what could be saved.
        fault: The reason's code where the problem is not the tool's, such as ``filter_failed``; else empty.
        note: The work of the tool that is not in the patch though there is no problem, and where it is saved:
            a sentence for people. Empty when there is nothing to say.
    """

    bytes: int = 0
    problem: str = ""
    fault: str = ""
    note: str = ""


def too_big(limit: int) -> str:
    """Return the problem of a patch that has more than so many bytes."""
    return f"the patch is bigger than {limit} bytes"
