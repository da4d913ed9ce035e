"""Repositories that share a record have hooks of their own."""

import copy
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

from maingate.db.dao import runs
from maingate.db.dao.history import events
from maingate.db.ledger.new_event import new_event, the_run
from maingate.events import Event, EventType
from maingate.monitoring.followers_in_use import followers_in_use
from maingate.monitoring.ledger_followers import HookFollower
from maingate.monitoring.own_events import OwnEvents, follower_name
from maingate.repository_context import RepositoryContext
from support.database_factories import make_run


class Kept:
    """A log that keeps what it is given."""

    name, batch = "log", 100

    def __init__(self) -> None:
        self.runs: list[str | None] = []

    def take(self, batch: Sequence[Event]) -> None:
        """Keep a batch."""
        self.runs += [event.run_id for event in batch]


def delivered(context: RepositoryContext) -> list[str | None]:
    """Return the runs of the events that a repository's log is given."""
    hook = Kept()
    follower = HookFollower(
        hook,
        database=context.database,
        clock=context.clock,
        holder="me",
        name=follower_name(context, hook.name),
        choose=OwnEvents(context).of,
    )
    while follower.step():
        pass
    return hook.runs


def test_each_repository_has_the_events_of_its_runs_and_those_of_none(
    context: RepositoryContext, tmp_path: Path
) -> None:
    """None is in another's log, and the place of that is no trouble here."""
    context.is_shared = True
    context.settings = context.settings.model_copy(update={"log_file": tmp_path / "log"})
    other = copy.copy(context)
    other.identity = replace(context.identity, id="repo_other")
    with context.database.write() as conn:
        rows = [make_run(repository_id=each.identity.id) for each in (context, other)]
        mine, theirs = [row.id for row in runs.insert_many(conn, rows, at=context.clock.now())]
        for subject in (the_run(mine), the_run(theirs), None):
            events.record(conn, new_event(EventType.WARNING, subject, context.clock.now()))
    assert set(delivered(context)) == {mine, None}
    assert set(delivered(other)) == {theirs, None}
    with context.database.read() as conn:
        found = {row.name for row in followers_in_use(conn, [context])}
    assert found == {f"log {context.identity.id}"}


def test_a_repository_with_a_record_of_its_own_has_all_events(context: RepositoryContext) -> None:
    """Also those of runs that came with it when it was copied."""
    with context.database.write() as conn:
        [run] = runs.insert_many(conn, [make_run(repository_id="repo_other")], at=context.clock.now())
        events.record(conn, new_event(EventType.WARNING, the_run(run.id), context.clock.now()))
    assert set(delivered(context)) == {run.id}
    assert follower_name(context, "log") == "log"
