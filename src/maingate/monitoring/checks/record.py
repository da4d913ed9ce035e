"""The checks of the record: the database and the position of its audit."""

import os
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

from maingate.db import migrations
from maingate.db.audit.tail_check import check_tail
from maingate.db.engine import Database, file_of
from maingate.db.ledger import running_head
from maingate.db.rollups import store
from maingate.db.server_state import why_read_only
from maingate.db.sql.connection import Connection
from maingate.db.transition_log import written_up_to
from maingate.errors import MaingateError
from maingate.monitoring.checks.disk import trouble_of_room
from maingate.monitoring.finding import CheckFinding, HealthState, Trouble, command_in
from maingate.monitoring.followers_in_use import followers_in_use
from maingate.repository_context import RepositoryContext
from maingate.system.disk import room_of

if TYPE_CHECKING:
    from maingate.db.ledger.running_head import Position

LAG_ROWS: Final = 10_000
"""Rows that ``transitions.jsonl`` may lack while work goes on: it is written after the commits."""


def check_database(context: RepositoryContext) -> CheckFinding:
    """Check that the database is reachable, migrated and writable, and that its disk has room.

    Neither does this write, nor does it wait for a writer.
    """
    database = context.database
    doctor = command_in(context.repository.root, "doctor")
    try:
        database.check()
        revision = database.revision()
        with database.read() as conn:
            read_only = why_read_only(conn)
    except MaingateError as error:
        return CheckFinding.failed(str(error), doctor)
    troubles = [*_of_revision(context, revision), *_of_writing(database, read_only, doctor)]
    detail: dict[str, Any] = {"dialect": database.dialect, "address": database.url, "schema": revision}
    summary = f"reachable, schema {revision}, writable"
    if (file := file_of(database.url)) is not None:
        room = room_of(file)
        troubles += trouble_of_room(room, doctor)
        detail["bytes_left"] = room.bytes_left
    return CheckFinding(summary=summary, troubles=troubles, detail=detail)


def _of_revision(context: RepositoryContext, revision: str | None) -> list[Trouble]:
    if revision == migrations.HEAD:
        return []
    command = None if migrations.is_newer(revision) else command_in(context.repository.root, "runs")
    remedy = "it is migrated when a command opens it" if command else "a newer Maingate wrote it; use that"
    reason = f"the schema of the database is {revision}, this program wants {migrations.HEAD}: {remedy}"
    return [Trouble(state=HealthState.FAILED, reason=reason, command=command)]


def _of_writing(database: Database, read_only: str | None, doctor: str) -> list[Trouble]:
    file = file_of(database.url)
    if read_only is None and file is not None:
        read_only = _why_file_is_read_only(file)
    if read_only is None:
        return []
    return [Trouble(state=HealthState.FAILED, reason=f"nothing can be written: {read_only}", command=doctor)]


def _why_file_is_read_only(file: Path) -> str | None:
    for path in (file, file.parent):
        if not os.access(path, os.W_OK):
            return f"{path} is not writable for this user; `chmod u+w {path}` as its owner"
    return None


def check_followers(context: RepositoryContext) -> CheckFinding:
    """Check that no follower of the ledger in use fails, and that the roll-ups are not far behind."""
    with context.database.read() as conn:
        end, found = running_head.position(conn).seq, followers_in_use(conn, [context])
    behind = {each.name: end - each.seq for each in found}
    failing = [each for each in found if each.failures]
    command = command_in(context.repository.root, "events", "--type", "warning")
    troubles = [
        Trouble(
            reason=f"{each.name} fails, {each.failures} in a row, and is tried again: {each.failure}",
            command=command,
        )
        for each in failing
    ]
    if behind.get(store.FOLLOWER, 0) > store.LONG_TAIL and not failing:
        reason = f"the counts for metrics and reports lack the last {behind[store.FOLLOWER]} rows"
        troubles.append(Trouble(reason=reason, command=command_in(context.repository.root, "doctor")))
    lag = max(behind.values(), default=0)
    return CheckFinding(
        summary=f"followers of the ledger: {len(found)}, at most {lag} rows behind",
        troubles=troubles,
        detail={each.name: {"behind": behind[each.name], "failures": each.failures} for each in found},
    )


class AuditPosition:
    """Checks what was added to the ledger since it last looked, at a cost that follows that.

    Args:
        context: The repository and its record.
    """

    def __init__(self, context: RepositoryContext) -> None:
        self._context = context
        self._verified: Position | None = None

    def __call__(self) -> CheckFinding:
        """Check the rows that were added, and how far the file of transitions has got."""
        with self._context.database.read() as conn:
            return self._check(conn)

    def _check(self, conn: Connection) -> CheckFinding:
        done = check_tail(conn, self._verified)
        verify = command_in(self._context.repository.root, "audit", "verify")
        if done.problem is not None or done.verified is None:
            return CheckFinding.failed(
                f"the record was changed other than by Maingate: {done.problem}", verify
            )
        self._verified = done.verified
        written = written_up_to(self._context.paths.transitions)
        detail = {
            "verified_up_to": done.verified.seq,
            "rows": done.end.seq,
            "in_file": written,
        }
        summary = f"verified up to row {done.verified.seq} of {done.end.seq}; all of it: `{verify}`"
        lag = done.end.seq - written
        troubles = [] if lag <= LAG_ROWS else [_of_lag(lag, verify)]
        return CheckFinding(summary=summary, troubles=troubles, detail=detail)


def _of_lag(lag: int, verify: str) -> Trouble:
    reason = f"transitions.jsonl lacks the last {lag} rows; the next run or resume writes them"
    return Trouble(reason=reason, command=verify)
