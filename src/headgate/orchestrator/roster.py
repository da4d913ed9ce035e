"""The workers of a run on record: the worker it runs as, and its execution slots (SSOT §1.5, §2.1)."""

import os
import socket
from collections.abc import Callable, Mapping
from types import MappingProxyType
from typing import Final

from headgate.clock import Clock
from headgate.db.dao import uet_workers, workers
from headgate.db.dao.uet_workers import UetWorkerRow
from headgate.db.dao.workers import WorkerRow
from headgate.db.transitions import Head, Step
from headgate.ids import UetWorkerId, WorkerId, new_id
from headgate.orchestrator.recorder import Recorder
from headgate.reasons import Reason, ReasonCode

_Verb = Callable[[Head, int | None], Step]


def _lost(what: str) -> Reason:
    return Reason(code=ReasonCode.WORKER_LOST, message=f"the worker process {what}")


_VERBS: Final[Mapping[tuple[str, str], _Verb]] = MappingProxyType(
    {
        ("IDLE", "initialized"): lambda head, pid: uet_workers.ready(head, pid=pid or 0),
        ("BUSY", "task_assigned"): lambda head, _: uet_workers.assign(head),
        ("IDLE", "task_finished"): lambda head, _: uet_workers.finish(head),
        ("DRAINING", "shutdown_requested"): lambda head, _: uet_workers.drain(head),
        ("TERMINATED", "shutdown_requested"): lambda head, _: uet_workers.shut_down(head),
        ("TERMINATED", "task_finished"): lambda head, _: uet_workers.drained(head),
        ("TERMINATED", "crashed"): lambda head, _: uet_workers.crash(head, _lost("died while it worked")),
        ("TERMINATED", "spawn_failed"): lambda head, _: uet_workers.spawn_failed(
            head, _lost("could not be started")
        ),
    }
)


class Roster:
    """Records who works for a run, and hears from the pool what its processes do.

    Args:
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
            max_concurrent_tasks=capacity,
        )
        self._slots: dict[UetWorkerId, Head] = {}

    @property
    def worker_id(self) -> WorkerId:
        """The orchestration worker that this process is."""
        return WorkerId(self._me.id)

    def sign_on(self) -> None:
        """Register this process and let it be busy with the run."""
        self._recorder.post(
            [workers.register(self._me.head), workers.assign(self._me.head, load=1)],
            writes=[
                lambda conn: [row.head for row in workers.insert_many(conn, [self._me], at=self._clock.now())]
            ],
        )

    def sign_off(self) -> None:
        """Let this process be done."""
        self._recorder.post([workers.finish(self._me.head, load=0), workers.shut_down(self._me.head)])

    def uet_worker_changed(self, uet_id: UetWorkerId, state: str, trigger: str, pid: int | None) -> None:
        """Record a change of one of the pool's processes."""
        if state == "SPAWNING":
            row = UetWorkerRow(id=uet_id, worker_id=self._me.id, slot=len(self._slots), pid=pid)
            self._slots[uet_id] = row.head
            now = self._clock.now()
            self._recorder.post(
                writes=[lambda conn: [made.head for made in uet_workers.insert_many(conn, [row], at=now)]]
            )
            return
        self._recorder.post([_VERBS[state, trigger](self._slots[uet_id], pid)])

    def uet_job_started(self, job_id: str, uet_id: UetWorkerId) -> None:
        """Pass on that a job is being worked on."""
        self._job_started(job_id, uet_id)
