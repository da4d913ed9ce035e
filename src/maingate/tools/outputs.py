"""Readers of the agents' outputs: result and cost, each in its own format.

The output is the head and tail of standard output and standard error in one log. So every reader uses whole
lines that are JSON and ignores all others.
"""

import json
import re
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from typing import Any, Final

from maingate.plan.choices import Preset

_TRIES: Final = 64
"""Maximum positions at which an object is tried: an output may consist of braces."""

_LINE: Final = 300
"""Maximum characters of a line for expressions that would be slow on a very long one."""

_WORDS: Final = 4000
"""Characters of the end of an output that are searched for signs of a failure."""


@dataclass(frozen=True, kw_only=True)
class Reading:
    """Contents of an output.

    Args:
        cost_usd: Dollars.
        tokens_in: Tokens read, cached ones included.
        tokens_out: Tokens written.
        error: Its own words about its failure; empty if it reports success, None if it reports nothing.
        is_final: Whether the failure is the task's, whatever the words suggest, such as a limit of turns.
    """

    cost_usd: float | None = None
    tokens_in: int | None = None
    tokens_out: int | None = None
    error: str | None = None
    is_final: bool = False


def _objects(text: str) -> Iterator[dict[str, Any]]:
    for line in text.splitlines():
        if line.lstrip().startswith("{"):
            try:
                value = json.loads(line)
            except (ValueError, RecursionError):
                continue
            if isinstance(value, dict):
                yield value


def read_claude(text: str) -> Reading:
    """Read the stream of Claude Code; its last result object counts."""
    results = [one for one in _objects(text) if one.get("type") == "result"]
    if not results:
        return Reading()
    result = results[-1]
    usage = _mapping(result.get("usage"))
    read = [usage.get(f"{kind}input_tokens") for kind in ("", "cache_creation_", "cache_read_")]
    subtype = str(result.get("subtype", "success"))
    is_stopped = subtype.startswith(("error_max", "error_budget"))
    error = ""
    if result.get("is_error") is True or subtype != "success":
        said = [result.get("result"), *_strings(result.get("errors")), result.get("api_error_status")]
        error = " ".join([subtype, *(str(one) for one in said if one)])
    return Reading(
        cost_usd=_number(result.get("total_cost_usd")),
        tokens_in=_sum(read),
        tokens_out=_whole(usage.get("output_tokens")),
        error=error,
        is_final=is_stopped,
    )


def read_codex(text: str) -> Reading:
    """Read the events of Codex; a failed turn counts until another one completes."""
    read: list[object] = []
    written: list[object] = []
    error: str | None = None
    for event in _objects(text):
        match event.get("type"):
            case "turn.completed":
                usage = _mapping(event.get("usage"))
                read.append(usage.get("input_tokens"))
                written.append(usage.get("output_tokens"))
                error = ""
            case "turn.failed":
                error = str(_mapping(event.get("error")).get("message") or "the turn failed")
            case "error":
                error = str(event.get("message") or "an error")
            case _:
                pass
    return Reading(tokens_in=_sum(read), tokens_out=_sum(written), error=error)


_AIDER_COST: Final = re.compile(r"Cost: \$([\d.,]+) message, \$([\d.,]+) session")
_AIDER_TOKENS: Final = re.compile(
    r"Tokens: ([\d.,]+[km]?) sent(?:, [\d.,]+[km]? cache \w+)*, ([\d.,]+[km]?) received", re.IGNORECASE
)
_AIDER_ERROR: Final = re.compile(
    r"^.*(?:litellm\.\w*(?:Error|Exception)|\w+(?:Error|Exception): |The API provider|has hit a token limit"
    r"|Unable to (?:list|find|read)|Can't initialize prompt|No module named).*$",
    re.MULTILINE,
)


