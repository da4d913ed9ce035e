"""From a tool of the plan to a command to run, and from what it printed to what that means. Pure.

What a tool says of itself decides what is done when it has *not* made a patch: asked again at once, later, or
not at all. That it did its work only the gates can tell.
"""

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from datetime import datetime
from typing import Final

from maingate.plan.choices import CaptureSource, PromptBy
from maingate.plan.definitions import ToolDefinition
from maingate.tools.outputs import READERS, Reading, last_words
from maingate.tools.presets import PRESETS
from maingate.tools.signs import Failure, failure_of, retry_after

LONGEST_ARGUMENT: Final = 128 * 1024 - 1
"""Bytes of one argument that Linux passes on (execve(2))."""

LONGEST_PROMPT: Final = 512 * 1024
"""Characters of a prompt that a worker is given; no model reads as much."""

_MESSAGE: Final = 500


@dataclass(frozen=True, kw_only=True)
class ToolCommand:
    """What to run.

    Args:
        run: A shell command, or program and arguments. ``{prompt}`` and ``{prompt_file}`` are put in by the
            worker, who alone knows the file.
        stdin: Whether the prompt is given on standard input.
        capture: Where the patch is taken from.
        env: Variables to set.
        exclude: Globs of what the tool leaves in the worktree and is no part of its patch.
        problem: Why it cannot be run like this; empty when it can.
    """

    run: str | tuple[str, ...]
    stdin: bool
    capture: CaptureSource
    env: Mapping[str, str] = field(default_factory=dict)
    exclude: tuple[str, ...] = ()
    problem: str = ""


@dataclass(frozen=True, kw_only=True)
class ToolReport:
    """What a tool's output means.

    Args:
        cost_usd: What it cost; None when it does not say.
        tokens_in: Tokens read; None when it does not say.
        tokens_out: Tokens written; None when it does not say.
        failure: Whether and why it failed. ``rate_limited`` and ``outage`` are its provider's doing.
        retry_after: Seconds after which the provider wants to be asked again, where it says so.
        message: What it said of its failure; empty when it did not fail.
    """

    cost_usd: float | None = None
    tokens_in: int | None = None
    tokens_out: int | None = None
    failure: Failure = "none"
    retry_after: float | None = None
    message: str = ""


def command_of(tool: ToolDefinition, *, prompt: str, budget_usd: float | None = None) -> ToolCommand:
    """Return what to run for a tool.

    Args:
        tool: The tool, of a plan that was found in order.
        prompt: What it is to be told.
        budget_usd: What it may spend, told to those that can be told.
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
    """Say what a tool's output and exit code mean.

    Args:
        tool: The tool.
        output: What the log kept of what it printed.
        exit_code: What it exited with; None when it did not.
        now: The time, for providers that name the moment at which to ask again.
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
    """Say whether it failed: as it says itself, else by its exit code, else by signs of a refusal."""
    if is_expected and (tool.preset is None or reading.error == ""):
        return "none"
    if reading.is_final:
        return "failed"
    failure = failure_of(words, patterns=tool.rate_limit, generic=tool.preset is not None)
    is_silent = is_expected and reading.error is None
    return "none" if is_silent and failure == "failed" else failure


def _message(tool: ToolDefinition, reading: Reading, text: str, *, exit_code: int | None) -> str:
    """Say how it failed."""
    if reading.error:
        return _shortened(reading.error)
    ended = "did not end by itself" if exit_code is None else f"exited with {exit_code}"
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
