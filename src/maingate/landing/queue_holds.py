"""Workstreams that an order about the queue of their target holds: all that is left of them is to land.

Such a workstream waits for a person, or for the end of a freeze. It is neither stuck, nor does anything about
it help but that.
"""

from collections.abc import Callable, Collection, Mapping, Sequence
from datetime import datetime

from maingate.db.dao import gates, holds, intents, patches, queue_controls, tasks, workstreams
from maingate.db.dao.gates import GateRow
from maingate.db.dao.patches import PatchRow
from maingate.db.dao.runs import RunRow
from maingate.db.dao.workstreams import WorkstreamRow
from maingate.db.sql.connection import Connection
from maingate.landing.lease import key_of
from maingate.state.patch_ledger import PatchState
from maingate.state.queue_control import OrderInForce, QueueOrder, in_force
from maingate.state.task import TASK
from maingate.state.workstream import WorkstreamState


def orders_about(conn: Connection, run: RunRow, now: datetime) -> Sequence[OrderInForce]:
    """Read the orders about the queue of a run's target that are in force, the strictest first."""
    return in_force(queue_controls.of_target(conn, key_of(run.repository_id, run.target_ref)), now)


def order_holding(
    stream: WorkstreamRow,
    lane: Sequence[PatchRow | None],
    orders: Sequence[OrderInForce],
    *,
    is_kept: Callable[[PatchRow], bool],
    is_tested: Callable[[PatchRow], bool],
) -> OrderInForce | None:
    """Return the order for which a workstream does not land that is on board, or is to be; None without one.

    An order holds up neither tests that run nor a landing under way. Pure.

    Args:
        stream: A workstream that is not being landed, and on whose merged result no gate runs.
        lane: The present patches of its tasks that have not ended.
        orders: The orders in force, the strictest first.
        is_kept: Whether a queued patch is proven and waits for its workstream.
        is_tested: Whether a gate runs on the tree of an applied patch.
    """
    if not _is_done(stream, lane, is_kept, is_tested):
        return None
    for order in orders:
        kept = order.control.on_board
        if order.control.kind is not QueueOrder.DRAIN or (kept is not None and stream.id not in kept):
            return order
    return None


def held_by_orders(
    conn: Connection, run: RunRow, workstream_ids: Collection[str], now: datetime
) -> Mapping[str, OrderInForce]:
    """Return the order that holds each workstream of a run at work, of those that one holds.

    Args:
        conn: A reading connection; one consistent moment.
        run: The run.
        workstream_ids: The workstreams to look at.
        now: The moment.
    """
    orders = orders_about(conn, run, now) if workstream_ids else ()
    if not orders:
        return {}
    published, running = holds.of_run(conn, run.id), gates.running_of_run(conn, run.id)
    landing = {intent.workstream_id for intent in intents.pending(conn, run.id)}
    tested = {place for gate in running for place in _places(gate)}
    found = {}
    for stream in workstreams.get_many(conn, workstream_ids).values():
        if stream.id in landing or stream.id in tested:
            continue
        parts = [task.id for task in tasks.of_workstream(conn, stream.id) if not TASK.is_terminal(task.state)]
        newest = patches.present(patches.of_tasks(conn, parts))
        order = order_holding(
            stream,
            [newest.get(part) for part in parts],
            orders,
            is_kept=lambda patch: patch.id in published,
            is_tested=lambda patch: bool({patch.tree or patch.id, patch.id} & tested),
        )
        if order is not None:
            found[stream.id] = order
    return found


def _places(gate: GateRow) -> tuple[str, str]:
    return gate.patch_id or gate.workstream_id or "", gate.tree


def _is_done(
    stream: WorkstreamRow,
    lane: Sequence[PatchRow | None],
    is_kept: Callable[[PatchRow], bool],
    is_tested: Callable[[PatchRow], bool],
) -> bool:
    """Return whether only gates on its merged result, and its landing, are left of a workstream."""
    if stream.state is not WorkstreamState.EXECUTING:
        return stream.state is WorkstreamState.VALIDATING
    return bool(lane) and all(_is_in(patch, is_kept, is_tested) for patch in lane)


def _is_in(
    patch: PatchRow | None, is_kept: Callable[[PatchRow], bool], is_tested: Callable[[PatchRow], bool]
) -> bool:
    """Return whether nothing is done any more about a patch by itself."""
    if patch is None:
        return False
    if patch.state is PatchState.APPLIED:
        return not is_tested(patch)
    return patch.state is PatchState.QUEUED and is_kept(patch)
