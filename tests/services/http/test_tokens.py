"""Tokens: shown once, stored as a hash, recognised whole, revoked for good, each on record."""

from collections.abc import Iterator
from datetime import timedelta

import pytest

from maingate.bootstrap import Maingate
from maingate.db.dao import tokens
from maingate.errors import UnknownEntityError, UsageError
from maingate.queries.events.history import EventQuery
from maingate.roles import Role
from support.factories import GitRepo


@pytest.fixture
def maingate(repo: GitRepo) -> Iterator[Maingate]:
    """Give Maingate in an empty repository."""
    repo.commit({"a": "1"})
    with Maingate.open(repo.path) as opened:
        yield opened


def test_a_token_is_recognised_and_its_secret_is_not_stored(maingate: Maingate) -> None:
    """The record has a hash; nothing in its files has the secret."""
    made = maingate.tokens.create("ci", Role.SUBMITTER, operator="ada")
    found = maingate.tokens.recognise(made.text)
    assert found is not None
    assert (found.id, found.name, found.role) == (made.id, "ci", Role.SUBMITTER)
    secret = made.text.split("_", 2)[2].encode()
    files = [path for path in maingate.context.paths.root.rglob("*") if path.is_file()]
    assert files
    assert not any(secret in path.read_bytes() for path in files)


@pytest.mark.parametrize("change", [str.lower, lambda text: text[:-1], lambda text: text + "A", lambda _: ""])
def test_a_token_that_differs_is_none(maingate: Maingate, change: type) -> None:
    """Each character counts."""
    text = maingate.tokens.create("ci", Role.ADMIN, operator="ada").text
    assert maingate.tokens.recognise(change(text)) is None


def test_a_revoked_token_is_none_and_its_name_is_not_given_again(maingate: Maingate) -> None:
    """Decisions on record bear the name, so another holder would be mistaken for the first."""
    text = maingate.tokens.create("ci", Role.ADMIN, operator="ada").text
    maingate.tokens.revoke("ci", operator="bob")
    assert maingate.tokens.recognise(text) is None
    with pytest.raises(UsageError, match="choose another name"):
        maingate.tokens.create("ci", Role.VIEWER, operator="ada")
    with pytest.raises(UsageError, match="revoked already"):
        maingate.tokens.revoke("ci", operator="ada")
    with pytest.raises(UnknownEntityError, match="maingate token list"):
        maingate.tokens.revoke("no", operator="ada")


def test_who_gave_and_took_access_is_on_record(maingate: Maingate) -> None:
    """Each is an event with its operator; the secret is in none."""
    made = maingate.tokens.create("ci", Role.OPERATOR, operator="ada")
    maingate.tokens.revoke(made.id, operator="bob")
    told = [
        (event.event_type, event.operator, event.metadata["name"], event.metadata["role"])
        for event in EventQuery(context=maingate.context).newest(0)
    ]
    assert told == [("token_created", "ada", "ci", "operator"), ("token_revoked", "bob", "ci", "operator")]


def test_the_last_use_is_noted_at_most_once_a_minute(maingate: Maingate) -> None:
    """Reading does not become writing: within a minute the record stays as it is."""
    made = maingate.tokens.create("ci", Role.VIEWER, operator="ada")
    assert maingate.tokens.all()[0]["last_used_at"] is None
    maingate.tokens.recognise(made.text)
    first = maingate.tokens.all()[0]["last_used_at"]
    assert first is not None
    maingate.tokens.recognise(made.text)
    assert maingate.tokens.all()[0]["last_used_at"] == first
    with maingate.context.database.write() as conn:
        tokens.touch(conn, made.id, first - timedelta(minutes=2))
    maingate.tokens.recognise(made.text)
    assert maingate.tokens.all()[0]["last_used_at"] >= first


@pytest.mark.parametrize("name", ["", " ci", "_ci", "a\x1b[31mb", "a\u202eb", "a/b", "x" * 65, "a\nb"])
def test_names_that_could_mislead_are_refused(maingate: Maingate, name: str) -> None:
    """A name is shown wherever its decisions are."""
    with pytest.raises(UsageError, match="invalid token name"):
        maingate.tokens.create(name, Role.VIEWER, operator="ada")
