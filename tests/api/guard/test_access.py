"""Callers: the local user, tokens, roles, and repositories that a token does not hold in."""

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import httpx
import pytest

from maingate.api.guard.rates import Rate
from maingate.bootstrap import Maingate
from maingate.errors import DatabaseError, UsageError
from maingate.roles import Role
from maingate.server.served_repositories import Site
from support.factories import GitRepo
from support.live_server import PATIENCE, Live, problem, served

TRIP = "/api/v1/breakers/claude/trip"
RESET = "/api/v1/breakers/claude/reset"
REASON = {"reason": "it only answers nonsense"}


@pytest.fixture
def two(tmp_path: Path) -> Iterator[Live]:
    """Give a server of two repositories, on the loopback interface."""
    paths = []
    for name in ("web", "api"):
        repo = GitRepo.create(tmp_path / name)
        repo.commit({"a.txt": "1\n"})
        paths.append(repo.path)
    with served(paths) as server:
        yield server


@pytest.fixture
def strict(tmp_path: Path) -> Iterator[Live]:
    """Give a server that permits two wrong tokens and three acting requests in all: its clock stands."""
    repo = GitRepo.create(tmp_path / "web")
    repo.commit({"a.txt": "1\n"})
    writes, failures = Rate(per_second=1, burst=3), Rate(per_second=1, burst=2)
    with served([repo.path], writes=writes, failures=failures) as server:
        yield server


def token(live: Live, name: str, role: Role, *, repo: str = "web") -> str:
    """Create a token in one repository of a server."""
    return live.site[repo].tokens.create(name, role, operator="ada").text


def test_without_any_token_the_local_user_has_all_rights(two: Live) -> None:
    """The operator on record is the user who started the server."""
    with two.client() as client:
        me = client.get("/api/v1/me").json()
        tripped = client.post(f"{TRIP}?repo=web", json=REASON)
    assert me["name"] == "ada"
    assert {each["name"]: each["role"] for each in me["repositories"]} == {"web": "admin", "api": "admin"}
    assert (tripped.status_code, tripped.json()["reason"]["detail"]["operator"]) == (200, "ada")


def test_the_first_token_closes_the_door_for_good(two: Live) -> None:
    """From then on a token is needed on the loopback interface, too, and revoking it opens nothing."""
    text = token(two, "eve", Role.VIEWER)
    with two.client() as anyone, two.client(text) as eve:
        assert problem(anyone.get("/api/v1/runs")) == (401, "unauthenticated")
        assert eve.get("/api/v1/runs").status_code == 200
        two.site["web"].tokens.revoke("eve", operator="ada")
        assert problem(eve.get("/api/v1/runs")) == (401, "unauthenticated")
        assert problem(anyone.get("/api/v1/runs")) == (401, "unauthenticated")


def test_a_token_holds_in_its_own_record_alone(two: Live) -> None:
    """Another repository of the server is not even there for it."""
    with two.client(token(two, "eve", Role.ADMIN)) as eve:
        assert [each["name"] for each in eve.get("/api/v1/me").json()["repositories"]] == ["web"]
        assert problem(eve.get("/api/v1/runs?repo=api")) == (404, "not_found")
        assert problem(eve.post(f"{TRIP}?repo=api", json=REASON)) == (404, "not_found")


@pytest.mark.parametrize("role", list(Role))
def test_a_decision_needs_its_role_and_bears_the_name_of_the_token(two: Live, role: Role) -> None:
    """A viewer and a submitter decide nothing by hand; what others decide is recorded under their names."""
    with two.client(token(two, "Eve of CI", role)) as eve:
        tripped = eve.post(TRIP, json=REASON)
    if not role.includes(Role.OPERATOR):
        assert problem(tripped) == (403, "forbidden")
        return
    assert tripped.json()["reason"]["message"] == "Eve of CI: it only answers nonsense"


def test_other_credentials_are_refused(two: Live) -> None:
    """Nothing but a whole token of this server counts, also where the local user needs none."""
    with two.client() as client:
        for header in ("Bearer", "Bearer x y", "Basic YTpi", "Bearer mgt_0_x", "mgt_0_x"):
            answer = client.get("/api/v1/me", headers={"Authorization": header})
            assert problem(answer) == (401, "unauthenticated"), header
            assert answer.headers["www-authenticate"] == "Bearer"


def test_a_token_of_another_server_is_refused(two: Live, tmp_path: Path) -> None:
    """Its form is right, and nothing knows it; one with a known id and another secret is no better."""
    text = token(two, "eve", Role.ADMIN)
    other = GitRepo.create(tmp_path / "other")
    other.commit({"a.txt": "1\n"})
    with Maingate.open(other.path) as maingate:
        foreign = maingate.tokens.create("eve", Role.ADMIN, operator="ada").text
    for forged in (foreign, f"{text[:31]}{foreign[31:]}"):
        with two.client(forged) as client:
            assert problem(client.get("/api/v1/me")) == (401, "unauthenticated")


