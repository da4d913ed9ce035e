"""Turning a plan's gate and a commit into a job for the pool."""

import os
from collections.abc import Mapping, Sequence
from dataclasses import replace
from datetime import timedelta
from types import MappingProxyType

from maingate.commits import Tip
from maingate.git.filter_drivers import NONE, FilterDrivers
from maingate.git.repository import Repository
from maingate.git.submodule_update import update_command
from maingate.git.submodules import as_globs, submodule_paths
from maingate.orchestrator.core.effect_inputs import TaskInput
from maingate.plan.choices import SubmoduleDepth
from maingate.plan.definitions import GateDefinition, ToolDefinition
from maingate.plan.model import Plan
from maingate.settings import Settings
from maingate.tools.secrets import values_of
from maingate.trace_ids import TRACEPARENT, RunTrace
from maingate.uet.capture import Capture
from maingate.uet.process.command import CommandLine, CommandSpec
from maingate.uet.process.resource_limits import ProcessLimits
from maingate.verdicts.keys import VerdictKeys
from maingate.workers.jobs import Job


class JobMaker:
    """Makes the jobs of one plan.

    Args:
        plan: The plan with the gates and tools.
        settings: Limits, timeouts and bounds where the plan names none.
        repository: The repository with the trees.
        environment: The environment of gates.
        environ: Where the secrets are that only the tools which name them may see.
        versions: The words of the programs that a gate declares the versions of, by its name.
        trace: The trace that gates, commands and tools are told of; None when none is exported.
        drivers: The filters that trees are written by.
        remotes: The blob of the tags and remotes that jobs see; empty for none.
    """

    def __init__(
        self,
        plan: Plan,
        settings: Settings,
        repository: Repository,
        environment: Mapping[str, str],
        *,
        environ: Mapping[str, str] = os.environ,
        versions: Mapping[str, Sequence[str]] = MappingProxyType({}),
        trace: RunTrace | None = None,
        drivers: FilterDrivers = NONE,
        remotes: str = "",
    ) -> None:
        self._trace = trace
        self._environ = environ
        self._plan, self._settings, self._repository = plan, settings, repository
        limits = settings.limits
        self._limits = ProcessLimits(
            cpu_seconds=round(limits.cpu.total_seconds()) if limits.cpu else None,
            memory_bytes=limits.memory,
            processes=limits.processes,
            file_bytes=limits.file_size,
        )
        self._specs = {name: self._spec(name, gate) for name, gate in plan.gates.items()}
        self.keys = VerdictKeys(
            repository=repository,
            plan=plan,
            specs=self._specs,
            environment=environment,
            confirm=settings.confirm_failures,
            versions=versions,
            drivers=drivers,
            remotes=remotes,
        )

    def make(self, gate: str, tip: Tip, job_id: str, attempt: int, log: str, *, urgent: bool) -> Job:
        """Make the job of running a gate on a commit."""
        is_exclusive = self._plan.gates[gate].exclusive
        spec = self._traced(self._specs[gate], job_id.rpartition(".")[0])
        return self._job(
            job_id, spec, tip, attempt=attempt, log=log, priority=int(urgent), exclusive=is_exclusive
        )

    def command(self, task: TaskInput, attempt: int, tip: Tip) -> Job:
        """Make the job of running a task's command on a commit.

        Raises:
            ValueError: The task has none.
        """
        command = task.plan.command
        if command is None:
            raise ValueError(f"{task.label} has no command")
        timeout = task.plan.timeout or self._settings.command_timeout
        job = self._plain(f"{task.id}.{attempt}", task.label, command, tip, timeout=timeout, attempt=attempt)
        return replace(job, command=self._traced(job.command, task.id, "attempt", str(attempt)))

    def compensation(
        self,
        job_id: str,
        label: str,
        command: str | Sequence[str],
        tip: Tip,
        *,
        env: Mapping[str, str],
    ) -> Job:
        """Make the job of running a command of a workstream's `on_rollback` on a commit."""
        return self._plain(job_id, label, command, tip, timeout=self._settings.command_timeout, env=env)

    def _plain(
        self,
        job_id: str,
        label: str,
        command: str | Sequence[str],
        tip: Tip,
        *,
        timeout: timedelta,
        attempt: int = 1,
        env: Mapping[str, str] | None = None,
    ) -> Job:
        """Make the job of a command that gives neither a verdict nor a patch."""
        spec = self._spec_of(label, command, timeout, env=env or {})
        return self._job(job_id, spec, tip, attempt=attempt)

    def tool_of(self, task: TaskInput) -> ToolDefinition:
        """Return the tool of a task that has one."""
        return self._plan.tools[str(task.plan.tool)]

    def fault_of(self, task: TaskInput, prompt: str) -> str:
        """Return why a task's tool cannot be started with a prompt; empty when it can."""
        from maingate.tools.adapters import command_of  # noqa: PLC0415 - few plans have tools

        tool = self.tool_of(task)
        for secret in tool.secrets:
            if (receiver := self._settings.receiver_of_secret(secret)) is not None:  # since the plan's check
                return f"{secret} is the secret of the webhook {receiver} by now, which no tool may see"
        return command_of(tool, prompt=prompt).problem

    def tool(self, task: TaskInput, attempt: int, tip: Tip, *, prompt: str, budget_usd: float | None) -> Job:
        """Make the job of having a task's tool make a patch on a commit."""
        from maingate.tools.adapters import command_of  # noqa: PLC0415

        tool, settings = self.tool_of(task), self._settings
        command = command_of(tool, prompt=prompt, budget_usd=budget_usd)
        limits, own = tool.limits, self._limits
        spec = self._spec_of(
            task.label,
            command.run,
            task.plan.timeout or tool.timeout or settings.command_timeout,
            idle_timeout=tool.idle_timeout,
            expect=tool.expect,
            env={**command.env, "MAINGATE_ATTEMPT": str(attempt)},
            secret_env=values_of(tool, self._environ),
            limits=ProcessLimits(
                cpu_seconds=round(limits.cpu.total_seconds()) if limits.cpu else own.cpu_seconds,
                memory_bytes=limits.memory or own.memory_bytes,
                processes=limits.processes or own.processes,
                file_bytes=limits.file_size or own.file_bytes,
            ),
        )
        job_id = f"{task.id}.{attempt}"
        capture = Capture(
            mode=str(command.capture),
            prompt=prompt,
            stdin=command.stdin,
            max_bytes=settings.max_patch_bytes,
            task=task.label,
            exclude=command.exclude,
        )
        spec = self._traced(spec, task.id, "attempt", str(attempt))
        return self._job(job_id, spec, tip, attempt=attempt, capture=capture, requires=tool.capabilities)

    def _traced(self, spec: CommandSpec, entity_id: str, *part: str) -> CommandSpec:
        """Return a command that is told its span; not the command of which keys of verdicts are made."""
        if self._trace is None or TRACEPARENT in spec.env:
            return spec
        return replace(spec, env={**spec.env, TRACEPARENT: self._trace.parent(entity_id, *part)})

    def _job(
        self,
        job_id: str,
        spec: CommandSpec,
        tip: Tip,
        *,
        attempt: int,
        log: str = "",
        priority: int = 0,
        exclusive: bool = False,
        capture: Capture | None = None,
        requires: tuple[str, ...] = (),
    ) -> Job:
        prepare, keep = self._preparation(tip.tree)
        return Job(
            job_id=job_id,
            commit=tip.commit,
            command=spec,
            log=log or f"{job_id}.log",
            attempt=attempt,
            priority=priority,
            exclusive=exclusive,
            keep=keep,
            keep_shared=self._plan.keep.shared,
            prepare=prepare,
            prepare_digest=self.keys.prepare_digest(tip.tree),
            prepare_timeout=(self._plan.prepare_timeout or self._settings.prepare_timeout).total_seconds(),
            capture=capture,
            requires=requires,
        )

    def _preparation(self, tree: str) -> tuple[tuple[CommandLine, ...], tuple[str, ...]]:
        """Return the commands that prepare a tree, and the paths that are kept.

        Submodules are checked out first. They are kept, unless the plan wants to prepare every job anew.
        """
        prepare, keep, depth = self._plan.prepare, self._plan.keep.paths, self._plan.submodules
        paths = () if depth is SubmoduleDepth.NONE else submodule_paths(self._repository, tree)
        if not paths:
            return prepare, keep
        is_anew = bool(prepare) and not keep
        return (update_command(depth), *prepare), keep if is_anew else (*keep, *as_globs(paths))

    def _spec(self, name: str, gate: GateDefinition) -> CommandSpec:
        settings = self._settings
        return self._spec_of(
            name,
            gate.run,
            gate.timeout or settings.gate_timeout,
            idle_timeout=gate.idle_timeout or settings.gate_idle_timeout,
            expect=gate.expect,
            env=gate.env,
        )

    def _spec_of(
        self,
        name: str,
        command: str | Sequence[str],
        timeout: timedelta,
        *,
        env: Mapping[str, str],
        idle_timeout: timedelta | None = None,
        expect: tuple[int, ...] = (0,),
        secret_env: Mapping[str, str] = MappingProxyType({}),
        limits: ProcessLimits | None = None,
    ) -> CommandSpec:
        settings = self._settings
        return CommandSpec(
            name=name,
            run=_words(command),
            timeout=timeout.total_seconds(),
            idle_timeout=idle_timeout.total_seconds() if idle_timeout else None,
            expect=expect,
            env=env,
            secret_env=dict(secret_env),
            grace=settings.kill_grace.total_seconds(),
            limits=limits or self._limits,
            log_head=settings.log_head_bytes,
            log_tail=settings.log_tail_bytes,
        )


def _words(command: str | Sequence[str]) -> str | tuple[str, ...]:
    return command if isinstance(command, str) else tuple(os.fspath(word) for word in command)
