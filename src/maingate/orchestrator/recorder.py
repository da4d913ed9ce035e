"""Group commit: all entries that wait to be recorded go into one transaction.

While one transaction is being written, further entries gather; the next transaction takes them all, in the
order in which they came. So a busy run writes few, large transactions, and an idle one writes at once. An
entry is written whole or not at all, and ``record`` returns only when it is durable.
"""

import asyncio
from collections import ChainMap
from collections.abc import Callable, Mapping, Sequence
from concurrent.futures import Executor
from dataclasses import dataclass, field
from datetime import timedelta

from maingate.clock import Clock
from maingate.db.engine import Database
from maingate.db.sql.connection import Connection
from maingate.db.transitions import write
from maingate.faultpoints import reach
from maingate.state.steps.step import Head, Step

BEHIND = 2_000
"""Maximum number of steps that wait to be written; with more, nothing is decided."""

COMPANY_WAIT = timedelta(milliseconds=20)
"""Maximum delay before entries without a waiter are written, so that they can share a transaction."""

Write = Callable[[Connection], Sequence[Head]]
"""Something to write besides transitions; returns the heads of entities it created."""

Told = Callable[[Sequence[Step], Mapping[str, str]], None]
"""Called with the steps of a committed transaction, and the state of each entity before it."""


@dataclass(kw_only=True)
class _Entry:
    writes: Sequence[Write]
    steps: Sequence[Step]
    done: "asyncio.Future[None] | None" = field(default=None)


class Recorder:
    """Writes transitions on behalf of one run; the only writer of its entities.

    Args:
        database: The database.
        clock: The time that transitions are stamped with.
        heads: The newest state of every entity that will change.
        told: Called in the loop after every commit.
        failed: Called in the loop, once, when something could not be written; nothing is written after that.
        fence: Called in every transaction; raises when this process must not write any more.
        thread: The thread that writes the transactions, one at a time.
    """

    def __init__(
        self,
        *,
        database: Database,
        clock: Clock,
        heads: dict[str, Head],
        told: Told,
        failed: Callable[[Exception], None],
        fence: Callable[[Connection], None],
        thread: Executor,
    ) -> None:
        self._fence, self._thread = fence, thread
        self._database, self._clock, self._heads = database, clock, heads
        self._told, self._failed = told, failed
        self._waiting: list[_Entry] = []
        self._behind = 0
        self._writing: asyncio.Future[Mapping[str, str]] | None = None
        self._writer: asyncio.Task[None] | None = None
        self._later: asyncio.TimerHandle | None = None
        self.failure: Exception | None = None

    async def record(self, steps: Sequence[Step] = (), *, writes: Sequence[Write] = ()) -> None:
        """Write these together with all that waits; return when they are durable.

        Raises:
            StaleTransitionError: Another process changed one of the entities; nothing of the transaction was
                written.
            DatabaseError: The database could not be used; nothing of the transaction was written.
        """
        await self.enter(steps, writes=writes)

    def enter(self, steps: Sequence[Step] = (), *, writes: Sequence[Write] = ()) -> "asyncio.Future[None]":
        """Queue these at once; return a future that is done when they are durable, or fails."""
        done: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        if self.failure is not None:
            done.set_exception(self.failure)
            return done
        self._add(_Entry(writes=writes, steps=steps, done=done))
        self._begin()
        return done

    def post(self, steps: Sequence[Step] = (), *, writes: Sequence[Write] = ()) -> None:
        """Queue these for the next transaction, without waiting for it.

        Nothing more is queued after a failure, which the callers of `enter` have been told of.
        """
        if self.failure is not None:
            return
        self._add(_Entry(writes=writes, steps=steps))
        if self._writer is None and self._later is None:
            self._later = asyncio.get_running_loop().call_later(COMPANY_WAIT.total_seconds(), self._begin)

    async def keep_up(self) -> None:
        """Yield to other tasks, and wait while far more is decided than is written."""
        while self._behind > BEHIND and self.failure is None:
            self._begin()
            if self._writing is not None:
                await asyncio.wait((self._writing,))
            await asyncio.sleep(0)
        await asyncio.sleep(0)

    async def close(self) -> None:
        """Wait until everything is written."""
        self._begin()
        while self._writer is not None:
            await self._writer

    def _add(self, entry: _Entry) -> None:
        self._waiting.append(entry)
        self._behind += len(entry.steps)

    def _begin(self) -> None:
        """Start to write, unless that is under way."""
        if self._later is not None:
            self._later.cancel()
            self._later = None
        if self._writer is None and self._waiting:
            self._writer = asyncio.get_running_loop().create_task(self._write_all())

    async def _write_all(self) -> None:
        loop = asyncio.get_running_loop()
        try:
            while self._waiting:
                batch, self._waiting, self._behind = self._waiting, [], 0
                self._writing = loop.run_in_executor(self._thread, self._write, batch)
                try:
                    before = await self._writing
                except Exception as error:  # noqa: BLE001 - whatever it was, it is handed to everyone who waits
                    self._refuse(batch, error)
                    return
                self._told([step for entry in batch for step in entry.steps], before)
                for entry in batch:
                    if entry.done is not None and not entry.done.done():
                        entry.done.set_result(None)
        finally:
            self._writer = None

    def _write(self, batch: Sequence[_Entry]) -> Mapping[str, str]:
        created: dict[str, Head] = {}
        reach("transaction.before")
        with self._database.write() as conn:
            self._fence(conn)
            for entry in batch:
                for do in entry.writes:
                    created.update((head.id, head) for head in do(conn))
            heads = ChainMap(created, self._heads)
            steps = [step for entry in batch for step in entry.steps]
            before = {step.head_id: heads[step.head_id].state for step in steps}
            changed = write(conn, heads, steps, at=self._clock.now()) if steps else {}
            reach("transaction.inside")
        reach("transaction.after")
        self._heads.update(created)
        self._heads.update(changed)
        return before

    def _refuse(self, batch: Sequence[_Entry], error: Exception) -> None:
        """Fail for good: nothing may be recorded on top of a lost entry."""
        self.failure = error
        self._failed(error)
        waiting, self._waiting = [*batch, *self._waiting], []
        for entry in waiting:
            if entry.done is not None and not entry.done.done():
                entry.done.set_exception(error)
