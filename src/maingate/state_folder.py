"""The state folder of a repository and the other places that Maingate keeps files in.

The state folder lies in git's common directory, out of reach of patches, `git clean` and checkouts. Worktrees
lie outside of the repository, in the user's cache.
"""

import hashlib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Final

from maingate.db.engine import file_of
from maingate.errors import OutsideFaultError, UsageError
from maingate.git.repository import Repository, is_among_files
from maingate.git.repository_identity import Identity
from maingate.landing.checkouts.working_trees import all_checkouts
from maingate.settings import SettingsFiles

if TYPE_CHECKING:
    from maingate.settings import Settings

STATE: Final = "maingate"
"""The name of the state folder."""


@dataclass(frozen=True, kw_only=True)
class StatePaths:
    """The places that Maingate keeps files of a repository in.

    Args:
        root: The state folder.
        slots: Worktrees, in the user's cache.
        former_slots: Places of worktrees before the repository was moved.
    """

    root: Path
    slots: Path
    former_slots: Sequence[Path] = ()

    @property
    def database(self) -> Path:
        """The embedded database."""
        return self.root / "maingate.db"

    @property
    def transitions(self) -> Path:
        """Every transition, a line each."""
        return self.root / "transitions.jsonl"

    @property
    def logs(self) -> Path:
        """Gates' output."""
        return self.root / "logs"

    @property
    def locks(self) -> Path:
        """The locks of the worktree slots: here, since the cache may be cleared under a run."""
        return self.root / "slots"

    @property
    def quarantine(self) -> Path:
        """Refused patches."""
        return self.root / "quarantine"

    @property
    def recoveries(self) -> Path:
        """The plans that `patch recover` writes, each in a folder of its own."""
        return self.root / "recover"

    @property
    def uploads(self) -> Path:
        """The plans that were submitted to a server with their files, each in a folder of its own."""
        return self.root / "uploads"


def state_root(repository: Repository) -> Path:
    """Return the state folder of a repository."""
    return repository.git_dir / STATE


def settings_files(repository: Repository) -> SettingsFiles:
    """Return the files that a repository's settings are read from."""
    return SettingsFiles.of(repository.git_dir, None if repository.is_bare else repository.root)


def stated_settings(
    repository: Repository, files: SettingsFiles, environ: Mapping[str, str]
) -> "Settings | None":
    """Read what is set; None where nothing is, and so neither is the record nor the caches elsewhere.

    Raises:
        SettingsError: Something in it is wrong.
        UsageError: The record or the caches are set to lie among the files of a working tree.
    """
    if not files.may_set_anything(environ):
        return None
    from maingate.settings import load_settings  # noqa: PLC0415 - loading the model takes a while

    settings = load_settings(None, environ, files=files)
    _require_out_of_reach(repository, settings)
    return settings


def paths_of(
    repository: Repository, identity: Identity, settings: "Settings | None", environ: Mapping[str, str]
) -> StatePaths:
    """Return the places of a repository.

    Args:
        repository: The repository.
        identity: Its identity, with the places that it was at before.
        settings: The settings; None where nothing is set.
        environ: May name the user's cache.
    """
    slots = _cache(settings, environ) / "worktrees"

    def name_of(git_dir: str) -> str:
        """Name the slots of a repository at a place, so that not even an unknown copy has the same."""
        text = f"{identity.id} {git_dir}".encode(errors="surrogateescape")
        return hashlib.sha256(text).hexdigest()[:16]

    return StatePaths(
        root=state_root(repository),
        slots=slots / name_of(identity.home.git_dir),
        former_slots=tuple(slots / name_of(git_dir) for git_dir in identity.former),
    )


def make_state(paths: StatePaths, identity: Identity) -> None:
    """Make the state folder, and record in it which repository it is of.

    Raises:
        OutsideFaultError: The folder cannot be made.
    """
    make_folders(paths)
    identity.write(paths.root)


def make_folders(paths: StatePaths) -> None:
    """Make the state folder.

    Raises:
        OutsideFaultError: It cannot be made.
    """
    try:
        paths.logs.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise OutsideFaultError(f"the state folder {paths.root} cannot be made: {error}") from error


def _require_out_of_reach(repository: Repository, settings: "Settings") -> None:
    """Refuse a record or caches among the files of a working tree, where what lands would be written."""
    places = (
        (
            "database_url",
            file_of(settings.database_url) if settings.database_url else None,
            "replace the record: name a file elsewhere, or unset it for the one in `.git`",
        ),
        (
            "cache_dir",
            settings.cache_dir,
            "write into what gates judge: name a folder elsewhere, or unset it for the user's cache folder",
        ),
    )
    stated = [(key, path, harm) for key, path, harm in places if path is not None]
    for checkout in all_checkouts(repository) if stated else ():
        for key, path, harm in stated:
            if is_among_files(path, checkout.top):
                lies = f"{key}: {path} lies in the work tree {checkout.top}"
                raise UsageError(f"{lies}, where a patch or a checkout could {harm}")


def _cache(settings: "Settings | None", environ: Mapping[str, str]) -> Path:
    if settings is not None and settings.cache_dir is not None:
        return settings.cache_dir
    base = Path(environ.get("XDG_CACHE_HOME", ""))  # a relative one is none, says who defined the variable
    return (base if base.is_absolute() else Path.home() / ".cache") / "maingate"
