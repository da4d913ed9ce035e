"""View of the queue of a target: the workstreams on board, tests under way, and expected times."""

from collections.abc import Iterator, Mapping, Sequence
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any, Final

from maingate.cli.tables import print_commands, print_table, table
from maingate.cli.text import count, duration, safe
from maingate.queries.waits.obstacles import OBSTACLES
from maingate.wording import listed, short

if TYPE_CHECKING:
    from rich.console import Console

Json = Mapping[str, Any]

MOST_MEMBERS: Final = 40
"""Workstreams on board that are listed; the JSON has all."""

_LISTED: Final = 4
_PURPOSES: Final = {
    "search": "test",
    "confirm": "again, to confirm a failure",
    "base": "the target without it, to confirm a failure",
    "scout": "ahead of its turn, to find culprits",
}
_ORDERS: Final = {
    "pause": "paused",
    "drain": "drained: nothing new comes on board",
    "freeze": "frozen: tests go on, nothing lands",
    "schedule": "frozen at times: tests go on, nothing lands",
}


def print_queue(out: "Console", report: Json, now: datetime | None = None) -> None:
    """Print the queue of a target."""
    moment = now or datetime.now(UTC)
    for line in order_lines(report):
        out.print(line, style="yellow", soft_wrap=True)
    name = safe(report["target"]["name"])
    members = report["on_board"]
    if not members:
        out.print(f"Nothing is on board for {name}{_others(report)}.", soft_wrap=True)
    else:
        out.print(f"{name}: {count(len(members), 'workstream')} on board{_others(report)}", soft_wrap=True)
        if len({member["run_id"] for member in members} | {report["run_id"]}) > 1 and report["run_id"]:
            out.print(f"the process of {_lander(report)} lands them", style="dim", soft_wrap=True)
        grid = table("place", "workstream", "state", "lands in", "why", wide="why")
        for member in members[:MOST_MEMBERS]:
            grid.add_row(
                str(member["place"]),
                safe(short(member["name"])),
                member["state"],
                band(member["expected_seconds"]),
                safe(why_text(member, report)),
            )
        print_table(out, grid)
        if len(members) > MOST_MEMBERS:
            out.print(f"and {len(members) - MOST_MEMBERS} more (--json lists all)", style="dim")
    for line in (*_beside(report), *_tests(report, moment)):
        out.print(line, soft_wrap=True)
    for first, second in report["conflicts"][:_LISTED]:
        out.print(f"{safe(first['name'])} conflicts with {safe(second['name'])}", style="dim", soft_wrap=True)
    if report["next_action"]["code"] == "resume":
        print_commands(out, [(safe(report["next_action"]["command"]), "lets it go on")])


def _lander(report: Json) -> str:
    """Return the run whose process lands what is on board."""
    return f"run {safe(short(report['run_name']))} ({report['run_id']})"


def _others(report: Json) -> str:
    others = report["not_on_board"]
    at = "" if report["alive"] or not report["runs"] else "; no process is at work"
    return (f", {count(others, 'other')} not on board yet" if others else "") + at


def _beside(report: Json) -> Iterator[str]:
    """Yield a line for each workstream and each run that waits beside those on board."""
    for kept in report["kept_waiting"][:_LISTED]:
        yield f"{safe(kept['name'])} {safe(kept['why'])}"
    if (more := len(report["kept_waiting"]) - _LISTED) > 0:
        yield f"and {more} more that are not proved alike (--json lists all)"
    in_line = [run for run in report["runs"] if run["line"] is not None]
    for run in in_line[:_LISTED]:
        yield f"run {safe(short(run['name']))} {safe(run['line']['why'])}"
    if (more := len(in_line) - _LISTED) > 0:
        yield f"and {more} more runs behind them"


def order_lines(report: Json) -> Iterator[str]:
    """Yield a line for each order about the queue."""
    for order in report["orders"]:
        why = f": {safe(order['reason'])}" if order["reason"] else ""
        by = f"by {safe(order['by'])} since {_moment(order['given_at'])}"
        end = "" if order["until"] is None else f", until {_moment(order['until'])}"
        if order["order"] == "schedule":
            length = duration(order["for_seconds"])
            state = "in force" if order["in_force"] else "not now"
            end = f", at {safe(order['cron'])} {safe(order['zone'])} for {length} ({state}{end})"
        yield f"{_ORDERS[order['order']]}, {by}{end}{why}"


def _moment(at: str) -> str:
    return f"{datetime.fromisoformat(at):%Y-%m-%d %H:%M:%S} UTC"


def _tests(report: Json, now: datetime) -> Iterator[str]:
    if report["tests"]:
        yield ""
    for test in report["tests"]:
        names = [safe(one["name"]) for one in test["contains"]]
        subject = listed(names, _LISTED, between=" + ") or safe(report["target"]["name"])
        bad = [safe(one["name"]) for one in test["assumes_bad"]]
        without = f" without {listed(bad, _LISTED)}" if bad else ""
        elapsed = duration(max(0.0, (now - datetime.fromisoformat(test["since"])).total_seconds()))
        gates = listed([safe(gate) for gate in test["gates"]], _LISTED)
        purpose = "" if test["purpose"] == "search" else f"; {_PURPOSES[test['purpose']]}"
        yield f"▸ {subject}{without}: {gates}, {elapsed}, needed with {test['chance']:.0%}{purpose}"


def why_text(member: Json, report: Json) -> str:
    """Return with which others a workstream is tested, or what holds it."""
    held = member["held_by"]
    if held is not None:
        return f"{OBSTACLES[held['why']]} {held['name']}"
    if member["state"] == "held":
        return "the queue is drained"
    for test in report["tests"]:
        if test["id"] in member["tests"]:
            others = [one["name"] for one in test["contains"] if one["id"] != member["id"]]
            return f"with {listed(others, _LISTED)}" if others else "alone"
    return ""


def band(expected: Json | None) -> str:
    """Return the time until something lands, as a band: from its median to its 90th percentile."""
    if expected is None:
        return ""
    low, high = duration(expected["p50"]), duration(expected["p90"])
    return low if low == high else f"{low} - {high}"


def place_line(report: Json, run_id: str, *, is_timed: bool = True) -> str:
    """Return the line about the first workstream of a run on board, or beside it; empty without one.

    Args:
        report: The queue.
        run_id: The run.
        is_timed: Whether it has the expected time, which changes all the time.
    """
    mine: Sequence[Json] = [each for each in report["on_board"] if each["run_id"] == run_id]
    orders = [order for order in report["orders"] if order["in_force"]]
    told = []
    if orders:
        order = orders[0]
        why = f" ({safe(short(order['reason']))})" if order["reason"] else ""
        told.append(f"the queue is {_ORDERS[order['order']].partition(':')[0]} by {safe(order['by'])}{why}")
    if mine:
        first = mine[0]
        total = len(report["on_board"])
        told.append(f"{safe(short(first['name']))} is at place {first['place']} of {total}, {first['state']}")
        if why := why_text(first, report):
            told.append(safe(why))
        if report["run_id"] not in {None, run_id}:
            told.append(f"landed by the process of {_lander(report)}")
        if is_timed and (expected := band(first["expected_seconds"])):
            told.append(f"lands in {expected}")
    kept = next((each for each in report["kept_waiting"] if each["run_id"] == run_id), None)
    if kept is not None:
        told.append(f"{safe(short(kept['name']))} {safe(kept['why'])}")
    return ", ".join(told)
