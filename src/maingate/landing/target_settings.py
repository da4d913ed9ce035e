"""The settings in the tree of a target: the `maingate.toml` of the commit that a run is based on."""

from pathlib import Path
from typing import Final

from maingate.errors import GitError, Problem, RepositoryError, SettingsError, UnknownFormatError
from maingate.git.repository import GitEntry, Repository, Target
from maingate.git.targets import short_name
from maingate.git.trees import SYMLINK_MODE
from maingate.settings import SettingsFiles, TargetFile, tree_values
from maingate.settings.files import FILE_NAME

LARGEST: Final = 1024 * 1024
"""Bytes of the largest file of settings that is read from a tree."""


def settings_at(repository: Repository, target: Target) -> TargetFile | None:
    """Read the settings in the tree of a target; None when it has none.

    Raises:
        SettingsError: They are no ordinary file of text, or too large.
    """
    entry = repository.entry_at(repository.tree_of(target.commit), FILE_NAME.encode())
    if entry is None:
        return None
    name = f"{short_name(target.ref)}:{FILE_NAME}"
    fault = _fault_of(entry)
    if fault is None:
        raw = repository.read_blob(entry.id)
        if len(raw) > LARGEST:
            fault = f"has {len(raw):,} bytes, more than the {LARGEST:,} that are read", "make it smaller"
        else:
            try:
                return TargetFile(name=name, text=raw.decode())
            except UnicodeDecodeError:
                fault = "is not UTF-8 text", "save it as UTF-8"
    message, hint = fault
    raise SettingsError([Problem(file=name, line=None, message=message, hint=f"{hint}, and commit that")])


def fault_at(repository: Repository, target: Target) -> str | None:
    """Return why no run could go by the settings in the tree of a target; None where one could."""
    try:
        file = settings_at(repository, target)
        if file is not None:
            tree_values(SettingsFiles(target=file))
    except SettingsError as error:
        return "; ".join(f"{each.file}:{each.line}: {each.message}" for each in error.problems)
    return None


def read_target(root: Path, name: str | None) -> TargetFile | None:
    """Read the settings in the tree of a branch; None when it has none.

    A repository or branch that cannot be used now has none either: the run is refused for that by its
    admission.

    Args:
        root: The root of the repository.
        name: The branch; None for the one that is checked out.

    Raises:
        SettingsError: See `settings_at`.
        UnknownFormatError: No plan can be run there.
    """
    try:
        repository = Repository.open(root)
    except UnknownFormatError:
        raise
    except RepositoryError:
        return None
    with repository:
        try:
            target = repository.resolve_target(name)
        except (RepositoryError, GitError):
            return None
        return settings_at(repository, target)


def _fault_of(entry: GitEntry) -> tuple[str, str] | None:
    if entry.mode == SYMLINK_MODE:
        return "is a symbolic link", "write a plain file"
    return None if entry.is_blob else ("is not a file", "write a plain file")
