"""The secrets of tools: environment variables that only the tool which names them sees."""

from collections.abc import Mapping

from maingate.plan.definitions import ToolDefinition
from maingate.uet.process.redaction import redact

__all__ = ["missing", "redact", "values_of"]


def values_of(tool: ToolDefinition, environ: Mapping[str, str]) -> dict[str, str]:
    """Return the secrets that a tool names, as far as the environment has them."""
    return {name: environ[name] for name in tool.secrets if name in environ}


def missing(tool: ToolDefinition, environ: Mapping[str, str]) -> list[str]:
    """Return the names of those that the environment does not have."""
    return [name for name in tool.secrets if name not in environ]
