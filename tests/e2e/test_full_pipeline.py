"""One story by the public face alone, and all who tell it afterwards agree.

It is told by the command line on SQLite, and by a server and its client on PostgreSQL.
"""

from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import psycopg
import pytest

from support.bakery import INCIDENTS, MENU, OUTCOMES, Bakery
from support.crashing import check_the_checkout, kill_all
from support.tellers import ByCommands, ByServer, Teller, all_events, command, get, kill_worker_of
from support.told import (
    Metrics,
    attempts_of,
    by_events,
    by_git,
    by_lists,
    by_report,
    counted,
    flakes_by_list,
    incidents_of_events,
    menu_of,
)

Open = Callable[..., Bakery]


@pytest.fixture
def opened(tmp_path: Path) -> Iterator[Open]:
    """Give a function that makes a bakery, and end what is left running of it."""
    made: list[Bakery] = []

    def make(**environment: str) -> Bakery:
        made.append(Bakery.create(tmp_path / "bakery", **environment))
        return made[-1]

    yield make
    kill_all(process for bakery in made for process in bakery.world.commands)


def test_by_the_command_line_on_sqlite(opened: Open) -> None:
    """The story in one repository, by one person."""
    bakery = opened()
    tell(bakery, ByCommands(bakery=bakery))


def test_by_a_server_on_postgresql(opened: Open, postgresql_server: Any) -> None:
    """The story by a server and its client, who follows all events while the server is killed."""
    bakery = opened(MAINGATE_DATABASE_URL=new_database(postgresql_server, "bakery"))
    with ByServer(bakery=bakery) as teller:
        tell(bakery, teller)


def tell(bakery: Bakery, teller: Teller) -> None:
    """Tell the story, and listen to everyone who knows it."""
    teller.begin()

    # The supplier does not deliver: it is paused, until a person has it used again.
    teller.until_the_breaker_opens()
    bakery.let("supplier")
    teller.reset_breaker("supplier", reason="it delivers again")

    # The worker that kneads is killed; another one begins again.
    bakery.until_begun("knead")
    kill_worker_of(teller, "kitchen/knead")
    bakery.until_begun("knead", times=2)
    bakery.let("knead")

    # The lights are about to land when the power fails; then everything goes on.
    bakery.until_begun("inspection")
    teller.kill_controller()
    bakery.let("inspection")
    teller.go_on()
    assert teller.ended() == "succeeded"

    # Nobody eats kale.
    assert "kale" in menu_of(bakery.world.repo)
    teller.roll_back("trend/kale", reason="nobody eats it")

    check_all_say_the_same(bakery, teller)


def check_all_say_the_same(bakery: Bakery, teller: Teller) -> None:
    """Branch, ledger, audit, metrics and interface tell the same story."""
    repo, reading = bakery.world.repo, teller.reading()
    report = command(bakery, "status", reading.run_id)
    names = {task["id"]: task["name"] for task in report["tasks"]}
    events, of_api = command(bakery, "events", "--limit", "0"), all_events(reading.url)
    metrics = Metrics(reading.url)

    on_the_branch = {task: end for task, end in OUTCOMES.items() if end in {"landed", "rolled back"}}
    assert (by_git(repo), menu_of(repo)) == (on_the_branch, MENU)
    check_the_checkout(bakery.world)
    told = {
        "ledger": by_report(report),
        "audit": by_events(events, names),
        "API, report": by_report(get(reading.url, f"runs/{reading.run_id}")),
        "API, lists": by_lists(reading.url, reading.run_id),
        "API, events": by_events(of_api, names),
    }
    assert told == dict.fromkeys(told, OUTCOMES)
    assert metrics.outcomes() == counted(OUTCOMES)

    assert incidents_of_events(events) == incidents_of_events(of_api) == metrics.incidents() == INCIDENTS
    assert report["gates"]["flaky"] == 1
    assert metrics.flakes() == flakes_by_list(reading.url, reading.run_id) == {"taste": 1}
    assert metrics.attempts("apprentice") == {"failed": 1, "patch": 1}
    assert metrics.attempts("sleeper") == {"timed_out": 1}
    assert attempts_of(bakery, "sleeper/nap") == ["timed_out"]

    assert command(bakery, "audit", "verify")["intact"]
    assert get(reading.url, "audit/verify")["intact"]
    if reading.followed is not None:  # nothing was missed and nothing came twice while the server was killed
        assert [event["seq"] for event in reading.followed] == [event["seq"] for event in of_api]


def new_database(server: Any, name: str) -> str:
    """Make an empty database, and return its address."""
    with psycopg.connect(server.get_uri("postgres"), autocommit=True) as connection:
        connection.execute(f"CREATE DATABASE {name}".encode())
    return str(server.get_uri(name)).replace("postgresql:", "postgresql+psycopg:")
