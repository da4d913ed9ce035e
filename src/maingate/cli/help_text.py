"""Adapt the parser's help for people: no names of Python types, whole paragraphs, brackets as written."""

from functools import partial
from typing import Any


def show_plain_help(command: Any) -> None:
    """Adapt the help of a command and its subcommands when it is printed."""
    vars(command)["format_help"] = partial(_format_help, command)
    for below in getattr(command, "commands", {}).values():
        show_plain_help(below)


def _format_help(command: Any, context: Any, formatter: Any) -> None:
    command.help = _paragraphs(command.help or "")
    for parameter in command.get_params(context):
        parameter.help = _literal(parameter.help or "")
        vars(parameter)["display_type_rich"] = partial(_value_of, parameter)
        if parameter.param_type_name == "argument":
            vars(parameter)["get_usage_pieces"] = partial(_usage_of, parameter)
    type(command).format_help(command, context, formatter)


def _paragraphs(text: str) -> str:
    """Return the text with each paragraph on one line, which the terminal's width then breaks."""
    return "\n\n".join(" ".join(_literal(each).split()) for each in text.split("\n\n"))


def _literal(text: str) -> str:
    """Return the text such that brackets are printed: `[default: x]` would be taken for markup and vanish."""
    return text.replace("\\[", "[").replace("[", "\\[")


def _value_of(parameter: Any, ctx: Any) -> str:
    """Return the column for an option's value; a flag takes none, and an argument is its own name."""
    if parameter.param_type_name == "argument" or getattr(parameter, "is_flag", False):
        return ""
    return parameter.metavar or str(parameter.display_type(ctx)).strip("<>")


def _usage_of(parameter: Any, ctx: Any) -> list[str]:  # noqa: ARG001  # the signature is the parser's
    """Return the argument as the line of usage has it, in brackets if it is optional."""
    name = parameter.display_name_raw
    if "|" in name and parameter.required:
        name = f"{{{name}}}"
    return [(name if parameter.required else f"[{name}]") + ("..." if parameter.nargs != 1 else "")]
