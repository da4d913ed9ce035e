"""Loading of plans with the settings in the tree of their target, as a run goes by them."""

import os
from dataclasses import replace
from functools import partial
from typing import Final

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
