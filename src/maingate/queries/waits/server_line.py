"""The line of the runs that a server is to give processes, as many on one target as its settings permit."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from maingate.db.dao import runs
from maingate.db.dao.history import stops
from maingate.db.dao.runs import RunRow
from maingate.db.sql.connection import Connection
from maingate.git.targets import short_name
from maingate.landing.lease import other_work_on, server_of
from maingate.repository_context import RepositoryContext
from maingate.state.run import RUN
from maingate.wording import listed, short


@dataclass(frozen=True, kw_only=True)
class NamedRun:
    """A run by its name."""

    id: str
    name: str

    def __str__(self) -> str:
        """Return it for people."""
        return f"run {short(self.name)} ({self.id})"


@dataclass(frozen=True, kw_only=True)
class ServerLine:
    """The place of a run in the line of its server.

    Args:
        branch: The short name of its target.
        place: Its place among the runs that wait for a turn, from 1; 0 if its turn has come.
        limit: How many runs on one target may have processes at once.
        ahead: The runs on the target that have a process, or are about to.
        other_work: The other work that holds the target, such as a rollback, which runs wait for; else None.
    """

    branch: str
    place: int = 0
    limit: int = 1
    ahead: Sequence[NamedRun] = ()
    other_work: str | None = None

    @property
    def is_blocked(self) -> bool:
        """Return whether it is not its turn yet."""
        return self.place > 0 or self.other_work is not None

    @property
    def waits_for(self) -> str:
        """The thing that the run waits for, to follow "waits for"."""
        if self.other_work is not None:
            return f"its turn on {short(self.branch)}, where {self.other_work} is at work"
        if not self.place:
            return "the server to take the run up"
        names = listed([each.name for each in self.ahead])
        has = "has its own" if len(self.ahead) == 1 else "have theirs"
        return (
            f"its turn on {short(self.branch)}, at place {self.place} of the line: {names} {has}, "
            f"and `runs_per_target` permits {self.limit} at once"
        )

    @property
    def until(self) -> str:
        """The event that ends the wait."""
        if self.other_work is not None:
            return "that has ended"
        if not self.place:
            return "the server has started its process"
        return "one of these runs ends" if self.place == 1 else "the runs ahead of it have had their turn"

    @property
    def kind(self) -> str:
        """The thing that it waits for, the same for all in the line."""
        return f"their turn on {short(self.branch)}" if self.is_blocked else self.waits_for

    @property
    def about(self) -> dict[str, Any]:
        """The particulars for programs."""
        return {
            "place": self.place,
            "limit": self.limit,
            "runs": [each.id for each in self.ahead],
        }


def is_served(context: RepositoryContext, conn: Connection, run: RunRow) -> bool:
    """Return whether a living server is to give a run a process: not one that stopped until it is resumed."""
    if RUN.is_terminal(run.state) or not context.is_own(run):
        return False
    is_there = server_of(conn, context.identity.id, context.clock.now()) is not None
    return is_there and stops.newest(conn, run.id) is None


def server_line(context: RepositoryContext, conn: Connection, run: RunRow) -> ServerLine | None:
    """Return the place of a run in the line of its server; None for one that no living server takes up.

    Args:
        context: The repository and its record.
        conn: A reading connection; one consistent moment.
        run: The run.
    """
    if not is_served(context, conn, run) or context.is_at_work(conn, run):
        return None
    on_target = [each for each in runs.unfinished(conn) if each.target_ref == run.target_ref]
    return server_lines(context, conn, on_target).get(run.id)


def server_lines(
    context: RepositoryContext, conn: Connection, on_target: Sequence[RunRow]
) -> dict[str, ServerLine]:
    """Return the places of runs in the line of their server, by the ids of those that have one.

    Args:
        context: The repository and its record.
        conn: A reading connection; one consistent moment.
        on_target: All runs on one target that have not ended, oldest first.
    """
    own = [run for run in on_target if context.is_own(run)]
    now = context.clock.now()
    if not own or server_of(conn, context.identity.id, now) is None:
        return {}
    at_work = [run for run in own if context.is_at_work(conn, run)]
    waiting = [run for run in own if run not in at_work and stops.newest(conn, run.id) is None]
    limit, lease = context.settings.server.runs_per_target, other_work_on(conn, own[0], now)
    free = max(0, limit - len(at_work))
    ahead = [NamedRun(id=each.id, name=each.name) for each in (*at_work, *waiting[:free])]
    return {
        run.id: ServerLine(
            branch=short_name(run.target_ref),
            place=max(0, place - free),
            limit=limit,
            ahead=ahead,
            other_work=None if lease is None else str(lease.holder),
        )
        for place, run in enumerate(waiting, 1)
    }
