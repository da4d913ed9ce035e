"""Hundreds of seeded runs through crashes, stale processes, lost workers, pushes, and what people decide.

A seed that fails is replayed, with all that happens told, by
``MAINGATE_LIVES_SEED=SEED pytest tests/orchestrator -n 0 -s``.
"""

import os
import random
import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from maingate.db.engine import Database, open_database
from orchestrator.core.many_lives import Trouble, World, plan_of
from support.seeds import BLOCKS

SEED = "MAINGATE_LIVES_SEED"
"""The environment variable that names a seed to replay."""

WANTED = os.environ.get(SEED)


@pytest.fixture(scope="session")
def template(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Give an empty database to copy."""
    path = tmp_path_factory.mktemp("template") / "empty.db"
    database = open_database(f"sqlite:///{path}", synchronous="OFF")
    database.upgrade()
    with database.engine.connect() as conn:
        conn.exec_driver_sql("PRAGMA wal_checkpoint(TRUNCATE)")
    database.close()
    return path


@contextmanager
def fresh(template: Path, folder: Path) -> Iterator[Database]:
    """Open a copy of the empty database."""
    folder.mkdir(parents=True, exist_ok=True)
    path = folder / "run.db"
    for suffix in ("", "-wal", "-shm"):
        path.with_name(path.name + suffix).unlink(missing_ok=True)
    shutil.copyfile(template, path)
    database = open_database(f"sqlite:///{path}", synchronous="OFF")
    try:
        yield database
    finally:
        database.close()


def trouble_of(chance: random.Random) -> Trouble:
    """Draw which faults there are and how often."""
    return Trouble(
        crash=chance.choice([0.02, 0.05, 0.15]),
        zombie=chance.choice([0.0, 0.5, 1.0]),
        twice=chance.choice([0.0, 0.3]),
        lost=chance.choice([0.0, 0.3]),
        push=chance.choice([0.0, 0.0, 0.03]),
        cancel=chance.choice([0.0, 0.0, 0.0, 0.02]),
        back=chance.choice([0.0, 0.05]),
        override=chance.choice([0.0, 0.0, 0.0, 0.0, 0.05]),
    )


def play(seed: int, template: Path, folder: Path, *, is_told: bool = False) -> None:
    """Play one seed, with its faults and without, and hold the ends against each other."""
    chance = random.Random(seed)
    plan, bad = plan_of(chance)
    trouble = trouble_of(chance)
    with fresh(template, folder) as database:
        world = World(database, plan, bad, seed, trouble, is_told=is_told)
        world.play()
        world.check()
        end = world.end()
    if world.was_cancelled or trouble.push:
        return
    with fresh(template, folder) as database:
        calm = World(database, plan, bad, seed, Trouble())
        calm.play()
        calm.check()
        assert end == calm.end()


@pytest.mark.simulation
@pytest.mark.parametrize("seeds", BLOCKS, ids=str)
def test_whatever_happens_all_ends_well(seeds: range, template: Path, tmp_path: Path) -> None:
    """Nothing is lost, nothing lands twice, nothing is left open, and the faults make no difference."""
    for seed in seeds:
        try:
            play(seed, template, tmp_path)
        except Exception as error:
            how = f"`{SEED}={seed} pytest tests/orchestrator -n 0 -s` replays it"
            raise AssertionError(f"seed {seed} ends badly ({error!r}); {how}") from error


@pytest.mark.skipif(WANTED is None, reason=f"{SEED} names no seed to replay")
def test_one_seed_told(template: Path, tmp_path: Path) -> None:
    """The seed that is asked for is played once more, and all that happens is told."""
    play(int(WANTED or "0"), template, tmp_path, is_told=True)


def _first_bad(template: Path, folder: Path, **broken: object) -> Exception | None:
    """Find a seed that notices that something is broken."""
    for seed in range(300):
        plan, bad = plan_of(random.Random(seed))
        with fresh(template, folder) as database:
            trouble = Trouble(crash=0.15, zombie=1.0)
            world = World(database, plan, bad, seed, trouble, **broken)  # type: ignore[arg-type]
            try:
                world.play()
                world.check()
            except Exception as error:  # noqa: BLE001 - whatever it is, it was noticed
                return error
    return None


def test_a_landing_that_is_not_looked_for_would_be_noticed(template: Path, tmp_path: Path) -> None:
    """A program that does not ask git what has landed lands twice, and the simulation sees it."""
    assert isinstance(_first_bad(template, tmp_path, looks=lambda _git, _commit: False), AssertionError)


def test_a_process_without_a_fence_would_be_noticed(
    template: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A stale process that may write collides with the one that has taken over."""
    monkeypatch.setattr("orchestrator.core.many_lives.require_lease", lambda _conn, _lease: None)
    assert _first_bad(template, tmp_path) is not None
