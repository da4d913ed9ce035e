"""Sessions and forms: a cookie that is no token, forms of this server alone, and the operator on record."""

from collections.abc import Iterator
from pathlib import Path

import httpx
import pytest

from maingate.roles import Role
from support.factories import GitRepo
from support.live_server import Live, served

TRIP = {"entity": "claude", "repo": "web", "reason": "it only answers nonsense", "back": "/breakers"}


@pytest.fixture
def guarded(tmp_path: Path) -> Iterator[Live]:
    """Give a server of one repository that knows a viewer and an operator."""
    repo = GitRepo.create(tmp_path / "web")
    repo.commit({"a.txt": "1\n"})
    with served([repo.path]) as server:
        yield server


def log_in(live: Live, client: httpx.Client, name: str, role: Role) -> httpx.Response:
    """Log in with a new token."""
    text = live.site["web"].tokens.create(name, role, operator="ada").text
    return client.post("/login", data={"token": text, "next": "/workers"}, headers={"Origin": live.url})


def test_a_page_without_a_token_leads_to_the_login_and_back(guarded: Live) -> None:
    """The cookie is for this server's own pages alone, and out of reach of scripts."""
    with guarded.client() as client:
        guarded.site["web"].tokens.create("first", Role.VIEWER, operator="ada")
        asked = client.get("/workers")
        assert (asked.status_code, asked.headers["location"]) == (303, "/login?next=%2Fworkers")
        begun = log_in(guarded, client, "eve", Role.VIEWER)
        assert (begun.status_code, begun.headers["location"]) == (303, "/workers")
        cookie = begun.headers["set-cookie"]
        assert "HttpOnly" in cookie
        assert "SameSite=strict" in cookie
        assert client.get("/workers").status_code == 200
        client.post("/logout", headers={"Origin": guarded.url})
        assert client.get("/workers").status_code == 303


def test_a_stolen_cookie_is_no_token_and_is_worth_nothing_once_its_session_has_ended(guarded: Live) -> None:
    """Logging out, logging in again, and revoking the token each end the session on the server itself."""
    with guarded.client() as client:
        text = guarded.site["web"].tokens.create("eve", Role.VIEWER, operator="ada").text
        login = {"token": text, "next": "/"}

        def log_in_again() -> str:
            client.post("/login", data=login, headers={"Origin": guarded.url})
            return client.cookies["maingate_session"]

        stolen = [log_in_again(), log_in_again()]
        client.post("/logout", headers={"Origin": guarded.url})
        stolen.append(log_in_again())
        works = client.get("/workers").status_code
        guarded.site["web"].tokens.revoke("eve", operator="ada")
    assert works == 200
    assert not any(text in cookie or text.split("_", 2)[2] in cookie for cookie in stolen)
    for cookie in stolen:
        with guarded.client() as thief:
            thief.cookies.set("maingate_session", cookie)
            assert thief.get("/workers").status_code == 303
            header = {"Authorization": f"Bearer {cookie}"}
            assert thief.get("/api/v1/me", headers=header).status_code == 401


def test_a_wrong_token_begins_no_session(guarded: Live) -> None:
    """The form comes again with the reason, and never leads to another site."""
    with guarded.client() as client:
        said = client.post("/login", data={"token": "mgt_wrong", "next": "//evil.example"})
        assert (said.status_code, "set-cookie" in said.headers) == (401, False)
        assert "not valid" in said.text
        assert 'value="/"' in said.text


def test_a_form_acts_under_the_name_of_the_token(guarded: Live) -> None:
    """It leads back to its page, and the record names the operator and the reason."""
    with guarded.client() as client:
        log_in(guarded, client, "eve", Role.OPERATOR)
        done = client.post("/actions/pause-tool", data=TRIP, headers={"Origin": guarded.url})
        assert (done.status_code, done.headers["location"]) == (303, "/breakers?done=pause-tool")
        [breaker] = client.get("/breakers.json").json()["breakers"]
    assert breaker["state"] == "OPEN"
    assert breaker["reason"]["message"] == "eve: it only answers nonsense"


def test_a_form_needs_the_role_of_its_action(guarded: Live) -> None:
    """A viewer is shown no button, and a form sent all the same is refused with a page."""
    with guarded.client() as client:
        log_in(guarded, client, "eve", Role.VIEWER)
        said = client.post("/actions/pause-tool", data=TRIP, headers={"Origin": guarded.url})
        assert said.status_code == 403
        assert "role operator" in said.text
        assert client.get("/breakers.json").json()["breakers"] == []


def test_a_form_of_another_site_is_refused(guarded: Live) -> None:
    """Even where a browser would send the cookie; one that hides its site is another."""
    elsewhere = ({"Origin": "https://evil.example"}, {"Origin": "null"}, {"Sec-Fetch-Site": "cross-site"})
    with guarded.client() as client:
        for headers in ({}, *elsewhere):
            answer = client.post("/actions/pause-tool", data=TRIP, headers=headers)
            assert answer.status_code == 403, headers


def test_a_form_needs_a_reason_and_a_known_action(guarded: Live) -> None:
    """The page says so; nothing is done."""
    with guarded.client() as client:
        origin = {"Origin": guarded.url}
        empty = client.post("/actions/pause-tool", data=TRIP | {"reason": " "}, headers=origin)
        unknown = client.post("/actions/explode", data=TRIP, headers=origin)
        away = client.post("/actions/pause-tool", data=TRIP | {"back": "//evil.example"}, headers=origin)
    assert (empty.status_code, unknown.status_code) == (422, 404)
    assert away.headers["location"] == "/?done=pause-tool"
