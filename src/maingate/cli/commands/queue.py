"""``maingate queue``: show the queue of a target, and give orders about it."""

import time
from typing import TYPE_CHECKING, Annotated, Any, Final

import typer
from typer.core import TyperGroup

from maingate.cli.completion import record_words
from maingate.cli.decision_options import By, Run, Why, operator_name
from maingate.cli.output import console, print_json
from maingate.cli.record_reading import AsJson
from maingate.cli.text import duration, local_time, safe
from maingate.errors import UsageError

if TYPE_CHECKING:
    from collections.abc import Callable
    from datetime import datetime, timedelta

    from maingate.bootstrap import Maingate
    from maingate.services.targets.queue_orders import QueueMove
    from maingate.state.queue_control import QueueControl

WATCH_SECONDS: Final = 1.0
_SHOW: Final = "show"


class QueueGroup(TyperGroup):
    """The group, whose command without a name is ``show``."""

    def parse_args(self, ctx: Any, args: list[str]) -> list[str]:
        """Take a word that names no command of the group as the target to show."""
        if not args or (args[0] not in self.commands and args[0] not in ctx.help_option_names):
            args = [_SHOW, *args]
        return super().parse_args(ctx, args)


app = typer.Typer(
    help="Show the queue of a target; pause, drain or freeze it, and move workstreams in it.",
    cls=QueueGroup,
)

Target = Annotated[
    str | None,
    typer.Argument(
        metavar="TARGET",
        help="The branch. [default: that of unfinished runs if it is one, else the checked-out one]",
    ),
]
Workstream = Annotated[
    str,
    typer.Argument(
        metavar="WORKSTREAM",
        help="An id, the beginning of one, or a name from the plan.",
        autocompletion=record_words("WORKSTREAM", is_open=True),
    ),
]


@app.command(_SHOW)
def show(
    target: Target = None,
    watch: Annotated[bool, typer.Option("--watch", help="Show it until nothing waits.")] = False,
    as_json: AsJson = False,
) -> None:
    """Show what is on board, what is tested together, what is held and by whom, and when it lands.

    `maingate queue main` does the same; the name is needed for a branch that is called like a command.
    """
    from maingate.cli.views.queue import print_queue

    if watch and as_json:
        raise UsageError("--watch and --json cannot be combined; call it with --json again and again")
    with _opened() as maingate:
        read = _reader(maingate, target)
        report = read()
        if as_json:
            print_json(report)
            return
        out = console()
        while watch and report["next_action"]["code"] != "none":
            if out.is_terminal:
                out.clear()
            print_queue(out, report)
            time.sleep(WATCH_SECONDS)
            report = read()
        print_queue(out, report)


@app.command()
def pause(target: Target = None, reason: Why = "", operator: By = None, as_json: AsJson = False) -> None:
    """Start no new test and land nothing; tests that run go on. `maingate queue resume` ends it."""
    _order("pause", target, reason, operator, as_json=as_json)


@app.command()
def drain(target: Target = None, reason: Why = "", operator: By = None, as_json: AsJson = False) -> None:
    """Land what is on board, and take nothing new. `maingate queue resume` ends it."""
    _order("drain", target, reason, operator, as_json=as_json)


@app.command()
def resume(target: Target = None, reason: Why = "", operator: By = None, as_json: AsJson = False) -> None:
    """End all orders about the queue: pause, drain and freezes."""
    with _opened() as maingate:
        ref = _ref(maingate, target)
        maingate.queue_orders.resume(ref, reason=reason, operator=operator or operator_name())
        _await(maingate, ref)
        report = _report(maingate, ref)
    _print(report, f"the queue of {safe(report['target']['name'])} goes on", as_json=as_json)


@app.command()
def freeze(  # noqa: PLR0917 - the options of a command line
    target: Target = None,
    until: Annotated[
        str | None,
        typer.Option("--until", metavar="TIME", help="The end: a date and time, such as 2026-01-31 18:00."),
    ] = None,
    cron: Annotated[
        str | None,
        typer.Option("--cron", metavar="LINE", help="Freeze at these times: minute hour day month weekday."),
    ] = None,
    length: Annotated[
        str | None,
        typer.Option(
            "--for", metavar="D", help="How long: 2h, 90m. With --cron each time, else from now on."
        ),
    ] = None,
    zone: Annotated[
        str, typer.Option("--zone", metavar="ZONE", help="Time zone of TIME and LINE, such as Europe/Berlin.")
    ] = "UTC",
    reason: Why = "",
    operator: By = None,
    as_json: AsJson = False,
) -> None:
    """Land nothing until a time, or again and again by a schedule. Tests go on."""
    from maingate.services.targets.queue_orders import moment_of

    if (cron is None) == (until is None) and not (cron is None and length is not None):
        raise UsageError("say when it ends: `--until TIME`, `--for 2h`, or `--cron LINE --for 2h`")
    if (until is None) != (length is not None):
        raise UsageError("--for is the length of a freeze: give it with --cron or alone, not with --until")
    by = operator or operator_name()
    with _opened() as maingate:
        ref, orders = _ref(maingate, target), maingate.queue_orders
        if cron is not None and length is not None:
            control = orders.schedule(
                ref, cron=cron, length=_length(length), zone=zone, reason=reason, operator=by
            )
        else:
            now = maingate.context.clock.now()
            end = moment_of(until, zone=zone) if until is not None else now + _length(length)
            control = orders.freeze(ref, until=end, reason=reason, operator=by)
        _await(maingate, ref)
        report = _report(maingate, ref)
    _print(report, f"the queue of {safe(report['target']['name'])} {_end_of(control)}", as_json=as_json)


