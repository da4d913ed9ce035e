"""How tools are called, and what their output means, on output in the shapes that each agent prints."""

import json
from datetime import UTC, datetime
from typing import Any

import pytest

from maingate.plan.choices import CaptureSource
from maingate.plan.definitions import ToolDefinition
from maingate.tools.adapters import ToolCommand, ToolReport, command_of, report_of
from maingate.tools.presets import PRESETS


def tool(**keys: Any) -> ToolDefinition:
    """Make a tool."""
    return ToolDefinition.model_validate(keys)


def lines(*objects: object) -> bytes:
    """Write objects as agents print them, with words in between."""
    return b"\n".join([b"starting...", *(json.dumps(one).encode() for one in objects), b"", b"{not json"])


def report(preset: str, output: bytes, code: int | None = 0, **keys: Any) -> ToolReport:
    """Read an output."""
    return report_of(tool(preset=preset, **keys), output=output, exit_code=code)


@pytest.mark.parametrize(
    ("keys", "run", "stdin"),
    [
        ({"run": ["fix", "{prompt_file}"]}, ("fix", "{prompt_file}"), False),
        ({"run": "fix {prompt}"}, "fix {prompt}", False),
        ({"run": ["fix"]}, ("fix",), True),
        ({"run": ["fix", "{prompt_file}"], "prompt_by": "stdin"}, ("fix", "{prompt_file}"), True),
        ({"run": ["fix"], "prompt_by": "file"}, ("fix",), False),
    ],
)
def test_a_command_is_told_by_its_placeholders(keys: Any, run: object, stdin: bool) -> None:
    """The plan's word counts first; without placeholders the prompt is on standard input."""
    command = command_of(tool(**keys), prompt="do it")
    assert command == ToolCommand(run=run, stdin=stdin, capture=CaptureSource.WORKTREE)  # type: ignore[arg-type]


def test_a_tool_that_is_asked_nothing_reads_nothing() -> None:
    """Standard input is empty then."""
    assert not command_of(tool(run="fix"), prompt="").stdin


def test_a_prompt_that_no_argument_can_hold_is_told() -> None:
    """The system would refuse to start the program."""
    long = "ä" * 70_000
    assert command_of(tool(run=["fix", "{prompt}"]), prompt=long).problem != ""
    assert command_of(tool(run=["fix", "{prompt_file}"]), prompt=long).problem == ""
    assert command_of(tool(preset="claude"), prompt=long).problem == ""
    assert command_of(tool(preset="claude"), prompt=long * 8).problem != ""


def test_claude_is_told_model_budget_and_arguments() -> None:
    """All in one command line, the plan's arguments last so that they count."""
    command = command_of(
        tool(preset="claude", model="opus", args=["--max-turns", "5"], env={"A": "b"}),
        prompt="do it",
        budget_usd=1.5,
    )
    assert " ".join(command.run) == (
        "claude -p --output-format stream-json --verbose --permission-mode acceptEdits --max-turns 200 "
        "--model opus --max-budget-usd 1.50 --max-turns 5"
    )
    assert command.stdin
    assert command.env.items() >= {"A": "b"}.items()


@pytest.mark.parametrize(
    ("preset", "line"),
    [
        ("codex", "codex exec --json --sandbox workspace-write --model m --x -"),
        ("gemini", "gemini --output-format json --approval-mode auto_edit --model m --x"),
        ("opencode", "opencode run --format json --auto --model m --x"),
    ],
)
def test_the_others_are_called_without_a_budget(preset: str, line: str) -> None:
    """They know none."""
    command = command_of(tool(preset=preset, model="m", args=["--x"]), prompt="do it", budget_usd=1.0)
    assert " ".join(command.run) == line
    assert command.stdin


def test_aider_reads_a_file_and_what_it_leaves_is_no_part_of_the_patch() -> None:
    """It keeps caches in the worktree."""
    command = command_of(tool(preset="aider"), prompt="do it")
    assert command.run[:3] == ("aider", "--message-file", "{prompt_file}")
    assert (command.stdin, command.exclude) == (False, (".aider*",))


@pytest.mark.parametrize("preset", PRESETS)
def test_no_agent_is_shown_the_prompt_as_an_argument(preset: str) -> None:
    """Everybody on the machine could read it."""
    assert "{prompt}" not in command_of(tool(preset=preset), prompt="do it").run


def claude_result(**keys: Any) -> dict[str, Any]:
    """Make the object that Claude Code ends with."""
    usage = {"input_tokens": 5, "cache_read_input_tokens": 100, "output_tokens": 60}
    return {
        "type": "result",
        "subtype": "success",
        "is_error": False,
        "total_cost_usd": 0.25,
        "usage": usage,
        "result": "Done.",
        **keys,
    }


