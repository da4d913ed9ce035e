"""Secrets of tools: environment variables that only the tool naming them sees."""

from collections.abc import Mapping

from maingate.plan.definitions import ToolDefinition
from maingate.uet.process.redaction import redact

__all__ = ["missing", "redact", "values_of"]


def values_of(tool: ToolDefinition, environ: Mapping[str, str]) -> dict[str, str]:
    """Return the secrets of a tool that the environment has."""
    return {name: environ[name] for name in tool.secrets if name in environ}


def missing(tool: ToolDefinition, environ: Mapping[str, str]) -> list[str]:
    """Return the names of a tool's secrets that the environment lacks."""
    return [name for name in tool.secrets if name not in environ]
