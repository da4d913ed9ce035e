"""The page of a run: where it stands, its graph, its timeline, and what is waited for."""

from collections.abc import Mapping
from typing import Any, Final

from maingate.ids import RunId
from maingate.pages.drawing.graph import MOST_NODES, Node, draw_graph
from maingate.pages.page_request import Visit, add_page, page_router
from maingate.pages.template_engine import query
from maingate.queries.runs.standing import run_standing, workstream_standing
from maingate.queries.runs.timeline import timeline

Json = dict[str, Any]

router = page_router()

_DONE: Final = ("completed", "skipped")
MOST_ROWS: Final = 200
"""Workstreams or tasks that are listed at once."""


def run_view(visit: Visit) -> Json:
    """Return a run without its tasks, except those of the workstream that is open."""
    run_id = visit.part("run_id")
    repo, maingate = visit.of(run_id, "run")
    standing = run_standing(maingate.context, RunId(run_id), visit.asked("open"))
    opened = standing["open"]
    return standing | {
        "repo": repo,
        "open": _part_of(opened, visit.number("start")) if opened else None,
        "is_one_of_many": len(standing["workstreams"]) > 1,
        "by": visit.asked("by", "task"),
    }


def _part_of(opened: Json, start: int) -> Json:
    """Return a workstream with the tasks that are listed at once."""
    of_stream = opened["tasks"]
    return opened | {
        "tasks": of_stream[start : start + MOST_ROWS],
        "total": len(of_stream),
        "start": start,
        "limit": MOST_ROWS,
        "graph_tasks": of_stream if len(of_stream) <= MOST_NODES else None,
    }


def open_part(visit: Visit) -> Json:
    """Return the workstream that the address opens, if any, and nothing else of its run."""
    wanted = visit.asked("open") or visit.part("run_id")
    repo, maingate = visit.of(wanted)
    opened = None
    if visit.asked("open"):
        opened = _part_of(workstream_standing(maingate.context, wanted), visit.number("start"))
    return {
        "repo": repo,
        "run_id": visit.part("run_id"),
        "open": opened,
        "open_graph": _task_graph(opened) if opened else None,
        "is_one_of_many": True,
    }


def drawn(visit: Visit) -> Json:
    """Return a run with its graphs drawn, for HTML."""
    view = run_view(visit)
    streams = view["workstreams"]
    opened = view["open"]
    return view | {
        "graph": draw_graph([_stream_node(each) for each in streams], label="Workstreams and what each needs")
        if 1 < len(streams) <= MOST_NODES
        else None,
        "open_graph": _task_graph(opened) if opened else None,
        "listed": streams[:MOST_ROWS],
    }


def _stream_node(stream: Json) -> Node:
    total, done = sum(stream["tasks"].values()), sum(stream["tasks"].get(state, 0) for state in _DONE)
    return Node(
        id=stream["id"],
        name=stream["name"],
        state=stream["state"],
        link=f"{query(open=stream['id'])}#open",
        needs=stream["needs"],
        note=f"{done}/{total}",
        part="open",
    )


def _task_graph(opened: Mapping[str, Any]) -> str | None:
    """Return the graph of the tasks of a workstream; None where there are too many, or none needs another."""
    if opened["graph_tasks"] is None:
        return None
    nodes = [
        Node(
            id=task["id"],
            name=task["short"],
            state=task["state"],
            link=f"/go/{task['id']}",
            needs=task["needs"],
            note="" if not task["retry_count"] else f"\u21bb{task['retry_count']}",
        )
        for task in opened["graph_tasks"]
    ]
    if not any(node.needs for node in nodes):
        return None
    return draw_graph(nodes, label=f"Tasks of {opened['name']} and what each needs")


add_page(
    router,
    "/runs/{run_id}",
    "run.html",
    drawn,
    json_view=run_view,
    parts={"open": ("run_open.html", open_part)},
)


def timeline_view(visit: Visit) -> Json:
    """Return rows of the timeline of a run."""
    run_id = visit.part("run_id")
    repo, maingate = visit.of(run_id, "run")
    by = "worker" if visit.asked("by") == "worker" else "task"
    found = timeline(maingate.context, RunId(run_id), by=by, start=visit.number("start"), limit=MOST_ROWS)
    return found | {"repo": repo, "limit": MOST_ROWS}


add_page(router, "/runs/{run_id}/timeline", "timeline.html", timeline_view)
