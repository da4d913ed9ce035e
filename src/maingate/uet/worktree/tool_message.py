"""The message of a tool's own commits, before its patch: the mail that intake reads.

So it is part of the patch on record, and outlasts every process. It names no author: that is the tool.
Standard library only: a UET worker process imports this.
"""

import re
from collections.abc import Sequence
from typing import Final

_HEADER: Final = b"From: \nSubject: \nMIME-Version: 1.0\nContent-Type: text/plain; charset=utf-8\n\n"
_LIKE_A_DIFF: Final = re.compile(rb"(?=diff -|Index: |---|From:|Date:|Subject:)", re.IGNORECASE)
_LONGEST: Final = 64 * 1024


def message_header(messages: Sequence[bytes]) -> bytes:
    """Return what stands before the diff of a patch with the messages of its commits; empty for none.

    A line that would end the message, or begin a header, is indented.

    Args:
        messages: The messages, oldest first.
    """
    text = b"\n\n".join(message.strip() for message in messages if message.strip())
    if not text or len(text) > _LONGEST or b"\0" in text:
        return b""
    lines = [b" " + line if _LIKE_A_DIFF.match(line) else line for line in text.split(b"\n")]
    return _HEADER + b"\n".join(lines) + b"\n---\n"
