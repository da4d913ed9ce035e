"""Carry out a job in a slot: move the worktree, prepare it when that is due, run the command, sweep.

The command is a gate, or a tool whose patch is taken from what it leaves. What can go wrong with the slot is
an outcome with a fault, never an exception: it says nothing about the patch, and the next job may have
better luck.
"""

import json
import os
import re
from dataclasses import replace
from pathlib import Path
from typing import Final

from maingate.errors import WorktreeError
from maingate.system.process_tree import SLOT_VARIABLE
from maingate.uet.capture import STDOUT, Capture, OutputCopy
from maingate.uet.process.attend import Watch, run_command
from maingate.uet.process.command import CommandLine, CommandResult, CommandSpec
from maingate.uet.process.redaction import redact
from maingate.uet.worktree.slot import Worktree
from maingate.workers.jobs import Job

_PLACEHOLDER: Final = re.compile(r"\{(prompt|prompt_file)\}")
_IN_SHELL: Final = {"prompt": '"$MAINGATE_PROMPT"', "prompt_file": '"$MAINGATE_PROMPT_FILE"'}


def execute(job: Job, *, worktree: Worktree, watch: Watch | None = None) -> CommandResult:
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
        message = "; ".join(filter(None, (str(error), _removed(worktree))))
        return CommandResult(passed=False, fault="worktree_failed", message=message)
    try:
        worktree.sweep()
    except WorktreeError as error:
        return replace(outcome, message="; ".join(filter(None, (outcome.message, str(error)))))
    return outcome


def _removed(worktree: Worktree) -> str:
    """Empty a slot that could not be made ready, which may have filled the disk; return what failed."""
    try:
        worktree.destroy()
        worktree.slot_dir.mkdir()  # a slot that is gone was removed by somebody else
    except OSError as error:
        return f"{worktree.slot_dir} cannot be removed: {error}"
    return ""


def _execute(job: Job, worktree: Worktree, watch: Watch | None) -> CommandResult:
    _move(job, worktree)
    refusal = _prepare(job, worktree, watch)
    if refusal is not None:
        return refusal
    if watch is not None and watch.should_stop():
        return _cancelled(job)
    if job.capture is not None:
        return _run_tool(job, job.capture, worktree, watch)
    return _run(job.command, job, worktree, watch)


def _run_tool(job: Job, wanted: Capture, worktree: Worktree, watch: Watch | None) -> CommandResult:
    """Run a tool and take its patch, however it ended; what was cancelled nobody wants."""
    prompt_file, since = worktree.begin(wanted.prompt)
    spec = _asked(job, wanted, prompt_file)
    stdin = prompt_file if wanted.stdin else None
    if wanted.mode == STDOUT:
        try:
            copy = OutputCopy(wanted)
        except OSError as error:
            message = f"{wanted.diff_path} could not be made: {error}"
            return CommandResult(passed=False, fault="spawn_failed", message=message)
        outcome = _run(spec, job, worktree, watch, stdin=stdin, copy=copy)
        return replace(outcome, captured=None) if outcome.cancelled else outcome
    outcome = _run(spec, job, worktree, watch, stdin=stdin)
    if outcome.cancelled:
        return outcome
    secrets = spec.secrets
    captured = worktree.capture(wanted, commit=job.commit, keep=job.keep, since=since, secrets=secrets)
    return replace(outcome, captured=replace(captured, problem=redact(captured.problem, secrets)))


def _asked(job: Job, wanted: Capture, prompt_file: Path) -> CommandSpec:
    """Put the prompt into the command.

    A program gets it as one argument. A shell gets it in a variable: whatever quotes the plan has around the
    placeholder, what a prompt says is never run.
    """
    spec = job.command
    values = {"prompt": wanted.prompt, "prompt_file": str(prompt_file)}
    env = {
        "MAINGATE_PROMPT_FILE": str(prompt_file),
        "MAINGATE_ATTEMPT": str(job.attempt),
        **({"MAINGATE_TASK": wanted.task} if wanted.task else {}),
        **spec.env,
    }
    if isinstance(spec.run, str):
        if "{prompt}" in spec.run:
            env["MAINGATE_PROMPT"] = wanted.prompt
        return replace(spec, run=_PLACEHOLDER.sub(lambda found: _IN_SHELL[found[1]], spec.run), env=env)
    run = tuple(_PLACEHOLDER.sub(lambda found: values[found[1]], word) for word in spec.run)
    return replace(spec, run=run, env=env)


def _cancelled(job: Job) -> CommandResult:
    return CommandResult(
        passed=False, cancelled=True, message=f"{job.command.name} was cancelled before it began"
    )


def _run(
    spec: CommandSpec,
    job: Job,
    worktree: Worktree,
    watch: Watch | None,
    *,
    stdin: Path | None = None,
    copy: OutputCopy | None = None,
) -> CommandResult:
    environment = {
        **os.environ,
        **worktree.environment(),
        "MAINGATE": "1",
        "MAINGATE_JOB": job.job_id,
        "MAINGATE_COMMIT": job.commit,
        SLOT_VARIABLE: str(worktree.slot_dir),
    }
    return run_command(
        spec,
        cwd=worktree.tree,
        log_path=job.log_path,
        environment=environment,
        watch=watch,
        stdin=stdin,
        copy=copy,
    )


def _move(job: Job, worktree: Worktree) -> None:
    key = json.dumps([job.prepare, job.keep, job.prepare_digest]) if job.prepare else ""
    worktree.move(job.commit, keep=job.keep, shared=job.keep_shared, prepared_for=key)


def _prepare(job: Job, worktree: Worktree, watch: Watch | None) -> CommandResult | None:
    """Prepare the worktree when that is due; returns the outcome that forbids to go on.

    Where nothing is kept, that is before every job, and what it leaves is there for the gate. Where something
    is, only that is there, for this job as for those to come. A tool finds only what is kept: the rest would
    be part of its patch.
    """
    if not job.prepare or worktree.is_prepared():
        return None
    for command in job.prepare:
        outcome = _run(_preparing(job, command), job, worktree, watch)
        if not outcome.passed:
            if job.keep_shared:
                _discard(worktree)
            return outcome if outcome.cancelled else _unprepared(outcome, command)
    if job.keep or job.capture is not None:
        worktree.mark_prepared()
        _move(job, worktree)
        if job.keep and not worktree.is_prepared():
            raise WorktreeError(f"what was prepared in {worktree.tree} was changed by another process")
    return None


def _preparing(job: Job, command: CommandLine) -> CommandSpec:
    """Make a gate of a command of `prepare`; others find what it left, so no gate's variables are in it."""
    return replace(
        job.command,
        name="prepare",
        run=command,
        timeout=job.prepare_timeout,
        idle_timeout=None,
        expect=(0,),
        env={},
        secret_env={},
    )


def _unprepared(outcome: CommandResult, command: CommandLine) -> CommandResult:
    shown = command if isinstance(command, str) else " ".join(command)
    message = f"preparing the worktree with `{shown}` failed: {outcome.message}"
    return replace(outcome, fault="prepare_failed", message=message)


def _discard(worktree: Worktree) -> None:
    """Remove the slot: half of what was prepared lies where jobs share it."""
    try:
        worktree.destroy()
    except OSError as error:
        raise WorktreeError(f"{worktree.slot_dir} cannot be removed: {error}") from error
