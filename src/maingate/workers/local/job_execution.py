"""Carry out a job in a slot: move the worktree, prepare it when that is due, run the command, sweep.

The command is a gate, or a tool whose patch is taken from what it leaves. A failure of the slot is
an outcome with a fault, never an exception: it says nothing about the patch, and the next job may have
better luck.
"""

import errno
import json
import os
import re
from dataclasses import replace
from pathlib import Path
from typing import Final

from maingate.errors import FilterError, WorktreeError
from maingate.git.submodule_update import is_update
from maingate.uet.capture import STDOUT, Capture, Captured
from maingate.uet.output_capture import OutputCopy
from maingate.uet.process.command import CommandLine, CommandResult, CommandSpec
from maingate.uet.process.command_run import Watch, run_command
from maingate.uet.process.redaction import redact
from maingate.uet.worktree.worktree import Worktree
from maingate.wording import listed
from maingate.workers.artifacts import Artifacts
from maingate.workers.jobs import Job
from maingate.workers.local.stray_processes import SLOT_VARIABLE

_PLACEHOLDER: Final = re.compile(r"\{(prompt|prompt_file)\}")
_LAST_LINES: Final = 4
"""Lines that a failed `prepare` has printed last, and that its message has."""
_IN_SHELL: Final = {"prompt": '"$MAINGATE_PROMPT"', "prompt_file": '"$MAINGATE_PROMPT_FILE"'}


def execute(
    job: Job, *, worktree: Worktree, artifacts: Artifacts, watch: Watch | None = None
) -> CommandResult:
    """Run a job to its end.

    Args:
        job: The command, and the commit to run it on.
        worktree: The slot to run it in. This process's environment is what its gates see.
        artifacts: Where its log and its patch are written.
        watch: Can cancel the job.
    """
    if watch is not None and watch.should_stop():
        return _cancelled(job)
    try:
        outcome = _JobExecution(job, worktree, artifacts, watch).run()
    except WorktreeError as error:
        message = "; ".join(filter(None, (str(error), _removed(worktree))))
        fault = "filter_failed" if isinstance(error, FilterError) else "worktree_failed"
        return CommandResult(passed=False, fault=fault, message=message)
    try:
        worktree.sweep()
    except WorktreeError as error:
        return replace(outcome, message="; ".join(filter(None, (outcome.message, str(error)))))
    return outcome


def _removed(worktree: Worktree) -> str:
    """Remove the content of a slot that could not be prepared, and return a sentence about what failed."""
    try:
        worktree.destroy()
        worktree.slot_dir.mkdir()  # a slot that is gone was removed by another
    except OSError as error:
        return f"{worktree.slot_dir} cannot be removed: {error.strerror}{_way_out(error, worktree)}"
    return ""


def _way_out(error: OSError, worktree: Worktree) -> str:
    """Return what a person can do about a part of a slot that cannot be removed."""
    at = os.fsdecode(error.filename or worktree.slot_dir)
    if error.errno == errno.EBUSY:
        return f": a job has mounted something there; `umount {at}` helps"
    if error.errno in {errno.EPERM, errno.EACCES}:
        return f": a job has left files of another user there, as from a container; `sudo rm -rf {at}` helps"
    return f": {at}"


