"""Notices for people about patches that wait for their approval, each patch once."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field

from maingate.ids import PatchId
from maingate.wording import missing_approvals


@dataclass(kw_only=True)
class ApprovalNotices:
    """Shows people which patches wait for approval, and when none does any more.

    Args:
        wanted: Returns the task of a patch that waits, and the number of approvals that it needs.
        notice: Shows a sentence to people.
    """

    wanted: Callable[[PatchId], tuple[str, int]]
    notice: Callable[[str], None]
    _told: set[PatchId] = field(default_factory=set)

    def update(self, waiting: Sequence[PatchId], counts: Mapping[PatchId, int]) -> None:
        """Show people the changes since the last call.

        Args:
            waiting: The patches that wait.
            counts: The number of approvals of those that have some.
        """
        lacking = [each for patch_id in waiting if (each := self._lacking(patch_id, counts)) is not None]
        if lacking:
            label, missing = lacking[0]
            others = f" (and {len(lacking) - 1} more like it: `maingate status --all`)" * (len(lacking) > 1)
            self.notice(f"{label} waits for {missing_approvals(label, missing)}{others}")
        elif self._told and not waiting:
            self._told.clear()
            self.notice("nothing waits for approval any more")

    def _lacking(self, patch_id: PatchId, counts: Mapping[PatchId, int]) -> tuple[str, int] | None:
        """Return the task of a patch and the approvals it lacks; None when it has them, or was told of."""
        label, wanted = self.wanted(patch_id)
        missing = wanted - counts.get(patch_id, 0)
        if patch_id in self._told or missing <= 0:
            return None
        self._told.add(patch_id)
        return label, missing
