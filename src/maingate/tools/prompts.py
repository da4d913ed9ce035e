"""What a tool is told: the task's own prompt, and on a retry what became of the attempt before.

The template is text with ``{{names}}`` in it. A section between ``{{#name}}`` and ``{{/name}}`` is there
only when the name stands for something. What is put in is never read as a template.
"""

import re
from dataclasses import dataclass
from typing import Final

OUTPUT_BYTES: Final = 16 * 1024
"""How much of the end of a gate's output a tool is shown."""

DIFF_BYTES: Final = 64 * 1024
"""How much of the beginning of a refused patch a tool is shown."""

NAMES: Final = ("prompt", "attempt", "message", "output", "diff")

DEFAULT_TEMPLATE: Final = """\
{{prompt}}
{{#message}}

---

This is attempt {{attempt}}. The patch of the attempt before was refused:

{{message}}
{{#output}}

The end of what was printed then:

{{output}}
{{/output}}
{{#diff}}

The patch that was refused. The files do not have it any more: make a whole new change, not one on top of it.

{{diff}}
{{/diff}}
{{/message}}
"""

_SECTION: Final = re.compile(r"\{\{#(\w+)\}\}\n?(.*?)\{\{/\1\}\}\n?", re.DOTALL)
_NAME: Final = re.compile(r"\{\{(\w+)\}\}")
_ANY: Final = re.compile(r"\{\{[#/]?\s*([^{}]*?)\s*\}\}")


@dataclass(frozen=True, kw_only=True)
class Refused:
    """What became of the attempt before.

    Args:
        message: Why its patch was refused.
        output: What the gate or the tool printed.
        diff: The patch.
    """

    message: str
    output: str = ""
    diff: bytes = b""


def render(template: str | None, *, prompt: str, attempt: int = 1, refused: Refused | None = None) -> str:
    """Return what a tool is told.

    Args:
        template: A text with the names in ``NAMES``; None for the one that comes with Maingate.
        prompt: What the plan asks for.
        attempt: The number of this attempt.
        refused: What became of the one before; None for a first attempt, which is told the prompt alone
            when the template is Maingate's own.
    """
    values = {"prompt": prompt, "attempt": str(attempt), "message": "", "output": "", "diff": ""}
    if refused is not None:
        values["message"] = refused.message.strip() or "no reason was given"
        values["output"] = _fenced(_end_of(refused.output))
        values["diff"] = _fenced(_beginning_of(refused.diff))
    elif template is None:
        return prompt
    text = DEFAULT_TEMPLATE if template is None else template
    return _NAME.sub(lambda found: values.get(found[1], found[0]), _chosen(text, values))


def fault_of_template(template: str) -> str | None:
    """Tell what is wrong with a template, or None when nothing is."""
    if "{{prompt}}" not in template:
        return "it nowhere says {{prompt}}, so a tool would not be told its task"
    for found in _ANY.finditer(template):
        if found[1] not in NAMES:
            return f"it says {found[0]}, which stands for nothing; there are {', '.join(NAMES)}"
    for name in NAMES:
        if template.count("{{#%s}}" % name) != template.count("{{/%s}}" % name):  # noqa: UP031 - braces
            return f"a section {{{{#{name}}}}} is not closed, or was not opened"
    return None


def _chosen(text: str, values: dict[str, str]) -> str:
    """Keep the sections whose names stand for something."""
    while (found := _SECTION.search(text)) is not None:
        kept = found[2] if values.get(found[1]) else ""
        text = text[: found.start()] + kept + text[found.end() :]
    return text


def _end_of(output: str) -> str:
    data = output.encode("utf-8", "replace")
    if len(data) <= OUTPUT_BYTES:
        return output
    return "[…]\n" + data[-OUTPUT_BYTES:].decode("utf-8", "ignore")


def _beginning_of(diff: bytes) -> str:
    text = diff[:DIFF_BYTES].decode("utf-8", "replace")
    return text if len(diff) <= DIFF_BYTES else f"{text}\n[… {len(diff) - DIFF_BYTES} more bytes]"


def _fenced(text: str) -> str:
    """Put a text between fences that are longer than any in it, so that where it ends is plain."""
    if not text.strip():
        return ""
    longest = max((len(run) for run in re.findall(r"`{3,}", text)), default=2)
    fence = "`" * (longest + 1)
    return f"{fence}\n{text.rstrip(chr(10))}\n{fence}"
