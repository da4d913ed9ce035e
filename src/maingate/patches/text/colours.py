"""Colours of a terminal in a diff, as `git diff --color` and `git -c color.ui=always` write them."""

import re
from typing import Final

from maingate.patches.repair_record import Repair, RepairKind

_CODE: Final = re.compile(rb"\x1b\[[0-9;]*[mK]")
_COLOURED: Final = re.compile(rb"^(?:\x1b\[[0-9;]*[mK])+(?:diff -|Index: |--- |\+\+\+ |@@ )", re.MULTILINE)


def without_colours(raw: bytes) -> tuple[bytes, list[Repair]]:
    """Return a text without the codes of colours, and the repair, if the lines of its diff begin with some.

    Codes in the content of a file that is not coloured stay: they are the file's own.
    """
    if b"\x1b[" not in raw or _COLOURED.search(raw) is None:
        return raw, []
    text, count = _CODE.subn(b"", raw)
    said = f"{count} codes of a terminal's colours were taken out"
    return text, [Repair(kind=RepairKind.COLOURS, said=said, was=count, now=0)]
