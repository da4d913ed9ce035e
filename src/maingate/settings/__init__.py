"""Settings: the tree's ``maingate.toml``, the repository's own, ``MAINGATE_*`` over them, as one object."""

from maingate.settings.files import SettingsFiles
from maingate.settings.loader import load_settings, tree_values
from maingate.settings.model import Settings
from maingate.settings.policy import PolicyLayer

__all__ = ["PolicyLayer", "Settings", "SettingsFiles", "load_settings", "tree_values"]
