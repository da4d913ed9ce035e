"""Answers that are kept: never older than one made anew, and for no caller with other rights."""

from collections.abc import Iterator
from dataclasses import replace
from functools import cache
from pathlib import Path
from typing import TYPE_CHECKING, Any

import httpx
import pytest

from maingate.api.guard.rates import Rate
from maingate.bootstrap import Maingate
from maingate.queries.changes import ALL
from maingate.roles import Role
from support.factories import GitRepo
from support.live_server import Live, problem, served

if TYPE_CHECKING:
    from maingate.api.answers.json_answer import MadeAnswer
    from maingate.api.guard.access import Caller

LISTING = "maingate.api.endpoints.workstreams_and_tasks.list_answer"
"""What makes the answer of a list."""


@cache
def ada() -> "Caller":
    """Return a caller with all rights."""
    from maingate.api.guard.access import Caller

    return Caller(name="ada", roles={"web": Role.ADMIN})


@cache
def made() -> "MadeAnswer":
    """Return an answer."""
    from maingate.api.answers.json_answer import MadeAnswer

    return MadeAnswer.of(b"{}", "application/json", {})


@pytest.fixture
def web(tmp_path: Path) -> Path:
    """Give the path of a repository without runs."""
    repo = GitRepo.create(tmp_path / "web")
    repo.commit({"a.txt": "1\n"})
    return repo.path


@pytest.fixture
def two(tmp_path: Path, web: Path) -> Iterator[Live]:
    """Give a server of two repositories, with a token in each."""
    api = GitRepo.create(tmp_path / "api")
    api.commit({"a.txt": "1\n"})
    with served([web, api.path]) as server:
        yield server


def scope(path: str) -> dict[str, Any]:
    """Return a request as the cache sees it."""
    return {"type": "http", "path": path, "query_string": b"", "headers": []}


def test_an_answer_is_made_once_for_all(client: httpx.Client, monkeypatch: pytest.MonkeyPatch) -> None:
    """The second client is sent the bytes of the first, with the same validator, without its endpoint."""
    first = client.get("/api/v1/tasks?limit=3")
    monkeypatch.delattr(LISTING)
    second = client.get("/api/v1/tasks?limit=3")
    known = client.get("/api/v1/tasks?limit=3", headers={"If-None-Match": first.headers["etag"]})
    assert (second.status_code, second.content, second.headers["etag"]) == (
        200,
        first.content,
        first.headers["etag"],
    )
    assert (known.status_code, known.content) == (304, b"")


def test_a_client_reads_its_own_writes(own: Live) -> None:
    """Each list and the report show a decision in the very next answer, though they were kept before it."""
    with own.client() as client:
        refused = client.get("/api/v1/patches?state=quarantined").json()["items"][0]
        paths = (
            f"/api/v1/patches?run={refused['run_id']}",
            f"/api/v1/tasks?run={refused['run_id']}",
            f"/api/v1/runs/{refused['run_id']}",
            f"/api/v1/events?entity={refused['id']}",
        )
        before = [client.get(path).text for path in paths]
        assert [client.get(path).text for path in paths] == before
        dropped = client.post(f"/api/v1/patches/{refused['id']}/drop", json={"reason": "not wanted"})
        assert dropped.status_code == 200
        after = [client.get(path).text for path in paths]
    assert all("not wanted" not in text for text in before)
    assert refused["id"] in after[0]
    assert all(new != old for new, old in zip(after, before, strict=True))
    assert all('"dropped"' in text for text in after)


def test_a_write_of_another_process_is_read(own: Live) -> None:
    """The ledger says what changed, whoever wrote it."""
    (maingate,) = own.site.repositories.values()
    with own.client() as client, Maingate.open(maingate.repository.root) as other:
        patch = client.get("/api/v1/patches?state=quarantined").json()["items"][0]
        client.get("/api/v1/patches?state=dropped")
        other.operator.drop_patch(patch["id"], reason="not wanted", operator="eve")
        found = client.get("/api/v1/patches?state=dropped").json()["items"]
        assert client.get("/api/v1/patches?state=quarantined").json()["items"] != [patch]
    assert patch["id"] in {each["id"] for each in found}


def test_a_change_elsewhere_leaves_an_answer_as_it_is(own: Live, monkeypatch: pytest.MonkeyPatch) -> None:
    """A breaker is on no list of tasks."""
    with own.client() as client:
        before = client.get("/api/v1/tasks").content
        tool = client.post("/api/v1/breakers/claude/trip", json={"reason": "it is down"})
        assert tool.status_code == 200
        monkeypatch.delattr(LISTING)
        assert client.get("/api/v1/tasks").content == before


def test_an_answer_is_for_callers_of_the_same_rights(two: Live) -> None:
    """A token of another repository, none, and one that was revoked are not sent what was kept."""
    texts = {
        (repo, role): two.site[repo].tokens.create(f"{role} of {repo}", role, operator="ada").text
        for repo in ("web", "api")
        for role in (Role.VIEWER, Role.ADMIN)
    }
    path = "/api/v1/events?limit=1"
    with two.client(texts["web", Role.VIEWER]) as viewer, two.client(texts["web", Role.ADMIN]) as admin:
        of_web = [client.get(path).json() for client in (viewer, admin, viewer, admin)]
    with two.client(texts["api", Role.VIEWER]) as other, two.client() as anyone:
        of_api = [other.get(path).json() for _ in range(2)]
        assert problem(anyone.get(path)) == (401, "unauthenticated")
        assert problem(other.get(f"{path}&repo=web")) == (404, "not_found")
    assert all(each == of_web[0] for each in of_web)
    assert all(each == of_api[0] for each in of_api)
    assert of_web[0]["items"][0]["event_id"] != of_api[0]["items"][0]["event_id"]
    with two.client(texts["web", Role.VIEWER]) as viewer:
        two.site["web"].tokens.revoke(f"{Role.VIEWER} of web", operator="ada")
        assert problem(viewer.get(path)) == (401, "unauthenticated")


def test_an_answer_that_is_kept_counts_as_a_request(web: Path) -> None:
    """The rate of a caller holds for these, too, and each request counts once."""
    with served([web], reads=Rate(per_second=1, burst=3)) as server, server.client() as client:
        found = [client.get("/api/v1/patches").status_code for _ in range(5)]
    assert found == [200, 200, 200, 429, 429]


def test_values_beside_the_ledger_are_looked_at_each_time(two: Live) -> None:
    """An answer that shows the life of a process is right only while that is the same."""
    from maingate.api.answer_cache import AnswerBasis, AnswerCache

    answers, alive = AnswerCache(two.site), [True]
    basis = AnswerBasis(
        moments={"web": answers.moment("web")}, parts=[ALL], probe=lambda: alive[0], seen=True
    )
    answers.keep(scope("/runs"), ada(), basis, made())
    assert answers.find(scope("/runs"), ada()) is made()
    alive[0] = False
    assert answers.find(scope("/runs"), ada()) is None


def test_the_answers_that_were_asked_for_least_recently_go_first(two: Live) -> None:
    """Their bytes have a limit."""
    from maingate.api.answer_cache import AnswerBasis, AnswerCache

    answers = AnswerCache(two.site, most_bytes=5000)
    basis, large = AnswerBasis(moments={}, parts=()), replace(made(), body=b"x" * 1000)
    for path in ("/1", "/2", "/1", "/3"):
        if answers.find(scope(path), ada()) is None:
            answers.keep(scope(path), ada(), basis, large)
    assert [answers.has(scope(path)) for path in ("/1", "/2", "/3")] == [True, False, True]
