"""Settings: ``maingate.toml`` at the repository's root, ``MAINGATE_*`` over it, as one frozen object."""

from maingate.settings.loader import load_settings
from maingate.settings.model import Settings
from maingate.settings.policy import PolicyLayer

__all__ = ["PolicyLayer", "Settings", "load_settings"]
