"""The followers of the ledger in use: a hook that the settings name no more leaves its place on record.

The place stays, so that the hook goes on without a gap if it is named again; meanwhile it is no trouble.
"""

import os
from collections.abc import Iterator, Sequence
from typing import Final

from maingate.db.ledger import follower_positions
from maingate.db.ledger.follower_positions import FollowerRow
from maingate.db.sql.connection import Connection
from maingate.monitoring import logging
from maingate.monitoring.own_events import follower_name
from maingate.monitoring.traces import hook as traces
from maingate.monitoring.traces.receiver import receiver_of
from maingate.repository_context import RepositoryContext

NOTES_HOOK: Final = "notes"
"""The name of the hook that writes notes of landings (`services.targets.landing_notes`)."""


def followers_in_use(conn: Connection, contexts: Sequence[RepositoryContext]) -> list[FollowerRow]:
    """Read every follower on record, by name, but for hooks that no settings name any more.

    Args:
        conn: A reading transaction of the record.
        contexts: The repositories of this process that share the record.
    """
    named = set(_named(contexts))
    return [row for row in follower_positions.all_of(conn) if row.name in named or not _is_hook(row.name)]


def _is_hook(name: str) -> bool:
    """Return whether a follower is a hook, of whichever repository."""
    return name.partition(" ")[0] in {logging.HOOK, traces.HOOK, NOTES_HOOK}


def _named(contexts: Sequence[RepositoryContext]) -> Iterator[str]:
    for context in contexts:
        if context.settings.log_file is not None:
            yield follower_name(context, logging.HOOK)
        if receiver_of(context.settings.otlp_endpoint, os.environ) is not None:
            yield follower_name(context, traces.HOOK)
        if context.settings.notes:
            yield follower_name(context, NOTES_HOOK)
