"""A program that lands one commit: ``REPOSITORY OLD NEW``, for tests that kill it."""

import sys
from pathlib import Path

from maingate.faultpoints import reach
from maingate.git.repository import Repository
from maingate.landing.move import land
from maingate.landing.move_values import Move


def main() -> None:
    """Land it; exit 1 when a checkout did not follow."""
    _, folder, old, new = sys.argv
    with Repository.open(Path(folder)) as repository:
        behind = land(
            repository,
            Move(ref="refs/heads/main", old=old, new=new, what="w"),
            before=lambda: reach("landing.before-ref"),
            after=lambda: reach("landing.after-ref"),
        )
    sys.exit(0 if behind == () else 1)
