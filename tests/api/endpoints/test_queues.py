"""Queues over HTTP: read by viewers, ordered by operators, once under each key, and obeyed by the run."""

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import httpx
import pytest

from maingate.bootstrap import Maingate
from maingate.db.dao.history import events
from maingate.events import EventType
from maingate.roles import Role
from support.crashing import wait_until
from support.factories import GitRepo
from support.live_server import Live, problem, served

WHY = {"reason": "release"}
QUEUE = "/api/v1/queue/web/main"


@pytest.fixture
def repo(tmp_path: Path) -> GitRepo:
    """Give a repository with one commit."""
    made = GitRepo.create(tmp_path / "web")
    made.commit({"base.txt": "1\n"})
    return made


@pytest.fixture
def live(repo: GitRepo, record: str) -> Iterator[Live]:  # noqa: ARG001 - it chooses the database
    """Give a server that takes up runs."""
    with served([repo.path], is_hosting=True) as server:
        yield server


@pytest.fixture
def client(live: Live) -> Iterator[httpx.Client]:
    """Give a client of the local user."""
    with live.client() as made:
        yield made


def plan(folder: Path) -> dict[str, Any]:
    """Return a plan of two workstreams whose gate waits for a file."""
    head = "--- /dev/null\n+++ b/{0}.txt\n@@ -0,0 +1 @@\n+{0}\n"
    wait = f"until [ -e {folder}/go ]; do sleep 0.02; done"
    return {
        "plan": {
            "maingate": 1,
            "name": "remote",
            "gates": {"unit": {"run": wait, "on": ["landing"]}},
            "workstreams": {
                name: {"tasks": {"t": {"patch": f"{name}.patch"}}, "critical": False} for name in "ab"
            },
        },
        "files": {
            f"{name}.patch": f"diff --git a/{name}.txt b/{name}.txt\nnew file mode 100644\n"
            + head.format(name)
            for name in "ab"
        },
    }


def on_board(client: httpx.Client) -> dict[str, str]:
    """Return the states of the workstreams on board, by name."""
    return {each["name"]: each["state"] for each in client.get(QUEUE).json()["on_board"]}


def test_a_queue_is_read_ordered_and_obeyed(client: httpx.Client, repo: GitRepo, tmp_path: Path) -> None:
    """It is paused amid tests; one workstream is removed, and the other lands when it is resumed."""
    sent = client.post("/api/v1/runs", json=plan(tmp_path))
    assert sent.status_code == 201, sent.text
    wait_until(lambda: on_board(client) == {"a": "testing", "b": "testing"}, "the tests")
    shown = client.get(QUEUE).json()
    assert (shown["repo"], shown["target"], shown["alive"]) == (
        "web",
        {"ref": "refs/heads/main", "name": "main"},
        True,
    )
    key = {"Idempotency-Key": "once"}
    first = client.post(f"{QUEUE}/pause", json=WHY, headers=key)
    assert [each["order"] for each in first.json()["orders"]] == ["pause"]
    again = client.post(f"{QUEUE}/pause", json=WHY, headers=key)
    assert (again.json(), again.headers["Idempotency-Replayed"]) == (first.json(), "true")
    assert problem(client.post(f"{QUEUE}/pause", json=WHY)) == (409, "refused")
    b = next(each["id"] for each in shown["on_board"] if each["name"] == "b")
    (tmp_path / "go").touch()
    wait_until(lambda: on_board(client) == {"a": "proven", "b": "proven"}, "the proof")
    answer = client.post(f"/api/v1/workstreams/{b}/remove", json=WHY).json()
    assert answer == {"id": b, "answer": "workstream b is cancelled"}
    assert client.post(f"{QUEUE}/resume", json=WHY).json()["orders"] == []
    wait_until(lambda: repo.git("show", "--name-only", "--format=", "main^2") == "a.txt", "the landing")
    with Maingate.open(repo.path) as maingate, maingate.database.read() as conn:
        given = events.query(conn, type=EventType.QUEUE_ORDER)
    assert [each.trigger for each in given] == ["pause", "remove", "resume"]


def test_workstreams_are_moved(client: httpx.Client, tmp_path: Path) -> None:
    """The order on board is another then."""
    client.post(f"{QUEUE}/pause", json=WHY)
    client.post("/api/v1/runs", json=plan(tmp_path))
    wait_until(lambda: [*on_board(client)] == ["a", "b"], "the board")
    a, b = (each["id"] for each in client.get(QUEUE).json()["on_board"])
    moved = client.post(f"/api/v1/workstreams/{b}/promote", json=WHY)
    assert moved.json() == {"id": b, "answer": "it comes first in its queue"}
    wait_until(lambda: [*on_board(client)] == ["b", "a"], "the promotion")
    assert client.post(f"/api/v1/workstreams/{b}/demote", json=WHY).status_code == 200
    wait_until(lambda: [*on_board(client)] == ["a", "b"], "the demotion")
    assert problem(client.post(f"/api/v1/workstreams/{a}/promote", json={"reason": " "}))[0] == 422


def test_a_queue_is_frozen(client: httpx.Client) -> None:
    """Until a time, for a while, or at times; a mixture is refused."""
    freeze = f"{QUEUE}/freeze"
    until = client.post(freeze, json={**WHY, "until": "2999-01-31T18:00", "zone": "Europe/Berlin"})
    assert until.json()["orders"][0]["until"] == "2999-01-31T17:00:00.000Z"
    assert client.post(freeze, json={**WHY, "for_seconds": 3600}).status_code == 200
    times = {**WHY, "cron": "0 18 * * 5", "for_seconds": 3600}
    assert len(client.post(freeze, json=times).json()["orders"]) == 2
    for wrong in ({}, {"cron": "0 18 * * 5"}, {"until": "2999-01-31T18:00", "for_seconds": 60}):
        assert problem(client.post(freeze, json={**WHY, **wrong})) == (400, "bad_request")
    assert problem(client.post(freeze, json={**times, "cron": "0 25 * * *"})) == (409, "refused")
    assert client.post(f"{QUEUE}/resume", json=WHY).json()["orders"] == []


def test_the_full_name_of_a_branch_is_one_too(client: httpx.Client, repo: GitRepo) -> None:
    """A name may have slashes; an unknown one, and an unknown repository, is not found."""
    repo.git("branch", "team/next")
    assert client.get("/api/v1/queue/web/team/next").json()["target"]["name"] == "team/next"
    assert client.get("/api/v1/queue/web/refs/heads/team/next").json()["target"]["name"] == "team/next"
    assert problem(client.get("/api/v1/queue/web/none")) == (404, "not_found")
    assert problem(client.get("/api/v1/queue/none/main")) == (404, "not_found")
    assert problem(client.post("/api/v1/queue/web/none/pause", json=WHY)) == (404, "not_found")


def test_who_may_read_may_not_order(live: Live) -> None:
    """Orders need the role operator, as cancelling a workstream does."""
    tokens = live.site["web"].tokens
    reader, orderer = (
        tokens.create(str(role), role, operator="ada").text for role in (Role.SUBMITTER, Role.OPERATOR)
    )
    with live.client(reader) as client:
        assert client.get(QUEUE).status_code == 200
        assert problem(client.post(f"{QUEUE}/pause", json=WHY)) == (403, "forbidden")
    with live.client(orderer) as client:
        [order] = client.post(f"{QUEUE}/pause", json=WHY).json()["orders"]
        assert order["by"] == "operator"
