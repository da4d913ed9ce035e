"""Settings: ``headgate.toml`` at the repository's root, ``HEADGATE_*`` over it, as one frozen object."""

from headgate.settings.loader import load_settings
from headgate.settings.model import Settings
from headgate.settings.policy import PolicyLayer

__all__ = ["PolicyLayer", "Settings", "load_settings"]
