"""Build the environment of gates, commands and tools from an allow-list of the caller's variables."""

from collections.abc import Mapping, Sequence
from typing import Final

from maingate.settings.gate_environment import DEFAULT_ENVIRONMENT

_OF_A_REPOSITORY: Final = frozenset(
    {
        *("GIT_DIR", "GIT_WORK_TREE", "GIT_COMMON_DIR", "GIT_INDEX_FILE", "GIT_PREFIX", "GIT_NAMESPACE"),
        *("GIT_OBJECT_DIRECTORY", "GIT_ALTERNATE_OBJECT_DIRECTORIES", "GIT_QUARANTINE_PATH"),
        *("GIT_CONFIG", "GIT_CONFIG_PARAMETERS", "GIT_GRAFT_FILE", "GIT_SHALLOW_FILE"),
        *("GIT_IMPLICIT_WORK_TREE", "GIT_INTERNAL_SUPER_PREFIX", "GIT_REPLACE_REF_BASE"),
    }
)
"""Variables that point a git hook to its repository: a gate would write into that one."""


def allowed_environment(
    environ: Mapping[str, str], allowed: Sequence[str] = DEFAULT_ENVIRONMENT
) -> dict[str, str]:
    """Return the part of an environment that gates may see; never what leads git to another repository.

    Args:
        environ: The environment to pick from.
        allowed: Names; one that ends in ``*`` stands for all that begin so.
    """
    names = {name for name in allowed if not name.endswith("*")}
    prefixes = tuple(name[:-1] for name in allowed if name.endswith("*"))
    return {
        name: value
        for name, value in environ.items()
        if (name in names or name.startswith(prefixes)) and name not in _OF_A_REPOSITORY
    }
