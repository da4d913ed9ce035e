"""Opening a repository with its record and its settings."""

import os
from pathlib import Path

from maingate.clock import SystemClock
from maingate.db.engine import BUSY_TIMEOUT, open_database
from maingate.errors import MaingateError, NoStateError
from maingate.git.command import require_git
from maingate.git.commit_rules import CommitSettings
from maingate.git.repository import Repository
from maingate.git.repository_identity import identify, settle
from maingate.repository_context import RepositoryContext
from maingate.state_folder import (
    make_folders,
    paths_of,
    settings_files,
    state_root,
    stated_settings,
)


def open_repository(start: Path, *, create: bool, migrate: bool) -> RepositoryContext:
    """Open the repository around a path, and its record.

    Args:
        start: Any path in the repository.
        create: Make the state folder and its database where there is none yet.
        migrate: Bring the database up to date; without it nothing of it is read or written yet.

    Raises:
        RepositoryError: There is no repository, or none that can be worked on.
        UsageError: There is no state yet and none was to be made.
        SettingsError: ``maingate.toml`` or ``MAINGATE_*`` has problems.
    """
    require_git()
    repository = Repository.open(start)
    files = settings_files(repository)
    settings = stated_settings(repository, files, os.environ)
    if settings is not None:
        repository.commit_settings = CommitSettings(sign=settings.sign, committer=settings.committer)
    database_url = settings.database_url if settings is not None else None
    is_alone = database_url is None
    state = state_root(repository)
    identity = identify(repository.git_dir, state, may_have_moved_far=is_alone)
    paths = paths_of(repository, identity, settings, os.environ)
    if not create and not (database_url or paths.database.exists()):
        raise NoStateError(f"Maingate has not run in {repository.root} yet; `maingate run PLAN` begins")
    if create:
        make_folders(paths)
        identity = settle(repository.git_dir, state, may_have_moved_far=is_alone)
        paths = paths_of(repository, identity, settings, os.environ)
    database = open_database(
        database_url or f"sqlite:///{paths.database}",
        busy_timeout=settings.busy_timeout if settings else BUSY_TIMEOUT,
    )
    try:
        if migrate:
            database.upgrade()
    except MaingateError:
        database.close()
        repository.close()
        raise
    if database_url is not None:
        database.use_repository(identity.id)
    return RepositoryContext(
        repository=repository,
        database=database,
        paths=paths,
        identity=identity,
        clock=SystemClock(),
        settings=settings,
        files=files,
    )
