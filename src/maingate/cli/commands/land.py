"""``maingate land``: land finished work: a branch, commits or patches, proved by the repository's gates."""

import os
import sys
from typing import TYPE_CHECKING, Annotated, NoReturn

import typer

from maingate.cli.commands.plan_import_options import Gates, Style, gates_of, landing_style
from maingate.cli.commands.run import AsJson, TargetWait, Workers, execute
from maingate.cli.exit_codes import ExitCode
from maingate.cli.land_command import LandCommand
from maingate.cli.landing_output import LandingOutput
from maingate.cli.remote_runs import Repo, Server, TokenFile, require_server
from maingate.cli.run_follower import follow
from maingate.errors import UsageError
from maingate.trace_ids import TRACEPARENT

if TYPE_CHECKING:
    from maingate.bootstrap import Maingate
    from maingate.ids import RunId
    from maingate.landing_requests.planned_landing import PlannedLanding
    from maingate.services.runs.conflict_trial import Trials


def land(  # noqa: PLR0917 - the options of a command line
    work: Annotated[
        list[str] | None,
        typer.Argument(
            metavar="WORK",
            help="A branch or several ('agent/*'), a range A..B, FILE.patch, or - for standard input. "
            "[default: the branch checked out here]",
        ),
    ] = None,
    into: Annotated[
        str | None,
        typer.Option("--into", metavar="BRANCH", help="The branch to land on.", show_default="the main line"),
    ] = None,
    gate: Gates = None,
    no_gate: Annotated[bool, typer.Option("--no-gate", help="Land without any gate.")] = False,
    landing: Style = None,
    needs: Annotated[
        str | None,
        typer.Option(metavar="OTHER", help="What else of this command must land before the rest."),
    ] = None,
    priority: Annotated[int, typer.Option(metavar="N", help="Higher goes first.")] = 0,
    title: Annotated[str | None, typer.Option(metavar="TEXT", help="The title of what lands.")] = None,
    on_applied: Annotated[
        str,
        typer.Option(
            metavar="skip|refuse", help="Whether work that the target has already is done, or an error."
        ),
    ] = "skip",
    no_wait: Annotated[
        bool,
        typer.Option("--no-wait", help="Print the run and return; a server, or `resume`, lands it."),
    ] = False,
    workers: Workers = None,
    dry_run: Annotated[
        bool,
        typer.Option(
            "--dry-run", help="Check everything, list what would land and what conflicts; create nothing."
        ),
    ] = False,
    as_json: AsJson = False,
    server: Server = None,
    repo: Repo = None,
    token_file: TokenFile = None,
) -> None:
    """Land finished work: each branch, range or file as a whole or not at all, proved by the gates.

    Exit codes: 0 landed, or nothing was left to do; 1 refused, with the reason (--dry-run: something could
    not land); 2 the request or the repository is not in order (nothing was started); 3 cancelled or
    interrupted; 4 git, the database or the disk failed.
    """
    from maingate.plan.choices import OnApplied

    if on_applied not in list(OnApplied):
        raise UsageError(f"invalid --on-applied {on_applied!r}: choose skip or refuse")
    if no_gate and gate:
        raise UsageError("--gate and --no-gate cannot be combined: choose one")
    wanted = LandCommand(
        work=work or [],
        into=into,
        gates=gates_of(gate or []),
        is_ungated=no_gate,
        landing=landing_style(landing),
        needs=needs,
        priority=priority,
        title=title,
        on_applied=OnApplied(on_applied),
        waits=not no_wait,
        workers=workers,
        is_trial=dry_run,
        as_json=as_json,
    )
    if server is None:
        require_server(repo=repo, token_file=token_file)
        _land_here(wanted)
    from maingate.cli.remote_landing import land_remotely

    land_remotely(wanted, url=server, repo=repo, token_file=token_file)


def _land_here(wanted: LandCommand) -> NoReturn:
    """Land in the repository around the working folder."""
    from maingate.bootstrap import Maingate
    from maingate.landing_requests.planned_landing import preview_of, report_without_run
    from maingate.plan.choices import OnApplied

    with Maingate.open() as maingate:
        with maingate.trials() as trials:
            landing = _planned(maingate, trials, wanted)
            target = landing.target
            told = LandingOutput(ref=target.ref, items=landing.described(), as_json=wanted.as_json)
            told.begin()
            if wanted.on_applied is OnApplied.REFUSE and landing.has_applied:
                told.end(report_without_run(target, "failed"), ExitCode.REFUSED)
            if not landing.plan.names:
                told.end(report_without_run(target, "succeeded"), ExitCode.DONE)
            if wanted.is_trial:
                told.end_preview(preview_of(maingate, trials, landing))
        workers, on_stderr = wanted.workers, wanted.as_json
        run_id, is_served = _admitted(maingate, landing, workers=workers, is_for_later=not wanted.waits)
        if not wanted.waits:
            told.end(maingate.report(run_id), ExitCode.DONE)
        outcome = (
            follow(maingate, run_id, progress_on_stderr=on_stderr)
            if is_served
            else execute(maingate, run_id, workers=workers, progress_on_stderr=on_stderr)
        )
    told.outcome(outcome)


def _planned(maingate: "Maingate", trials: "Trials", wanted: LandCommand) -> "PlannedLanding":
    """Read the work, and plan its landing."""
    from functools import partial

    from maingate.importers.finished_work.given_patches import read_given
    from maingate.importers.finished_work.plan import LandOptions
    from maingate.importers.finished_work.sources import STANDARD_INPUT, SourceFinder, require_known
    from maingate.landing_requests.planned_landing import planned_landing

    finder = SourceFinder(maingate.repository)
    target = finder.target(wanted.into, wanted.work)
    sources = finder.sources(wanted.work, target)
    is_given = any(source.argument == STANDARD_INPUT for source in sources)
    options = LandOptions(
        landing=wanted.landing,
        gates=wanted.gates,
        is_ungated=wanted.is_ungated,
        needs=None if wanted.needs is None else require_known(wanted.needs, sources),
        priority=wanted.priority,
        title=wanted.title,
        on_applied=wanted.on_applied,
    )
    given = wanted.standard_input(sys.stdin.buffer) if is_given else b""
    patches_of = partial(read_given, standard_input=given)
    return planned_landing(maingate, trials, target, sources, options, patches_of=patches_of)


def _admitted(
    maingate: "Maingate", landing: "PlannedLanding", *, workers: int | None, is_for_later: bool
) -> "tuple[RunId, bool]":
    """Make the run, and return whether a server takes it up."""
    from maingate.landing_requests.planned_landing import require_gate_in
    from maingate.services.handover.run_queue import RunOptions

    caller = os.environ.get(TRACEPARENT)
    with maingate.uploads.loaded(landing.upload, is_kept=True) as loaded:
        require_gate_in(loaded)
        admission = maingate.admission
        run_id = admission.admit_for_server(loaded, RunOptions(workers=workers), traceparent=caller)
        if run_id is not None:
            return run_id, True
        if is_for_later:
            return admission.admit_for_later(loaded), False
        return admission.admit(loaded, wait=TargetWait(), traceparent=caller), False
