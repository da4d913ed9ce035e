"""Turning a plan's gate and a commit into a job for the pool."""

import os
from collections.abc import Mapping
from pathlib import Path

from headgate.orchestrator.lane import Tip
from headgate.plan.model import GateDefinition, Plan
from headgate.settings import Settings
from headgate.uet.gate_runner import GateSpec, Limits
from headgate.uet.repository import Repository
from headgate.uet.verdict_keys import VerdictKeys
from headgate.workers.protocol import GateJob


class JobMaker:
    """Makes the jobs of one plan.

    Args:
        plan: Whose gates they are.
        settings: Limits, timeouts and bounds where the plan names none.
        repository: Where the trees are.
        environment: What gates get of the environment.
    """

    def __init__(
        self, plan: Plan, settings: Settings, repository: Repository, environment: Mapping[str, str]
    ) -> None:
        self._plan, self._settings = plan, settings
        limits = settings.limits
        self._limits = Limits(
            cpu_seconds=round(limits.cpu.total_seconds()) if limits.cpu else None,
            memory_bytes=limits.memory,
            processes=limits.processes,
            file_bytes=limits.file_size,
        )
        self.keys = VerdictKeys(
            repository=repository, plan=plan, environment=environment, limits=self._limits
        )
        self._specs = {name: self._spec(name, gate) for name, gate in plan.gates.items()}

    def make(self, gate: str, tip: Tip, job_id: str, attempt: int, log: Path, *, urgent: bool) -> GateJob:
        """Make the job of running a gate on a commit."""
        return GateJob(
            job_id=job_id,
            commit=tip.commit,
            gate=self._specs[gate],
            log_path=log,
            attempt=attempt,
            priority=int(urgent),
            exclusive=self._plan.gates[gate].exclusive,
            keep=self._plan.keep,
            prepare=self._plan.prepare,
            prepare_digest=self.keys.prepare_digest(tip.tree),
        )

    def _spec(self, name: str, gate: GateDefinition) -> GateSpec:
        settings = self._settings
        idle = gate.idle_timeout or settings.gate_idle_timeout
        return GateSpec(
            name=name,
            run=gate.run if isinstance(gate.run, str) else tuple(os.fspath(word) for word in gate.run),
            timeout=(gate.timeout or settings.gate_timeout).total_seconds(),
            idle_timeout=idle.total_seconds() if idle else None,
            expect=gate.expect,
            env=gate.env,
            grace=settings.kill_grace.total_seconds(),
            limits=self._limits,
            log_head=settings.log_head_bytes,
            log_tail=settings.log_tail_bytes,
        )
