"""The notifier: it tells the `notify` commands of a plan what the ledger has for them, at least once.

It follows the ledger as hooks do, with a position on record, but in the main thread and between two pieces
of work: a command may take longer than a hook, and a person may interrupt it. The position moves on after
the commands of a message have ended, so the next process delivers the messages of one that was killed.
"""

import fcntl
import os
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from types import MappingProxyType
from typing import Final

from maingate.db.dao.history import events
from maingate.db.ledger import follower_positions, running_head
from maingate.db.ledger.new_event import new_event
from maingate.errors import DatabaseError, OutsideFaultError
from maingate.events import EventType, Severity
from maingate.faultpoints import reach
from maingate.repository_context import RepositoryContext
from maingate.services.notifications.notify_commands import Message, notify
from maingate.services.notifications.owed_messages import Commands, OwedMessage, owed_messages
from maingate.uet.process.environment import allowed_environment

_NO_LABELS: Final[Mapping[str, str]] = MappingProxyType({})


class Notifier:
    """Runs the `notify` commands of plans; failures are recorded as warnings, and returned.

    Args:
        context: The repository and its record.
    """

    def __init__(self, context: RepositoryContext) -> None:
        self._context = context
        self._follower = f"notify {context.identity.id}"

    def deliver(self, labels: Mapping[str, str] = _NO_LABELS) -> list[str]:
        """Deliver all messages that are owed, also those of killed processes.

        A repository that is not on record yet is owed the messages of events from now on.

        Args:
            labels: Names for people of rollbacks, by their ids.

        Returns:
            The failures, a sentence each.
        """
        warnings: list[str] = []
        try:
            while self._owed(labels):
                with _alone(self._context.paths.root / "notify.lock") as is_alone:
                    if not is_alone:  # the other process looks once more when it has delivered
                        break
                    warnings += self._deliver_all(labels)
        except DatabaseError as error:
            warnings.append(f"the messages for the notify commands could not be read or recorded: {error}")
        except (OSError, OutsideFaultError) as error:
            warnings.append(f"the notify commands could not be run: {error}")
        return warnings

    def is_owed(self) -> bool:
        """Return whether a message is owed.

        Raises:
            DatabaseError: The record cannot be read.
        """
        return any(each.message for each in self._owed(_NO_LABELS))

    def is_delivering(self) -> bool:
        """Return whether a process delivers now; it looks for more when it has delivered.

        Raises:
            OutsideFaultError: The folder of the state cannot be written.
        """
        try:
            with _alone(self._context.paths.root / "notify.lock") as is_alone:
                return not is_alone
        except OSError as error:
            raise OutsideFaultError(f"the notify commands could not be run: {error}") from error

    def _owed(self, labels: Mapping[str, str]) -> list[OwedMessage]:
        database = self._context.database
        with database.read() as conn:
            position = follower_positions.position(conn, self._follower)
            if position:
                return owed_messages(conn, self._context, after=position, labels=labels)
            end = running_head.position(conn).seq
        if not end:
            return []
        with database.write() as conn:
            follower_positions.register(conn, self._follower, end, at=self._context.clock.now())
        return []

    def _deliver_all(self, labels: Mapping[str, str]) -> list[str]:
        """Deliver the messages that are owed now, which another process may have done meanwhile."""
        warnings = []
        for owed in self._owed(labels):
            failures = [] if owed.message is None else self._run(owed.commands, owed.message)
            warnings += failures
            self._move_on(owed, failures)
        return warnings

    def _run(self, commands: Commands, message: Message) -> list[str]:
        """Run the commands of plans; return what failed, a sentence each."""
        reach("notify.owed")
        settings = self._context.settings
        said = notify(
            commands,
            message,
            root=self._context.repository.root,
            environment=allowed_environment(os.environ, settings.env_allow),
        )
        reach("notify.delivered")
        return [f"{each}; nothing else is affected" for each in said]

    def _move_on(self, owed: OwedMessage, failures: list[str]) -> None:
        """Record that a message is delivered, and what failed with it."""
        at = self._context.clock.now()
        with self._context.database.write() as conn:
            before = follower_positions.position(conn, self._follower)
            follower_positions.move(conn, self._follower, before, max(before, owed.seq), at=at)
            for text in failures:
                warning = new_event(
                    EventType.WARNING, owed.run.head, at, severity=Severity.WARNING, reason=text
                )
                events.record(conn, warning)


@contextmanager
def _alone(lock: Path) -> Iterator[bool]:
    """Hold a lock that the system releases with the process; False when another process has it."""
    descriptor = os.open(lock, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
    try:
        try:
            fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            yield False
        else:
            yield True
    finally:
        os.close(descriptor)
