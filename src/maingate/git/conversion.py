"""Which bytes and rights git gives files in a slot: what decides it besides a commit's ``.gitattributes``."""

import functools
import os
from collections.abc import Mapping

from maingate.git.command import hermetic_options, run_git


def checkout_conversion(environment: Mapping[str, str]) -> Mapping[str, object]:
    """Return all that decides how a commit is written into a slot; it is part of every verdict's key.

    A slot's git reads no configuration of a person or a repository, no ``info/attributes`` and no filter
    drivers. What will be applied there one day belongs in here, with all of its configuration.

    Args:
        environment: What workers, and so their git, get of the environment.
    """
    return {
        "git": git_version(environment.get("PATH", os.defpath)),
        "options": hermetic_options(),
        "umask": umask(),
    }


@functools.cache
def git_version(path: str) -> str:
    """Return what the git that is found on a PATH says of itself."""
    return os.fsdecode(run_git("version", env={"PATH": path}).stdout).strip()


def umask() -> int:
    """Return which rights this process, and all that it starts, withholds from what they make."""
    rights = os.umask(0o077)
    os.umask(rights)
    return rights
