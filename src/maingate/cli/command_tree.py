"""The tree of commands, and the one place where errors end a command."""

import os
import sys
import traceback
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, Any, Final

import typer
from typer.core import TyperGroup

from maingate.cli.command_table import COMMANDS, command_named
from maingate.cli.exit_codes import ExitCode, code_of_error, is_expected
from maingate.cli.help_text import show_plain_help
from maingate.cli.output import fail
from maingate.cli.parameters import spare_conversions
from maingate.cli.standard_streams import NAME, discard_output, is_reader_gone

CommandLineError: Final[type[Exception]] = typer.BadParameter.__bases__[0]
"""Error of the parser for an invalid command line; the parser does not export it."""

_GLOBAL: Final = frozenset({"-C", "--debug", "--version", "-V", "--install-completion"})
"""Options of `maingate` itself."""

KEYBOARD_INTERRUPT: Final = 130
"""Exit code of the parser after an unhandled Ctrl-C."""


@dataclass
class Invocation:
    """Values of the global options."""

    is_debug: bool = False


class Commands(TyperGroup):
    """The command tree. Every error ends as one paragraph and an exit code."""

    def main(
        self,
        args: Sequence[str] | None = None,
        prog_name: str | None = None,
        complete_var: str | None = None,
        standalone_mode: bool = True,  # noqa: ARG002  # the signature is the parser's
        windows_expand_args: bool = True,
        **extra: Any,
    ) -> Any:
        """Run one command line and exit."""
        invocation = Invocation()
        spare_conversions(self)
        show_plain_help(self)

        def call() -> Any:
            return super(Commands, self).main(
                args, prog_name, complete_var, False, windows_expand_args, obj=invocation, **extra
            )

        sys.exit(ended(call, invocation))

    def list_commands(self, ctx: Any) -> list[str]:  # noqa: ARG002  # the signature is the parser's
        """Return the commands in the order of the help."""
        return list(COMMANDS)

    def get_command(self, ctx: Any, cmd_name: str) -> Any:  # noqa: ARG002  # the signature is the parser's
        """Load a command and return it; None if the name is unknown."""
        return command_named(cmd_name) if cmd_name in COMMANDS else None

    def resolve_command(self, ctx: Any, args: list[str]) -> tuple[str | None, Any, list[str]]:
        """Return the named command; for an unknown name, load all commands for suggestions."""
        if args and args[0] not in COMMANDS:
            self.commands.update((name, command_named(name)) for name in COMMANDS)
        return super().resolve_command(ctx, args)

    def invoke(self, ctx: Any) -> Any:
        """Run the command and flush its output."""
        result = super().invoke(ctx)
        sys.stdout.flush()
        return result


def ended(call: Callable[[], Any], invocation: Invocation) -> int:
    """Run a call and return its exit code; print an error on standard error."""
    try:
        returned = call()
    except CommandLineError as error:
        _fail_usage(error)
        return ExitCode.USAGE
    except (SystemExit, BrokenPipeError) as leaving:
        if not is_reader_gone(leaving):
            raise
        discard_output()  # a closed pipe is no error
        return ExitCode.DONE
    except (Exception, KeyboardInterrupt) as error:  # noqa: BLE001  # the outermost edge: everything ends here
        if invocation.is_debug:
            traceback.print_exception(error)
        if isinstance(error, OSError) and error.filename == NAME:
            discard_output()
        fail(_paragraph(error))
        return code_of_error(error)
    if returned == KEYBOARD_INTERRUPT:
        fail("interrupted")
        return ExitCode.INTERRUPTED
    return returned if isinstance(returned, int) else ExitCode.DONE


def _paragraph(error: BaseException) -> str:
    if isinstance(error, (KeyboardInterrupt, typer.Abort)):
        return "interrupted"
    if is_expected(error):
        return str(error)
    if isinstance(error, OSError) and error.filename == NAME:
        return f"{NAME} could not be written: {error.strerror}"
    if isinstance(error, FileNotFoundError) and not _is_somewhere():
        return "the working directory no longer exists; `cd` to a folder that exists"
    if isinstance(error, OSError):
        return f"system error: {error}"
    return (
        f"this is a bug in Maingate: {type(error).__name__}: {error}. Everything recorded so far is kept. "
        "Run the same command with --debug (`maingate --debug …`) to see where, and please report it."
    )


def _is_somewhere() -> bool:
    """Return whether the working directory exists; without it every relative path fails."""
    try:
        Path.cwd()
    except FileNotFoundError:
        return False
    return True


def _fail_usage(error: Any) -> None:
    if type(error).__name__ == "NoArgsIsHelpError":
        error.show()
        return
    path = error.ctx.command_path if error.ctx is not None else "maingate"
    said = error.format_message().replace(": Value error, ", ": ", 1)  # the words of the library are no news
    end = "" if said.endswith((".", "?", "!")) else "."
    option = getattr(error, "option_name", None)
    if path != "maingate" and option in _GLOBAL:
        end = f"; write it before the command: `maingate {option} …`."
    fail(f"{said.removesuffix('.') if end.startswith(';') else said}{end} Try `{path} --help`.")


def _print_version(asked: bool) -> None:
    if asked:
        from importlib.metadata import version

        print(f"maingate {version('maingate')}")
        raise typer.Exit


def _enter(directory: Path | None) -> Path | None:
    if directory is not None:
        try:
            os.chdir(directory)
        except OSError as error:
            raise typer.BadParameter(f"cannot enter {directory}: {error.strerror}") from error
    return directory


Directory = Annotated[
    Path | None,
    typer.Option("-C", metavar="DIR", help="Run as if started in DIR.", callback=_enter, is_eager=True),
]
Debug = Annotated[bool, typer.Option("--debug", help="Show tracebacks.")]
Version = Annotated[
    bool,
    typer.Option("--version", "-V", help="Print the version.", callback=_print_version, is_eager=True),
]

app = typer.Typer(
    cls=Commands,
    help="Lands patches: nothing reaches your branch without passing the gate.",
    epilog="Exit codes: 0 done · 1 something was refused or failed · 2 bad usage, plan or settings · "
    "3 interrupted · 4 git, database or disk failed · 5 a bug.",
    no_args_is_help=True,
    add_completion=True,
    rich_markup_mode="rich",
    context_settings={"help_option_names": ["-h", "--help"]},
)


@app.callback()
def maingate(
    ctx: typer.Context, directory: Directory = None, debug: Debug = False, show_version: Version = False
) -> None:
    """Lands patches: nothing reaches your branch without passing the gate."""
    del directory, show_version
    ctx.obj.is_debug = debug
