"""Skip the parser's conversion of values that need none.

The parser converts and checks every value with Pydantic, even values that were not given. Loading Pydantic
takes longer than the rest of a reading command.
"""

from functools import partial
from typing import Any


def spare_conversions(command: Any) -> None:
    """Skip the conversion of valid values for the parameters of a command and its subcommands."""
    for parameter in command.params:
        _spare(parameter)
    vars(command)["get_help_option"] = partial(_help_of, command)
    for below in getattr(command, "commands", {}).values():
        spare_conversions(below)


def _help_of(command: Any, context: Any) -> Any:
    """Return the help option, which the parser makes at its first use."""
    option = type(command).get_help_option(command, context)
    if option is not None:
        _spare(option)
    return option


def _spare(parameter: Any) -> None:
    vars(parameter)["process_value"] = partial(_processed, parameter)


def _processed(parameter: Any, context: Any, value: Any) -> Any:
    """Return the value that is passed to the command; completion passes a missing one as None."""
    if not (_is_right(parameter, value) or (value is None and context.resilient_parsing)):
        return type(parameter).process_value(parameter, context, value)
    right = list(value or ()) if _takes_several(parameter) else value
    return right if parameter.callback is None else parameter.callback(context, parameter, right)


def _is_right(parameter: Any, value: Any) -> bool:
    """Return whether conversion would not change a value: not given, the default, or plain text."""
    if _takes_several(parameter):
        texts = value or ()
        is_enough = bool(texts) or not parameter.required
        return (
            is_enough and _takes_any_text(parameter, list[str]) and all(type(each) is str for each in texts)
        )
    if value is None:
        return not parameter.required
    if type(value) is int:
        return type(parameter.default) is int and value == parameter.default
    return type(value) is str and _takes_any_text(parameter, str)


def _takes_several(parameter: Any) -> bool:
    return bool(parameter.nargs != 1 or getattr(parameter, "multiple", False))


def _takes_any_text(parameter: Any, annotation: Any) -> bool:
    described = getattr(parameter, "type_descriptor", None)
    return (
        described is not None
        and described.annotation == annotation
        and getattr(described.parameter_info, "parser", None) is None
    )
