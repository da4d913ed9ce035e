"""The landed part of a run, for a rollback or a search: workstreams, their patches, their gates."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Self

from maingate.db.dao import patches, runs, tasks, workstreams
from maingate.db.dao.patches import PatchRow
from maingate.db.dao.runs import RunRow
from maingate.db.dao.workstreams import WorkstreamRow
from maingate.db.sql.connection import Connection
from maingate.errors import UsageError
from maingate.plan.choices import LandingStyle
from maingate.plan.model import Plan
from maingate.state.patch_ledger import PatchState
from maingate.wording import listed


@dataclass(frozen=True, kw_only=True)
class LandedWorkstream:
    """A workstream that landed, with all that landed of it.

    Args:
        row: The workstream.
        landing: How it landed.
        patches: Its patches that were ever on the target, oldest first.
        names: The names of tasks by their ids.
        commits: The commits that tasks are of, by the names of the tasks.
    """

    row: WorkstreamRow
    landing: LandingStyle
    patches: Sequence[PatchRow]
    names: Mapping[str, str]
    commits: Mapping[str, str]

    def has_own_commit(self, patch: PatchRow) -> bool:
        """Return whether a patch landed as the very commit that it is of."""
        return patch.commit is not None and patch.commit == self.commits.get(self.names[patch.task_id])

    def label_of(self, patch: PatchRow) -> str:
        """Return the name of a patch for people: its workstream's and its task's."""
        return f"{self.row.name}/{self.names[patch.task_id]}"


@dataclass(frozen=True, kw_only=True)
class LandedRun:
    """A run of which something has landed, as the record has it at one moment.

    Args:
        row: The run.
        plan: Its plan.
        workstreams: Its workstreams.
        ledger: The newest state of all its patches.
        names: The names of its tasks by their ids.
    """

    row: RunRow
    plan: Plan
    workstreams: Sequence[WorkstreamRow]
    ledger: Sequence[PatchRow]
    names: Mapping[str, str]

    @classmethod
    def read(cls, conn: Connection, run_id: str) -> Self:
        """Read a run."""
        row = runs.get(conn, run_id)
        return cls(
            row=row,
            plan=Plan.from_json(row.plan),
            workstreams=workstreams.of_run(conn, run_id),
            ledger=patches.of_run(conn, run_id),
            names={task.id: task.name for task in tasks.of_run(conn, run_id)},
        )

    def holding(self, patch_ids: Sequence[str]) -> list[LandedWorkstream]:
        """Return the workstreams that hold some patches, all of which must be on the target.

        Raises:
            UsageError: One of the patches is not on the target, or there is none.
        """
        wanted = [row for row in self.ledger if row.id in set(patch_ids)]
        absent = [f"{row.id} is {row.state}" for row in wanted if row.state is not PatchState.COMMITTED]
        if absent or not wanted:
            states = listed(absent) if absent else "there is nothing"
            raise UsageError(f"only what is on the target can be rolled back: {states}")
        mine = {row.workstream_id for row in wanted}
        return [self.landed(row) for row in self.workstreams if row.id in mine]

    def landed(self, row: WorkstreamRow) -> LandedWorkstream:
        """Return one of the workstreams with all that landed of it, in the order of the plan."""
        described = self.plan.workstreams[row.name]
        places = {name: place for place, name in enumerate(described.task_order())}
        landed = [patch for patch in self.ledger if patch.workstream_id == row.id and patch.committed_at]
        landed.sort(key=lambda patch: (places.get(self.names[patch.task_id], 0), patch.id))
        return LandedWorkstream(
            row=row,
            landing=LandingStyle(self.row.landing),
            patches=landed,
            names=self.names,
            commits={name: task.commit for name, task in described.tasks.items() if task.commit},
        )

    def required_gates(self, removed: Sequence[str]) -> list[str]:
        """List the gates that the target must pass without some patches.

        They are those of every workstream that has landed. A gate that a workstream was to make green is
        required only while something of that workstream stays.

        Args:
            removed: The ids of the patches that are taken back.
        """
        kept = {
            row.workstream_id
            for row in self.ledger
            if row.state is PatchState.COMMITTED and row.id not in removed
        }
        stays = {row.name for row in self.workstreams if row.id in kept}
        landed = {row.name for row in self.workstreams if row.landed_commit is not None}
        found = [
            gate
            for name in self.plan.workstreams
            if name in landed
            for gate in self.plan.landing_gates(name)
            if name in stays or not self.plan.gates[gate].red_on_base
        ]
        return list(dict.fromkeys(found))


def landed_workstream(conn: Connection, workstream_id: str) -> LandedWorkstream:
    """Read a workstream with all that landed of it."""
    row = workstreams.get(conn, workstream_id)
    return LandedRun.read(conn, row.run_id).landed(row)