def test_claude_tells_its_cost() -> None:
    """A refusal that it got over by itself does not count."""
    retry = {"type": "system", "subtype": "api_retry", "error": "rate_limit"}
    output = lines(retry, {"type": "assistant"}, claude_result())
    assert report("claude", output) == ToolReport(cost_usd=0.25, tokens_in=105, tokens_out=60)


@pytest.mark.parametrize(
    ("keys", "failure", "wait"),
    [
        ({"is_error": True, "result": "API Error: 429 rate_limit_error"}, "rate_limited", None),
        ({"is_error": True, "result": "Claude AI usage limit reached|1700003600"}, "rate_limited", 3600.0),
        (
            {"is_error": True, "result": "You've hit your session limit · resets in 2h 5m"},
            "rate_limited",
            7500.0,
        ),
        ({"is_error": True, "result": 'API Error: 529 {"type":"overloaded_error"}'}, "outage", None),
        ({"subtype": "error_during_execution", "errors": ["ECONNRESET"]}, "outage", None),
        ({"subtype": "error_during_execution", "errors": ["no such tool"]}, "failed", None),
        ({"subtype": "error_max_turns", "result": "rate limit middleware"}, "failed", None),
        ({"subtype": "error_max_budget_usd"}, "failed", None),
    ],
)
def test_claude_tells_how_it_failed(keys: dict[str, Any], failure: str, wait: float | None) -> None:
    """By its result object, whatever it exits with; a budget that is used up is nobody's refusal."""
    for code in (0, 1):
        found = report_of(
            tool(preset="claude"),
            output=lines(claude_result(**keys)),
            exit_code=code,
            now=datetime.fromtimestamp(1_700_000_000, UTC),
        )
        assert (found.failure, found.retry_after, found.cost_usd) == (failure, wait, 0.25)
        assert found.message != ""


def test_codex_tells_tokens_and_no_dollars() -> None:
    """The turns are added up; an error that it got over does not count."""
    usage = {"input_tokens": 10, "cached_input_tokens": 4, "output_tokens": 3}
    output = lines(
        {"type": "thread.started", "thread_id": "t"},
        {"type": "error", "message": "Reconnecting... 1/5 (stream disconnected)"},
        {"type": "turn.completed", "usage": usage},
        {"type": "turn.completed", "usage": usage},
    )
    assert report("codex", output) == ToolReport(tokens_in=20, tokens_out=6)


@pytest.mark.parametrize(
    ("message", "failure", "wait"),
    [
        ("You've hit your usage limit. Try again in 3 days 4 hours.", "rate_limited", 273_600.0),
        ("exceeded retry limit, last status: 429 Too Many Requests", "rate_limited", None),
        ("stream disconnected before completion", "outage", None),
        ("the model is not supported", "failed", None),
    ],
)
def test_codex_tells_how_it_failed(message: str, failure: str, wait: float | None) -> None:
    """By the turn that failed."""
    output = lines({"type": "turn.failed", "error": {"message": message}})
    found = report("codex", output, 1)
    assert (found.failure, found.retry_after, found.message) == (failure, wait, message)


AIDER_DONE = b"Applied edit to a.py\nTokens: 2.4k sent, 1,300 received. Cost: $0.01 message, $0.03 session.\n"


def test_aider_tells_its_cost() -> None:
    """The session's; an error that an answer followed does not count."""
    output = b"litellm.RateLimitError: slow down\nRetrying in 0.2 seconds...\n" + AIDER_DONE
    assert report("aider", output) == ToolReport(cost_usd=0.03, tokens_in=2400, tokens_out=1300)


@pytest.mark.parametrize(
    ("words", "failure"),
    [
        (
            b"litellm.RateLimitError: RateLimitError: quota\nThe API provider has rate limited you.\n",
            "rate_limited",
        ),
        (b"litellm.InternalServerError: Connection error.\n", "outage"),
        (b"litellm.AuthenticationError: invalid x-api-key\n", "failed"),
    ],
)
def test_aider_fails_with_exit_code_0(words: bytes, failure: str) -> None:
    """It is believed by its words."""
    assert report("aider", AIDER_DONE + words, 0).failure == failure


def test_gemini_tells_its_tokens() -> None:
    """Its object may be spread over lines, after other words."""
    stats = {
        "models": {"pro": {"tokens": {"prompt": 7, "candidates": 2}}, "flash": {"tokens": {"prompt": 1}}}
    }
    output = (
        b"Loaded {cached} credentials.\n" + json.dumps({"response": "ok", "stats": stats}, indent=2).encode()
    )
    assert report("gemini", output) == ToolReport(tokens_in=8, tokens_out=2)


