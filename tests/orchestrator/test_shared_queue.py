"""The part of one process in the queue of a target, through a real database: a look reads what is new."""

from collections.abc import Iterator
from dataclasses import dataclass, field, replace

import pytest

from maingate.clock import SystemClock
from maingate.commits import LandingInput, Tip
from maingate.db.dao import queue_items, runs, workstreams
from maingate.db.engine import Database
from maingate.git.repository import Repository
from maingate.ids import LeaseHolder, PatchId, RunId, WorkstreamId, new_id
from maingate.landing.lease import hold_run, key_of
from maingate.orchestrator.core.effect_inputs import RunInput
from maingate.orchestrator.core.events import QueueRead
from maingate.orchestrator.core.queue_items import QueueItem
from maingate.orchestrator.queue_terms import QueueTerms
from maingate.orchestrator.shared_queue import SharedQueue
from maingate.orchestrator.shell.job_maker import JobMaker
from maingate.plan.choices import LandingStyle
from maingate.plan.model import Plan
from maingate.settings import Settings
from maingate.state.landing_terms import TermsPart
from maingate.state.queue_item import QueueItemState
from support.database_factories import NOW, make_run, make_workstream
from support.factories import GitRepo

KEY = key_of("repo_1", "refs/heads/main")
TIP = Tip(commit="a" * 40, tree="b" * 40)


class OpenHold:
    """A target that no process has."""

    key = KEY

    def is_held(self) -> bool:
        """Return False."""
        return False

    def is_free(self) -> bool:
        """Return True."""
        return True

    def try_to_take(self) -> bool:
        """Return True."""
        return True

    def let_go(self) -> None:
        """Do nothing."""


@dataclass
class Member:
    """A run with some workstreams, and its part in the queue."""

    database: Database
    repository: Repository
    gate: str = "true"
    ids: list[WorkstreamId] = field(default_factory=list)

    def __post_init__(self) -> None:
        """Make the run, and take hold of it as its living process."""
        plan = Plan.model_validate(
            {
                "maingate": 1,
                "gates": {"unit": {"run": self.gate}},
                "workstreams": {"w": {"tasks": {"t": {"noop": True}}}},
            }
        )
        jobs = JobMaker(plan, Settings(), self.repository, {}, environ={}, versions={"unit": []})
        with self.database.write() as conn:
            [run] = runs.insert_many(conn, [make_run()], at=NOW)
            hold_run(conn, run.id, holder=LeaseHolder(run.id), now=SystemClock().now())
            self.row = run
        self.queue = SharedQueue(
            RunInput(id=RunId(run.id), plan=plan, target="refs/heads/main", base=TIP),
            database=self.database,
            clock=SystemClock(),
            hold=OpenHold(),
            terms=QueueTerms(plan, Settings(), jobs.keys),
            head=lambda: TIP,
        )

    def item(self, place: int = 1) -> QueueItem:
        """Return a new workstream as it is handed over."""
        with self.database.write() as conn:
            [stream] = workstreams.insert_many(conn, [make_workstream(self.row, name=f"w{place}")], at=NOW)
        patch = PatchId(new_id("patch"))
        self.ids.append(WorkstreamId(stream.id))
        return QueueItem(
            offer=new_id("offer"),
            style=LandingStyle.MERGE,
            place=(place, 0),
            input=LandingInput(
                run=RunId(self.row.id),
                workstream=WorkstreamId(stream.id),
                name=stream.name,
                title="",
                base=TIP,
                settled=TIP,
                commits=((patch, "c" * 40),),
                tasks={patch: "t"},
                gates=("unit",),
                patch_gates={},
                intents=(),
                open_intent=None,
            ),
        )

    def offer(self, item: QueueItem) -> QueueItem:
        """Hand a workstream over."""
        with self.database.write() as conn:
            queue_items.offer(conn, self.queue.row_of(item))
        return item


@pytest.fixture
def members(database: Database, repo: GitRepo) -> Iterator[tuple[Member, Member]]:
    """Give two runs that are proved alike."""
    repo.commit({"a": "1"})
    with Repository.open(repo.path) as repository:
        yield Member(database, repository), Member(database, repository)


