"""The branch that patches land on, for any process: it is read, checked, and its checkouts caught up.

The process that holds its lease moves it: `landing.intended_move`.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import timedelta

from maingate.errors import CheckoutError, RepositoryError
from maingate.git.repository import Repository
from maingate.landing.checkouts.behind import behind
from maingate.landing.checkouts.late_checkouts import FILTER_TIME, catch_up, uncommitted
from maingate.landing.checkouts.working_trees import checkouts_of, why_away
from maingate.landing.move import obstacle
from maingate.landing.move_values import Behind, Move


@dataclass(frozen=True, kw_only=True)
class LandingTarget:
    """A branch that patches land on, for any process: it can be read and checked.

    Args:
        repository: The repository that has the branch.
        ref: Full name of the branch.
        timeout: How long git and a person's filters may take for the files of one checkout.
    """

    repository: Repository
    ref: str
    timeout: timedelta = FILTER_TIME

    def require_ready(self, *, is_trial: bool = False) -> None:
        """Raise unless every checkout of the branch has followed it so far and can follow it now.

        Args:
            is_trial: Whether nothing may be written, not even what an earlier landing owes to a checkout.

        Raises:
            RepositoryError: A checkout has uncommitted changes, or cannot be seen.
            CheckoutError: A checkout has not followed an earlier landing and cannot.
            TargetBusyError: A living process is moving the branch.
        """
        left = behind(self.repository, self.ref) if is_trial else self.catch_up()
        if left:
            raise CheckoutError(str(left[0]))
        for checkout in checkouts_of(self.repository, self.ref):
            if not checkout.is_there:
                raise RepositoryError(why_away(checkout, self.ref))
            if changes := uncommitted(self.repository, self.ref, checkout):
                raise RepositoryError(
                    f"{self.ref} is checked out in {checkout.top} with uncommitted changes "
                    f"({'; '.join(changes)}); "
                    "commit or stash them first"
                )

    def obstacle(self, move: Move) -> str | None:
        """Return why a checkout could not follow a move; None when all could."""
        return obstacle(self.repository, move, timeout=self.timeout)

    def catch_up(self) -> Sequence[Behind]:
        """Update the checkouts that an earlier process has left behind; return those that still are.

        Raises:
            TargetBusyError: A living process is moving the branch.
        """
        return catch_up(self.repository, self.ref, timeout=self.timeout)

    def head(self) -> str | None:
        """Return the commit that the branch is at; None when there is no such branch."""
        return self.repository.ref_value(self.ref)
