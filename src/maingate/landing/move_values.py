"""A move of a branch, and a checkout that has not followed it, as values."""

from dataclasses import dataclass
from datetime import datetime
from typing import Final

from maingate.git.targets import short_name

REPAIR: Final = "`maingate checkout repair`"


@dataclass(frozen=True, kw_only=True)
class Move:
    """A branch that is to move.

    Args:
        ref: Its full name.
        old: Where it must be.
        new: Where it goes.
        what: The name of the landing, for people.
        message: The entry of the reflog.
    """

    ref: str
    old: str
    new: str
    what: str
    message: str = "land"


@dataclass(frozen=True, kw_only=True)
class Behind:
    """A checkout that has not followed its branch.

    Args:
        ref: The branch.
        top: The checkout.
        old: The commit that its files, or some of them, are at.
        new: The commit that it has to reach.
        what: The name of the landing that it has not followed.
        why: Why it has not followed; empty where its process was killed before it had.
        kept: Files with an edit that was made before the landing.
        since: The time since when it is known; None where it is not.
    """

    ref: str
    top: str
    old: str
    new: str
    what: str
    why: tuple[str, ...] = ()
    kept: tuple[str, ...] = ()
    since: datetime | None = None

    def __str__(self) -> str:
        """Return a sentence for people: the checkout, and why it has not followed."""
        why = "; ".join(self.why) or "the process died meanwhile"
        return (
            f"{short_name(self.ref)} moved ({self.what}), but its checkout in {self.top} did not "
            f"follow: {why}; do not commit the changes that it shows; {self.how()}"
        )

    def as_json(self) -> dict[str, object]:
        """Return the public JSON form."""
        return {
            "ref": self.ref,
            "path": self.top,
            "old": self.old,
            "new": self.new,
            "reason": str(self),
            "kept": list(self.kept),
            "next_action": {
                "code": "repair_checkout",
                "about": self.top,
                "command": "maingate checkout repair",
            },
        }

    def how(self) -> str:
        """Return the commands that end it."""
        if not self.kept:
            return f"{REPAIR} updates it"
        names = " ".join(self.kept)
        return (
            f"keep your edit with `git diff {self.old[:10]} -- {names} >edit.patch`, take what landed with "
            f"`git restore --source=HEAD --staged --worktree -- {names}`, make it again with "
            f"`git apply -3 edit.patch`, then {REPAIR}"
        )
