"""Prompts of tools: the task's own prompt and, on a retry, the reason and diff of the previous attempt.

The template is text with ``{{names}}`` in it. A section between ``{{#name}}`` and ``{{/name}}`` is kept only
if the name has a value. Inserted values are never read as a template.
"""

import re
from dataclasses import dataclass
from typing import Final

OUTPUT_BYTES: Final = 16 * 1024
"""Bytes of the end of a gate's output in a prompt."""

DIFF_BYTES: Final = 64 * 1024
"""Bytes of the beginning of a refused patch in a prompt."""

NAMES: Final = ("prompt", "attempt", "message", "changes", "output", "diff")

DEFAULT_TEMPLATE: Final = """\
{{prompt}}
{{#message}}

---

This is attempt {{attempt}}. The patch of the attempt before was refused:

{{message}}
{{#changes}}

The target has changed there since. The files have these changes now; make yours on top of them:

{{changes}}
{{/changes}}
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
    """Refusal of the previous attempt.

    Args:
        message: The reason of the refusal.
        changes: Changes of the target with which the patch conflicts.
        output: Output of the gate or the tool.
        diff: The patch.
    """

    message: str
    changes: str = ""
    output: str = ""
    diff: bytes = b""


def render(template: str | None, *, prompt: str, attempt: int = 1, refused: Refused | None = None) -> str:
    """Return the prompt of an attempt.

    Args:
        template: A text with the names in ``NAMES``; None for Maingate's own.
        prompt: The prompt of the plan.
        attempt: The number of this attempt.
        refused: The refusal of the previous attempt; None for a first attempt, which gets the plan's prompt
            alone when the template is Maingate's own.
    """
    values = dict.fromkeys(NAMES, "") | {"prompt": prompt, "attempt": str(attempt)}
    if refused is not None:
        values["message"] = refused.message.strip() or "no reason was given"
        values["changes"] = _fenced(refused.changes)
        values["output"] = _fenced(_end_of(refused.output))
        values["diff"] = _fenced(_beginning_of(refused.diff))
    elif template is None:
        return prompt
    text = DEFAULT_TEMPLATE if template is None else template
    return _NAME.sub(lambda found: values.get(found[1], found[0]), _chosen(text, values))


def fault_of_template(template: str) -> str | None:
    """Return the fault of a template; None if it is valid."""
    if "{{prompt}}" not in template:
        return "it has no {{prompt}}, so a tool would not get its task"
    for found in _ANY.finditer(template):
        if found[1] not in NAMES:
            return f"it has the unknown name {found[0]}: choose one of {', '.join(NAMES)}"
    for name in NAMES:
        if template.count("{{#%s}}" % name) != template.count("{{/%s}}" % name):  # noqa: UP031 - braces
            return f"a section {{{{#{name}}}}} is not closed, or was not opened"
    return None


def _chosen(text: str, values: dict[str, str]) -> str:
    """Return the text without the sections whose names have no value."""
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
    """Return a text between fences that are longer than any fence in it."""
    if not text.strip():
        return ""
    longest = max((len(run) for run in re.findall(r"`{3,}", text)), default=2)
    fence = "`" * (longest + 1)
    return f"{fence}\n{text.rstrip(chr(10))}\n{fence}"
