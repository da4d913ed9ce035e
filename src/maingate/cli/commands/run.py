"""``maingate run``: run a plan and report what landed, what did not, and why."""

import os
import sys
import time
from enum import Enum
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, Final, NoReturn

import typer

from maingate.cli.decision_options import operator_name
from maingate.cli.exit_codes import code_of_run
from maingate.cli.output import console, print_json
from maingate.cli.remote_runs import Repo, Server, TokenFile, client_of, require_server, run_remotely
from maingate.cli.standard_streams import reader_may_leave
from maingate.cli.text import safe
from maingate.cli.views.plan_warnings import print_notes
from maingate.errors import InterruptedRunError, TargetBusyError, UsageError
from maingate.ids import RunId
from maingate.trace_ids import TRACEPARENT

if TYPE_CHECKING:
    from maingate.bootstrap import Maingate
    from maingate.cli.run_follower import Outcome
    from maingate.plan.loader import LoadedPlan


POLL_SECONDS: Final = 0.5
"""Seconds between checks whether a held target is free."""

MOST_WORKERS: Final = 1024
"""The limit of the settings, which are loaded later."""


def _in_bounds(workers: int | None) -> int | None:
    if workers is not None and not 1 <= workers <= MOST_WORKERS:
        raise typer.BadParameter(f"invalid --workers {workers}: choose a number from 1 to {MOST_WORKERS}.")
    return workers


Workers = Annotated[
    int | None,
    typer.Option(
        "--workers",
        "-w",
        callback=_in_bounds,
        metavar="N",
        help="How many gates run at once. [default: one per CPU]",
    ),
]
AsJson = Annotated[
    bool,
    typer.Option("--json", help="Print the result as one JSON object; progress goes to standard error."),
]
NoGate = Annotated[bool, typer.Option("--no-gate", help="Do not warn about a plan without gates.")]
Wait = Annotated[
    bool, typer.Option("--wait", help="Wait while another process is at work on this run, not fail.")
]


def run(  # noqa: PLR0917 - the options of a command line
    plan_file: Annotated[Path, typer.Argument(metavar="FILE", help="The plan, YAML or JSON.")],
    workers: Workers = None,
    dry_run: Annotated[
        bool,
        typer.Option(
            "--dry-run", help="Check everything and list what would run in which order; create nothing."
        ),
    ] = False,
    as_json: AsJson = False,
    wait: Wait = False,
    no_gate: NoGate = False,
    resume: Annotated[
        bool,
        typer.Option("--resume", help="Continue an interrupted run of this plan, if there is one."),
    ] = False,
    restart: Annotated[
        bool, typer.Option("--restart", help="Cancel an interrupted run of this plan, and start a new one.")
    ] = False,
    server: Server = None,
    repo: Repo = None,
    token_file: TokenFile = None,
) -> None:
    """Run a plan: apply its patches, test them, and land what passes.

    Ctrl-C once finishes running gates and stops; `maingate resume` continues. Ctrl-C twice cancels the run.

    Exit codes: 0 the run succeeded, 1 it failed, 2 the plan or the repository is not in order (nothing was
    started), 3 cancelled or interrupted, 4 git, the database or the disk failed.
    """
    from maingate.services.runs.plan_loading import load_plan

    if server is not None:
        if dry_run or wait or resume or restart:
            raise UsageError("--server cannot be combined with --dry-run, --wait, --resume or --restart")
        with client_of(server, token_file) as client:
            outcome = run_remotely(
                client,
                plan_file,
                url=server,
                repo=repo,
                workers=workers,
                no_gate=no_gate,
                progress_on_stderr=as_json,
            )
        finish(outcome, as_json=as_json)
    require_server(repo=repo, token_file=token_file)
    from maingate.services.runs.plan_notes import notes_on_plan, notes_on_run

    loaded = load_plan(plan_file)
    if dry_run:
        from maingate.cli.views.preview import print_preview
        from maingate.services.runs.preview import preview

        print_preview(preview(loaded), as_json=as_json)
        print_notes(notes_on_plan(loaded), no_gate=no_gate)
        return
    from maingate.bootstrap import Maingate

    if resume and restart:
        raise UsageError("--resume and --restart cannot be combined: choose one")
    with Maingate.for_plan(loaded) as maingate:
        print_notes(notes_on_run(maingate.repository, loaded.plan), no_gate=no_gate)
        earlier = _interrupted_before(maingate, loaded)
        choice = ResumeOrRestart.RESUME if resume else ResumeOrRestart.RESTART if restart else None
        if earlier is not None and (choice or _ask(earlier)) is ResumeOrRestart.RESUME:
            outcome = go_on(maingate, earlier, workers=workers, wait=wait, progress_on_stderr=as_json)
        else:
            if earlier is not None:
                message = "the plan was restarted"
                maingate.operator.cancel(earlier, message=message, operator=operator_name())
            outcome = run_plan(maingate, loaded, workers=workers, wait=wait, progress_on_stderr=as_json)
    finish(outcome, as_json=as_json)


