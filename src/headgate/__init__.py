"""Headgate lands patches: nothing reaches your branch without passing the gate."""

from importlib.metadata import version
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from headgate.bootstrap import Headgate

__all__ = ["Headgate", "__version__"]

__version__ = version("headgate")


def __getattr__(name: str) -> Any:
    """Import the Python interface when it is first asked for, so that ``headgate --version`` stays light."""
    if name == "Headgate":
        from headgate.bootstrap import Headgate  # noqa: PLC0415 - the point of it

        return Headgate
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
