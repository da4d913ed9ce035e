"""Tools that change something: offered only where the person who registers the server allows it."""

from collections.abc import Callable
from pathlib import Path
from typing import Annotated, Any, Final, Literal

from mcp.server.mcpserver.exceptions import ToolError
from pydantic import Field

from maingate.bootstrap import Maingate
from maingate.mcp.json_values import plain
from maingate.mcp.landing import Diff, Into, Work, landed
from maingate.mcp.own_commands import started
from maingate.mcp.read_tools import Name, opened

Json = dict[str, Any]

WAIT_SECONDS: Final = 60
"""Seconds that a call waits for the end of a run; agents give up on longer calls."""
_MOST_SAID: Final = 4000
_STARTED: Final = "run run_"
_NOTES: Final = ("warning: ", "note: ")

Wait = Annotated[
    int, Field(ge=0, le=3600, description="Seconds to wait for the end; the run goes on after them.")
]
Why = Annotated[str, Field(min_length=1, description="The reason, which is recorded.")]


class ActingTools:
    """Tools that change something.

    Args:
        start: A path in the repository.
        operator: The name that decisions are recorded under.
    """

    def __init__(self, start: Path, *, operator: str) -> None:
        self._start, self._operator = start, operator

    def all(self) -> list[Callable[..., Json]]:
        """Return the tools, each with the description that agents see."""
        return [self.land, self.run_plan, self.cancel, self.queue_order]

    def land(
        self,
        work: Work = None,
        diff: Diff = None,
        into: Into = None,
        title: Annotated[
            str | None,
            Field(
                max_length=200,
                description="The title of what lands. A diff is known by it if it is landed again.",
            ),
        ] = None,
        wait_seconds: Wait = WAIT_SECONDS,
    ) -> Json:
        """Land finished work, each branch or range whole or not at all, if the repository's gates pass.

        Only commits land. Returns the run, the outcome of each item, and `next_action`: its `code` says what
        to do, such as `rebase`, `fix_gate`, `wait` or `none`. Work that takes longer goes on in a process of
        its own, and `status` follows it. Nothing lands twice: work that the target has is left out.
        """
        return landed(self._start, work, diff, into=into, title=title, wait_seconds=wait_seconds)

    def run_plan(
        self,
        plan: Annotated[str, Field(description="The plan's file, absolute or relative to the repository.")],
        wait_seconds: Wait = WAIT_SECONDS,
    ) -> Json:
        """Run a plan: land its patches on the target branch as far as they pass their gates.

        Returns the exit code and the program's messages; `status` has the details, and `notes` what may not
        be meant, such as no gates. A run that takes longer goes on in a process of its own, and `status`
        follows it.
        """
        ended = started(self._start, "run", "--", plan).ended_within(wait_seconds)
        code, text = ended.code, ended.output + ended.messages
        if code is not None and _run_in(text) is None:
            raise ToolError(text.strip() or f"`maingate run` ended with exit code {code}")
        return {
            "run_id": _run_in(text),
            "is_running": code is None,
            "exit_code": code,
            "notes": [line for line in text.splitlines() if line.startswith(_NOTES)],
            "said": text[-_MOST_SAID:],
        }

    def cancel(self, what: Name, reason: Why) -> Json:
        """Cancel a run, a workstream or a task; landed work stays. The reason is recorded."""
        from maingate.queries.names import find_entity  # noqa: PLC0415 - an import is paid for by its tool

        with opened(self._start) as maingate:
            found = find_entity(maingate.context, what, kinds=["run", "workstream", "task"])
            answer = maingate.operator.cancel(found.id, message=reason, operator=self._operator)
        return {"id": found.id, "name": found.name, "answer": answer}

    def queue_order(
        self,
        order: Annotated[
            Literal["pause", "drain", "resume", "promote", "demote", "remove"],
            Field(description="About a branch: pause, drain, resume. About a workstream: the others."),
        ],
        about: Annotated[str, Field(description="The branch, or the workstream by its id or name.")],
        reason: Why,
    ) -> Json:
        """Order that the queue of a branch pauses, drains or goes on, or that a workstream changes its place.

        Returns the queue, or the answer about the workstream. The reason is recorded.
        """
        with opened(self._start) as maingate:
            if order in {"pause", "drain", "resume"}:
                return self._order_target(maingate, order, about, reason)
            return self._order_workstream(maingate, order, about, reason)

    def _order_target(self, maingate: Maingate, order: str, branch: str, reason: str) -> Json:
        from maingate.queries.queues.queue_report import queue_report, queue_target  # noqa: PLC0415
        from maingate.state.queue_control import QueueOrder  # noqa: PLC0415

        orders, ref = maingate.queue_orders, queue_target(maingate.context, branch)
        if order == "resume":
            orders.resume(ref, reason=reason, operator=self._operator)
        else:
            orders.order(QueueOrder(order), ref, reason=reason, operator=self._operator)
        orders.await_obedience(ref)
        return plain(queue_report(maingate.context, ref))

    def _order_workstream(self, maingate: Maingate, order: str, name: str, reason: str) -> Json:
        from maingate.queries.names import find_entity  # noqa: PLC0415

        orders, by = maingate.queue_orders, self._operator
        found = find_entity(maingate.context, name, kinds=["workstream"])
        if order == "remove":
            answer = orders.remove(found.id, reason=reason, operator=by)
        else:
            orders.move("promote" if order == "promote" else "demote", found.id, reason=reason, operator=by)
            answer = f"it comes {'first' if order == 'promote' else 'last'} in its queue"
        return {"id": found.id, "name": found.name, "answer": answer}


def _run_in(text: str) -> str | None:
    """Return the run that a program's messages name; None before they do."""
    lines = (line for line in text.splitlines() if line.startswith(_STARTED))
    first = next(lines, None)
    return None if first is None else first.removeprefix("run ").partition(":")[0]
