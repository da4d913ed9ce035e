"""Effects on the target, in a real repository: a car lands once, however often its landing is tried."""

from collections.abc import Iterator
from datetime import UTC, datetime
from typing import Any

import pytest

from maingate.clock import ManualClock
from maingate.commits import Candidate, Tip
from maingate.db.dao import intents
from maingate.db.dao.intents import Intent
from maingate.db.engine import Database
from maingate.git.repository import Repository
from maingate.ids import RunId, WorkstreamId
from maingate.landing.intended_move import HeldTarget
from maingate.orchestrator.core.effect_inputs import RunInput
from maingate.orchestrator.core.effects import CarMember, LandCar
from maingate.orchestrator.core.events import TargetLanded, TargetMoved
from maingate.orchestrator.shell.landing_effects import LandingEffects
from orchestrator.core.test_core import plan_of
from support.database_factories import make_world
from support.factories import GitRepo

MAIN = "refs/heads/main"
CLOCK = ManualClock(current=datetime(2026, 1, 2, tzinfo=UTC))


@pytest.fixture
def repository(repo: GitRepo) -> Iterator[Repository]:
    """Return a repository whose branch is at the first of two commits."""
    old = repo.commit({"a.txt": "1\n"}, "first")
    repo.commit({"a.txt": "2\n"}, "second")
    repo.git("branch", "second")
    repo.git("reset", "-q", "--hard", old)
    with Repository.open(repo.path) as opened:
        yield opened


@pytest.fixture
def car(repository: Repository, database: Database) -> LandCar:
    """Return a car that moves the branch to the second commit, its intent on record."""
    old, new = (
        Tip(commit=commit, tree=repository.tree_of(commit))
        for commit in map(repository.ref_value, (MAIN, "refs/heads/second"))
        if commit is not None
    )
    with database.write() as conn:
        world = make_world(conn)
        intent = Intent(
            id="intent_1",
            run_id=world.run.id,
            workstream_id=world.workstream.id,
            ref=MAIN,
            old=old.commit,
            new=new.commit,
            created_at=CLOCK.now(),
        )
        intents.record(conn, intent)
    candidate = Candidate(onto=old, tip=new, commits={})
    workstream = WorkstreamId(world.workstream.id)
    member = CarMember(workstream=workstream, name="w", candidate=candidate, intent=intent.id)
    return LandCar(car="car_1", members=(member,))


@pytest.fixture
def effects(repository: Repository, database: Database, car: LandCar) -> LandingEffects:
    """Return the effects on the branch, without the parts that a landing does not need."""
    base, unused = car.members[0].candidate.onto, object()
    rest: dict[str, Any] = dict.fromkeys(("verdicts", "executor", "orders"), unused)
    return LandingEffects(
        run=RunInput(
            id=RunId("run_1"), plan=plan_of({"w": {"tasks": {"t": {"noop": True}}}}), target=MAIN, base=base
        ),
        target=HeldTarget(
            repository=repository, ref=MAIN, database=database, fence=lambda _: None, clock=CLOCK
        ),
        clock=CLOCK,
        warn=lambda _: None,
        **rest,
    )


def test_a_car_that_is_on_the_target_already_has_landed(
    effects: LandingEffects, car: LandCar, repo: GitRepo
) -> None:
    """The step is tried again where it fails after the move: the car is not to land any more then."""
    assert effects.land(car) == TargetLanded(car="car_1")
    assert effects.land(car) == TargetLanded(car="car_1")
    repo.commit({"b.txt": "1\n"}, "somebody else's, on top of it")
    assert effects.land(car) == TargetLanded(car="car_1")


def test_a_car_that_others_were_quicker_than_has_not(
    effects: LandingEffects, car: LandCar, repo: GitRepo
) -> None:
    """The branch is where they have moved it."""
    repo.commit({"b.txt": "1\n"}, "somebody else's")
    assert effects.land(car) == TargetMoved(car="car_1")
