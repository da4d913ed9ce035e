"""``headgate workers``: who works, on what, and when each was last heard of."""

from typing import TYPE_CHECKING, Annotated, Any

import typer

from headgate.cli.output import STATE_STYLES, console, duration, print_json, print_table, safe, table
from headgate.cli.status import opened_for_reading

if TYPE_CHECKING:
    from datetime import datetime

    from headgate.db.dao.uet_workers import UetWorkerRow
    from headgate.db.dao.workers import WorkerRow


def workers(
    as_json: Annotated[bool, typer.Option("--json", help="Print one JSON document.")] = False,
) -> None:
    """List the workers that have not shut down: the processes that control runs, and those of their pools."""
    headgate = opened_for_reading()
    if headgate is None:
        _print([], as_json=as_json)
        return
    from headgate.db.dao import uet_workers
    from headgate.db.dao import workers as register

    with headgate, headgate.database.read() as conn:
        rows = register.alive(conn)
        slots = {row.id: uet_workers.of_worker(conn, row.id) for row in rows}
        now = headgate.clock.now()
        shown = [_worker(row, slots[row.id], now) for row in rows]
    _print(shown, as_json=as_json)


def _worker(row: "WorkerRow", slots: "list[UetWorkerRow]", now: "datetime") -> dict[str, Any]:
    silent = None if row.heartbeat_at is None else max(0.0, (now - row.heartbeat_at).total_seconds())
    return {
        "id": row.id,
        "name": row.name,
        "state": str(row.state),
        "host": row.host,
        "pid": row.pid,
        "capabilities": list(row.capabilities),
        "affinity": dict(row.affinity),
        "load": row.current_load,
        "capacity": row.max_concurrent_tasks,
        "heartbeat_at": row.heartbeat_at,
        "silent_seconds": silent,
        "slots": [
            {"id": slot.id, "slot": slot.slot, "state": str(slot.state), "pid": slot.pid} for slot in slots
        ],
    }


def _print(shown: list[dict[str, Any]], *, as_json: bool) -> None:
    if as_json:
        print_json(shown)
        return
    from rich.text import Text

    out = console()
    if not shown:
        out.print("Nobody is at work.")
        return
    grid = table("worker", "state", "process", "load", "last heard of", "slots", wide="slots")
    for one in shown:
        heard = "-" if one["silent_seconds"] is None else f"{duration(one['silent_seconds'])} ago"
        slots = ", ".join(f"{slot['slot']} {slot['state']}" for slot in one["slots"])
        grid.add_row(
            safe(one["name"]),
            Text(one["state"], style=STATE_STYLES.get(one["state"], "")),
            str(one["pid"] or "-"),
            f"{one['load']}/{one['capacity']}",
            heard,
            slots,
        )
    print_table(out, grid)
