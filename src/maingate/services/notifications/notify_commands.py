"""The plan's `notify` commands, which tell other programs of a rollback, or of a run that ended.

Each has a timeout, and nothing that it starts outlives it.
"""

import contextlib
import signal
import threading
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from maingate.git.private_git import own_directory
from maingate.system.process_tree import adopt_orphans
from maingate.uet.process.command import CommandSpec
from maingate.uet.process.command_run import run_command

TIMEOUT: Final = 30.0
"""Seconds that a command may take."""


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