@app.command()
def promote(
    workstream: Workstream, reason: Why, run: Run = None, operator: By = None, as_json: AsJson = False
) -> None:
    """Send a workstream to the front of its queue."""
    _move("promote", workstream, reason, run, operator, as_json=as_json)


@app.command()
def demote(
    workstream: Workstream, reason: Why, run: Run = None, operator: By = None, as_json: AsJson = False
) -> None:
    """Send a workstream to the end of its queue."""
    _move("demote", workstream, reason, run, operator, as_json=as_json)


@app.command()
def remove(
    workstream: Workstream, reason: Why, run: Run = None, operator: By = None, as_json: AsJson = False
) -> None:
    """Take a workstream out of its queue, and cancel it."""
    with _opened() as maingate:
        found = _workstream(maingate, workstream, run)
        by = operator or operator_name()
        said = maingate.queue_orders.remove(found, reason=reason, operator=by)
    if as_json:
        print_json({"id": found, "answer": said})
    else:
        console().print(safe(said), soft_wrap=True)


def _opened() -> "Maingate":
    from maingate.bootstrap import Maingate

    return Maingate.open(create=False)


def _await(maingate: "Maingate", ref: str) -> None:
    """Wait until the process at work has heard of an order, and say so where it does not answer."""
    if not maingate.queue_orders.await_obedience(ref):
        said = "the process at work has not answered yet; the order is on record, and it obeys when it looks"
        console(stderr=True).print(said, soft_wrap=True)


def _ref(maingate: "Maingate", target: str | None) -> str:
    from maingate.queries.queues.queue_report import queue_target

    return queue_target(maingate.context, target)


def _report(maingate: "Maingate", ref: str) -> dict[str, Any]:
    from maingate.queries.queues.queue_report import queue_report

    return queue_report(maingate.context, ref)


def _reader(maingate: "Maingate", target: str | None) -> "Callable[[], dict[str, Any]]":
    ref = _ref(maingate, target)
    return lambda: _report(maingate, ref)


def _workstream(maingate: "Maingate", text: str, run: str | None) -> str:
    from maingate.queries.names import find_entity

    return find_entity(maingate.context, text, kinds=["workstream"], run=run).id


def _order(kind: str, target: str | None, reason: str, operator: str | None, *, as_json: bool) -> None:
    from maingate.state.queue_control import SENTENCES, QueueOrder

    order = QueueOrder(kind)
    with _opened() as maingate:
        ref = _ref(maingate, target)
        maingate.queue_orders.order(order, ref, reason=reason, operator=operator or operator_name())
        _await(maingate, ref)
        report = _report(maingate, ref)
    name = safe(report["target"]["name"])
    end = f"`maingate queue resume {name}` ends that"
    _print(report, f"the queue of {name} is {SENTENCES[order]}; {end}", as_json=as_json)


def _move(
    move: "QueueMove", text: str, reason: str, run: str | None, operator: str | None, *, as_json: bool
) -> None:
    with _opened() as maingate:
        found = _workstream(maingate, text, run)
        row = maingate.queue_orders.move(move, found, reason=reason, operator=operator or operator_name())
    if as_json:
        print_json({"id": row.id, "name": row.name, "move": move})
        return
    where = "first" if move == "promote" else "last"
    console().print(f"workstream {safe(row.name)} comes {where} in its queue", soft_wrap=True)


def _print(report: dict[str, Any], said: str, *, as_json: bool) -> None:
    if as_json:
        print_json(report)
    else:
        console().print(said, soft_wrap=True)


def _length(text: str | None) -> "timedelta":
    from pydantic_core import PydanticCustomError

    from maingate.settings.durations import parse_duration

    try:
        return parse_duration(text)
    except PydanticCustomError as error:
        raise UsageError(f"--for: {error}") from None


def _end_of(control: "QueueControl") -> str:
    if control.until is not None:
        return f"is frozen until {_told(control.until)}"
    length = control.seconds or 0
    times = f"{safe(control.cron or '')} ({safe(control.zone or '')})"
    return f"is frozen at {times} for {duration(length)} each time"


def _told(at: "datetime") -> str:
    return f"{at:%Y-%m-%d %H:%M:%S} UTC ({local_time(at)} here)"
