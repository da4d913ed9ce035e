"""Arguments of tools: the values that each takes, in words, for the documentation and for answers."""

from collections.abc import Iterator, Mapping
from typing import Any, Final

from mcp.server.mcpserver.exceptions import ToolError
from mcp.server.mcpserver.tools import Tool
from pydantic import ValidationError

from maingate.settings.problems import as_written, did_you_mean

Schema = Mapping[str, Any]

_KINDS: Final = {
    "string": "text",
    "integer": "a whole number",
    "boolean": "true or false",
}


def require_valid(tool: Tool, arguments: Mapping[str, Any]) -> None:
    """Check the arguments of a call, before anything is done.

    Raises:
        ToolError: Lists each that the tool does not have, that is missing, or whose value it does not take.
    """
    faults = [*_unknown(tool, arguments), *_wrong(tool, arguments)]
    if faults:
        raise ToolError("\n".join(faults))


def properties_of(tool: Tool) -> Mapping[str, Schema]:
    """Return the description of each argument of a tool, as the protocol has it."""
    found: Mapping[str, Schema] = tool.parameters.get("properties", {})
    return found


def is_required(tool: Tool, name: str) -> bool:
    """Return whether a tool needs an argument."""
    return name in tool.parameters.get("required", ())


def taken_by(schema: Schema) -> str:
    """Return the values that an argument takes, in words."""
    options = [each for each in schema.get("anyOf", [schema]) if each.get("type") != "null"]
    return " or ".join(_words(each) for each in options)


def _words(schema: Schema) -> str:
    if "enum" in schema:
        return f"one of {', '.join(schema['enum'])}"
    if schema["type"] == "array":
        return f"a list of texts{_up_to(schema, 'maxItems')}"
    if "minimum" in schema:
        return f"{_KINDS[schema['type']]} from {schema['minimum']} to {schema['maximum']}"
    empty = ", not empty" if schema.get("minLength") else ""
    return f"{_KINDS[schema['type']]}{_up_to(schema, 'maxLength')}{empty}"


def _up_to(schema: Schema, key: str) -> str:
    most = schema.get(key)
    unit = "of them" if key == "maxItems" else "characters"
    return "" if most is None else f", at most {most} {unit}"


def _unknown(tool: Tool, arguments: Mapping[str, Any]) -> Iterator[str]:
    known = properties_of(tool)
    for name in arguments:
        if name not in known:
            hint = did_you_mean(name, known) or "it takes none"
            yield f"{tool.name} has no argument {as_written(name)} ({hint})"


def _wrong(tool: Tool, arguments: Mapping[str, Any]) -> Iterator[str]:
    try:
        tool.fn_metadata.validate_arguments(dict(arguments))
    except ValidationError as error:
        details = error.errors(include_url=False)
    else:
        return
    for name, *place in dict.fromkeys(detail["loc"] for detail in details):
        given = next(each["input"] for each in details if each["loc"] == (name, *place))
        takes = _taken(properties_of(tool)[str(name)])
        if name not in arguments:
            yield f"{tool.name}: argument {name!r} is missing; it takes {takes}"
        else:
            where = f"item {int(place[0]) + 1} of argument {name!r}" if place else f"argument {name!r}"
            yield f"{tool.name}: {where} is {as_written(given)}; the argument takes {takes}"


def _taken(schema: Schema) -> str:
    meaning = schema.get("description")
    return taken_by(schema) + ("" if meaning is None else f": {meaning}")
