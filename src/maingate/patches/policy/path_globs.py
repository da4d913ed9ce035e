"""Match the paths of a patch against the globs of a policy or scope."""

from functools import lru_cache

from pathspec import GitIgnoreSpec

from maingate.patches.policy.stack import Groups
from maingate.patches.policy.unsafe_paths import glob_text


def matching(groups: Groups, path: bytes, *, is_folder: bool = False) -> tuple[str, ...] | None:
    """Return the first group that matches a path, or, if the path is a folder, its content."""
    for group in groups:
        if matches(group, path) or (is_folder and matches(group, path + b"/\x01")):
            return group
    return None


def matches(globs: tuple[str, ...], path: bytes) -> bool:
    """Return whether any glob matches a path."""
    return _compiled(globs).match_file(glob_text(path))


@lru_cache(maxsize=256)
def _compiled(globs: tuple[str, ...]) -> GitIgnoreSpec:
    return GitIgnoreSpec.from_lines(globs)
