"""Small programs that behave like the agents: what they print, change, exit with, and do wrong."""

import json
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

EDIT = "echo edited > file; echo new > 'new file'"

_COST = 0.25
_USAGE = {"input_tokens": 1000, "output_tokens": 200}

DONE: dict[str, Sequence[Any]] = {
    "claude": [
        {"type": "system", "subtype": "init"},
        {
            "type": "result",
            "subtype": "success",
            "is_error": False,
            "total_cost_usd": _COST,
            "usage": _USAGE,
            "result": "Done.",
        },
    ],
    "codex": [{"type": "thread.started"}, {"type": "turn.completed", "usage": _USAGE}],
    "aider": ["Applied edit to file", "Tokens: 1.0k sent, 200 received. Cost: $0.25 message, $0.25 session."],
    "gemini": [
        {"response": "Done.", "stats": {"models": {"pro": {"tokens": {"prompt": 1000, "candidates": 200}}}}}
    ],
    "opencode": [{"type": "step_finish", "part": {"cost": _COST, "tokens": {"input": 1000, "output": 200}}}],
}
"""What each prints when it did its work."""

RATE_LIMITED: dict[str, tuple[int, Sequence[Any]]] = {
    "claude": (
        1,
        [
            {
                "type": "result",
                "subtype": "success",
                "is_error": True,
                "result": "API Error: 429 rate_limit_error",
            }
        ],
    ),
    "codex": (
        1,
        [{"type": "turn.failed", "error": {"message": "You've hit your usage limit. Try again in 60 s."}}],
    ),
    "aider": (
        0,
        ["litellm.RateLimitError: RateLimitError: too many", "The API provider has rate limited you."],
    ),
    "gemini": (1, [{"error": {"type": "ApiError", "code": 429, "message": "quota exceeded"}}]),
    "opencode": (
        0,
        [{"type": "error", "error": {"name": "APIError", "data": {"statusCode": 429, "message": "slow"}}}],
    ),
}
"""What each exits with and prints when its provider refuses it."""


@dataclass(frozen=True, kw_only=True)
class Agent:
    """One program.

    Args:
        name: What it is called on PATH.
        does: A shell script that it runs at the root of the worktree.
        prints: What it prints then: text, or objects as JSON.
        code: What it exits with.
    """

    name: str
    does: str = EDIT
    prints: Sequence[Any] = field(default_factory=list)
    code: int = 0

    def install(self, folder: Path) -> Path:
        """Write it into a folder for PATH; what it was told and how it was called is left beside it."""
        folder.mkdir(parents=True, exist_ok=True)
        said = "".join(f"{one if isinstance(one, str) else json.dumps(one)}\n" for one in self.prints)
        (folder / f"{self.name}.said").write_text(said)
        path = folder / self.name
        path.write_text(
            "#!/bin/sh\n"
            f'if [ "$1" = --version ]; then echo "{self.name} 1.2.3"; exit 0; fi\n'
            f'printf "%s\\n" "$@" > "{folder}/{self.name}.args"\n'
            f'cat > "{folder}/{self.name}.stdin"\n'
            f"{self.does}\n"
            f'cat "{folder}/{self.name}.said"\n'
            f"exit {self.code}\n"
        )
        path.chmod(0o755)
        return path

    @classmethod
    def good(cls, name: str, **keys: Any) -> "Agent":
        """Make one that does its work and says so."""
        return cls(name=name, prints=DONE[name], **keys)
