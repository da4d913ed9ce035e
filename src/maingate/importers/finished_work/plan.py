"""The plan of finished work: a workstream for each piece, with a task for each of its patches."""

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Any, Final

from maingate.importers.diffs import ReadDiff
from maingate.importers.finished_work.items import WorkItem
from maingate.importers.finished_work.sources import STANDARD_INPUT, Source
from maingate.importers.plan_files import checked, planned_task
from maingate.importers.plan_names import NameGiver
from maingate.importers.series_entry import Entry
from maingate.plan.choices import LandingStyle, OnApplied
from maingate.settings import PolicyLayer
from maingate.wording import listed

_NAMES_SHOWN: Final = 3


@dataclass(frozen=True, kw_only=True)
class LandOptions:
    """The keys of the plan that a person chooses.

    Args:
        landing: The form of the landing; None for that of the repository.
        gates: More gates: commands by name.
        is_ungated: Whether no gates run at all.
        needs: The work that all other work needs, by its source.
        priority: The priority of the workstreams.
        title: The title of the only workstream.
        on_applied: The end of work that the target has already.
        sender: The person who sent the work from another clone; None for work of the repository.
    """

    landing: LandingStyle | None = None
    gates: Mapping[str, str] = field(default_factory=dict)
    is_ungated: bool = False
    needs: Source | None = None
    priority: int = 0
    title: str | None = None
    on_applied: OnApplied = OnApplied.SKIP
    sender: str | None = None


@dataclass(frozen=True, kw_only=True)
class WorkPlan:
    """A plan with its patches.

    Args:
        raw: The plan, as JSON.
        files: The patches, by their paths relative to the plan.
        names: The workstream of each item that has patches, by the item's place.
    """

    raw: bytes
    files: Mapping[str, bytes]
    names: Mapping[int, str]


def plan_of(items: Sequence[WorkItem], target: str, options: LandOptions, policy: PolicyLayer) -> WorkPlan:
    """Return the plan that lands work.

    Kinds of changes that the settings do not speak of are allowed, as in an import.

    Args:
        items: The work; each item that has patches gets a workstream.
        target: The branch.
        options: The keys that a person chose.
        policy: The policy of the settings.

    Raises:
        UsageError: A gate has an invalid name.
    """
    giver = NameGiver()
    names = {at: giver.name(item.title, otherwise="work") for at, item in enumerate(items) if item.entries}
    files: dict[str, bytes] = {}
    permissions: dict[str, bool] = {}
    streams: dict[str, Any] = {}
    needed = [name for at, name in names.items() if items[at].source is options.needs]
    for at, name in names.items():
        item = items[at]
        tasks: dict[str, Any] = {}
        for number, entry in enumerate(_titled(item, options), start=1):
            task = planned_task(entry, number=number, folder=name)
            commit = item.commits.get(number)
            own = {} if commit is None else {"commit": commit}
            tasks[task.name] = {**task.spec, **own, **({"gates": []} if options.is_ungated else {})}
            files[task.spec["patch"]] = entry.diff
            permissions |= ReadDiff(entry.diff).permissions
        streams[name] = _workstream(item, tasks, options, needed)
    granted = {key: True for key in sorted(permissions) if getattr(policy, key) is None}
    told = listed([item.title for item in items], _NAMES_SHOWN)
    data = {
        "maingate": 1,
        "name": f"land {told}",
        "target": target,
        **({"landing": str(options.landing)} if options.landing else {}),
        **({} if options.on_applied is OnApplied.SKIP else {"on_applied": str(options.on_applied)}),
        **({"policy": granted} if granted else {}),
        **({"gates": {name: {"run": run} for name, run in options.gates.items()}} if options.gates else {}),
        "workstreams": streams,
    }
    whole = checked(data) if streams else data
    return WorkPlan(raw=json.dumps(whole, indent=1).encode(), files=files, names=names)


def _titled(item: WorkItem, options: LandOptions) -> Sequence[Entry]:
    """Return the patches of an item; a single diff without a message gets the title that was chosen."""
    if options.title is None or item.source.branch is not None or len(item.entries) != 1:
        return item.entries
    return [replace(entry, message=entry.message or options.title) for entry in item.entries]


def _workstream(
    item: WorkItem,
    tasks: Mapping[str, Any],
    options: LandOptions,
    needed: Sequence[str],
) -> dict[str, Any]:
    needs = () if item.source is options.needs else needed
    source = _source(item.source, options)
    return {
        "title": options.title or item.title,
        **({"needs": [*needs]} if needs else {}),
        **({"base": item.own.base} if item.own else {}),
        **({"priority": options.priority} if options.priority else {}),
        **({"gates": []} if options.is_ungated else {}),
        **({} if source is None else {"source": source}),
        "tasks": tasks,
    }


def _source(work: Source, options: LandOptions) -> str | None:
    """Return the name of work in a plan: its key, or of a diff without a place the title that was chosen.

    Clones of several people may have branches of one name, so the sender is a part of it.
    """
    key = work.key
    if key is None and work.argument == STANDARD_INPUT and options.title is not None:
        key = f"{STANDARD_INPUT} {options.title}"
    return key if key is None or options.sender is None else f"{options.sender}: {key}"
