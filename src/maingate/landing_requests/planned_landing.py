"""A request to land finished work, as the plan that a run of it would have."""

from collections.abc import Sequence
from dataclasses import dataclass
from functools import partial
from typing import Any, Final

from maingate.bootstrap import Maingate
from maingate.errors import UsageError
from maingate.git.repository import Repository, Target
from maingate.git.targets import short_name
from maingate.importers.finished_work.given_patches import PatchesOf
from maingate.importers.finished_work.items import WorkItem, WorkReader
from maingate.importers.finished_work.plan import LandOptions, WorkPlan, plan_of
from maingate.importers.finished_work.sources import Source
from maingate.plan.choices import LandingStyle
from maingate.plan.loader import LoadedPlan
from maingate.plan.rules import RepositoryRules
from maingate.queries.landed_commits import states_of_patches
from maingate.services.http.uploads import Upload
from maingate.services.runs.conflict_trial import Trials
from maingate.services.runs.plan_loading import rules_at
from maingate.services.runs.preview import preview
from maingate.settings import Settings
from maingate.wording import listed

_GATES_SHOWN: Final = 5


@dataclass(frozen=True, kw_only=True)
class PlannedLanding:
    """Work with the plan that lands it.

    Args:
        target: The branch.
        items: The work.
        plan: Its plan; without names where nothing is left to do.
    """

    target: Target
    items: Sequence[WorkItem]
    plan: WorkPlan

    @property
    def has_applied(self) -> bool:
        """Return whether the target has some of the work already."""
        return any(item.applied for item in self.items)

    @property
    def upload(self) -> Upload:
        """The plan with its files, to be stored."""
        return Upload(plan=self.plan.raw, files=self.plan.files)

    def described(self) -> list[dict[str, Any]]:
        """Return the work in its JSON form."""
        names = self.plan.names
        return [
            {
                "argument": item.source.argument,
                "branch": item.source.branch,
                "title": item.title,
                "workstream": names.get(at),
                "state": "pending" if at in names else "completed",
                "note": "already_applied" if item.applied or at not in names else None,
                "patches": len(item.entries),
                "applied": list(item.applied),
                "left_out": list(item.left_out),
                "uncommitted": list(item.source.uncommitted),
                "merged": item.is_merged,
                "own_commits": item.own is not None,
                "notes": list(item.notes),
            }
            for at, item in enumerate(self.items)
        ]


def planned_landing(
    maingate: Maingate,
    trials: Trials,
    target: Target,
    sources: Sequence[Source],
    options: LandOptions,
    *,
    patches_of: PatchesOf,
    is_sent: bool = False,
) -> PlannedLanding:
    """Read work, and plan its landing.

    Args:
        maingate: The repository of the target.
        trials: The place in which patches are tried.
        target: The branch.
        sources: The work.
        options: The keys of the plan that were chosen.
        patches_of: Returns the patches of work that is no branch.
        is_sent: Whether the commits of the work are in the place for trials, and not in the repository.

    Raises:
        UsageError: Some of it cannot be read, or no gate would prove it, and that was not asked for.
        ProblemsError: The settings have problems.
    """
    if options.title is not None and len(sources) > 1:
        raise UsageError("--title is for one piece of work; several are named")
    settings, rules = rules_at(maingate.context, target)
    repository = trials.scratch if is_sent else maingate.repository
    reader = WorkReader(
        repository,
        target,
        trials.executor,
        scratch=trials.scratch,
        policy=settings.policy,
        landed_as=partial(states_of_patches, maingate.context),
        patches_of=patches_of,
        history=repository.git_dir if is_sent else None,
    )
    items = reader.items(sources, partial(_keeps_commits, repository, options, settings))
    plan = plan_of(items, target.ref, options, settings.policy)
    if plan.names:
        _require_gates(short_name(target.ref), options, rules, has_own=bool(settings.gates))
    return PlannedLanding(target=target, items=items, plan=plan)


def preview_of(maingate: Maingate, trials: Trials, landing: PlannedLanding) -> dict[str, Any]:
    """Return the preview of the run, with conflicts with the target or with one another."""
    trees = {
        name: tree for at, name in landing.plan.names.items() if (tree := landing.items[at].tree) is not None
    }
    with maingate.uploads.loaded(landing.upload, is_kept=False) as loaded:
        require_gate_in(loaded)
        shown = preview(loaded)
        target = maingate.repository.resolve_target(loaded.plan.target)
        trial = trials.of_plan(loaded, target, trees=trees)
        return {**shown, "trial": trial.as_json(), "items": landing.described()}


def require_gate_in(loaded: LoadedPlan) -> None:
    """Raise if there are gates and none of them would run on the result of a workstream or on a patch."""
    plan = loaded.plan
    for name, stream in plan.workstreams.items():
        asked = stream.gates == () or plan.landing_gates(name)
        if not asked and not any(plan.task_gates(name, task) for task in stream.tasks):
            raise UsageError(
                "no gate would prove what lands: every gate has an empty `on`; give another with --gate, or "
                "say --no-gate"
            )


def report_without_run(target: Target, state: str) -> dict[str, Any]:
    """Return the report of a landing that needed no run.

    Args:
        target: The branch.
        state: ``succeeded``, or ``failed`` where it was refused.
    """
    return {
        "run_id": None,
        "state": state,
        "target": {"ref": target.ref, "old": target.commit, "new": target.commit},
        "workstreams": [],
        "tasks": [],
        "next_action": {"code": "none", "about": None, "command": None},
    }


def _keeps_commits(repository: Repository, options: LandOptions, settings: Settings, source: Source) -> bool:
    """Return whether the commits of work are to land as they are.

    So they are with a merge, where it needs no other work or has the commits of the other among its own.
    """
    other = options.needs
    if (options.landing or settings.landing or LandingStyle.MERGE) != LandingStyle.MERGE:
        return False
    if other is None or other is source:
        return True
    commits = source.commit, other.commit
    return all(commits) and repository.is_ancestor(other.commit or "", source.commit or "")


def _require_gates(branch: str, options: LandOptions, rules: RepositoryRules, *, has_own: bool) -> None:
    """Raise if no gate would prove what lands, and that was not asked for."""
    if options.is_ungated and rules.required:
        required = listed(sorted(rules.required), _GATES_SHOWN)
        raise UsageError(f"--no-gate: {branch} requires {required}; leave the option out")
    if not (options.is_ungated or options.gates or has_own):
        raise UsageError(
            f"{branch} has no gates, so nothing would prove what lands: give one with --gate NAME=COMMAND "
            '(such as --gate "unit=pytest -q"), write [gates.NAME] into maingate.toml and commit that, or '
            "say --no-gate"
        )
