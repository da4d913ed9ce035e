"""The page of a run: where it stands, its graph, its timeline, and what is waited for."""

from collections import Counter
from collections.abc import Mapping, Sequence
from typing import Any, Final

from fastapi import Response

from maingate.api.answers.json_answer import answer
from maingate.bootstrap import Maingate
from maingate.ids import RunId
from maingate.pages.drawing.graph import MOST_NODES, Node, draw_graph
from maingate.pages.rendering import query
from maingate.pages.visit import AtPage, Visit, add_page, page_router
from maingate.queries.runs.graph import run_graph, workstream_graph
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
    report = maingate.report(RunId(run_id))
    graph = run_graph(maingate.context, RunId(run_id))["workstreams"]
    waits = {each["id"]: each for each in report["workstreams"]}
    streams = [
        each | {"waiting": waits[each["id"]]["waiting"], "stuck": waits[each["id"]]["stuck"]}
        for each in graph
    ]
    of_tasks = Counter(str(task["state"]) for task in report["tasks"])
    kept = ("run_id", "name", "state", "reason", "alive", "waiting", "stopped", "target", "gates", "cost")
    return {
        **{key: report[key] for key in (*kept, "seconds", "created_at", "started_at", "completed_at")},
        "repo": repo,
        "task_counts": dict(of_tasks.most_common()),
        "tasks_total": len(report["tasks"]),
        "workstreams": streams,
        "landed": sum(each["landed"] is not None for each in streams),
        "waits": _waits(report["tasks"]),
        "open": _opened(visit, maingate, streams, report),
        "by": visit.asked("by", "task"),
    }


def _waits(of_tasks: Sequence[Json]) -> list[Json]:
    """Return what tasks wait for, each thing once, with the number of tasks and one of them."""
    counted: Counter[str] = Counter()
    first: dict[str, Json] = {}
    for task in of_tasks:
        if (waiting := task["waiting"]) is not None and not waiting["moving"]:
            counted[waiting["kind"]] += 1
            first.setdefault(waiting["kind"], {"task": task["name"], "until": waiting["until"]})
    return [{"kind": kind, "count": count, **first[kind]} for kind, count in counted.most_common(8)]


def _opened(visit: Visit, maingate: Maingate, streams: Sequence[Json], report: Json) -> Json | None:
    """Return the tasks of the workstream that the address opens; of a run of one workstream, those of it."""
    wanted = visit.asked("open") or (streams[0]["id"] if len(streams) == 1 else "")
    if wanted not in {stream["id"] for stream in streams}:
        return None
    waits = {task["id"]: task["waiting"] for task in report["tasks"]}
    opened = workstream_graph(maingate.context, wanted)
    of_tasks = [task | {"waiting": waits.get(task["id"])} for task in opened["tasks"]]
    start = visit.number("start")
    return opened | {
        "tasks": of_tasks[start : start + MOST_ROWS],
        "total": len(of_tasks),
        "start": start,
        "graph_tasks": of_tasks if len(of_tasks) <= MOST_NODES else None,
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
        "open_graph": _task_graph(opened) if opened and opened["graph_tasks"] else None,
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
    )


def _task_graph(opened: Mapping[str, Any]) -> str | None:
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


add_page(router, "/runs/{run_id}", "run.html", drawn, json_view=run_view)


def _timeline(visit: Visit) -> Json:
    run_id = visit.part("run_id")
    repo, maingate = visit.of(run_id, "run")
    by = "worker" if visit.asked("by") == "worker" else "task"
    return timeline(maingate.context, RunId(run_id), by=by) | {"repo": repo}


def timeline_table(visit: Visit) -> Json:
    """Return the timeline of a run as rows of text."""
    found = _timeline(visit)
    start = visit.number("start")
    shown = found["rows"][start : start + MOST_ROWS]
    return found | {
        "rows": shown,
        "total": len(found["rows"]),
        "start": start,
        "critical": set(found["critical_path"]),
    }


@router.get("/runs/{run_id}/timeline.json")
def get_timeline(visit: AtPage) -> Response:
    """Return the whole timeline, for the canvas."""
    return answer(visit.request, _timeline(visit))


add_page(router, "/runs/{run_id}/timeline", "timeline.html", timeline_table)