@pytest.mark.parametrize(
    ("error", "code", "failure"),
    [
        ({"type": "ApiError", "message": "You exceeded your current quota", "code": 429}, 1, "rate_limited"),
        ({"type": "ApiError", "message": "The model is overloaded", "code": 503}, 1, "outage"),
        ({"type": "FatalTurnLimitedError", "message": "Reached max session turns", "code": 53}, 53, "failed"),
    ],
)
def test_gemini_tells_how_it_failed(error: dict[str, Any], code: int, failure: str) -> None:
    """By its error object."""
    found = report("gemini", json.dumps({"session_id": "s", "error": error}, indent=2).encode(), code)
    assert (found.failure, found.message) == (
        failure,
        f"{error['type']} status {error['code']} {error['message']}",
    )


def test_geminis_exit_codes_have_a_meaning() -> None:
    """Also when it prints nothing that can be read."""
    assert report("gemini", b"", 42).message == (
        "it exited with 42; the prompt or an argument was not understood"
    )
    assert report("gemini", b"", 53).failure == "failed"


def test_opencode_adds_up_its_steps() -> None:
    """Each tells its own cost."""
    step = {
        "type": "step_finish",
        "part": {
            "cost": 0.125,
            "tokens": {"input": 10, "output": 2, "reasoning": 1, "cache": {"read": 5, "write": 0}},
        },
    }
    assert report("opencode", lines(step, step)) == ToolReport(cost_usd=0.25, tokens_in=30, tokens_out=6)


@pytest.mark.parametrize(
    ("error", "failure"),
    [
        ({"name": "APIError", "data": {"message": "Too Many Requests", "statusCode": 429}}, "rate_limited"),
        ({"name": "APIError", "data": {"message": "x", "statusCode": 503}}, "outage"),
        ({"name": "UnknownError", "data": {"message": "Unexpected server error."}}, "failed"),
    ],
)
def test_opencode_fails_with_exit_code_0(error: dict[str, Any], failure: str) -> None:
    """It is believed by its error events."""
    for code in (0, 1):
        assert report("opencode", lines({"type": "error", "error": error}), code).failure == failure


@pytest.mark.parametrize("preset", PRESETS)
def test_an_agent_that_was_killed_has_failed_and_one_that_says_nothing_has_not(preset: str) -> None:
    """A log may have lost its end; whether there is a patch is seen in the worktree."""
    assert report(preset, b"", None).failure == "failed"
    assert report(preset, b"", 1).failure == "failed"
    assert report(preset, b"", 0).failure == "none"
    assert report(preset, b"usage limit reached", 0).failure == "rate_limited"


@pytest.mark.parametrize("preset", PRESETS)
@pytest.mark.parametrize(
    "output",
    [
        b"\xff\xfe" * 100,
        b'{"type":"result","subtype":3,"usage":[],"total_cost_usd":"x","errors":7}\n',
        b'{"type":"turn.completed","usage":5}\n{"type":"turn.failed","error":"x"}\n{"type":"error","error":[]}\n',
        b'{"type":"step_finish","part":{"cost":-1,"tokens":[]}}\n',
        b'{"stats":{"models":[]},"error":"x"}',
        b'{"type":"result","total_cost_usd":NaN,"usage":{"input_tokens":1e999}}',
        b"{" * 5000,
        b"{\n" * 50_000,
        b"{ " * 50_000,
        b"Tokens: " * 50_000,
        b"Error" * 50_000 + b": ",
        b'{"a":' * 5000,
        b"Tokens: 1.2.3k sent, ,, received. Cost: $1.1.1 message, $... session.\n",
    ],
)
def test_nonsense_is_no_traceback(preset: str, output: bytes) -> None:
    """What an agent prints may be anything; a cost is a number that is not negative, or none."""
    for code in (0, 1, None):
        found = report(preset, output, code)
        assert found.cost_usd is None or found.cost_usd >= 0


def test_a_command_of_the_plan_is_believed_by_its_exit_code() -> None:
    """What it prints means something only where the plan says so."""
    mine = tool(run="fix", expect=[0, 3], rate_limit=["(?i)quota .* used up"])
    said = b"429 too many requests; Quota for today used up; retry after 90 s"
    assert report_of(mine, output=said, exit_code=3) == ToolReport()
    refused = report_of(mine, output=said, exit_code=1)
    assert (refused.failure, refused.retry_after) == ("rate_limited", 90.0)
    assert report_of(mine, output=b"429 too many requests", exit_code=1).failure == "failed"
    assert report_of(mine, output=b"x\nno\n", exit_code=1).message == "it exited with 1; no"


@pytest.mark.parametrize(
    ("words", "seconds"),
    [
        ("Retry-After: 30", 30.0),
        ("retry after 1m30s", 90.0),
        ("Please try again in 1.5s.", 1.5),
        ("try again in 6h0m", 21_600.0),
        ("retryDelay: 500ms", 0.5),
        ("try again in 900 days", None),
        ("try again later", None),
    ],
)
def test_the_wait_is_read(words: str, seconds: float | None) -> None:
    """In the ways that providers say it; what is not believable is not believed."""
    found = report("claude", b"rate limit: " + words.encode(), 1)
    assert (found.failure, found.retry_after) == ("rate_limited", seconds)
