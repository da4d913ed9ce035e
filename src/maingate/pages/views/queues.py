"""The queues of branches: workstreams on board, tests that run, and expected times."""

from typing import Any

from maingate.bootstrap import Maingate
from maingate.errors import RepositoryError, UnknownEntityError
from maingate.pages.drawing.train import draw_train
from maingate.pages.page_request import Visit, add_page, page_router
from maingate.queries.queues.queue_report import queue_report, queue_target, queues_in_use
from maingate.roles import Role

Json = dict[str, Any]

router = page_router()


def all_queues(visit: Visit) -> Json:
    """Return the queues of the branches that runs are to land on, or that a person has given orders about."""
    shown = [
        queue_report(maingate.context, ref) | {"repo": name}
        for name, maingate in visit.desk.readable(visit.asked("repo") or None)
        for ref in queues_in_use(maingate.context)
    ]
    return {"queues": shown}


def one_queue(visit: Visit) -> Json:
    """Return the queue of one branch."""
    name, maingate = visit.desk.one(visit.part("repo"), Role.VIEWER)
    return {"queues": [queue_report(maingate.context, _ref(maingate, visit.part("target"))) | {"repo": name}]}


def _ref(maingate: Maingate, target: str) -> str:
    try:
        return queue_target(maingate.context, target)
    except RepositoryError as error:
        raise UnknownEntityError(target, str(error)) from None


def _drawn(view: Json) -> Json:
    """Return queues with their pictures, for HTML."""
    return {
        "queues": [
            queue | {"train": draw_train(queue["on_board"], queue["tests"], target=queue["target"]["name"])}
            for queue in view["queues"]
        ]
    }


add_page(
    router,
    "/queues",
    "queues.html",
    lambda visit: _drawn(all_queues(visit)),
    json_view=all_queues,
)
add_page(
    router,
    "/queue/{repo}/{target:path}",
    "queues.html",
    lambda visit: _drawn(one_queue(visit)),
    json_view=one_queue,
)
