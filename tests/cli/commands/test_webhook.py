"""`maingate webhook` shows receivers without their secrets, tests them, and mends what can be mended."""

import json
from collections.abc import Iterator
from pathlib import Path

import pytest

from maingate.bootstrap import Maingate
from maingate.db.dao.history import events
from maingate.db.ledger.new_event import new_event
from maingate.events import EventType
from maingate.webhook_signature import key_of, verify_webhook
from support.command_line import Invoke
from support.factories import GitRepo
from support.receiving import SECRET, Inlet, receiving


@pytest.fixture
def inlet(repo: GitRepo, monkeypatch: pytest.MonkeyPatch) -> Iterator[Inlet]:
    """Give a receiver that the settings of a repository name."""
    monkeypatch.setenv("CHAT_SECRET", SECRET)
    repo.commit({"a": "1"})
    with receiving(Inlet()) as opened:
        own = repo.path / ".git" / "maingate" / "maingate.toml"
        own.parent.mkdir()
        own.write_text(f'[webhooks.chat]\nurl = "{opened.url}"\nsecret_env = "CHAT_SECRET"\n')
        yield opened


def warn(path: Path) -> None:
    """Record an event."""
    with Maingate.open(path) as maingate, maingate.database.write() as conn:
        events.record(conn, new_event(EventType.WARNING, None, maingate.context.clock.now()))


def test_a_receiver_is_tested_shown_and_mended(invoke: Invoke, repo: GitRepo, inlet: Inlet) -> None:
    """The exit code says whether it took the event; a list has neither its path nor its secret."""
    assert "has taken it" in invoke("webhook", "test", "chat", cwd=repo.path).stdout
    assert verify_webhook(SECRET, inlet.sent[0].headers, inlet.sent[0].body)["entity_id"] == "chat"
    assert invoke("webhook", "retry", "chat", cwd=repo.path).stdout.startswith("chat has taken 0 events")
    inlet.status = 503
    refused = invoke("webhook", "test", "chat", "--json", cwd=repo.path)
    assert (refused.exit_code, json.loads(refused.stdout)["failure"]) == (1, "it answered 503")
    warn(repo.path)
    assert invoke("webhook", "retry", "chat", cwd=repo.path).exit_code == 1
    listed = invoke("webhook", "list", cwd=repo.path).stdout
    assert "failing" in listed
    [shown] = json.loads(invoke("webhook", "list", "--json", cwd=repo.path).stdout)
    assert (shown["state"], shown["failures"], shown["behind"]) == ("failing", 1, 1)
    assert "very-secret-path" not in listed + json.dumps(shown)
    inlet.status = 200
    assert json.loads(invoke("webhook", "retry", "chat", "--json", cwd=repo.path).stdout) == {
        "name": "chat",
        "delivered": 1,
        "failure": None,
    }


def test_an_event_is_left_out_with_a_reason(invoke: Invoke, repo: GitRepo, inlet: Inlet) -> None:
    """Which is asked for."""
    invoke("webhook", "retry", "chat", cwd=repo.path)
    warn(repo.path)
    assert invoke("webhook", "skip", "chat", "--reason", " ", cwd=repo.path).exit_code == 2
    done = invoke("webhook", "skip", "chat", "--reason", "too long", cwd=repo.path)
    assert done.stdout == "chat is not sent 1 event.\n"
    assert inlet.sent == []


def test_a_secret_is_printed_alone(invoke: Invoke, repo: GitRepo) -> None:
    """A script can take it, and it is another one each time."""
    found = {invoke("webhook", "secret", cwd=repo.path).stdout for _ in range(2)}
    assert {len(key_of(text)) for text in found} == {32}
    assert len(found) == 2


def test_without_receivers_the_list_says_where_they_are_named(invoke: Invoke, repo: GitRepo) -> None:
    """An empty list is no error; a name that is not there is one, with the page that helps."""
    repo.commit({"a": "1"})
    assert "[webhooks.NAME]" in invoke("webhook", "list", cwd=repo.path).stdout
    done = invoke("webhook", "test", "chat", cwd=repo.path)
    assert done.exit_code == 2
    assert "docs/WEBHOOKS.md" in done.stderr
