"""Jobs for workers: a command on a commit.

Standard library and few modules of ``uet`` only: a UET worker process imports this.
"""

from collections.abc import Mapping
from dataclasses import dataclass, field

from maingate.uet.capture import CAPTURE_TIMEOUT, Capture
from maingate.uet.process.command import CommandLine, CommandSpec


@dataclass(frozen=True, kw_only=True)
class Job:
    """A command to run on one commit: a gate, a task's command, or a tool.

    Args:
        job_id: Names the job; the same job has the same id in all its attempts.
        commit: Full id of the commit to run on; the source repository has it and keeps it.
        command: The command.
        log: Id of the artifact that takes the output; an older one is replaced.
        attempt: Number of the attempt, told back with the result.
        priority: Higher ones go first; equal ones in the order of asking.
        exclusive: No other job of the pool may run meanwhile.
        requires: Capabilities that a worker must have to take it.
        affinity: The properties that a worker must be bound to, to take it.
        keep: Untracked paths at which every job finds what ``prepare`` left there.
        keep_shared: Every job finds there what the job before left instead.
        prepare: Commands to run before the job. Where something is kept, once per worktree, and again when
            ``prepare_digest`` is another; only what ``keep`` names outlasts them then.
        prepare_digest: Digest of the content of the plan's ``prepare_inputs`` at the commit.
        prepare_timeout: Seconds of wall time that each of these commands may take.
        capture: The patch to take from the tree that a tool leaves; None for another command.
    """

    job_id: str
    commit: str
    command: CommandSpec
    log: str
    attempt: int = 1
    priority: int = 0
    exclusive: bool = False
    requires: tuple[str, ...] = ()
    affinity: Mapping[str, str] = field(default_factory=dict)
    keep: tuple[str, ...] = ()
    keep_shared: bool = False
    prepare: tuple[CommandLine, ...] = ()
    prepare_digest: str = ""
    prepare_timeout: float = 1800.0
    capture: Capture | None = None

    @property
    def diff(self) -> str:
        """Id of the artifact that takes the captured patch."""
        return f"{self.job_id}.diff"

    @property
    def longest(self) -> float:
        """Seconds that its commands may take, all of them, and until they are ended when they take longer."""
        preparing = len(self.prepare) * (self.prepare_timeout + self.command.grace)
        return (
            self.command.timeout + self.command.grace + preparing + (CAPTURE_TIMEOUT if self.capture else 0)
        )
