"""Both clients against a live server: the same operations, awaited or not."""

import asyncio
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from maingate.client import AsyncClient, Client, RefusedError, ServerFaultError, read_submission
from maingate.errors import PlanError
from maingate.queries.events.history import EventQuery
from maingate.roles import Role
from support.factories import GitRepo
from support.live_server import Live, served

Ask = Callable[..., Any]


@pytest.fixture
def live(tmp_path: Path) -> Iterator[Live]:
    """Give a server of an empty repository."""
    repo = GitRepo.create(tmp_path / "web")
    repo.commit({"a.txt": "1\n"})
    with served([repo.path]) as server:
        yield server


@pytest.fixture(params=["sync", "async"])
def ask(request: pytest.FixtureRequest, live: Live) -> Ask:
    """Give a way to call an operation of one of the clients."""

    def sync(operation: str, *args: Any, token: str | None = None, **kwargs: Any) -> Any:
        with Client(live.url, token=token) as client:
            return getattr(client, operation)(*args, **kwargs)

    def awaited(operation: str, *args: Any, token: str | None = None, **kwargs: Any) -> Any:
        async def call() -> Any:
            async with AsyncClient(live.url, token=token) as client:
                return await getattr(client, operation)(*args, **kwargs)

        return asyncio.run(call())

    return sync if request.param == "sync" else awaited


def test_reading(ask: Ask) -> None:
    """Lists are pages of values."""
    assert ask("me")["repositories"][0]["name"] == "web"
    assert ask("runs").items == []
    assert ask("patches", state=["committed", "dropped"]).next is None
    assert ask("tasks", name="x").items == []


def test_a_refusal_is_an_error_with_the_words_of_the_server(ask: Ask) -> None:
    """So is a token that is not valid."""
    with pytest.raises(RefusedError, match="not found") as refused:
        ask("run", "run_01ARZ3NDEKTSV4RRFFQ69G5FAV")
    assert (refused.value.status, refused.value.code) == (404, "not_found")
    with pytest.raises(RefusedError, match="not valid"):
        ask("me", token="nonsense")


def test_a_token_is_sent(ask: Ask, live: Live) -> None:
    """The caller is the one of the token."""
    text = live.site["web"].tokens.create("ci", Role.VIEWER, operator="ada").text
    assert ask("me", token=text)["name"] == "ci"


def test_a_plan_is_checked_with_its_files(ask: Ask, tmp_path: Path) -> None:
    """Read from its folder: patches and prompts, whatever bytes they have."""
    plan = tmp_path / "plan" / "plan.yaml"
    (plan.parent / "p").mkdir(parents=True)
    (plan.parent / "p" / "a.patch").write_bytes(b"\xff\x00")
    plan.write_text("maingate: 1\nworkstreams: {w: {tasks: {t: {patch: p/a.patch}}}}\n")
    summary = ask("check", read_submission(plan))
    assert [each["name"] for each in summary["workstreams"]] == ["w"]
    plan.write_text("maingate: 1\nworkstreams: {w: {needs: [v], tasks: {t: {patch: p/a.patch}}}}\n")
    with pytest.raises(PlanError, match=r"plan\.yaml:2"):
        ask("check", read_submission(plan))


def test_a_server_that_is_not_there_is_a_fault(monkeypatch: pytest.MonkeyPatch) -> None:
    """With the reason, after the few attempts at one that has never answered."""
    monkeypatch.setattr("maingate.client.request_flow.FIRST_ATTEMPTS", 1)
    with Client("http://127.0.0.1:1") as client, pytest.raises(ServerFaultError, match="cannot be reached"):
        client.me()


def test_events_are_followed_across_a_restart(tmp_path: Path) -> None:
    """The server goes, another comes at the same address; nothing is missed and nothing comes twice."""
    repo = GitRepo.create(tmp_path / "web")
    repo.commit({"a.txt": "1\n"})
    got: list[int] = []
    with served([repo.path]) as first:
        port = int(first.url.rpartition(":")[2])
        following = Client(first.url).follow(after=0)
        expected = decide(first)
        got += [next(following).seq for _ in expected[:1]]
    with served([repo.path], port=port) as second:
        expected = decide(second)
        got += [next(following).seq for _ in expected[len(got) :]]
        following.close()  # type: ignore[attr-defined]  # a generator
    assert got == expected


def decide(live: Live) -> list[int]:
    """Make events, and return the places of all that there are."""
    with live.client() as client:
        for action in ("trip", "reset"):
            client.post(f"/api/v1/breakers/claude/{action}", json={"reason": "x"})
    return [event.seq or 0 for event in EventQuery(context=live.site["web"].context).after(0)]


def test_events_are_followed_in_an_event_loop(live: Live) -> None:
    """The same events."""
    expected = decide(live)

    async def follow() -> list[int]:
        got = []
        async with AsyncClient(live.url) as client:
            async for event in client.follow(after=0):
                got.append(event.seq)
                if len(got) == len(expected):
                    return got
        return got

    assert asyncio.run(follow()) == expected


def test_a_follower_that_is_refused_gives_up(live: Live) -> None:
    """It does not try for ever."""
    with Client(live.url, token="nonsense") as client, pytest.raises(RefusedError, match="not valid"):
        next(client.follow())
