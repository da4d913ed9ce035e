"""Loading of plans with the settings in the tree of their target, as a run goes by them."""

import os
from dataclasses import replace
from functools import partial
from typing import Final

from maingate.errors import PlanError, Problem, RepositoryError
from maingate.git.repository import Repository, Target
from maingate.landing.target_settings import read_target, settings_at
from maingate.plan import loader
from maingate.plan.loader import LoadedPlan
from maingate.plan.rules import RepositoryRules
from maingate.repository_context import RepositoryContext
from maingate.settings import Settings, SettingsFiles, load_settings, rules_of

load_plan: Final = partial(loader.load_plan, read_target=read_target)
"""Load a plan from its file; see `maingate.plan.loader.load_plan`."""

parse_plan: Final = partial(loader.parse_plan, read_target=read_target)
"""Load a plan from bytes; see `maingate.plan.loader.parse_plan`."""


def rules_at(context: RepositoryContext, target: Target) -> tuple[Settings, RepositoryRules]:
    """Return the settings and the rules by which a run on a target would go.

    Raises:
        SettingsError: They have problems.
    """
    files = context.files or SettingsFiles()
    files = replace(files, target=settings_at(context.repository, target))
    return load_settings(None, os.environ, files=files), RepositoryRules(files=rules_of(files))


def require_bases(loaded: LoadedPlan, repository: Repository, target: Target) -> None:
    """Raise unless each workstream that states a base begins on a commit of the target.

    Raises:
        PlanError: One does not: the changes of its base would land without a look at them.
    """
    problems = []
    for name, workstream in loaded.plan.workstreams.items():
        base = workstream.base
        if base is None or _has(repository, target, base):
            continue
        file, line = loaded.place_of("workstreams", name, "base")
        message = f"workstreams.{name}: {base[:12]} is not in the history of {target.ref}"
        hint = "name a commit of the target, or remove the key"
        problems.append(Problem(file=file, line=line, message=message, hint=hint))
    if problems:
        raise PlanError(problems)


def _has(repository: Repository, target: Target, commit: str) -> bool:
    try:
        found = repository.resolve_commit(commit)
    except RepositoryError:
        return False
    return found == commit and repository.is_ancestor(commit, target.commit)


def at_target(loaded: LoadedPlan, repository: Repository, target: Target) -> LoadedPlan:
    """Return a plan as it is by the settings at a commit: loaded again where it was loaded by others.

    Raises:
        PlanError: The plan has problems by those settings.
        SettingsError: They have problems themselves.
    """
    found = settings_at(repository, target)
    if (found and found.text) == (loaded.target and loaded.target.text):
        return loaded
    return loader.load_plan(loaded.path, root=loaded.root, read_target=lambda _root, _name: found)
