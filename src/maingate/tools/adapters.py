"""Commands of tools, and the meaning of their outputs. Pure.

A tool's own report decides only how a task without a patch continues: it is tried again at once, later, or
not at all. Whether the work is good is decided by the gates.
"""

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from datetime import datetime
from typing import Final

from maingate.plan.choices import CaptureSource, PromptBy
from maingate.plan.definitions import ToolDefinition
from maingate.tools.failure_signs import Failure, failure_of, retry_after
from maingate.tools.outputs import READERS, Reading, last_words
from maingate.tools.presets import PRESETS

LONGEST_ARGUMENT: Final = 128 * 1024 - 1
"""Maximum bytes of one argument on Linux (execve(2))."""

LONGEST_PROMPT: Final = 512 * 1024
"""Maximum characters of a prompt; more than any model reads."""

_MESSAGE: Final = 500


@dataclass(frozen=True, kw_only=True)
class ToolCommand:
    """Command of a tool, ready for a worker.

    Args:
        run: A shell command, or program and arguments. The worker replaces ``{prompt}`` and
            ``{prompt_file}``, since it alone knows the file.
        stdin: Whether the prompt is passed on standard input.
        capture: The source of the patch.
        env: Variables to set.
        exclude: Globs of files that the tool leaves in the worktree and that are no part of its patch.
        problem: The reason why it cannot run; empty if it can.
    """

    run: str | tuple[str, ...]
    stdin: bool
    capture: CaptureSource
    env: Mapping[str, str] = field(default_factory=dict)
    exclude: tuple[str, ...] = ()
    problem: str = ""


@dataclass(frozen=True, kw_only=True)
class ToolReport:
    """Meaning of a tool's output.

    Args:
        cost_usd: The cost; None if unknown.
        tokens_in: Tokens read; None if unknown.
        tokens_out: Tokens written; None if unknown.
        failure: The kind of failure. ``rate_limited`` and ``outage`` are faults of its provider.
        retry_after: Seconds after which the provider accepts another try, if it reports them.
        message: The tool's own words about its failure; empty if it did not fail.
    """

    cost_usd: float | None = None
    tokens_in: int | None = None
    tokens_out: int | None = None
    failure: Failure = "none"
    retry_after: float | None = None
    message: str = ""


def command_of(tool: ToolDefinition, *, prompt: str, budget_usd: float | None = None) -> ToolCommand:
    """Return the command of a tool.

    Args:
        tool: The tool, from a valid plan.
        prompt: The prompt.
        budget_usd: The budget, passed to tools that have an option for it.
    """
    command = _preset(tool, budget_usd) if tool.preset is not None else _command(tool, prompt)
    words = (command.run,) if isinstance(command.run, str) else command.run
    is_argument = any("{prompt}" in word for word in words)
    if len(prompt) > LONGEST_PROMPT:
        return replace(command, problem=f"the prompt has more than {LONGEST_PROMPT} characters")
    if is_argument and len(prompt.encode("utf-8", "replace")) > LONGEST_ARGUMENT:
        return replace(command, problem="the prompt is too long for an argument: use {prompt_file}")
    return command


def _command(tool: ToolDefinition, prompt: str) -> ToolCommand:
    return ToolCommand(
        run=tool.run or (),
        stdin=tool.prompt_channel is PromptBy.STDIN and bool(prompt),
        capture=tool.capture,
        env=dict(tool.env),
    )


def _preset(tool: ToolDefinition, budget_usd: float | None) -> ToolCommand:
    if tool.preset is None:
        raise ValueError("a tool without a preset")
    preset = PRESETS[tool.preset]
    words = list(preset.words)
    if tool.model is not None:
        words += [word.format(tool.model) if word == "{}" else word for word in preset.model]
    if budget_usd is not None:
        words += [f"{max(budget_usd, 0.01):.2f}" if word == "{}" else word for word in preset.budget]
    return ToolCommand(
        run=(*words, *tool.args, *preset.last),
        stdin=preset.prompt_by is PromptBy.STDIN,
        capture=tool.capture,
        env={**preset.env, **tool.env},
        exclude=preset.exclude,
    )


def report_of(
    tool: ToolDefinition, *, output: bytes, exit_code: int | None, now: datetime | None = None
) -> ToolReport:
    """Return the meaning of a tool's output and exit code.

    Args:
        tool: The tool.
        output: Its output, as far as the log kept it.
        exit_code: Its exit code; None if it did not exit.
        now: The time, for providers that name the moment of the next try.
    """
    text = output.decode("utf-8", "replace")
    reading = READERS[tool.preset](text) if tool.preset is not None else Reading()
    words = reading.error or last_words(text)
    failure = _failure(tool, reading, words, is_expected=exit_code in tool.expect)
    said = ToolReport(cost_usd=reading.cost_usd, tokens_in=reading.tokens_in, tokens_out=reading.tokens_out)
    if failure == "none":
        return said
    return replace(
        said,
        failure=failure,
        retry_after=None if failure == "failed" else retry_after(words, now=now),
        message=_message(tool, reading, text, exit_code=exit_code),
    )


def _failure(tool: ToolDefinition, reading: Reading, words: str, *, is_expected: bool) -> Failure:
    """Return the kind of failure: from its own report, else its exit code, else signs of a refusal."""
    if is_expected and (tool.preset is None or reading.error == ""):
        return "none"
    if reading.is_final:
        return "failed"
    failure = failure_of(words, patterns=tool.rate_limit, generic=tool.preset is not None)
    is_silent = is_expected and reading.error is None
    return "none" if is_silent and failure == "failed" else failure


def _message(tool: ToolDefinition, reading: Reading, text: str, *, exit_code: int | None) -> str:
    """Return a message about the failure."""
    if reading.error:
        return _shortened(reading.error)
    ended = "was stopped before it ended" if exit_code is None else f"exited with {exit_code}"
    meaning = _EXIT_CODES.get((tool.preset, exit_code), "")
    lines = last_words(text).splitlines()
    return _shortened("; ".join(filter(None, (f"it {ended}", meaning, lines[-1] if lines else ""))))


_EXIT_CODES: Final[Mapping[tuple[str | None, int | None], str]] = {
    ("gemini", 42): "the prompt or an argument was not understood",
    ("gemini", 53): "its turn limit was reached",
}


def _shortened(text: str) -> str:
    text = " ".join(text.split())
    return text if len(text) <= _MESSAGE else f"{text[: _MESSAGE - 1]}…"
