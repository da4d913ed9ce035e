"""The queue of a target as one process of several sees it, through the database.

Each run on a target has a process; the one that holds the target lands what the others hand to it. Reading
blocks, so it is done in a thread, which gets values and returns values.
"""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Final

from maingate.clock import Clock
from maingate.commits import LandingInput, LandingIntent, Tip
from maingate.db.dao import intents, queue_items
from maingate.db.dao.queue_items import OfferedItemRow, QueueItemRow
from maingate.db.engine import Database
from maingate.db.sql.connection import Connection
from maingate.ids import PatchId, RunId, WorkstreamId
from maingate.landing.lease import at_work_on_target
from maingate.orchestrator.core.effect_inputs import RunInput
from maingate.orchestrator.core.events import QueueAnswered, QueueRead, TargetTaken
from maingate.orchestrator.core.queue_items import QueueAnswer, QueueItem
from maingate.orchestrator.injected_parts import TargetHold
from maingate.orchestrator.queue_terms import QueueTerms
from maingate.orchestrator.snapshot_loader import landing_intent
from maingate.plan.choices import LandingStyle
from maingate.state.landing_terms import TermsDifference
from maingate.state.queue_item import QueueItemState

_GRACE_SECONDS: Final = 1.0
"""Time for which a free target is left to the process whose workstream has waited longest."""


@dataclass(frozen=True, kw_only=True)
class KeptWaiting:
    """A workstream of another run that this process does not land, because the two are not proved alike.

    Args:
        workstream: The workstream.
        name: Its name.
        run: Its run.
        differences: How its terms differ from those of this run.
    """

    workstream: WorkstreamId
    name: str
    run: RunId
    differences: Sequence[TermsDifference]


@dataclass(frozen=True, kw_only=True)
class OthersSeen:
    """The result of a look at what other runs have handed over.

    Args:
        news: It, if it is not as it was at the last look.
        are_kept_waiting: Whether some of it cannot be landed by this process.
    """

    news: QueueRead | None
    are_kept_waiting: bool


@dataclass(frozen=True, kw_only=True)
class _Offer:
    """A hand-over as it was read once.

    Args:
        item: The workstream.
        differences: How its terms differ from those of this run; nothing if this process may land it.
    """

    item: QueueItem
    differences: Sequence[TermsDifference]