class ResumeOrRestart(Enum):
    """Choice about an interrupted run of the same plan."""

    RESUME = "r"
    RESTART = "s"


def _interrupted_before(maingate: "Maingate", loaded: "LoadedPlan") -> RunId | None:
    """Return the newest interrupted run of the same plan file."""
    file = loaded.path.resolve()
    same = [
        row
        for row in maingate.execution.interrupted()
        if row.plan_file and Path(row.plan_file).resolve() == file
    ]
    return RunId(same[-1].id) if same else None


def _ask(earlier: RunId) -> ResumeOrRestart:
    """Prompt for the choice about an interrupted run.

    Raises:
        UsageError: There is no terminal, or no valid answer.
    """
    question = f"run {earlier} of this plan was interrupted"
    refusal = UsageError(
        f"{question}; nothing was started. `maingate resume {earlier}` (or --resume) continues it, "
        "--restart cancels it and starts a new run"
    )
    if not (sys.stdin.isatty() and sys.stderr.isatty()):
        raise refusal
    answer = typer.prompt(f"{question}. [r]esume it, re[s]tart, or [l]eave it?", default="r", err=True)
    try:
        return ResumeOrRestart(answer.strip().lower()[:1])
    except ValueError as error:
        raise refusal from error


def finish(outcome: "Outcome", *, as_json: bool) -> NoReturn:
    """Print the report of a run and exit with its exit code."""
    with reader_may_leave():
        _print_report(outcome.report, page=outcome.page, as_json=as_json)
    if outcome.interruption is not None:
        raise outcome.interruption
    raise typer.Exit(code_of_run(outcome.report["state"], is_behind=bool(outcome.report["target"]["behind"])))


def _print_report(report: dict[str, Any], *, page: str | None, as_json: bool) -> None:
    if as_json:
        print_json(report)
        return
    from maingate.cli.views.hints import print_hints
    from maingate.cli.views.report import print_report

    out = console()
    print_report(out, report)
    print_hints(out, report, page=page)


def run_plan(
    maingate: "Maingate",
    loaded: "LoadedPlan",
    *,
    workers: int | None,
    progress_on_stderr: bool,
    wait: bool = False,
) -> "Outcome":
    """Admit a plan and run it with progress; an interrupted run is reported like any other.

    A living server of the repository gets the run, and it is followed.
    """
    from maingate.services.handover.run_queue import RunOptions

    caller = os.environ.get(TRACEPARENT)
    handed_over = maingate.admission.admit_for_server(loaded, RunOptions(workers=workers), traceparent=caller)
    if handed_over is not None:
        from maingate.cli.run_follower import follow

        return follow(maingate, handed_over, progress_on_stderr=progress_on_stderr)
    run_id = maingate.admission.admit(loaded, wait=TargetWait() if wait else None, traceparent=caller)
    return execute(maingate, run_id, workers=workers, progress_on_stderr=progress_on_stderr)


def go_on(
    maingate: "Maingate",
    run_id: RunId,
    *,
    workers: int | None,
    wait: bool,
    progress_on_stderr: bool,
    budget_usd: float | None = None,
) -> "Outcome":
    """Continue an interrupted run with progress; a living server of the repository gets it."""
    from maingate.services.handover.run_queue import RunOptions

    options = RunOptions(workers=workers, budget_usd=budget_usd)
    if maingate.queue.hand_over(run_id, options) is not None:
        from maingate.cli.run_follower import follow

        return follow(maingate, run_id, progress_on_stderr=progress_on_stderr)
    maingate.execution.take_hold(run_id, wait=TargetWait() if wait else None)
    return execute(
        maingate, run_id, workers=workers, progress_on_stderr=progress_on_stderr, budget_usd=budget_usd
    )


class TargetWait:
    """Waits for a held target, and prints its holder once."""

    def __init__(self) -> None:
        self._said = ""

    def __call__(self, error: TargetBusyError) -> None:
        """Wait until the next check."""
        if error.what != self._said:
            console(stderr=True).print(f"waiting: {safe(error.what)}", soft_wrap=True)
            self._said = error.what
        time.sleep(POLL_SECONDS)


def execute(
    maingate: "Maingate",
    run_id: RunId,
    *,
    workers: int | None,
    progress_on_stderr: bool,
    budget_usd: float | None = None,
) -> "Outcome":
    """Run an admitted run with progress."""
    from maingate.cli.run_follower import Outcome
    from maingate.cli.views.activity import surroundings_reader
    from maingate.cli.views.progress import watcher

    interruption = None
    around = surroundings_reader(maingate, run_id)
    with watcher(stderr=progress_on_stderr, around=around) as watching:
        try:
            maingate.execution.execute(run_id, workers=workers, listener=watching, budget_usd=budget_usd)
        except InterruptedRunError as error:
            interruption = error
    return Outcome(report=maingate.report(run_id), interruption=interruption)