def read_aider(text: str) -> Reading:
    """Read the output of Aider; an error without a later answer is a failure, whatever the exit code."""
    text = "\n".join(line[:_LINE] for line in text.splitlines())
    costs = _AIDER_COST.findall(text)
    answers = list(_AIDER_TOKENS.finditer(text))
    errors = list(_AIDER_ERROR.finditer(text))
    error: str | None = "" if answers else None
    if errors and (not answers or errors[-1].start() > answers[-1].start()):
        error = "\n".join(found[0].strip() for found in errors[-3:])
    return Reading(
        cost_usd=_number(_amount(costs[-1][1])) if costs else None,
        tokens_in=_sum(_amount(found[1]) for found in answers),
        tokens_out=_sum(_amount(found[2]) for found in answers),
        error=error,
    )


def read_gemini(text: str) -> Reading:
    """Read the last object of Gemini CLI, which may span lines and have other text around it."""
    decoder = json.JSONDecoder()
    starts = [found.start() for found in re.finditer(r"^\{", text, re.MULTILINE)]
    for start in reversed(starts[-_TRIES:]):
        try:
            value, _ = decoder.raw_decode(text, start)
        except (ValueError, RecursionError):
            continue
        if isinstance(value, dict) and value.keys() & {"response", "stats", "error"}:
            return _gemini(value)
    return Reading()


def _gemini(value: Mapping[str, Any]) -> Reading:
    models = [
        _mapping(_mapping(one).get("tokens"))
        for one in _mapping(_mapping(value.get("stats")).get("models")).values()
    ]
    error: str | None = ""
    if value.get("error"):
        said = _mapping(value["error"])
        code = said.get("code")
        words = [said.get("type"), f"status {code}" if code else "", said.get("message")]
        error = " ".join(str(word) for word in words if word) or str(value["error"])
    return Reading(
        tokens_in=_sum(tokens.get("prompt") for tokens in models),
        tokens_out=_sum(tokens.get("candidates") for tokens in models),
        error=error,
    )


def read_opencode(text: str) -> Reading:
    """Read the events of OpenCode; costs of steps add up, and an error counts until a step succeeds."""
    costs: list[object] = []
    read: list[object] = []
    written: list[object] = []
    error: str | None = None
    for event in _objects(text):
        if event.get("type") == "step_finish":
            part = _mapping(event.get("part"))
            tokens = _mapping(part.get("tokens"))
            cache = _mapping(tokens.get("cache"))
            costs.append(part.get("cost"))
            read += [tokens.get("input"), cache.get("read"), cache.get("write")]
            written += [tokens.get("output"), tokens.get("reasoning")]
            error = ""
        elif event.get("type") == "error":
            said = _mapping(event.get("error"))
            data = _mapping(said.get("data"))
            code = data.get("statusCode")
            words = [said.get("name"), f"status {code}" if code else "", data.get("message")]
            error = " ".join(str(word) for word in words if word) or "an error"
    known = [cost for cost in map(_number, costs) if cost is not None]
    return Reading(
        cost_usd=sum(known) if known else None,
        tokens_in=_sum(read),
        tokens_out=_sum(written),
        error=error,
    )


READERS: Final[Mapping[Preset, Callable[[str], Reading]]] = {
    "claude": read_claude,
    "codex": read_codex,
    "aider": read_aider,
    "gemini": read_gemini,
    "opencode": read_opencode,
}


def last_words(text: str) -> str:
    """Return the end of an output, for people and for the search for signs of a refusal."""
    return text[-_WORDS:].strip()


def _mapping(value: object) -> Mapping[str, Any]:
    return value if isinstance(value, dict) else {}


def _strings(value: object) -> list[str]:
    return [str(one) for one in value] if isinstance(value, list) else []


def _number(value: object) -> float | None:
    """Return a cost; None for a negative value or no number."""
    if isinstance(value, bool) or not isinstance(value, int | float):
        return None
    return float(value) if 0 <= value < float("inf") else None


def _whole(value: object) -> int | None:
    number = _number(value)
    return None if number is None else round(number)


def _sum(values: "Iterator[object] | list[object] | Any") -> int | None:
    known = [number for number in map(_whole, values) if number is not None]
    return sum(known) if known else None


def _amount(text: str) -> float | None:
    """Parse ``1,234``, ``2.4k`` or ``1.1M``."""
    scale = {"k": 1_000, "m": 1_000_000}.get(text[-1:].lower(), 1)
    try:
        return float(text.rstrip("kKmM").replace(",", "")) * scale
    except ValueError:
        return None
