"""The followers of the ledger that a process runs while it controls a target."""

import os
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING

from maingate.db.dao import runs
from maingate.db.dao.history import events
from maingate.ids import RunId, new_id
from maingate.monitoring.alert_follower import AlertFollower
from maingate.monitoring.hooks import Hooks
from maingate.monitoring.ledger_followers import HookFollower, LedgerFollower, RollupFollower
from maingate.plan.model import Plan
from maingate.repository_context import RepositoryContext
from maingate.settings import Settings
from maingate.tools.secrets import values_of

if TYPE_CHECKING:
    from maingate.monitoring.logging import LogFormat


def hooks_of(
    context: RepositoryContext, settings: Settings, run_id: RunId, warn: Callable[[str], None]
) -> Hooks:
    """Return the hooks of a process that controls a run; nothing is started.

    Args:
        context: The repository and its record.
        settings: The settings of the run.
        run_id: The run; a hook that was never on record begins with it.
        warn: Records and shows a warning; called from any thread.
    """
    followers: list[LedgerFollower] = [
        RollupFollower(context.database, context.clock, settings.rollup_retention),
        AlertFollower(context),
    ]
    if (path := settings.log_file) is not None:
        followers.append(_log(context, path, settings.log_format, run_id))
    return Hooks(followers, warn=warn)


def _log(context: RepositoryContext, path: Path, style: "LogFormat", run_id: RunId) -> HookFollower:
    from maingate.monitoring.logging import LogHook  # noqa: PLC0415 - structlog is loaded where a log is written

    with context.database.read() as conn:
        plan = Plan.from_json(runs.get(conn, run_id).plan)
        since = events.first_of_run(conn, run_id) - 1
    secrets = [value for tool in plan.tools.values() for value in values_of(tool, os.environ).values()]
    hook = LogHook(path, style=style, secrets=secrets)
    return HookFollower(
        hook, database=context.database, clock=context.clock, holder=new_id("run"), since=since
    )
