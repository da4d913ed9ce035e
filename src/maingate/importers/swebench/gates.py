"""The gates of a SWE-bench instance: commands that run its tests."""

import shlex
from collections.abc import Iterator, Sequence
from typing import Any, Final

TESTS: Final = "{tests}"
"""The part of a test command that is replaced by the tests' ids."""

TO_MEND: Final = "fail-to-pass"
"""The gate of the tests that fail without the prediction."""

_MOST_BYTES: Final = 96 * 1024
"""Maximum bytes of a gate's command: the kernel takes 128 KiB per argument."""


def gates_of(name: str, tests: Sequence[str], test_command: str) -> Iterator[tuple[str, dict[str, Any]]]:
    """Yield gates for tests, as many as the command lines need; failing ones have `red_on_base`."""
    is_red = {"red_on_base": True} if name == TO_MEND else {}
    parts = list(_parted([shlex.quote(test) for test in tests]))
    digits = len(str(len(parts)))
    for number, part in enumerate(parts, start=1):
        gate = name if len(parts) == 1 else f"{name}-{number:0{digits}}"
        yield gate, {"run": test_command.replace(TESTS, " ".join(part)), **is_red}


def _parted(words: Sequence[str]) -> Iterator[list[str]]:
    part: list[str] = []
    size = 0
    for word in words:
        length = len(word.encode()) + 1
        if part and size + length > _MOST_BYTES:
            yield part
            part, size = [], 0
        part.append(word)
        size += length
    if part:
        yield part
