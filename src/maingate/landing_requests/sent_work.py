"""Work that was sent to a server: commits as a pack, other work as its patches.

The commits are read into the place for trials, and checked there. They come into the repository only with the
run that lands them.
"""

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Any, Final

from maingate.bootstrap import Maingate
from maingate.db.dao.answers import Note
from maingate.db.sql.connection import Connection
from maingate.errors import UsageError
from maingate.git.packs import keep_packs, read_pack, require_whole
from maingate.git.repository import Target
from maingate.git.targets import BRANCHES, short_name
from maingate.importers.finished_work.given_patches import GivenPatches
from maingate.importers.finished_work.plan import LandOptions
from maingate.importers.finished_work.sources import Source, SourceFinder, require_known
from maingate.landing_requests.planned_landing import (
    PlannedLanding,
    planned_landing,
    preview_of,
    report_without_run,
    require_gate_in,
)
from maingate.plan.choices import OnApplied
from maingate.services.handover.run_queue import RunOptions
from maingate.services.runs.conflict_trial import Trials

_KNOWN: Final = (BRANCHES, "refs/remotes/", "refs/tags/")
"""The folders of refs whose history is whole."""

Json = dict[str, Any]


@dataclass(frozen=True, kw_only=True)
class SentLanding:
    """A request to land work that was sent.

    Args:
        sources: The work; a branch names the newest of its commits.
        patches: The patches of the work that is no branch, by the place of the work.
        pack: The commits of the branches, as a thin pack.
        into: The branch to land on; None for the main line.
        needs: The argument of the work that the rest needs.
        options: The other keys of the plan that were chosen.
        is_trial: Whether nothing is to be made.
        run_options: The options of the run.
    """

    sources: Sequence[Source]
    patches: Mapping[int, GivenPatches] = field(default_factory=dict)
    pack: bytes = b""
    into: str | None = None
    needs: str | None = None
    options: LandOptions
    is_trial: bool = False
    run_options: RunOptions


def target_for_sent(maingate: Maingate, into: str | None) -> Target:
    """Return the branch that sent work lands on; see `SourceFinder.target`.

    Raises:
        RepositoryError: There is no such branch, or which one is meant cannot be told.
    """
    return SourceFinder(maingate.repository).target(into, ["-"])


def land_sent(
    maingate: Maingate, sent: SentLanding, *, operator: str, traceparent: str | None, note: Note
) -> Json | None:
    """Try or admit a landing of sent work; return its report with the preview, or None if no server is alive.

    The report has the state of the work; where there is a run, that is the run's to report.

    Args:
        maingate: The repository.
        sent: The request.
        operator: The person who sent it.
        traceparent: The span of the caller.
        note: Notes the report in the transaction that makes the run.

    Raises:
        UsageError: The work cannot be read, or not be landed.
        ProblemsError: The settings, or a part of the request, have problems.
    """
    target = target_for_sent(maingate, sent.into)
    _require_others(sent.sources, target)
    with maingate.trials() as trials:
        landing = _planned(maingate, trials, target, sent, operator=operator)
        done = not landing.plan.names
        refused = sent.options.on_applied is OnApplied.REFUSE and landing.has_applied
        if done or refused:
            report = report_without_run(target, "failed" if refused else "succeeded")
            return {**report, "items": landing.described(), "preview": None}
        if sent.is_trial:
            shown = preview_of(maingate, trials, landing)
            return {**report_without_run(target, "pending"), "items": shown.pop("items"), "preview": shown}
        _keep_own_commits(maingate, trials, landing)
        return _admitted(maingate, landing, sent, operator=operator, traceparent=traceparent, note=note)


def _planned(
    maingate: Maingate, trials: Trials, target: Target, sent: SentLanding, *, operator: str
) -> PlannedLanding:
    tips = [source.commit for source in sent.sources if source.commit is not None]
    if tips:
        scratch = trials.scratch
        if sent.pack:
            read_pack(scratch.git_dir, sent.pack)
        known = {commit for folder in _KNOWN for commit in maingate.repository.refs_under(folder).values()}
        require_whole(scratch.git_dir, tips, sorted(known))
    needed = None if sent.needs is None else require_known(sent.needs, sent.sources)
    given = {id(sent.sources[at]): patches for at, patches in sent.patches.items()}
    return planned_landing(
        maingate,
        trials,
        target,
        sent.sources,
        replace(sent.options, needs=needed, sender=operator),
        patches_of=lambda source: given[id(source)],
        is_sent=True,
    )


def _require_others(sources: Sequence[Source], target: Target) -> None:
    """Raise if the work is the target itself."""
    for source in sources:
        if source.branch == target.ref:
            raise UsageError(
                f"{short_name(target.ref)} is the target itself: name the branch to land, or another target "
                "with --into BRANCH"
            )


def _keep_own_commits(maingate: Maingate, trials: Trials, landing: PlannedLanding) -> None:
    """Copy the commits that are to land as they are into the repository; a ref of the run keeps them."""
    if any(item.own is not None for item in landing.items):
        keep_packs(trials.scratch.git_dir, maingate.repository)


def _admitted(
    maingate: Maingate,
    landing: PlannedLanding,
    sent: SentLanding,
    *,
    operator: str,
    traceparent: str | None,
    note: Note,
) -> Json | None:
    report = {
        **report_without_run(landing.target, "pending"),
        "items": landing.described(),
        "preview": None,
    }

    def noted(conn: Connection, run_id: str) -> None:
        note(conn, json.dumps({**report, "run_id": run_id}))

    with maingate.uploads.loaded(landing.upload, is_kept=True) as loaded:
        require_gate_in(loaded)
        run_id = maingate.admission.admit_for_server(
            loaded, sent.run_options, operator=operator, traceparent=traceparent, note=noted
        )
    return None if run_id is None else {**report, "run_id": run_id}