def test_guesses_are_slowed_down(strict: Live) -> None:
    """An address that sends wrong tokens again and again has to wait, but not with a valid one."""
    good = token(strict, "eve", Role.VIEWER)
    with strict.client("wrong") as guesser, strict.client(good) as eve:
        answers = [guesser.get("/api/v1/me") for _ in range(3)]
        assert [each.status_code for each in answers] == [401, 401, 429]
        assert problem(answers[-1]) == (429, "too_many_requests")
        assert int(answers[-1].headers["retry-after"]) >= 1
        assert eve.get("/api/v1/me").status_code == 200


def test_a_caller_that_acts_too_often_has_to_wait(strict: Live) -> None:
    """Reading goes on meanwhile; the limits are apart, and so are those of other callers."""
    callers = [token(strict, name, Role.VIEWER) for name in ("eve", "bob")]
    with strict.client(callers[0]) as eve, strict.client(callers[1]) as bob:
        answers = [eve.post(RESET, json=REASON) for _ in range(4)]
        assert [each.status_code for each in answers] == [403, 403, 403, 429]
        assert problem(answers[-1]) == (429, "too_many_requests")
        assert eve.get("/api/v1/me").status_code == 200
        assert bob.post(RESET, json=REASON).status_code == 403


def test_beyond_this_machine_a_server_needs_a_token(tmp_path: Path) -> None:
    """Without one it does not start, and names the command; an unauthenticated caller gets nothing."""
    from maingate.api.guard.access import Access

    repo = GitRepo.create(tmp_path / "web")
    repo.commit({"a.txt": "1\n"})
    with Site.open([repo.path]) as site:
        access = Access(site, operator="ada", is_loopback=False)
        with pytest.raises(UsageError, match="maingate token create"):
            access.require_tokens()
        Access(site, operator="ada", is_loopback=True).require_tokens()
        site["web"].tokens.create("eve", Role.VIEWER, operator="ada")
        access.require_tokens()
        site["web"].tokens.revoke("eve", operator="ada")
        with pytest.raises(UsageError, match="maingate token create"):
            access.require_tokens()
    with served([repo.path], is_loopback=False) as live, live.client() as client:
        assert problem(client.get("/api/v1/me", headers={"Host": "any.example"})) == (401, "unauthenticated")


def test_the_description_needs_no_token(two: Live) -> None:
    """It has nothing of the repositories in it."""
    token(two, "eve", Role.VIEWER)
    answer = httpx.get(f"{two.url}/api/v1/openapi.json", timeout=PATIENCE)
    assert answer.status_code == 200
    assert "web" not in answer.json()["paths"]


def test_a_record_that_cannot_be_read_stops_no_other(two: Live, monkeypatch: pytest.MonkeyPatch) -> None:
    """Neither for the local user nor for a token: it is what cannot be read that is refused, and told."""
    with two.client() as anyone:
        assert anyone.get("/api/v1/runs").status_code == 200
        broken = _break(two, "api", monkeypatch)
        assert _answers(anyone) == {"me": 200, "web": 200, "api": 503, "all": 503, "metrics": 200}
        assert anyone.get("/health/ready").status_code == 503
    broken.undo()
    text = token(two, "eve", Role.OPERATOR)
    _break(two, "api", monkeypatch)
    with two.client(text) as eve, two.client(f"{text}x") as wrong:
        assert _answers(eve) == {"me": 200, "web": 200, "api": 503, "all": 503, "metrics": 200}
        assert eve.post(f"{TRIP}?repo=web", json=REASON).status_code == 200
        assert problem(wrong.get("/api/v1/me")) == (503, "database_unavailable")


def _break(live: Live, repo: str, monkeypatch: pytest.MonkeyPatch) -> pytest.MonkeyPatch:
    """Make the record of a repository one that cannot be read."""

    def failing() -> Any:
        raise DatabaseError("gone")

    monkeypatch.setattr(live.site[repo].context.database, "read", failing)
    return monkeypatch


def _answers(client: httpx.Client) -> dict[str, int]:
    """Return the statuses of the answers about the caller, each repository, both, and their metrics."""
    paths = {
        "me": "/api/v1/me",
        "web": "/api/v1/runs?repo=web",
        "api": "/api/v1/runs?repo=api",
        "all": "/api/v1/runs",
        "metrics": "/metrics",
    }
    return {name: client.get(path).status_code for name, path in paths.items()}
