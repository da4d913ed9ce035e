"""Maingate lands patches: nothing reaches your branch without passing the gate."""

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from maingate.bootstrap import Maingate

    __version__: str

__all__ = ["Maingate", "__version__"]


def __getattr__(name: str) -> Any:
    """Import what is asked for when it is asked for, so that commands and workers start light."""
    if name == "Maingate":
        from maingate.bootstrap import Maingate  # noqa: PLC0415 - the point of it

        return Maingate
    if name == "__version__":
        from importlib.metadata import version  # noqa: PLC0415 - it costs as much as all the rest

        return version("maingate")
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
