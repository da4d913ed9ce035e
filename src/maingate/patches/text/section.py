"""One file's part of a diff while it is read."""

from dataclasses import dataclass, field

from maingate.patches.model import Doubt, Hunk
from maingate.patches.repair_record import Repair
from maingate.patches.text.binary import BinaryPatch


@dataclass(kw_only=True)
class Section:
    """The lines of one file's part as they were read, before they are interpreted.

    Args:
        at: Its first line.
        title: The text behind ``diff --git``; None for a traditional part.
        fields: git's extended header lines, by their words.
        old_name: Name on the ``---`` line, with prefix; ``/dev/null`` for no old file; None for no line.
        new_name: The same of ``+++``.
        names: Both names with their prefixes, once they are known.
        lone_name: A name that may have a prefix or not: other parts of the text decide.
        hunks: Its hunks.
        binary: Its binary data.
        doubts: Doubts that only the base can resolve.
        repairs: The repairs that were made; the file's name is added when it is known.
        end: The line behind it.
        is_last: Whether only blank lines follow.
    """

    at: int
    title: bytes | None
    fields: dict[bytes, bytes] = field(default_factory=dict)
    old_name: bytes | None = None
    new_name: bytes | None = None
    names: tuple[bytes, bytes] | None = None
    lone_name: bytes | None = None
    hunks: list[Hunk] = field(default_factory=list)
    binary: BinaryPatch | None = None
    doubts: set[Doubt] = field(default_factory=set)
    repairs: list[Repair] = field(default_factory=list)
    end: int = 0
    is_last: bool = False

    @property
    def is_git(self) -> bool:
        """Return whether it began with ``diff --git``."""
        return self.title is not None