class SharedQueue:
    """The part that one run has in the queue of its target.

    Args:
        run: The run.
        database: The database.
        clock: The time by which leases are judged.
        hold: The hold on the target.
        terms: The terms on which the run's workstreams land.
        head: Reads the head of the target; None where it is gone.

    Attributes:
        kept_waiting: The workstreams of other runs that this process does not land, as of the last look, in
            the order of their places.
    """

    def __init__(
        self,
        run: RunInput,
        *,
        database: Database,
        clock: Clock,
        hold: TargetHold,
        terms: QueueTerms,
        head: Callable[[], Tip | None],
    ) -> None:
        self._run, self._database, self._clock, self._head = run, database, clock, head
        self._hold, self._terms = hold, terms
        self._last = QueueRead()
        self._offers: dict[str, _Offer] = {}
        self.kept_waiting: tuple[KeptWaiting, ...] = ()
        self._told: set[str] = set()
        self._free_since: float | None = None

    # -- as the process that holds the target ----------------------------------------------------------------

    def look_at_others(self) -> OthersSeen:
        """Read what other runs have handed over: how all of it stands, and of what is new the whole."""
        with self._database.read() as conn:
            others = [row for row in self._rows(conn) if row.run_id != self._run.id]
            waiting = [row for row in self._alive(conn, others) if row.state is QueueItemState.WAITING]
            self._learn(conn, others, waiting)
        wanted = tuple(WorkstreamId(row.workstream_id) for row in waiting if row.is_wanted_back)
        offers = [self._offers[row.offer] for row in waiting if not row.is_wanted_back]
        mine = tuple(offer.item for offer in offers if not offer.differences)
        read = QueueRead(waiting=mine, wanted_back=wanted)
        news = read if read != self._last or wanted else None
        self._last = read
        self.kept_waiting = tuple(_kept(offer) for offer in offers if offer.differences)
        return OthersSeen(news=news, are_kept_waiting=len(waiting) > len(mine))

    def let_target_go(self) -> None:
        """Release the target for other processes."""
        self._hold.let_go()
        self._last, self.kept_waiting = QueueRead(), ()
        self._free_since = self._clock.monotonic()

    def _learn(
        self, conn: Connection, others: Sequence[QueueItemRow], waiting: Sequence[QueueItemRow]
    ) -> None:
        """Read hand-overs that are new, and forget those that are over."""
        present = {row.offer for row in others}
        self._offers = {offer: known for offer, known in self._offers.items() if offer in present}
        new = [row.workstream_id for row in waiting if row.offer not in self._offers]
        for row in queue_items.as_offered(conn, new):
            item = _item_of(row)
            differences = self._terms.unlike(row.terms, self._terms.asked(item.input))
            self._offers[row.offer] = _Offer(item=item, differences=differences)

    # -- as any other process --------------------------------------------------------------------------------

    def row_of(self, item: QueueItem) -> OfferedItemRow:
        """Return the row of a workstream that is handed over."""
        return OfferedItemRow(
            workstream_id=item.id,
            run_id=self._run.id,
            target=self._hold.key,
            offer=item.offer,
            landing=_to_json(item),
            gates=list(item.input.gates),
            terms=self._terms.of(self._terms.asked(item.input)).as_text(),
            place=item.place[0],
            place_in_run=item.place[1],
        )

    def answers(self) -> Sequence[QueueAnswered]:
        """Read the answers about what this run has handed over, each once."""
        with self._database.read() as conn:
            rows = queue_items.answered(conn, self._run.id)
            answered = [row for row in rows if row.offer not in self._told]
            meant = _pending(conn, self._run.id) if answered else {}
        self._told.update(row.offer for row in answered)
        head = self._head() if answered else None
        return [
            QueueAnswered(
                answer=QueueAnswer(
                    workstream=WorkstreamId(row.workstream_id),
                    state=row.state,
                    reason=row.reason,
                    is_blamed=row.is_blamed,
                ),
                intents=tuple(meant.get(row.workstream_id, ())),
                head=head,
            )
            for row in answered
        ]

    def take_target(self) -> TargetTaken | None:
        """Take the target if no living process has it and this run's turn has come."""
        if not self._hold.is_free():
            self._free_since = None
            return None
        if not self._is_turn() or not self._hold.try_to_take():
            return None
        return self._taken()

    def held_already(self) -> TargetTaken | None:
        """Return the news that this process holds the target, if it does."""
        return self._taken() if self._hold.is_held() else None

    def _taken(self) -> TargetTaken:
        with self._database.read() as conn:
            doubtful = [row.workstream_id for row in self._rows(conn) if self._is_in_doubt(row)]
            found = queue_items.as_offered(conn, doubtful)
            items = [_item_of(row, _pending(conn, row.run_id).get(row.workstream_id, ())) for row in found]
        return TargetTaken(landing=tuple(items))

    def _is_turn(self) -> bool:
        """Return whether this run has waited longest, or a free target was left long enough to others."""
        with self._database.read() as conn:
            waiting = [row for row in self._rows(conn) if row.state is QueueItemState.WAITING]
            first = next(iter(self._alive(conn, waiting)), None)
        if first is None or first.run_id == self._run.id:
            return True
        now = self._clock.monotonic()
        self._free_since = self._free_since or now
        return now - self._free_since >= _GRACE_SECONDS

    def _is_in_doubt(self, row: QueueItemRow) -> bool:
        """Return whether a process that is gone was landing it, or had landed what is this run's own."""
        is_own = row.run_id == self._run.id
        return row.state is QueueItemState.LANDING or (is_own and row.state is QueueItemState.LANDED)

    # -- rows ------------------------------------------------------------------------------------------------

    def _rows(self, conn: Connection) -> Sequence[QueueItemRow]:
        return queue_items.on_target(conn, self._hold.key)

    def _alive(self, conn: Connection, rows: Sequence[QueueItemRow]) -> Sequence[QueueItemRow]:
        """Return the rows of runs that a process is at work on."""
        runs = {row.run_id for row in rows}
        at_work = at_work_on_target(conn, runs, self._hold.key, self._clock.now())
        return [row for row in rows if row.run_id in at_work]


def _pending(conn: Connection, run_id: str) -> Mapping[str, Sequence[LandingIntent]]:
    """Read the intents of a run that may have been carried out, by workstream."""
    found: dict[str, list[LandingIntent]] = {}
    for intent in intents.pending(conn, run_id):
        if intent.kind == "landing":
            found.setdefault(intent.workstream_id, []).append(landing_intent(intent))
    return found


def _to_json(item: QueueItem) -> Mapping[str, Any]:
    landing = item.input
    return {
        "name": landing.name,
        "title": landing.title,
        "style": str(item.style),
        "base": [landing.base.commit, landing.base.tree],
        "settled": [landing.settled.commit, landing.settled.tree],
        "commits": [[str(patch), commit, landing.tasks[patch]] for patch, commit in landing.commits],
        "patch_gates": {str(patch): list(gates) for patch, gates in landing.patch_gates.items()},
    }


def _kept(offer: _Offer) -> KeptWaiting:
    landing = offer.item.input
    return KeptWaiting(
        workstream=landing.workstream,
        name=landing.name,
        run=landing.run,
        differences=offer.differences,
    )


def _item_of(row: OfferedItemRow, meant: Sequence[LandingIntent] = ()) -> QueueItem:
    landing, asked = row.landing, row.landing.get("patch_gates", {})
    return QueueItem(
        offer=row.offer,
        style=LandingStyle(landing["style"]),
        place=(row.place, row.place_in_run),
        input=LandingInput(
            run=RunId(row.run_id),
            workstream=WorkstreamId(row.workstream_id),
            name=landing["name"],
            title=landing["title"],
            base=_tip(landing["base"]),
            settled=_tip(landing["settled"]),
            commits=tuple((PatchId(patch), commit) for patch, commit, _ in landing["commits"]),
            tasks={PatchId(patch): task for patch, _, task in landing["commits"]},
            gates=tuple(row.gates),
            patch_gates={PatchId(patch): tuple(gates) for patch, gates in asked.items()},
            intents=tuple(meant),
            open_intent=meant[-1].id if meant else None,
        ),
    )


def _tip(pair: Sequence[str]) -> Tip:
    commit, tree = pair
    return Tip(commit=commit, tree=tree)
