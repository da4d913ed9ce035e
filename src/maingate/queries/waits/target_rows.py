"""The rows about the target of a run beside its own: hand-overs, and the process that they are made to."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from functools import cached_property
from typing import Any

from maingate.db.dao import holds, leases, queue_items, queue_views, runs
from maingate.db.dao.leases import Lease
from maingate.db.dao.queue_items import QueueItemRow
from maingate.db.dao.runs import RunRow
from maingate.db.sql.connection import Connection
from maingate.ids import HolderKind
from maingate.landing.lease import is_held, key_of
from maingate.queries.waits.server_line import NamedRun
from maingate.state.holds import HoldCode
from maingate.state.landing_terms import TermsDifference
from maingate.state.run import RUN


@dataclass(frozen=True, kw_only=True)
class Holder:
    """The living process that holds a target.

    Args:
        lease: Its lease.
        run: Its run; None for other work, such as a rollback.
        is_leaving: Whether it takes nothing new on board: its run has ended, or stops.
        view: The queue as it says, in the form of `maingate.orchestrator.queue_publisher`; empty as long as
            it has said nothing.
        at: The moment of that view; None without one.
    """

    lease: Lease
    run: NamedRun | None = None
    is_leaving: bool = False
    view: Mapping[str, Any] = field(default_factory=dict)
    at: datetime | None = None

    @property
    def members(self) -> Sequence[Mapping[str, Any]]:
        """The workstreams on board, in the order in which they land."""
        found: Sequence[Mapping[str, Any]] = self.view.get("members", ())
        return found

    def member(self, workstream_id: str) -> Mapping[str, Any] | None:
        """Return a workstream on board, with its place from 1; None for any other."""
        return self._members.get(workstream_id)

    def test_of(self, workstream_id: str) -> Mapping[str, Any] | None:
        """Return the longest running test that contains a workstream; None without one."""
        return self._tests.get(workstream_id)

    def name_of(self, workstream_id: str) -> str:
        """Return the name of a workstream on board; its id for any other."""
        member = self._members.get(workstream_id)
        return workstream_id if member is None else str(member["name"])

    def differences(self, workstream_id: str) -> Sequence[TermsDifference]:
        """Return why a workstream of another run is not landed here; nothing where it is, or is not known."""
        return self._differences.get(workstream_id, ())

    @cached_property
    def _members(self) -> Mapping[str, Mapping[str, Any]]:
        return {one["id"]: {**one, "place": place} for place, one in enumerate(self.members, 1)}

    @cached_property
    def _tests(self) -> Mapping[str, Mapping[str, Any]]:
        tests = self.view.get("tests", ())
        return {member: test for test in reversed(tests) for member in test["contains"]}

    @cached_property
    def _differences(self) -> Mapping[str, Sequence[TermsDifference]]:
        return {
            kept["id"]: [TermsDifference.from_json(one) for one in kept["differences"]]
            for kept in self.view.get("kept_waiting", ())
        }


@dataclass(frozen=True, kw_only=True)
class TargetRows:
    """The rows about the target of a run.

    Args:
        items: The workstreams that the run has handed over.
        holder: The process that holds the target; None where no living one does.
    """

    items: Mapping[str, QueueItemRow] = field(default_factory=dict)
    holder: Holder | None = None


def read_target(conn: Connection, run: RunRow, now: datetime) -> TargetRows:
    """Read the rows about the target of a run."""
    items = {item.workstream_id: item for item in queue_items.of_run(conn, run.id)}
    holder = read_holder(conn, key_of(run.repository_id, run.target_ref), now)
    return TargetRows(items=items, holder=holder)


def read_holder(conn: Connection, key: str, now: datetime) -> Holder | None:
    """Read who holds a target, by its key, and what that process says of the queue; None if it is free."""
    lease = leases.of_key(conn, key)
    if lease is None or not is_held(lease, now):
        return None
    if lease.holder.kind is not HolderKind.RUN:
        return Holder(lease=lease)
    run_id, view = lease.holder.id, queue_views.of_target(conn, key)
    said = view if view is not None and view.run_id == run_id else None
    name, state = runs.name_and_state(conn, run_id)
    hold = holds.of_entity(conn, run_id)
    is_stopping = hold is not None and hold.code is HoldCode.DRAINING
    return Holder(
        lease=lease,
        run=NamedRun(id=run_id, name=name),
        is_leaving=RUN.is_terminal(state) or is_stopping,
        view={} if said is None else said.view,
        at=None if said is None else said.at,
    )
