"""The inputs, besides a commit's ``.gitattributes``, that decide the bytes and modes of files in a slot."""

import os
from collections.abc import Mapping

from maingate.git.command import git_version, hermetic_options
from maingate.git.filter_drivers import FilterDrivers


def checkout_conversion(environment: Mapping[str, str], drivers: FilterDrivers) -> Mapping[str, object]:
    """Return the inputs that decide how a commit is written into a slot, a part of every verdict's key.

    A slot's git reads no configuration of a person or a repository but their filter drivers, and no
    ``info/attributes``.

    Args:
        environment: The environment of workers, and so of their git.
        drivers: The filters that files are written by.
    """
    return {
        "git": git_version(environment.get("PATH", os.defpath)),
        "options": hermetic_options(),
        "umask": umask(),
        "filters": [drivers.settings, drivers.place],
    }


def umask() -> int:
    """Return the permission bits that this process and its children withhold from new files."""
    rights = os.umask(0o077)
    os.umask(rights)
    return rights
