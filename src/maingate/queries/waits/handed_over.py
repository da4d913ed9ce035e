"""The sentences about workstreams that are handed to the process which holds their target. Pure.

The process of one run lands those of the others. A handed-over workstream is on board there, or waits until
its own process has the target: because the two are not proved alike, or that process begins nothing new.
"""

from collections.abc import Mapping, Sequence
from datetime import UTC, datetime, timedelta
from typing import Any, Final

from maingate.db.dao.patches import PatchRow
from maingate.db.dao.queue_items import QueueItemRow
from maingate.db.dao.runs import RunRow
from maingate.db.dao.workstreams import WorkstreamRow
from maingate.git.targets import short_name
from maingate.queries.waits.explanation import Explanation, next_step, waits
from maingate.queries.waits.obstacles import OBSTACLES
from maingate.queries.waits.server_line import NamedRun
from maingate.queries.waits.target_rows import Holder, TargetRows
from maingate.state.holds import HoldCode
from maingate.state.landing_terms import TermsDifference
from maingate.state.queue_item import QueueItemState
from maingate.wording import listed, short

_EPOCH: Final = datetime(1970, 1, 1, tzinfo=UTC)
_MOST: Final = 5
"""Workstreams, gates and differences that are named."""

_LANDED_OR_REFUSED: Final = "it has landed, or is refused"


def to_let_go(run: NamedRun, branch: str, why: str | Sequence[TermsDifference]) -> str:
    """Return that a run is to let a target go, which it does not share, to follow "waits for".

    Args:
        run: The run whose process holds the target.
        branch: The short name of the target.
        why: The reason; or the parts in which it is not proved like those that wait.
    """
    if not isinstance(why, str):
        named = ", ".join(each.sentence for each in why[:_MOST])
        more = f" and {len(why) - _MOST} more" if len(why) > _MOST else ""
        why = f"the two are not proved alike: {named}{more}"
    return f"{run} to let {short(branch)} go, because {why}"


def handed_over(stream: WorkstreamRow, run: RunRow, target: TargetRows) -> Explanation | None:
    """Return why a workstream waits that its run has handed over; None for any other.

    Args:
        stream: A workstream that has not ended.
        run: Its run, which has a living process.
        target: The rows about the target of the run.
    """
    item = target.items.get(stream.id)
    if item is None:
        return None
    if item.state not in {QueueItemState.WAITING, QueueItemState.LANDING}:
        return next_step(stream, "the answer about it to be recorded")
    return _HandedOver(stream, item, short_name(run.target_ref), target.holder).explained(run.id)


def on_board(row: PatchRow, run: RunRow, target: TargetRows) -> Explanation | None:
    """Return that a patch waits for gates on the merged result of its workstream, by its own run's process.

    Args:
        row: An applied patch on which no gate of its own runs.
        run: Its run, which has a living process.
        target: The rows about the target of the run.

    Returns:
        None unless the process holds the target and says that the workstream is on board.
    """
    holder = target.holder
    if holder is None or holder.run is None or holder.run.id != run.id:
        return None
    member = holder.member(row.workstream_id)
    if member is None:
        return None
    test = holder.test_of(row.workstream_id)
    code = HoldCode.GATES if test is not None else HoldCode.WORKER
    if member["state"] == "held":
        code = HoldCode.LANDING_ORDER
    return waits(
        row,
        code,
        f"the gates on its merged result: {_standing(holder, member, test)}",
        _LANDED_OR_REFUSED,
        is_moving=test is not None,
        kind="gates on a merged result",
        about=_place_json(holder, member),
    )


def _standing(holder: Holder, member: Mapping[str, Any], test: Mapping[str, Any] | None) -> str:
    """Return how a workstream on board stands."""
    place = f"at place {member['place']} of {len(holder.members)}"
    if (held := member["held_by"]) is not None:
        return f"{place}, held: it {OBSTACLES[held['why']]} {short(held['name'])}"
    if member["state"] == "held":
        return f"{place}, held: the queue is drained"
    if test is None:
        return f"{place}, {member['state']}"
    beside = _beside(holder, test, member["id"])
    since = datetime.fromisoformat(test["since"]).astimezone(UTC)
    gates = f"{listed(test['gates'], _MOST)}, running" if test["gates"] else "running"
    return f"{place}, tested {beside} ({gates} since {since:%H:%M:%S} UTC)"


