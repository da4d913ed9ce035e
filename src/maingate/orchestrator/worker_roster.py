"""The workers of a run on record: the process it runs in, and the workers of its pool.

See docs/SPECIFICATION.md §1.5, §2.1.

Each process of the pool is a worker with one execution slot. An event of the process moves both on their
machines, in one entry of the record.
"""

import os
import socket
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import datetime
from types import MappingProxyType
from typing import Final

from maingate.clock import Clock
from maingate.db.dao import uet_workers, workers
from maingate.db.dao.uet_workers import UetWorkerRow
from maingate.db.dao.workers import WorkerRow
from maingate.db.sql.connection import Connection
from maingate.ids import UetWorkerId, WorkerId, new_id
from maingate.orchestrator.recorder import Recorder
from maingate.reasons import Reason, ReasonCode
from maingate.state.steps import uet_workers as uet_worker_steps
from maingate.state.steps import workers as worker_steps
from maingate.state.steps.step import Head, Step
from maingate.state.uet_worker import UetWorkerState
from maingate.system.process_table import started
from maingate.workers.registry import Registration, WorkerChange

_Heard = dict[str, datetime]

JOB: Final = "job"
"""The key of the job in the metadata of a slot's transition."""


@dataclass(kw_only=True)
class Pair:
    """A worker and its slot, where they are once everything posted is written."""

    worker: Head
    uet: Head

    def follow(self, change: WorkerChange, said: str = "") -> Sequence[Step]:
        """Apply an event, and return the steps; ``said`` is the job, or the fault."""
        steps = _STEPS[change](self, said)
        for step in steps:
            if step.head_id == self.worker.id:
                self.worker = replace(self.worker, state=str(step.to))
            else:
                self.uet = replace(self.uet, state=str(step.to))
        return steps


def _end(pair: Pair, _message: str) -> list[Step]:
    is_draining = pair.uet.state == UetWorkerState.DRAINING
    end = uet_worker_steps.drained if is_draining else uet_worker_steps.shut_down
    return [end(pair.uet), worker_steps.shut_down(pair.worker)]


def _lose(pair: Pair, message: str) -> list[Step]:
    reason = _lost(message)
    return [uet_worker_steps.lose(pair.uet, reason), *worker_steps.lose(pair.worker, reason)]


def _lost(message: str) -> Reason:
    return Reason(code=ReasonCode.WORKER_LOST, message=message)


_STEPS: Final[Mapping[WorkerChange, Callable[[Pair, str], list[Step]]]] = MappingProxyType(
    {
        WorkerChange.READY: lambda pair, _: [
            worker_steps.register(pair.worker),
            uet_worker_steps.ready(pair.uet),
        ],
        WorkerChange.ASSIGNED: lambda pair, job: [
            worker_steps.assign(pair.worker, load=1),
            uet_worker_steps.assign(pair.uet, metadata={JOB: job}),
        ],
        WorkerChange.FINISHED: lambda pair, _: [
            uet_worker_steps.finish(pair.uet),
            worker_steps.finish(pair.worker, load=0),
        ],
        WorkerChange.FELL_SILENT: lambda pair, message: [
            worker_steps.miss_heartbeat(pair.worker, _lost(message))
        ],
        WorkerChange.RECOVERED: lambda pair, _: [
            uet_worker_steps.finish(pair.uet),
            worker_steps.recover(pair.worker),
        ],
        WorkerChange.DRAINING: lambda pair, _: [uet_worker_steps.drain(pair.uet)],
        WorkerChange.ENDED: _end,
        WorkerChange.LOST: _lose,
    }
)


class Roster:
    """Records who works for a run, and hears from the pool what its processes do.

    Args:
        capacity: How many tasks the run works on at once.
        job_started: Told when a worker takes a job on.
    """

    def __init__(
        self,
        *,
        recorder: Recorder,
        clock: Clock,
        capacity: int,
        job_started: Callable[[str, UetWorkerId], None],
    ) -> None:
        self._recorder, self._clock, self._job_started = recorder, clock, job_started
        self._me = WorkerRow(
            id=WorkerId(new_id("wrk")),
            name=f"{socket.gethostname()}:{os.getpid()}",
            host=socket.gethostname(),
            pid=os.getpid(),
            pid_started=started(os.getpid()),
            max_concurrent_tasks=capacity,
            heartbeat_at=clock.now(),
        )
        self._pairs: dict[UetWorkerId, Pair] = {}
        self._heard: _Heard = {}

    @property
    def worker_id(self) -> WorkerId:
        """The orchestration worker that this process is."""
        return WorkerId(self._me.id)

    def sign_on(self) -> None:
        """Register this process and let it be busy with the run."""
        self._recorder.post(
            [worker_steps.register(self._me.head), worker_steps.assign(self._me.head, load=1)],
            writes=[lambda conn: self._insert(conn, self._me, None)],
        )

    def sign_off(self) -> None:
        """Record that this process is done."""
        self._recorder.post(
            [worker_steps.finish(self._me.head, load=0), worker_steps.shut_down(self._me.head)]
        )

    def beat(self) -> None:
        """Record that this process lives, and which of its workers it has heard of since the last time."""
        heard, self._heard = {**self._heard, self._me.id: self._clock.now()}, {}

        def note(conn: Connection) -> Sequence[Head]:
            workers.heartbeat(conn, heard)
            return ()

        self._recorder.post(writes=[note])

    def worker_changed(self, worker: Registration, change: WorkerChange, message: str) -> None:
        """Record what happened to one of the pool's processes."""
        if change is WorkerChange.SPAWNED:
            self._register(worker)
            return
        if change is WorkerChange.ASSIGNED:
            return  # `uet_job_started` follows, and knows the job
        pair = self._pairs[worker.uet_id]
        self._recorder.post(pair.follow(change, message))
        if change in (WorkerChange.ENDED, WorkerChange.LOST):
            del self._pairs[worker.uet_id]

    def worker_heard(self, uet_id: UetWorkerId) -> None:
        """Remember a sign of life until the next `beat`."""
        self._heard[self._pairs[uet_id].worker.id] = self._clock.now()

    def uet_job_started(self, job_id: str, uet_id: UetWorkerId) -> None:
        """Record which job a worker took on, and pass it on."""
        self._recorder.post(self._pairs[uet_id].follow(WorkerChange.ASSIGNED, job_id))
        self._job_started(job_id, uet_id)

    def _register(self, member: Registration) -> None:
        worker = WorkerRow(
            id=WorkerId(new_id("wrk")),
            parent_id=self._me.id,
            name=f"{self._me.host}/{member.slot}",
            host=self._me.host,
            pid=member.pid,
            pid_started=member.pid_started,
            capabilities=sorted(member.capabilities),
            affinity=member.affinity,
            heartbeat_at=self._clock.now(),
        )
        uet = UetWorkerRow(
            id=member.uet_id,
            worker_id=worker.id,
            slot=member.slot,
            pid=member.pid,
            pid_started=member.pid_started,
        )
        self._pairs[member.uet_id] = Pair(worker=worker.head, uet=uet.head)
        self._recorder.post(writes=[lambda conn: self._insert(conn, worker, uet)])

    def _insert(self, conn: Connection, worker: WorkerRow, uet: UetWorkerRow | None) -> Sequence[Head]:
        at = self._clock.now()
        made = workers.insert_many(conn, [worker], at=at)
        slots = [] if uet is None else uet_workers.insert_many(conn, [uet], at=at)
        return [*(row.head for row in made), *(row.head for row in slots)]
