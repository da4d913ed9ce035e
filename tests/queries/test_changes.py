"""Changes of the record, by run and by machine."""

from collections.abc import Iterator
from pathlib import Path
from types import SimpleNamespace
from typing import Any, cast

import pytest

from maingate.bootstrap import Maingate
from maingate.queries.changes import ALL, ChangeWatch, parts_of_list
from maingate.roles import Role
from support.factories import GitRepo

BREAKERS, TASKS, RUN = (None, "circuit_breaker"), (None, "task"), ("run_1", None)


@pytest.fixture
def maingate(tmp_path: Path) -> Iterator[Maingate]:
    """Give a repository whose record has a row."""
    repo = GitRepo.create(tmp_path / "web")
    repo.commit({"a.txt": "1\n"})
    with Maingate.open(repo.path) as made:
        trip(made, "claude")
        yield made


def trip(maingate: Maingate, tool: str) -> None:
    """Write a row about a breaker."""
    maingate.operator.override_breaker("trip", tool, reason="it is down", operator="ada")


def changed(watch: ChangeWatch, since: Any) -> set[Any]:
    """Return which of some parts have changed."""
    watch.look()
    return {part for part in (ALL, BREAKERS, TASKS, RUN) if not watch.is_unchanged([part], since)}


def test_a_row_changes_the_parts_that_it_is_about(maingate: Maingate) -> None:
    """All others are as they were."""
    watch = ChangeWatch(maingate.context)
    before = watch.look()
    assert changed(watch, before) == set()
    trip(maingate, "codex")
    assert changed(watch, before) == {ALL, BREAKERS}
    assert changed(watch, watch.look()) == set()


def test_a_row_about_no_entity_changes_everything(maingate: Maingate) -> None:
    """It is not known which answers show it."""
    watch = ChangeWatch(maingate.context)
    before = watch.look()
    maingate.tokens.create("eve", Role.VIEWER, operator="ada")
    assert changed(watch, before) == {ALL, BREAKERS, TASKS, RUN}


def test_more_rows_than_are_read_change_everything(
    maingate: Maingate, monkeypatch: pytest.MonkeyPatch
) -> None:
    """As many as that are read; a moment behind them counts again."""
    watch = ChangeWatch(maingate.context)
    before = watch.look()
    trip(maingate, "codex")
    monkeypatch.setattr("maingate.queries.changes.MOST_ROWS", watch.look().seq - before.seq)
    between = watch.look()
    trip(maingate, "aider")
    assert changed(watch, between) == {ALL, BREAKERS}
    behind = watch.look()
    trip(maingate, "gemini")
    trip(maingate, "cursor")
    assert changed(watch, behind) == {ALL, BREAKERS, TASKS, RUN}
    assert changed(watch, watch.look()) == set()


def test_another_record_changes_everything(maingate: Maingate, tmp_path: Path) -> None:
    """Also one with as many rows; a moment of the one before is never a moment of it."""
    repo = GitRepo.create(tmp_path / "other")
    repo.commit({"a.txt": "1\n"})
    context = SimpleNamespace(database=maingate.database)
    watch = ChangeWatch(cast("Any", context))
    before = watch.look()
    with Maingate.open(repo.path) as other:
        trip(other, "claude")
        context.database = other.database
        assert watch.look().seq == before.seq
        assert not watch.is_unchanged([], before)


def test_a_list_of_tasks_shows_their_patches() -> None:
    """And those of a run the rows of that run alone."""
    assert parts_of_list("tasks", "run_1") == [("run_1", "task"), ("run_1", "patch_ledger")]
