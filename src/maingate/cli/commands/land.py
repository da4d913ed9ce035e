"""``maingate land``: land finished work: a branch, commits or patches, proved by the repository's gates."""

import os
import sys
from typing import TYPE_CHECKING, Annotated, Any, Final, NoReturn

import typer

from maingate.cli.commands.plan_import_options import Gates, Style, gates_of, landing_style
from maingate.cli.commands.run import AsJson, TargetWait, Workers, execute
from maingate.cli.exit_codes import ExitCode, code_of_run
from maingate.cli.output import console, print_json
from maingate.cli.run_follower import Outcome, follow
from maingate.cli.standard_streams import reader_may_leave
from maingate.errors import UsageError
from maingate.trace_ids import TRACEPARENT

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from maingate.bootstrap import Maingate
    from maingate.git.repository import Target
    from maingate.ids import RunId
    from maingate.importers.finished_work.items import WorkItem
    from maingate.importers.finished_work.plan import LandOptions, WorkPlan
    from maingate.importers.finished_work.sources import Source
    from maingate.plan.loader import LoadedPlan
    from maingate.plan.rules import RepositoryRules
    from maingate.services.runs.conflict_trial import Trials
    from maingate.settings import Settings

_LARGEST_INPUT: Final = 1 << 30
"""Bytes that are read of standard input at most; a larger patch is refused by its size."""


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
        typer.Option("--no-wait", help="Print the run's id and return; a server, or `resume`, lands it."),
    ] = False,
    workers: Workers = None,
    dry_run: Annotated[
        bool,
        typer.Option(
            "--dry-run", help="Check everything, list what would land and what conflicts; create nothing."
        ),
    ] = False,
    as_json: AsJson = False,
) -> None:
    """Land finished work: each branch, range or file as a whole or not at all, proved by the gates.

    Exit codes: 0 landed, or nothing was left to do; 1 refused, with the reason (--dry-run: something could
    not land); 2 the request or the repository is not in order (nothing was started); 3 cancelled or
    interrupted; 4 git, the database or the disk failed.
    """
    from maingate.bootstrap import Maingate
    from maingate.git.targets import short_name
    from maingate.importers.finished_work.plan import LandOptions, plan_of
    from maingate.importers.finished_work.sources import require_known
    from maingate.services.runs.plan_loading import rules_at

    if on_applied not in {"skip", "refuse"}:
        raise UsageError(f"invalid --on-applied {on_applied!r}: choose skip or refuse")
    if no_gate and gate:
        raise UsageError("--gate and --no-gate cannot be combined: choose one")
    with Maingate.open() as maingate:
        with maingate.trials() as trials:
            target, sources = _found(maingate, work or [], into)
            if title is not None and len(sources) > 1:
                raise UsageError("--title is for one piece of work; several are named")
            options = LandOptions(
                landing=landing_style(landing),
                gates=gates_of(gate or []),
                is_ungated=no_gate,
                needs=None if needs is None else require_known(needs, sources),
                priority=priority,
                title=title,
            )
            settings, rules = rules_at(maingate.context, target)
            items = _read(maingate, trials, target, sources, options, settings)
            planned = plan_of(items, target.ref, options, settings.policy)
            if planned.names:
                _require_gates(short_name(target.ref), options, rules, has_own=bool(settings.gates))
            told = _Told(target=target, items=items, planned=planned, as_json=as_json)
            told.begin()
            if on_applied == "refuse" and any(item.applied for item in items):
                told.end({"state": "failed"}, ExitCode.REFUSED)
            if not planned.names:
                told.end({"state": "succeeded"}, ExitCode.DONE)
            if dry_run:
                told.end_preview(_preview(maingate, trials, planned, items))
        run_id, is_served = _admitted(maingate, planned, workers=workers, is_for_later=no_wait)
        if no_wait:
            told.end(maingate.report(run_id), ExitCode.DONE)
        outcome = (
            follow(maingate, run_id, progress_on_stderr=as_json)
            if is_served
            else execute(maingate, run_id, workers=workers, progress_on_stderr=as_json)
        )
    told.outcome(outcome)


def _found(maingate: "Maingate", work: "Sequence[str]", into: str | None) -> "tuple[Target, list[Source]]":
    from maingate.importers.finished_work.sources import SourceFinder

    finder = SourceFinder(maingate.repository)
    target = finder.target(into, work)
    return target, finder.sources(work, target)


def _read(  # noqa: PLR0917 - all that decides what lands
    maingate: "Maingate",
    trials: "Trials",
    target: "Target",
    sources: "Sequence[Source]",
    options: "LandOptions",
    settings: "Settings",
) -> "list[WorkItem]":
    from functools import partial

    from maingate.importers.finished_work.items import WorkReader
    from maingate.importers.finished_work.sources import STANDARD_INPUT
    from maingate.plan.choices import LandingStyle
    from maingate.queries.landed_commits import states_of_patches

    is_given = any(source.argument == STANDARD_INPUT for source in sources)
    reader = WorkReader(
        maingate.repository,
        target,
        trials.executor,
        scratch=trials.scratch,
        policy=settings.policy,
        landed_as=partial(states_of_patches, maingate.context),
        standard_input=sys.stdin.buffer.read(_LARGEST_INPUT) if is_given else b"",
    )
    is_merge = (options.landing or settings.landing or LandingStyle.MERGE) == LandingStyle.MERGE
    return reader.items(sources, lambda source: is_merge and _can_keep(maingate, source, options))


def _can_keep(maingate: "Maingate", source: "Source", options: "LandOptions") -> bool:
    """Return whether work needs no other, or has the commits of the other among its own."""
    other = options.needs
    if other is None or other is source:
        return True
    commits = source.commit, other.commit
    return all(commits) and maingate.repository.is_ancestor(other.commit or "", source.commit or "")