def _beside(holder: Holder, test: Mapping[str, Any], own: str) -> str:
    """Return with which others a workstream is tested; the work does not grow with their number."""
    first = [one for one in test["contains"][: _MOST + 1] if one != own][:_MOST]
    if not first:
        return "alone"
    more = len(test["contains"]) - 1 - len(first)
    named = ", ".join(short(holder.name_of(one)) for one in first)
    return f"with {named} and {more} more" if more else f"with {named}"


def _place_json(holder: Holder, member: Mapping[str, Any]) -> dict[str, Any]:
    return {"place": member["place"], "of": len(holder.members), "state": member["state"]}


class _HandedOver:
    """Makes the sentence about one workstream.

    Args:
        stream: The workstream.
        item: How its hand-over stands.
        branch: The short name of its target.
        holder: The process that holds the target; None where no living one does.
    """

    def __init__(self, stream: WorkstreamRow, item: QueueItemRow, branch: str, holder: Holder | None) -> None:
        self._stream, self._item, self._branch, self._holder = stream, item, short(branch), holder

    def explained(self, own_run: str) -> Explanation:
        """Return why it waits; its own run may hold the target by now."""
        holder = self._holder
        if holder is None:
            return self._of_free_target()
        if holder.run is None:
            what = f"{self._branch}, where {holder.lease.holder} is at work"
            return self._waits(HoldCode.TARGET, what, "that has ended", kind=what)
        if holder.run.id == own_run:
            return next_step(self._stream, "its own run, which holds its target again, to go on with it")
        return self._of_run(holder, holder.run)

    def _of_free_target(self) -> Explanation:
        kind = f"{self._branch}, which no process holds"
        if self._item.state is QueueItemState.LANDING:
            what = f"{kind}: the one that was landing it has exited"
            return self._waits(HoldCode.TARGET, what, "the next one has asked git about it", kind=kind)
        what = f"{kind}: the run that has waited longest takes it"
        return self._waits(HoldCode.TARGET, what, f"a process takes {self._branch}", kind=kind)

    def _of_run(self, holder: Holder, run: NamedRun) -> Explanation:
        member = holder.member(self._stream.id)
        if self._item.state is QueueItemState.LANDING:
            what = f"{self._branch} to be moved to it by {run}"
            about = {"run": run.id}
            return self._waits(
                HoldCode.HANDED_OVER, what, "git has moved the branch", about=about, is_moving=True
            )
        if self._item.is_wanted_back:
            what = f"{run} to give it back, because a request about it waits"
            return self._waits(HoldCode.HANDED_OVER, what, "it is given back", about={"run": run.id})
        if differences := holder.differences(self._stream.id):
            return self._to_be_let_go(run, differences)
        if member is not None:
            return self._on_board(holder, run, member)
        if holder.is_leaving:
            return self._to_be_let_go(run, "that begins nothing new")
        what = f"{run}, which holds {self._branch}, to take it on board"
        return self._waits(
            HoldCode.HANDED_OVER, what, "its process has looked", kind=self._kind(run), about={"run": run.id}
        )

    def _to_be_let_go(self, run: NamedRun, why: str | Sequence[TermsDifference]) -> Explanation:
        """Return that its own process lands it, as soon as another one lets the target go."""
        what = to_let_go(run, self._branch, why)
        differences = [] if isinstance(why, str) else [each.as_json() for each in why]
        return self._waits(
            HoldCode.TARGET,
            what,
            f"nothing is on board there any more, and its own run takes {self._branch}",
            kind=f"{run} to let {self._branch} go",
            about={"run": run.id, "differences": differences},
        )

    def _on_board(self, holder: Holder, run: NamedRun, member: Mapping[str, Any]) -> Explanation:
        test = holder.test_of(self._stream.id)
        return self._waits(
            HoldCode.HANDED_OVER,
            f"{self._kind(run)}: {_standing(holder, member, test)}",
            _LANDED_OR_REFUSED,
            kind=self._kind(run),
            about={"run": run.id} | _place_json(holder, member),
            is_moving=test is not None,
        )

    def _kind(self, run: NamedRun) -> str:
        return f"{run}, whose process lands on {self._branch}"

    def _waits(
        self,
        code: HoldCode,
        what: str,
        until: str,
        *,
        kind: str = "",
        about: Mapping[str, Any] | None = None,
        is_moving: bool = False,
    ) -> Explanation:
        return Explanation(
            code=code,
            what=what,
            since=max(self._stream.changed_at, _EPOCH + timedelta(microseconds=self._item.place)),
            until=until,
            is_moving=is_moving,
            kind=kind,
            about=about or {},
        )
