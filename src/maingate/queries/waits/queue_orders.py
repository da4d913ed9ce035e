"""Orders about the queue of a target, as reasons why a workstream does not land. Pure."""

from maingate.db.dao.patches import PatchRow
from maingate.db.dao.workstreams import WorkstreamRow
from maingate.queries.waits.run_rows import RowsUnderWay, has_ended
from maingate.state.patch_ledger import PatchState
from maingate.state.queue_control import OrderInForce, QueueOrder
from maingate.state.workstream import WorkstreamState


def order_about(stream: WorkstreamRow, standing: RowsUnderWay) -> OrderInForce | None:
    """Return the order for which a workstream does not land that is on board, or is to be; None without one.

    An order holds up neither tests that run nor a landing under way.
    """
    rows = standing.rows
    if stream.id in rows.landing or standing.gates[stream.id] or not _is_done(stream, standing):
        return None
    for order in rows.orders:
        kept = order.control.on_board
        if order.control.kind is not QueueOrder.DRAIN or (kept is not None and stream.id not in kept):
            return order
    return None


def _is_done(stream: WorkstreamRow, standing: RowsUnderWay) -> bool:
    """Return whether only gates on its merged result, and its landing, are left of a workstream."""
    if stream.state is not WorkstreamState.EXECUTING:
        return stream.state is WorkstreamState.VALIDATING
    lane = [task for task in standing.tasks_of[stream.id] if not has_ended(task)]
    patches = [standing.patch_of.get(task.id) for task in lane]
    return bool(lane) and all(_is_in(patch, standing) for patch in patches)


def _is_in(patch: PatchRow | None, standing: RowsUnderWay) -> bool:
    """Return whether nothing is done any more about a patch by itself."""
    if patch is None or patch.state is not PatchState.APPLIED:
        return standing.is_kept(patch)
    return not standing.gates_on(patch)
