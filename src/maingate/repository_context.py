"""The repository, its record and its settings, as the services and queries of one process share them."""

import os
from collections.abc import Callable, Mapping
from dataclasses import replace
from functools import cached_property
from typing import TYPE_CHECKING, Any

from maingate.clock import Clock
from maingate.db.dao import runs
from maingate.db.dao.runs import RunRow
from maingate.db.engine import Database
from maingate.db.sql.connection import Connection
from maingate.errors import SettingsError, UsageError
from maingate.git.repository import Repository, Target
from maingate.git.repository_identity import Identity
from maingate.landing.lease import lease_at_work
from maingate.settings import SettingsFiles
from maingate.state_folder import StatePaths

if TYPE_CHECKING:
    from maingate.settings import Settings


class RepositoryContext:
    """The repository, its record and its settings.

    Args:
        repository: The repository.
        database: Its record.
        paths: Where its files are kept.
        identity: Which repository it is.
        clock: The time.
        settings: The settings; None where nothing is set.
        files: The files that settings are read from; None for the environment alone.

    Attributes:
        is_shared: Whether the record may be one of several repositories.
    """

    def __init__(
        self,
        *,
        repository: Repository,
        database: Database,
        paths: StatePaths,
        identity: Identity,
        clock: Clock,
        settings: "Settings | None",
        files: SettingsFiles | None = None,
    ) -> None:
        self.repository, self.database = repository, database
        self.paths, self.identity, self.clock = paths, identity, clock
        self.files = files
        self.is_shared = settings is not None and settings.database_url is not None
        if settings is not None:
            self.settings = settings

    @cached_property
    def settings(self) -> "Settings":
        """The settings; where nothing is set, they are read on first use, because that takes a while."""
        from maingate.settings import load_settings  # noqa: PLC0415 - most reading commands need no settings

        return load_settings(None, os.environ, files=self.files)

    def tree_settings(self, target: Target) -> Mapping[str, Any]:
        """Read what ``maingate.toml`` says now in the tree of a target, and in the work tree.

        Raises:
            SettingsError: One of them has problems.
        """
        from maingate.landing.target_settings import settings_at  # noqa: PLC0415 - as above
        from maingate.settings import tree_values  # noqa: PLC0415 - as above

        if self.files is None:
            return {}
        return tree_values(replace(self.files, target=settings_at(self.repository, target)))

    def settings_of(self, run_id: str, notice: Callable[[str], None] | None = None) -> "Settings":
        """Return a run's settings: the tree's as they were when it was admitted, all else as it is now.

        Args:
            run_id: The run.
            notice: Called with a sentence when the tree's have changed since.
        """
        from maingate.settings import load_settings  # noqa: PLC0415 - as above

        if self.files is None:
            return self.settings
        with self.database.read() as conn:
            run = runs.get(conn, run_id)
        admitted = run.tree_settings
        if notice is not None and self._has_changed(admitted, run.target_ref):
            notice(
                f"{self.files.tree} has changed, or that of the target; this run goes by what they were "
                f"when it was admitted. What is to hold at once goes into {self.files.own} or the environment"
            )
        return load_settings(None, os.environ, files=self.files, tree=admitted)

    def _has_changed(self, admitted: Mapping[str, Any], target_ref: str) -> bool:
        """Return whether the tree's settings are others now; a run goes on by its own, whatever they are."""
        head = self.repository.ref_value(target_ref)
        if head is None:
            return True
        try:
            return admitted != self.tree_settings(Target(ref=target_ref, commit=head))
        except SettingsError:
            return True

    def is_own(self, run: RunRow) -> bool:
        """Return whether a run is one of this repository, wherever that was when the run was admitted."""
        return run.repository_id == self.identity.id

    def require_own(self, run: RunRow) -> None:
        """Refuse a run of another repository.

        Raises:
            UsageError: It is one.
        """
        if self.is_own(run):
            return
        copied = run.repository == self.identity.copied_from
        what = ", of which this repository is a copy" if copied else ", which is another repository than this"
        raise UsageError(f"{run.id} is a run on {run.repository}{what}; run this command there")

    def is_copied(self, run: RunRow) -> bool:
        """Return whether a run is in this repository's own record only because that was copied with it."""
        return not self.is_shared and not self.is_own(run)

    def is_at_work(self, conn: Connection, run: RunRow) -> bool:
        """Return whether a living process is at work on a run."""
        if self.is_copied(run):
            return False
        return lease_at_work(conn, run, self.clock.now()) is not None

    def write_log(self) -> None:
        """Append to the file of transitions what it lacks."""
        from maingate.db.transition_log import TransitionLog  # noqa: PLC0415 - nothing that only reads writes

        TransitionLog(self.paths.transitions, self.database).catch_up()
