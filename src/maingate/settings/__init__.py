"""Settings as one object: the tree's ``maingate.toml``, the repository's own, and ``MAINGATE_*`` over both.

The model takes longer to load than most commands take to read their rows, so it is loaded at the first use of
one of these names.
"""

from importlib import import_module
from typing import TYPE_CHECKING, Any, Final

from maingate.settings.files import SettingsFiles, TargetFile

if TYPE_CHECKING:
    from maingate.settings.loader import load_settings, rules_of, tree_values
    from maingate.settings.model import Settings
    from maingate.settings.policy_layer import PolicyLayer

__all__ = [
    "PolicyLayer",
    "Settings",
    "SettingsFiles",
    "TargetFile",
    "load_settings",
    "rules_of",
    "tree_values",
]

_LATE: Final = {
    "PolicyLayer": "policy_layer",
    "Settings": "model",
    "load_settings": "loader",
    "rules_of": "loader",
    "tree_values": "loader",
}


def __getattr__(name: str) -> Any:
    """Load a name at its first use."""
    if name not in _LATE:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    return getattr(import_module(f"{__name__}.{_LATE[name]}"), name)
