"""Diffs, as far as importers need them, read by the reader of intake (`maingate.patches`)."""

from collections.abc import Iterator
from dataclasses import dataclass
from functools import cached_property

from maingate.patches.intake import Intake, take_in
from maingate.patches.model import FileChange, lines_of
from maingate.patches.policy.policy import Policy, judge
from maingate.patches.text.first_diff import parted
from maingate.patches.text.lines import is_blank, is_signature
from maingate.reasons import Reason
from maingate.settings.model import LARGEST_PATCH


def without_surroundings(raw: bytes) -> bytes:
    """Return a mail's diff without the diffstat before and git's signature (``-- `` and a version) behind it.

    Outside of hunks no line of a diff begins with a digit, so no part of one is taken for a signature.
    """
    diff = parted(raw)[1]
    lines = lines_of(diff)
    end = next((at + 1 for at in range(len(lines) - 1, -1, -1) if not is_blank(lines[at])), 0)
    at = end - 2
    if at > 0 and is_signature(lines, at) and lines[at + 1][:1].isdigit():
        return b"".join(lines[:at])
    return diff


@dataclass(frozen=True)
class ReadDiff:
    """A diff as intake reads it; a run refuses one with a fault, whatever its plan says.

    Args:
        raw: The diff.
    """

    raw: bytes

    @cached_property
    def _taken(self) -> Intake | Reason:
        return take_in(self.raw, max_bytes=max(len(self.raw), LARGEST_PATCH))

    @property
    def fault(self) -> str | None:
        """The fault for which intake refuses it; None when it was read as a whole."""
        return self._taken.message if isinstance(self._taken, Reason) else None

    @property
    def changes(self) -> tuple[FileChange, ...]:
        """The changes of the files; none of a diff with a fault."""
        return () if isinstance(self._taken, Reason) else self._taken.files

    @property
    def paths(self) -> list[bytes]:
        """The paths that it names, old and new ones, in order; none of a diff with a fault."""
        return list(dict.fromkeys(path for change in self.changes for path in change.paths))

    @property
    def permissions(self) -> dict[str, bool]:
        """The policy's permissions for kinds of changes that it needs, by their keys in a plan."""
        refused = set(self._refused_rules())
        return {key: True for key in ("binary", "submodules") if key in refused}

    def _refused_rules(self) -> Iterator[str]:
        if isinstance(self._taken, Intake):
            for reason in judge(Policy(), self._taken, scope=None, origin="ready", entry_at=lambda _: None):
                yield str(reason.detail["rule"])