def spoil(database: Database, column: str, value: str) -> None:
    """Change a column of all rows, so that reading it would be seen."""
    with database.write() as conn:
        conn.exec_driver_sql(f"UPDATE queue_items SET {column} = '{value}'")


def test_the_workstream_itself_is_read_once_for_each_offer(
    members: tuple[Member, Member], database: Database
) -> None:
    """What is known is not read again, however often it is looked at; what is new is."""
    holder, other = members
    first = other.offer(other.item(1))
    assert holder.queue.look_at_others().news == QueueRead(waiting=(first,))
    spoil(database, "landing", "no JSON")
    spoil(database, "terms", "others")
    assert holder.queue.look_at_others().news is None
    second = other.offer(other.item(2))
    assert holder.queue.look_at_others().news == QueueRead(waiting=(first, second))


def test_a_workstream_that_is_handed_over_again_is_read_again(members: tuple[Member, Member]) -> None:
    """Its patches may be others: another offer of the same workstream is another workstream to land."""
    holder, other = members
    first = other.offer(other.item())
    holder.queue.look_at_others()
    settled = replace(first.input, settled=Tip(commit="d" * 40, tree="e" * 40))
    again = other.offer(replace(first, offer=new_id("offer"), input=settled))
    assert holder.queue.look_at_others().news == QueueRead(waiting=(again,))


def test_a_workstream_that_waits_again_is_known_still(
    members: tuple[Member, Member], database: Database
) -> None:
    """Its landing was begun and given up; the offer is the same."""
    holder, other = members
    item = other.offer(other.item())
    holder.queue.look_at_others()
    spoil(database, "state", "landing")
    assert holder.queue.look_at_others().news == QueueRead()
    spoil(database, "landing", "no JSON")
    spoil(database, "state", "waiting")
    assert holder.queue.look_at_others().news == QueueRead(waiting=(item,))


def test_one_that_is_not_proved_alike_is_kept_waiting_with_the_reason(
    members: tuple[Member, Member], database: Database
) -> None:
    """It is no news for the holder, which lets the target go when it has nothing on board."""
    holder, _ = members
    other = Member(database, holder.repository, gate="false")
    item = other.offer(other.item())
    seen = holder.queue.look_at_others()
    assert (seen.news, seen.are_kept_waiting) == (None, True)
    [kept] = holder.queue.kept_waiting
    assert (kept.workstream, kept.name, kept.run) == (item.id, item.input.name, item.input.run)
    assert [(each.part, each.gate) for each in kept.differences] == [(TermsPart.GATE, "unit")]
    holder.queue.let_target_go()
    assert holder.queue.kept_waiting == ()


def test_what_a_dead_process_has_handed_over_is_not_taken(
    members: tuple[Member, Member], database: Database
) -> None:
    """Its next process finds out what became of it."""
    holder, other = members
    other.offer(other.item())
    with database.write() as conn:
        conn.exec_driver_sql(f"UPDATE leases SET pid_started = 'before' WHERE key = 'run:{other.row.id}'")
    seen = holder.queue.look_at_others()
    assert (seen.news, seen.are_kept_waiting) == (None, False)


def test_answers_are_told_once_and_without_the_workstream(
    members: tuple[Member, Member], database: Database
) -> None:
    """A row that waits is no answer; the workstream that was handed over is its own process's already."""
    _, other = members
    item = other.offer(other.item())
    assert other.queue.answers() == []
    with database.write() as conn:
        queue_items.answer(conn, item.id, QueueItemState.RETURNED)
    spoil(database, "landing", "no JSON")
    [answer] = other.queue.answers()
    assert (answer.answer.workstream, answer.answer.state) == (item.id, QueueItemState.RETURNED)
    assert other.queue.answers() == []


def test_the_target_is_taken_with_what_is_in_doubt(
    members: tuple[Member, Member], database: Database
) -> None:
    """A workstream that a process which is gone was landing, of whichever run; none that merely waits."""
    holder, other = members
    landing, _ = other.offer(other.item(1)), other.offer(other.item(2))
    with database.write() as conn:
        queue_items.take(conn, landing.id)
    taken = holder.queue.take_target()
    assert taken is None  # the other run has waited longer
    own = other.queue.take_target()
    assert own is not None
    assert own.landing == (landing,)
