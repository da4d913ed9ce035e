"""Sessions of browsers: not the token, ended for good, and removed once their time is over."""

from collections.abc import Iterator
from datetime import timedelta

import pytest

from maingate.bootstrap import Maingate
from maingate.clock import ManualClock
from maingate.db.dao import sessions
from maingate.roles import Role
from maingate.services.http.sessions import LASTS, SessionService, new_session
from support.factories import GitRepo


@pytest.fixture
def clock() -> ManualClock:
    """Give a clock that the test moves."""
    return ManualClock()


@pytest.fixture
def maingate(repo: GitRepo, clock: ManualClock) -> Iterator[Maingate]:
    """Give Maingate in an empty repository, with the test's clock."""
    repo.commit({"a": "1"})
    with Maingate.open(repo.path) as opened:
        opened.context.clock = clock
        yield opened


@pytest.fixture
def service(maingate: Maingate) -> SessionService:
    """Give the sessions of the repository."""
    return SessionService(maingate.context, maingate.tokens)


def begun(maingate: Maingate, service: SessionService, name: str = "eve") -> str:
    """Begin a session with a new token, and return its cookie."""
    session, token = new_session(), maingate.tokens.create(name, Role.OPERATOR, operator="ada").text
    assert service.begin(session, token)
    return str(session)


def open_sessions(maingate: Maingate) -> dict[str, int]:
    """Return the number of open sessions of each token, by its name."""
    return {each["name"]: each["sessions"] for each in maingate.tokens.all()}


def test_a_session_is_recognised_as_its_token_and_is_not_the_token(
    maingate: Maingate, service: SessionService
) -> None:
    """The interface takes no session for a token, nor the reverse; the record has only a hash."""
    cookie = begun(maingate, service)
    found = service.recognise(cookie)
    assert found is not None
    assert (found.name, found.role) == ("eve", Role.OPERATOR)
    assert maingate.tokens.recognise(cookie) is None
    assert maingate.tokens.recognise(cookie.replace("mgs_", "mgt_")) is None
    secret = cookie.split("_", 2)[2].encode()
    files = [path for path in maingate.context.paths.root.rglob("*") if path.is_file()]
    assert files
    assert not any(secret in path.read_bytes() for path in files)


@pytest.mark.parametrize("change", [str.lower, lambda text: text[:-1], lambda text: text + "A", lambda _: ""])
def test_a_session_that_differs_is_none_and_ends_none(
    maingate: Maingate, service: SessionService, change: type
) -> None:
    """Each character counts, also at the end of a session."""
    cookie = begun(maingate, service)
    assert service.recognise(change(cookie)) is None
    service.end(change(cookie))
    assert service.recognise(cookie) is not None


def test_no_session_begins_without_a_valid_token(maingate: Maingate, service: SessionService) -> None:
    """A session begins with a token, not with another session."""
    cookie = begun(maingate, service)
    for wrong in ("", "mgt_wrong", cookie):
        assert not service.begin(new_session(), wrong)
    assert open_sessions(maingate) == {"eve": 1}


def test_a_session_that_was_ended_stays_ended(maingate: Maingate, service: SessionService) -> None:
    """The others of the token go on."""
    first, token = begun(maingate, service), maingate.tokens.create("bob", Role.VIEWER, operator="ada").text
    others = [new_session(), new_session()]
    for each in others:
        service.begin(each, token)
    service.end(first)
    service.end(str(others[0]))
    kept = [service.recognise(text) is not None for text in (first, *map(str, others))]
    assert kept == [False, False, True]
    assert open_sessions(maingate) == {"eve": 0, "bob": 1}


def test_revoking_a_token_ends_its_sessions(maingate: Maingate, service: SessionService) -> None:
    """And those of no other token."""
    ended, kept = begun(maingate, service, "eve"), begun(maingate, service, "bob")
    maingate.tokens.revoke("eve", operator="ada")
    assert service.recognise(ended) is None
    assert service.recognise(kept) is not None
    assert open_sessions(maingate) == {"eve": 0, "bob": 1}


def test_a_session_ends_after_its_time_and_is_removed(
    maingate: Maingate, service: SessionService, clock: ManualClock
) -> None:
    """The last second counts; the next session that begins removes it."""
    cookie = begun(maingate, service)
    clock.advance(LASTS - timedelta(seconds=1))
    assert service.recognise(cookie) is not None
    clock.advance(timedelta(seconds=1))
    assert service.recognise(cookie) is None
    assert open_sessions(maingate) == {"eve": 0}
    begun(maingate, service, "bob")
    with maingate.context.database.read() as conn:
        assert sessions.get(conn, f"session_{cookie.split('_')[1]}") is None
    assert open_sessions(maingate) == {"eve": 0, "bob": 1}