def _require_gates(branch: str, options: "LandOptions", rules: "RepositoryRules", *, has_own: bool) -> None:
    """Raise if no gate would prove what lands, and that was not asked for."""
    from maingate.wording import listed

    if options.is_ungated and rules.required:
        required = listed(sorted(rules.required), 5)
        raise UsageError(f"--no-gate: {branch} requires {required}; leave the option out")
    if not (options.is_ungated or options.gates or has_own):
        raise UsageError(
            f"{branch} has no gates, so nothing would prove what lands: give one with --gate NAME=COMMAND "
            '(such as --gate "unit=pytest -q"), write [gates.NAME] into maingate.toml and commit that, or '
            "say --no-gate"
        )


def _admitted(
    maingate: "Maingate", planned: "WorkPlan", *, workers: int | None, is_for_later: bool
) -> "tuple[RunId, bool]":
    """Make the run, and return whether a server takes it up."""
    from maingate.services.handover.run_queue import RunOptions
    from maingate.services.http.uploads import Upload

    caller = os.environ.get(TRACEPARENT)
    with maingate.uploads.loaded(Upload(plan=planned.raw, files=planned.files), is_kept=True) as loaded:
        _require_gate_here(loaded)
        admission = maingate.admission
        run_id = admission.admit_for_server(loaded, RunOptions(workers=workers), traceparent=caller)
        if run_id is not None:
            return run_id, True
        if is_for_later:
            return admission.admit_for_later(loaded), False
        return admission.admit(loaded, wait=TargetWait(), traceparent=caller), False


def _require_gate_here(loaded: "LoadedPlan") -> None:
    """Raise if there are gates and none of them would run on the result of a workstream or on a patch."""
    plan = loaded.plan
    for name, stream in plan.workstreams.items():
        asked = stream.gates == () or plan.landing_gates(name)
        if not asked and not any(plan.task_gates(name, task) for task in stream.tasks):
            raise UsageError(
                "no gate would prove what lands: every gate has an empty `on`; give another with --gate, or "
                "say --no-gate"
            )


def _preview(
    maingate: "Maingate", trials: "Trials", planned: "WorkPlan", items: "Sequence[WorkItem]"
) -> "dict[str, Any]":
    """Return what would be run, and what conflicts with the target or with one another."""
    from maingate.services.http.uploads import Upload
    from maingate.services.runs.preview import preview

    trees = {name: tree for at, name in planned.names.items() if (tree := items[at].tree) is not None}
    with maingate.uploads.loaded(Upload(plan=planned.raw, files=planned.files), is_kept=False) as loaded:
        _require_gate_here(loaded)
        shown = preview(loaded)
        target = maingate.repository.resolve_target(loaded.plan.target)
        return {**shown, "trial": trials.of_plan(loaded, target, trees=trees).as_json()}


class _Told:
    """Prints what lands, and what became of it.

    Args:
        target: The branch.
        items: The work.
        planned: Its plan.
        as_json: Whether to print JSON.
    """

    def __init__(
        self, *, target: "Target", items: "Sequence[WorkItem]", planned: "WorkPlan", as_json: bool
    ) -> None:
        self._target, self._items, self._planned, self._as_json = target, items, planned, as_json

    def begin(self) -> None:
        """Print what lands where, and what does not land."""
        from maingate.cli.views.landing import print_work

        print_work(console(stderr=self._as_json), self._target.ref, self._items)

    def end_preview(self, shown: "Mapping[str, Any]") -> NoReturn:
        """Print what would be run and what conflicts, and exit: 1 if something could not land."""
        from maingate.cli.commands.run import print_preview

        with reader_may_leave():
            print_preview({**shown, "items": self._described({})}, as_json=self._as_json)
        raise typer.Exit(ExitCode.DONE if shown["trial"]["ok"] else ExitCode.REFUSED)

    def outcome(self, outcome: Outcome) -> NoReturn:
        """Print the result of the run, and exit."""
        report = outcome.report
        if outcome.interruption is not None:
            self._print(report)
            raise outcome.interruption
        self.end(report, code_of_run(report["state"], is_behind=bool(report["target"]["behind"])))

    def end(self, report: "Mapping[str, Any]", code: ExitCode) -> NoReturn:
        """Print a result, and exit with its exit code."""
        self._print(report)
        raise typer.Exit(code)

    def _print(self, report: "Mapping[str, Any]") -> None:
        from maingate.cli.views.landing import print_landing

        head = {"ref": self._target.ref, "old": self._target.commit, "new": self._target.commit}
        nothing = {"code": "none", "about": None, "command": None}
        empty: dict[str, Any] = {
            "run_id": None,
            "target": head,
            "workstreams": [],
            "tasks": [],
            "next_action": nothing,
        }
        whole = {**empty, **report}
        whole["items"] = self._described(whole)
        with reader_may_leave():
            if self._as_json:
                print_json(whole)
            else:
                print_landing(console(), whole)

    def _described(self, report: "Mapping[str, Any]") -> list[dict[str, Any]]:
        """Return the work in its JSON form, each with its state."""
        states = {stream["name"]: stream["state"] for stream in report.get("workstreams", ())}
        names = self._planned.names
        return [
            {
                "argument": item.source.argument,
                "workstream": names.get(at),
                "state": states.get(names[at], "pending") if at in names else "completed",
                "note": "already_applied" if item.applied or at not in names else None,
                "patches": len(item.entries),
                "applied": list(item.applied),
                "left_out": list(item.left_out),
                "uncommitted": list(item.source.uncommitted),
                "merged": item.is_merged,
            }
            for at, item in enumerate(self._items)
        ]
