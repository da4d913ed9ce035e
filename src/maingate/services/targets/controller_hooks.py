"""The followers of the ledger that a process runs while it controls a target, or serves a repository."""

import os
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING

from maingate.db.dao import runs
from maingate.db.dao.history import events
from maingate.errors import UsageError
from maingate.ids import RunId
from maingate.monitoring.alert_follower import AlertFollower
from maingate.monitoring.hooks import Hooks
from maingate.monitoring.ledger_followers import (
    Hook,
    HookFollower,
    LedgerFollower,
    RollupFollower,
    process_holder,
)
from maingate.monitoring.own_events import OwnEvents, follower_name
from maingate.monitoring.traces.receiver import TraceReceiver, receiver_of
from maingate.plan.model import Plan
from maingate.repository_context import RepositoryContext
from maingate.services.handover.server_hold import living_server
from maingate.settings import Settings
from maingate.tools.secrets import values_of

if TYPE_CHECKING:
    from maingate.monitoring.logging import LogFormat
    from maingate.services.webhooks.follower import WebhookFollower


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
    followers = _of_each_process(context, settings)
    if (path := settings.log_file) is not None:
        followers.append(_log(context, path, settings.log_format, run_id))
    if (receiver := traces_of(settings)) is not None:
        followers.append(_traces(context, receiver, run_id, warn))
    if settings.notes:
        followers.append(_notes(context, run_id))
    if settings.webhooks and not _is_served(context):
        followers += webhook_followers(context, settings, warn, run_id=run_id)
    return Hooks(followers, warn=warn)


def server_hooks(context: RepositoryContext, warn: Callable[[str], None]) -> Hooks:
    """Return the hooks of a server at a repository; nothing is started.

    Args:
        context: The repository and its record.
        warn: Shows a warning; called from any thread.
    """
    followers = _of_each_process(context, context.settings)
    if context.settings.webhooks:
        followers += webhook_followers(context, context.settings, warn)
    return Hooks(followers, warn=warn)


def _of_each_process(context: RepositoryContext, settings: Settings) -> list[LedgerFollower]:
    """Return the followers that runs and servers have: a server rolls up what is left when a run ends."""
    return [
        RollupFollower(context.database, context.clock, settings.rollup_retention),
        AlertFollower(context),
    ]


def webhook_followers(
    context: RepositoryContext,
    settings: Settings,
    warn: Callable[[str], None],
    *,
    run_id: RunId | None = None,
) -> "list[WebhookFollower]":
    """Return a follower for each receiver of webhooks; events wait for one that cannot be used.

    Args:
        context: The repository and its record.
        settings: The settings, which name the receivers.
        warn: Shows the fault of a receiver that cannot be used.
        run_id: The run with which a receiver begins that was never on record; None begins with what comes.
    """
    from maingate.monitoring.webhook_receiver import Receiver  # noqa: PLC0415 - as above
    from maingate.services.webhooks.follower import WebhookFollower  # noqa: PLC0415 - loaded where it is used

    since, holder = None, process_holder()
    if run_id is not None:
        with context.database.read() as conn:
            since = events.first_of_run(conn, run_id) - 1
    followers = []
    for name, each in settings.webhooks.items():
        try:
            receiver = Receiver.of(name, each, context.clock)
        except UsageError as error:
            warn(f"{error}; the events for it wait")
        else:
            followers.append(WebhookFollower(receiver, context=context, holder=holder, since=since))
    return followers


def _is_served(context: RepositoryContext) -> bool:
    """Return whether a living server delivers: its process has the time, and that of a run has not."""
    with context.database.read() as conn:
        return living_server(conn, context) is not None


def traces_of(settings: Settings) -> TraceReceiver | None:
    """Return the receiver of traces, by the settings and the variables of OpenTelemetry; None without one."""
    return receiver_of(settings.otlp_endpoint, os.environ)


def _log(context: RepositoryContext, path: Path, style: "LogFormat", run_id: RunId) -> HookFollower:
    from maingate.monitoring.logging import LogHook  # noqa: PLC0415 - structlog is loaded where a log is written

    return _follower(context, run_id, LogHook(path, style=style, secrets=_secrets(context, run_id)))


def _traces(
    context: RepositoryContext, receiver: TraceReceiver, run_id: RunId, warn: Callable[[str], None]
) -> HookFollower:
    from maingate.monitoring.traces.hook import TraceHook  # noqa: PLC0415 - few processes export traces

    hook = TraceHook(receiver, context.database, warn=warn, secrets=_secrets(context, run_id))
    return _follower(context, run_id, hook)


def _notes(context: RepositoryContext, run_id: RunId) -> HookFollower:
    from maingate.services.targets.landing_notes import NotesHook  # noqa: PLC0415 - few repositories have notes

    return _follower(context, run_id, NotesHook(context))


def _secrets(context: RepositoryContext, run_id: RunId) -> list[str]:
    """Return the values of the secrets of a run's tools."""
    with context.database.read() as conn:
        plan = Plan.from_json(runs.get(conn, run_id).plan)
    return [value for tool in plan.tools.values() for value in values_of(tool, os.environ).values()]


def _follower(context: RepositoryContext, run_id: RunId, hook: Hook) -> HookFollower:
    """Return the follower of a hook, which begins with a run if it was never on record."""
    with context.database.read() as conn:
        since = events.first_of_run(conn, run_id) - 1
    return HookFollower(
        hook,
        database=context.database,
        clock=context.clock,
        holder=process_holder(),
        since=since,
        name=follower_name(context, hook.name),
        choose=OwnEvents(context).of,
    )