class _JobExecution:
    """One job in a slot."""

    def __init__(self, job: Job, worktree: Worktree, artifacts: Artifacts, watch: Watch | None) -> None:
        self._job, self._worktree, self._artifacts, self._watch = job, worktree, artifacts, watch

    def run(self) -> CommandResult:
        """Move the worktree, prepare it when that is due, and run the command."""
        self._move()
        refusal = self._prepare()
        if refusal is not None:
            return refusal
        if self._watch is not None and self._watch.should_stop():
            return _cancelled(self._job)
        if self._job.capture is not None:
            return self._run_tool(self._job.capture)
        return self._hinted(self._run(self._job.command))

    def _hinted(self, result: CommandResult) -> CommandResult:
        """Return the result of a command, if it failed with the paths that `prepare` made and no job sees."""
        unkept = self._worktree.unkept if self._job.keep else ()
        if result.passed or not unkept:
            return result
        names = listed([path.decode("utf-8", "backslashreplace") for path in unkept])
        hint = f"`prepare` also made {names}, which `keep` does not name, so it is there for no job"
        return replace(result, message="; ".join(filter(None, (result.message, hint))))

    def _move(self) -> None:
        job = self._job
        key = json.dumps([job.prepare, job.keep, job.prepare_digest]) if job.prepare else ""
        self._worktree.move(job.commit, keep=job.keep, shared=job.keep_shared, prepared_for=key)

    def _prepare(self) -> CommandResult | None:
        """Prepare the worktree when that is due; return the result that forbids to go on.

        Where nothing is kept, that is before every job, and what it leaves is there for the gate. Where
        something is, only that is there, for this job as for those to come. A tool finds only what is kept:
        the rest would be part of its patch.
        """
        job, worktree = self._job, self._worktree
        if not job.prepare or worktree.is_prepared():
            return None
        for command in job.prepare:
            result = self._run(_preparing(job, command))
            while _has_refused(result) and is_update(command) and worktree.borrow_submodules(command):
                result = self._run(_preparing(job, command))
            if not result.passed:
                if job.keep_shared:
                    _discard(worktree)
                return result if result.cancelled else _unprepared(result, command)
        if job.keep or job.capture is not None:
            worktree.mark_prepared()
            self._move()
            worktree.note_unkept()
            if job.keep and not worktree.is_prepared():
                raise WorktreeError(f"what was prepared in {worktree.tree} was changed by another process")
        return None

    def _run_tool(self, wanted: Capture) -> CommandResult:
        """Run a tool and take its patch, however it ended, unless it was cancelled."""
        prompt_file, since = self._worktree.begin(wanted.prompt)
        spec, diff = _asked(self._job, wanted, prompt_file), self._artifacts.path_of(self._job.diff)
        stdin = prompt_file if wanted.stdin else None
        if wanted.mode == STDOUT:
            try:
                copy = OutputCopy(diff, wanted.max_bytes)
            except OSError as error:
                message = f"{diff} could not be made: {error}"
                return CommandResult(passed=False, fault="spawn_failed", message=message)
            result = self._run(spec, stdin=stdin, copy=copy)
            return replace(result, captured=None) if result.cancelled else result
        result = self._run(spec, stdin=stdin)
        return result if result.cancelled else replace(result, captured=self._captured(wanted, diff, since))

    def _captured(self, wanted: Capture, diff: Path, since: int) -> Captured:
        job, secrets = self._job, self._job.command.secrets
        captured = self._worktree.capture(
            wanted, diff, commit=job.commit, keep=job.keep, since=since, secrets=secrets
        )
        problem, note = redact(captured.problem, secrets), redact(captured.note, secrets)
        return replace(captured, problem=problem, note=note)

    def _run(
        self, spec: CommandSpec, *, stdin: Path | None = None, copy: OutputCopy | None = None
    ) -> CommandResult:
        environment = {
            **os.environ,
            **self._worktree.environment(),
            "MAINGATE": "1",
            "MAINGATE_JOB": self._job.job_id,
            "MAINGATE_COMMIT": self._job.commit,
            SLOT_VARIABLE: str(self._worktree.slot_dir),
        }
        return run_command(
            spec,
            cwd=self._worktree.tree,
            log_path=self._artifacts.path_of(self._job.log),
            environment=environment,
            watch=self._watch,
            stdin=stdin,
            copy=copy,
        )


def _asked(job: Job, wanted: Capture, prompt_file: Path) -> CommandSpec:
    """Return the command with the prompt in it.

    A program gets it as one argument. A shell gets it in a variable, so that no text of a
    prompt is ever run, with any quotes around the placeholder.
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


def _preparing(job: Job, command: CommandLine) -> CommandSpec:
    """Return a command of `prepare` as a job's; other jobs find its result, so it has no gate's variables."""
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


def _has_refused(result: CommandResult) -> bool:
    """Return whether a command ended by itself, and did not do its work."""
    return not (result.passed or result.cancelled or result.timed_out or result.fault)


def _unprepared(outcome: CommandResult, command: CommandLine) -> CommandResult:
    shown = command if isinstance(command, str) else " ".join(command)
    said = [line for line in outcome.excerpt.splitlines() if line.strip()][-_LAST_LINES:]
    printed = f"; it printed last: {' | '.join(said)}" if said else ""
    hint = "; `prepare_timeout` in the plan or the settings gives it longer" if outcome.timed_out else ""
    message = f"preparing the worktree with `{shown}` failed: {outcome.message}{hint}{printed}"
    return replace(outcome, fault="prepare_failed", message=message)


def _discard(worktree: Worktree) -> None:
    """Remove the slot: half of what was prepared lies where jobs share it."""
    try:
        worktree.destroy()
    except OSError as error:
        raise WorktreeError(f"{worktree.slot_dir} cannot be removed: {error}") from error
