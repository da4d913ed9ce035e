"""The view of a simulated plan: its times, the critical path, and estimates by workers, today's first."""

from typing import TYPE_CHECKING, Any, Final

from maingate.cli.tables import print_table, table
from maingate.cli.text import count, duration, safe
from maingate.wording import chain, first_lines

if TYPE_CHECKING:
    from rich.console import Console

_INPUTS: Final = 10
"""Maximum lines of assumptions and times on record."""


def print_simulation(out: "Console", file: str, told: dict[str, Any]) -> None:
    """Print a simulation, in its public JSON form."""
    from maingate.queries.plan_simulation import assumptions

    size = f"{count(told['workstreams'], 'workstream')}, {count(told['tasks'], 'task')}"
    lines = [f"simulated, nothing ran: {safe(file)}: {size}"]
    known = [_recorded(each) for each in told["times"] if not each["is_assumed"]]
    found = [f"  {safe(line)}" for line in (*assumptions(told), *known)]
    lines += first_lines(found, _INPUTS, rest=" times; --json lists them all")
    rate = told["failure_rate"]
    if rate["source"] == "record":
        of = f"{rate['failed']} of {count(rate['ended'], 'workstream')} on record"
        lines.append(f"  failures: {rate['rate']:.1%} of workstreams ({of})")
    elif rate["source"] == "option":
        lines.append(f"  failures: {rate['rate']:.1%} of workstreams (--failure-rate)")
    path, shape = told["critical_path"], told["parallelism"]
    names = chain([safe(name) for name in path["workstreams"]])
    lines += [
        f"  critical path: {duration(path['seconds'])}: {names}",
        f"  work: {duration(shape['work_seconds'])}; at once {shape['average']:.1f}, at most {shape['most']}",
        "",
    ]
    for line in lines:
        out.print(line, soft_wrap=True)
    grid = table("workers", "one at a time", "gate runs", "time with the train", "gate runs")
    by_workers: dict[int, dict[str, Any]] = {}
    for each in told["estimates"]:
        by_workers.setdefault(each["workers"], {})[each["order"]] = each
    for workers, orders in by_workers.items():
        alone, train = orders["one_at_a_time"], orders["train"]
        grid.add_row(str(workers), *_cells(alone), *_cells(train))
    print_table(out, grid)
    out.print("")
    plays = count(told["plays"], "play")
    out.print(f"p50 to p90 of {plays} (seed {told['seed']}), on a virtual clock.", soft_wrap=True)
    out.print(told["note"], style="dim")


def _recorded(each: dict[str, Any]) -> str:
    """Return a time on record, such as ``gate unit: 40.0s to 1m05s (12 on record)``."""
    name = " ".join(filter(None, (each["kind"], each["name"])))
    return f"{name}: {_range(duration(each['p50']), duration(each['p90']))} ({each['count']} on record)"


def _cells(estimate: dict[str, Any]) -> tuple[str, str]:
    seconds, runs = estimate["seconds"], estimate["gate_runs"]
    return (
        _range(duration(seconds["p50"]), duration(seconds["p90"])),
        _range(f"{runs['p50']:.0f}", f"{runs['p90']:.0f}"),
    )


def _range(low: str, high: str) -> str:
    return low if low == high else f"{low} to {high}"
