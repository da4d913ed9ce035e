"""All commands in one tree, grouped as people look for them, and the one place where errors end a command."""

import os
import sys
import traceback
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, Any, Final

import typer
from typer.core import TyperGroup

from maingate.cli import (
    audit,
    bisect,
    breaker,
    cancel,
    checkout,
    clean,
    demo,
    events,
    init,
    machines,
    override,
    patch,
    patch_actions,
    plan,
    resume,
    rollback,
    run,
    status,
    tools,
    workers,
)
from maingate.cli.exit_codes import ExitCode, code_of_error, is_expected
from maingate.cli.output import fail
from maingate.cli.standard_streams import NAME, discard_output, is_reader_gone

CommandLineError: Final[type[Exception]] = typer.BadParameter.__bases__[0]
"""What the parser raises for a wrong command line; the parser does not export its name."""

KEYBOARD_INTERRUPT: Final = 130
"""What the parser makes of a Ctrl-C that nobody handled."""

FIRST_STEPS, RUNNING, LEDGER, RECORD, UPKEEP = (
    "First steps",
    "Plan and run",
    "Patches",
    "The record",
    "Upkeep",
)

ORDER: Final = (
    "demo",
    "init",
    "plan",
    "run",
    "resume",
    "cancel",
    "status",
    "runs",
    "patch",
    "quarantine",
    "rollback",
    "bisect",
    "events",
    "audit",
    "workers",
    "tools",
    "breaker",
    "override",
    "machines",
    "checkout",
    "clean",
)


@dataclass
class Invocation:
    """What the global options said."""

    is_debug: bool = False


class Commands(TyperGroup):
    """The command tree; ends every error as one paragraph and an exit code."""

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

        def call() -> Any:
            return super(Commands, self).main(
                args, prog_name, complete_var, False, windows_expand_args, obj=invocation, **extra
            )

        sys.exit(ended(call, invocation))

    def list_commands(self, ctx: Any) -> list[str]:
        """List the commands in the order in which people need them; the parser would put groups last."""
        return sorted(super().list_commands(ctx), key=ORDER.index)

    def invoke(self, ctx: Any) -> Any:
        """Run the command, and have what it printed out before it is said to be done."""
        result = super().invoke(ctx)
        sys.stdout.flush()
        return result


def ended(call: Callable[[], Any], invocation: Invocation) -> int:
    """Call, and return the exit code for how it ended; what went wrong is told on standard error."""
    try:
        returned = call()
    except CommandLineError as error:
        _fail_usage(error)
        return ExitCode.USAGE
    except (SystemExit, BrokenPipeError) as leaving:
        if not is_reader_gone(leaving):
            raise
        discard_output()  # a reader who has seen enough is no error
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
        return "the folder that this was started in is not there any more: `cd` to one that is"
    if isinstance(error, OSError):
        return f"the system refused: {error}"
    return (
        f"this is a bug in Maingate: {type(error).__name__}: {error}. What was committed stays as recorded. "
        "Run the same command with --debug (`maingate --debug …`) to see where, and please report it."
    )


def _is_somewhere() -> bool:
    """Tell whether the working directory is there; all that takes a relative path fails where it is not."""
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
    fail(f"{error.format_message()} Try `{path} --help`.")


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
    epilog="Exit codes: 0 done · 1 refused by the gates · 2 bad usage, plan or settings · 3 interrupted · "
    "4 git, database or disk failed · 5 a bug.",
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


app.command("demo", rich_help_panel=FIRST_STEPS)(demo.demo)
app.command("init", rich_help_panel=FIRST_STEPS)(init.init)
app.add_typer(plan.app, name="plan", rich_help_panel=RUNNING)
app.command("run", rich_help_panel=RUNNING)(run.run)
app.command("resume", rich_help_panel=RUNNING)(resume.resume)
app.command("cancel", rich_help_panel=RUNNING)(cancel.cancel)
app.command("status", rich_help_panel=RUNNING)(status.status)
app.command("runs", rich_help_panel=RUNNING)(status.runs)
patch.app.command("drop")(patch_actions.drop)
patch.app.command("approve")(patch_actions.approve)
patch.app.command("recover")(patch_actions.recover)
app.add_typer(patch.app, name="patch", rich_help_panel=LEDGER)
app.command("quarantine", rich_help_panel=LEDGER)(patch.quarantine)
app.command("rollback", rich_help_panel=LEDGER)(rollback.rollback)
app.command("bisect", rich_help_panel=LEDGER)(bisect.bisect)
app.command("events", rich_help_panel=RECORD)(events.events)
app.add_typer(audit.app, name="audit", rich_help_panel=RECORD)
app.command("workers", rich_help_panel=UPKEEP)(workers.workers)
app.add_typer(tools.app, name="tools", rich_help_panel=UPKEEP)
app.add_typer(breaker.app, name="breaker", rich_help_panel=UPKEEP)
app.add_typer(override.app, name="override", rich_help_panel=UPKEEP)
app.command("machines", rich_help_panel=UPKEEP)(machines.machines)
app.add_typer(checkout.app, name="checkout", rich_help_panel=UPKEEP)
app.command("clean", rich_help_panel=UPKEEP)(clean.clean)
