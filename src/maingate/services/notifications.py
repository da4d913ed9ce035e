"""Notifications: the plan's `notify` commands tell other programs of a rollback, or of a run that ended.

They run at the very end, in the repository's root, and their failure changes nothing else. Each has a
timeout, and nothing that it starts outlives it.
"""

import contextlib
import os
import signal
import threading
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from maingate.db.connection import Connection
from maingate.db.dao import breakers, events, patches, runs, tasks, workstreams
from maingate.db.dao.runs import RunRow
from maingate.db.new_event import new_event
from maingate.errors import DatabaseError, OutsideFaultError
from maingate.events import EventType, Severity
from maingate.git.private_git import own_directory
from maingate.ids import RunId
from maingate.plan.model import Plan
from maingate.repository_context import RepositoryContext
from maingate.state.patch_ledger import PatchState
from maingate.state.run import RunState
from maingate.system.process_tree import adopt_orphans
from maingate.uet.process.attend import run_command
from maingate.uet.process.command import CommandSpec
from maingate.uet.process.environment import allowed_environment
from maingate.wording import listed

TIMEOUT: Final = 30.0
"""Seconds that a command may take."""

_OPENED: Final = frozenset({"failure_threshold_reached", "probe_failed"})
"""The triggers by which a breaker opens by itself."""
_ENDED: Final = frozenset({RunState.SUCCEEDED, RunState.FAILED, RunState.CANCELED})
_SHOWN: Final = 5


@dataclass(frozen=True, kw_only=True)
class Message:
    """A message to the `notify` commands.

    Args:
        event: ``run_ended`` or ``rollback``.
        run_id: The run.
        state: How it ended: the run's state, or ``rolled_back`` or ``refused``.
        message: A sentence for people.
    """

    event: str
    run_id: str
    state: str
    message: str

    @property
    def environment(self) -> dict[str, str]:
        """The variables that the commands see."""
        return {
            "MAINGATE_EVENT": self.event,
            "MAINGATE_RUN": self.run_id,
            "MAINGATE_STATE": self.state,
            "MAINGATE_MESSAGE": self.message.replace("\0", ""),
        }


class Notifier:
    """Runs the `notify` commands of plans; failures are recorded as warnings, and returned.

    Args:
        context: The repository and its record.
    """

    def __init__(self, context: RepositoryContext) -> None:
        self._context = context

    def of_end(self, run_id: RunId) -> list[str]:
        """Notify of a run that ended in trouble; return what failed with that, a sentence each."""
        try:
            with self._context.database.read() as conn:
                run = runs.get(conn, run_id)
                message = trouble(conn, run_id) if run.plan.get("notify") else None
        except DatabaseError as error:
            return [f"whether to run the notify commands could not be read: {error}"]
        return [] if message is None else self.notify(run, message)

    def notify(self, run: RunRow, message: Message) -> list[str]:
        """Run a plan's commands; return what failed, a sentence each."""
        commands = Plan.from_json(run.plan).notify
        if not commands:
            return []
        root, settings = self._context.repository.root, self._context.settings
        environment = allowed_environment(os.environ, settings.env_allow)
        try:
            said = notify(commands, message, root=root, environment=environment)
            warnings = [f"{each}; nothing else is affected" for each in said]
            with self._context.database.write() as conn:
                for text in warnings:
                    at = self._context.clock.now()
                    warning = new_event(
                        EventType.WARNING, run.head, at, severity=Severity.WARNING, reason=text
                    )
                    events.record(conn, warning)
        except (OSError, OutsideFaultError) as error:
            warnings = [f"the notify commands could not be run or recorded: {error}"]
        return warnings


def notify(
    commands: Sequence[str | tuple[str, ...]],
    message: Message,
    *,
    root: Path,
    environment: Mapping[str, str],
    timeout: float = TIMEOUT,
) -> list[str]:
    """Run commands one after the other.

    Args:
        commands: The commands.
        message: The message.
        root: The folder in which they run.
        environment: The rest of their environment.
        timeout: Seconds that each may take.

    Returns:
        The failures, a sentence each. An interrupt ends the running command and skips the others.
    """
    failures = []
    with (
        own_directory() as folder,
        _adopting(),
        _interruptible() as person,
    ):
        for number, command in enumerate(commands, start=1):
            name = f"notify {number}"
            spec = CommandSpec(name=name, run=command, timeout=timeout, env=message.environment)
            log = folder / "log"
            outcome = run_command(spec, cwd=root, log_path=log, environment=environment, watch=person)
            if person.should_stop():
                failures.append(f"{name} was interrupted")
                break
            if not outcome.passed:
                lines = [line for line in outcome.excerpt.splitlines() if line.strip()]
                failures.append(": ".join([outcome.message, *(line.strip() for line in lines[-1:])]))
    return failures


class _Person:
    """Watches a command for an interrupt, which may come at any moment."""

    interval = 0.1

    def __init__(self) -> None:
        self._is_interrupted = False

    def interrupt(self, *_: object) -> None:
        """Note the interrupt."""
        self._is_interrupted = True

    def filenos(self) -> Sequence[int]:
        """Return nothing: an interrupt is not read from a file."""
        return ()

    def should_stop(self) -> bool:
        """Return whether an interrupt came."""
        return self._is_interrupted


@contextlib.contextmanager
def _interruptible() -> Iterator[_Person]:
    """Make Ctrl-C end the running command in an orderly way, instead of breaking off its start or end."""
    person = _Person()
    if threading.current_thread() is not threading.main_thread():
        yield person
        return
    before = signal.signal(signal.SIGINT, person.interrupt)
    try:
        yield person
    finally:
        signal.signal(signal.SIGINT, before)


@contextlib.contextmanager
def _adopting() -> Iterator[None]:
    """Become the parent of processes that the commands leave behind, so that they are found and ended."""
    adopt_orphans()
    try:
        yield
    finally:
        adopt_orphans(on=False)


def trouble(conn: Connection, run_id: str) -> Message | None:
    """Return the message about a run that ended in trouble; None for any other run."""
    run = runs.get(conn, run_id)
    if run.state not in _ENDED:
        return None
    refused = [row for row in patches.of_run(conn, run_id) if row.state is PatchState.QUARANTINED]
    opened = _opened(conn, run)
    if run.state is not RunState.FAILED and not refused and not opened:
        return None
    owners = tasks.get_many(conn, [row.task_id for row in refused])
    streams = workstreams.get_many(conn, [row.workstream_id for row in refused])
    names = [f"{streams[row.workstream_id].name}/{owners[row.task_id].name}" for row in refused]
    said = [f"run {run.name} {run.state}"]
    said += [f"in quarantine: {listed(names, _SHOWN)}"] if names else []
    said += [f"tools paused (circuit breaker open): {listed(opened, _SHOWN)}"] if opened else []
    return Message(event="run_ended", run_id=run_id, state=str(run.state), message="; ".join(said))


def _opened(conn: Connection, run: RunRow) -> list[str]:
    """Name the plan's tools whose breakers opened by themselves since the run began."""
    known = {row.id: row.tool for row in breakers.all_of(conn)}
    moved = events.query(conn, type="circuit_breaker_state_transition", since=run.created_at)
    by_itself = {event.entity_id for event in moved if event.trigger in _OPENED}
    tools = Plan.from_json(run.plan).tools
    return sorted(known[each] for each in by_itself if each in known and known[each] in tools)
