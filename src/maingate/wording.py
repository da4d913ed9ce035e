"""Names in sentences: long ones are shortened, long lists counted, so that a message stays a few lines.

Names, paths and globs that others chose go through here before they are part of a message;
``cli.text.safe`` bounds each line once more on its way to a terminal. JSON always has the full text.
"""

import os
import re
from collections.abc import Sequence
from typing import Final

LONGEST_NAME: Final = 80
"""Characters of a name in a message."""
LONGEST_WORD: Final = 200
"""Characters of any word that reaches a terminal."""
LONGEST_LINE: Final = 1200
"""Characters of one line of a message."""
MOST_LINES: Final = 50
"""Lines of a message that lists problems."""
_CUT: Final = "…"
_LONG_WORD: Final = re.compile(rf"\S{{{LONGEST_WORD + 1},}}")


def as_text(name: str) -> str:
    """Return the name of a file as text that any program takes: bytes that are none are shown as escapes."""
    return os.fsencode(name).decode(errors="backslashreplace")


def short(name: str, most: int = LONGEST_NAME) -> str:
    """Return a name with its middle left out where it is longer than so many characters."""
    if len(name) <= most:
        return name
    end = (most - len(_CUT)) // 2
    return f"{name[: most - len(_CUT) - end]}{_CUT}{name[len(name) - end :]}"


def listed(names: Sequence[str], most: int = 3, *, between: str = ", ") -> str:
    """Return the first names, each shortened, and how many more there are: ``a, b, c and 997 more``."""
    shown = between.join(short(name) for name in names[:most])
    more = len(names) - most
    return f"{shown} and {more} more" if more > 0 else shown


def chain(names: Sequence[str], most: int = 6) -> str:
    """Return names one after the other, the middle left out where there are many: ``a → … 9 more … → z``."""
    if len(names) <= most:
        return " → ".join(short(name) for name in names)
    first = " → ".join(short(name) for name in names[: most - 2])
    return f"{first} → {_CUT} {len(names) - most + 1} more {_CUT} → {short(names[-1])}"


def bounded(line: str) -> str:
    """Return a line whose words and whose whole are shortened to `LONGEST_WORD` and `LONGEST_LINE`."""
    if len(line) <= LONGEST_WORD:
        return line
    return short(_LONG_WORD.sub(lambda word: short(word[0], LONGEST_WORD), line), LONGEST_LINE)


def first_lines(lines: Sequence[str], most: int = MOST_LINES, *, rest: str) -> list[str]:
    """Return the first lines and, where there are more, one that counts the rest.

    Args:
        lines: Any number of them.
        most: How many are shown.
        rest: The words of the last line behind ``and N more``.
    """
    more = len(lines) - most
    return [*lines[:most], f"and {more} more{rest}"] if more > 0 else list(lines)


def more_approvals(missing: int) -> str:
    """Return how many approvals a patch lacks."""
    return f"{missing} more approval{'s' * (missing != 1)}"


def missing_approvals(task: str, missing: int) -> str:
    """Return how many approvals a task's patch lacks, and the command that gives one."""
    return f"{more_approvals(missing)}: `maingate patch approve {task}`"


def extra_adds(extra: str) -> str:
    """Return the end of a message about missing packages: the extra that has them, and the command."""
    return (
        f'the extra `{extra}` adds them: `uv tool install ".[{extra}]"` in the folder of Maingate\'s source'
    )
