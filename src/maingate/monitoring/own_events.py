"""The events of one repository among those of a record that several may share."""

from collections.abc import Sequence
from typing import Final

from maingate.db.dao import runs
from maingate.db.sql.connection import Connection
from maingate.events import Event
from maingate.repository_context import RepositoryContext

_MOST_KNOWN: Final = 10_000
"""Runs whose repository is remembered."""


def follower_name(context: RepositoryContext, hook: str) -> str:
    """Return the name of a hook's position: repositories that share a record have one each."""
    return f"{hook} {context.identity.id}" if context.is_shared else hook


class OwnEvents:
    """Chooses the events of a repository's own runs, and those of no run.

    Args:
        context: The repository and its record.
    """

    def __init__(self, context: RepositoryContext) -> None:
        self._context = context
        self._known: dict[str, bool] = {}

    def of(self, conn: Connection, found: Sequence[Event]) -> Sequence[Event]:
        """Return those of some events that are the repository's."""
        if not self._context.is_shared:
            return found
        return [event for event in found if event.run_id is None or self._is_own(conn, event.run_id)]

    def _is_own(self, conn: Connection, run_id: str) -> bool:
        if run_id not in self._known:
            if len(self._known) >= _MOST_KNOWN:
                self._known.clear()
            self._known[run_id] = self._context.is_own(runs.get(conn, run_id))
        return self._known[run_id]
