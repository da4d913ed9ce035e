"""The story that the command line's tests read, for the tools of agents."""

from cli.conftest import played

__all__ = ("played",)
