"""Carry out a gate job in a slot: move the worktree, prepare it when that is due, run the gate, sweep.

What can go wrong with the slot is an outcome with a fault, never an exception: it says nothing about the
patch, and the next job may have better luck.
"""

import json
import os
from dataclasses import replace

from headgate.errors import WorktreeError
from headgate.uet.gate_runner import GateOutcome, GateSpec, Watch, run_gate
from headgate.uet.process_tree import SLOT_VARIABLE
from headgate.uet.worktrees import Worktree
from headgate.workers.protocol import GateJob


def execute(job: GateJob, *, worktree: Worktree, watch: Watch | None = None) -> GateOutcome:
    """Run a job to its end.

    Args:
        job: What to run, and on which commit.
        worktree: The slot to run it in. This process's environment is what its gates see.
        watch: Whom to ask whether the job is still wanted.
    """
    if watch is not None and watch.should_stop():
        return _cancelled(job)
    try:
        outcome = _execute(job, worktree, watch)
    except WorktreeError as error:
        return GateOutcome(passed=False, fault="worktree_failed", message=str(error))
    try:
        worktree.sweep()
    except WorktreeError as error:
        return replace(outcome, message="; ".join(filter(None, (outcome.message, str(error)))))
    return outcome


def _execute(job: GateJob, worktree: Worktree, watch: Watch | None) -> GateOutcome:
    worktree.move(job.commit, keep=job.keep)
    refusal = _prepare(job, worktree, watch)
    if refusal is not None:
        return refusal
    if watch is not None and watch.should_stop():
        return _cancelled(job)
    return _run(job.gate, job, worktree, watch)


def _cancelled(job: GateJob) -> GateOutcome:
    return GateOutcome(passed=False, cancelled=True, message=f"{job.gate.name} was cancelled before it began")


def _run(spec: GateSpec, job: GateJob, worktree: Worktree, watch: Watch | None) -> GateOutcome:
    environment = {
        **os.environ,
        **worktree.environment(),
        "HEADGATE": "1",
        "HEADGATE_JOB": job.job_id,
        "HEADGATE_COMMIT": job.commit,
        SLOT_VARIABLE: str(worktree.slot_dir),
    }
    return run_gate(spec, cwd=worktree.tree, log_path=job.log_path, environment=environment, watch=watch)


def _prepare(job: GateJob, worktree: Worktree, watch: Watch | None) -> GateOutcome | None:
    """Prepare the worktree when that is due; returns the outcome that forbids to go on."""
    key = _prepare_key(job)
    if not job.prepare or worktree.is_prepared(key):
        return None
    for command in job.prepare:
        spec = replace(
            job.gate,
            name="prepare",
            run=command,
            timeout=job.prepare_timeout,
            idle_timeout=None,
            expect=(0,),
        )
        outcome = _run(spec, job, worktree, watch)
        if outcome.cancelled:
            return outcome
        if not outcome.passed:
            shown = command if isinstance(command, str) else " ".join(command)
            message = f"preparing the worktree with `{shown}` failed: {outcome.message}"
            return replace(outcome, fault="prepare_failed", message=message)
    worktree.move(job.commit, keep=job.keep)
    worktree.mark_prepared(key, job.keep)
    return None


def _prepare_key(job: GateJob) -> str:
    return json.dumps([job.prepare, job.keep, job.prepare_digest])
