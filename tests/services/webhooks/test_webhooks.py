"""Events come to receivers signed, in order and at least once, whatever receivers and processes do."""

import os
import signal
import socket
import subprocess
import threading
from collections.abc import Callable, Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

from maingate.api.schemas.webhooks import WebhookItem
from maingate.bootstrap import Maingate
from maingate.client import InvalidWebhookError, verify_webhook
from maingate.clock import ManualClock
from maingate.db.dao import runs, webhooks
from maingate.db.dao.history import events
from maingate.db.ledger.new_event import new_event, the_run
from maingate.errors import UnknownEntityError, UsageError
from maingate.events import EventType
from maingate.monitoring.alert_follower import AlertFollower
from maingate.monitoring.alerts import firing
from maingate.monitoring.ledger_metrics import Samples
from maingate.monitoring.metric_table import MOST_RECEIVERS
from maingate.monitoring.record_metrics import add_gauges
from maingate.monitoring.webhook_receiver import Receiver, ReceiverError
from maingate.queries.events.history import EventQuery
from maingate.queries.events.search import last_place
from maingate.queries.inbox.open_matters import inbox
from maingate.queries.inbox.values import InboxCode
from maingate.queries.webhooks import list_webhooks, webhook_key
from maingate.repository_context import RepositoryContext
from maingate.services.targets.controller_hooks import server_hooks, webhook_followers
from maingate.services.webhooks import receiver_actions
from maingate.services.webhooks.delivery import Sender, outcome_of
from maingate.services.webhooks.follower import LAST_REST, WebhookFollower, rest_after
from maingate.services.webhooks.receiver_actions import WebhookService
from maingate.settings import Settings
from maingate.settings.model import MOST_WEBHOOKS
from support.crashing import KILLED, World, kill_all
from support.database_factories import make_run
from support.factories import GitRepo
from support.live_server import served
from support.receiving import OTHER_SECRET, SECRET, Inlet, Sent, receiving

PATIENCE = 30
VARIABLE = "CHAT_SECRET"


@pytest.fixture
def clock() -> ManualClock:
    """Give the clock of the context."""
    return ManualClock()


@pytest.fixture
def context(
    repo: GitRepo, clock: ManualClock, monkeypatch: pytest.MonkeyPatch
) -> Iterator[RepositoryContext]:
    """Give a repository with an empty record, and the secret of receivers."""
    monkeypatch.setenv(VARIABLE, SECRET)
    repo.commit({"a.txt": "1\n"})
    with Maingate.open(repo.path) as maingate:
        maingate.context.clock = clock
        yield maingate.context


@pytest.fixture
def inlet() -> Iterator[Inlet]:
    """Give a receiver that takes everything."""
    with receiving(Inlet()) as opened:
        yield opened


def warn_of(context: RepositoryContext, count: int = 1, *, run: str = "") -> list[int]:
    """Record events, each in a transaction; return their places."""
    found = []
    for number in range(count):
        subject = the_run(run) if run else None
        event = new_event(EventType.WARNING, subject, context.clock.now(), reason=f"warning {number}")
        with context.database.write() as conn:
            found.append(events.record(conn, event))
    return found


def name_receivers(context: RepositoryContext, **receivers: str | dict[str, Any]) -> None:
    """Put receivers into the settings."""
    named = {
        name: each if isinstance(each, dict) else {"url": each, "secret_env": VARIABLE}
        for name, each in receivers.items()
    }
    context.settings = Settings.model_validate({"webhooks": named})


def follower_of(context: RepositoryContext, name: str = "chat", holder: str = "me") -> WebhookFollower:
    """Return the follower of a receiver of the settings, from the beginning of the record on."""
    receiver = Receiver.of(name, context.settings.webhooks[name], context.clock)
    return WebhookFollower(receiver, context=context, holder=holder, since=0, chance=lambda: 0.5)


def step_all(follower: WebhookFollower) -> None:
    """Have everything delivered that can be."""
    while follower.step():
        pass


def row_of(context: RepositoryContext, name: str = "chat") -> webhooks.WebhookRow:
    """Return a receiver, as it is on record."""
    with context.database.read() as conn:
        row = webhooks.find(conn, webhook_key(context, name))
    assert row is not None
    return row


# -- what is sent --------------------------------------------------------------------------------------------


def test_events_come_in_order_signed_and_as_the_interface_has_them(
    context: RepositoryContext, inlet: Inlet, clock: ManualClock, monkeypatch: pytest.MonkeyPatch
) -> None:
    """One connection serves all; the id is that of the event."""
    monkeypatch.setattr("maingate.services.webhooks.follower._PAGE", 10)
    name_receivers(context, chat=inlet.url)
    written = warn_of(context, 25)
    follower = follower_of(context)
    step_all(follower)
    follower.close()
    assert inlet.seqs == written
    assert len({sent.client for sent in inlet.sent}) == 1
    first = next(EventQuery(context=context).after(0))
    sent = inlet.sent[0]
    event = verify_webhook(SECRET, sent.headers, sent.body, now=clock.now().timestamp())
    assert event == first.as_json()
    assert sent.headers["webhook-id"] == event["event_id"]
    assert sent.headers["content-type"] == "application/json"
    row = row_of(context)
    assert (row.seq, row.delivered, row.failed, row.holder) == (written[-1], 25, 0, None)


def test_a_filter_chooses_and_the_place_moves_on(context: RepositoryContext, inlet: Inlet) -> None:
    """Rows that a receiver is not sent are passed over; the record need not be looked through again."""
    chosen = {"url": inlet.url, "secret_env": VARIABLE, "filter": "type:token_created,override"}
    name_receivers(context, chat=chosen)
    warn_of(context, 3)
    with context.database.write() as conn:
        wanted = events.record(conn, new_event(EventType.TOKEN_CREATED, None, context.clock.now()))
    last = warn_of(context)[-1]
    follower = follower_of(context)
    step_all(follower)
    assert inlet.seqs == [wanted]
    assert row_of(context).seq == last
    follower.close()


def test_both_secrets_sign_while_they_are_exchanged(
    context: RepositoryContext, inlet: Inlet, tmp_path: Path, clock: ManualClock
) -> None:
    """A file's new content holds at once: before, between and after, a receiver that knows one is content."""
    file = tmp_path / "secret"
    file.write_text(f"{SECRET}\n")
    name_receivers(context, chat={"url": inlet.url, "secret_file": str(file)})
    follower = follower_of(context)
    for text in (SECRET, f"{SECRET} {OTHER_SECRET}", OTHER_SECRET):
        file.write_text(f"{text}\n")
        warn_of(context)
        step_all(follower)
    follower.close()

    def fits(secret: str, sent: Sent) -> bool:
        try:
            verify_webhook(secret, sent.headers, sent.body, now=clock.now().timestamp())
        except InvalidWebhookError:
            return False
        return True

    assert [fits(SECRET, sent) for sent in inlet.sent] == [True, True, False]
    assert [fits(OTHER_SECRET, sent) for sent in inlet.sent] == [False, True, True]


def test_of_a_shared_record_a_receiver_is_sent_the_events_of_its_repository(
    context: RepositoryContext, inlet: Inlet
) -> None:
    """And those of no run, such as alerts."""
    name_receivers(context, chat=inlet.url)
    context.is_shared = True
    with context.database.write() as conn:
        rows = [make_run(repository_id=each) for each in (context.identity.id, "repo_other")]
        own, other = runs.insert_many(conn, rows, at=context.clock.now())
    wanted = warn_of(context, run=own.id)
    warn_of(context, run=other.id)
    wanted += warn_of(context)
    follower = follower_of(context)
    step_all(follower)
    follower.close()
    assert inlet.seqs[1:] == wanted
    assert inlet.sent[0].event["entity_id"] == own.id


# -- failures ------------------------------------------------------------------------------------------------


def test_a_failed_event_is_tried_again_after_growing_rests_and_none_overtakes_it(
    context: RepositoryContext, clock: ManualClock
) -> None:
    """The rest is on record: another process keeps it too."""
    fails = {1, 2, 3, 5}
    with receiving(Inlet(status=lambda number: 503 if number in fails else 204)) as inlet:
        name_receivers(context, chat=inlet.url)
        written = warn_of(context, 2)
        rests = []
        for holder in ("one", "two", "three", "four", "five"):
            follower = follower_of(context, holder=holder)
            step_all(follower)
            row = row_of(context)
            if row.next_at is not None:
                rests.append((row.next_at - clock.now()).total_seconds())
                clock.advance(row.next_at - clock.now() - timedelta(milliseconds=1))
                assert not follower.step()
                clock.advance(timedelta(milliseconds=1))
            follower.close()
    assert rests == [5, 10, 20, 5]
    assert inlet.seqs == [written[0]] * 4 + [written[1]] * 2
    row = row_of(context)
    assert (row.delivered, row.failed, row.failures, row.failure) == (2, 4, 0, None)


def test_rests_grow_to_an_hour_and_differ_by_chance() -> None:
    """They are never longer than that, and a dead receiver is never given up."""
    assert [rest_after(number, 0.5).total_seconds() for number in (0, 1, 5)] == [5, 10, 160]
    assert rest_after(1000, 0.5) == LAST_REST
    assert (rest_after(0, 0.0).total_seconds(), rest_after(0, 1.0).total_seconds()) == (4, 6)


def test_a_clock_that_is_set_back_does_not_lengthen_a_rest(
    context: RepositoryContext, clock: ManualClock
) -> None:
    """The receiver is tried again at once."""
    with receiving(Inlet(status=500)) as inlet:
        name_receivers(context, chat=inlet.url)
        warn_of(context)
        follower = follower_of(context)
        step_all(follower)
        clock.advance(timedelta(days=-1))
        step_all(follower)
        follower.close()
    assert len(inlet.sent) == 2


@pytest.mark.parametrize(
    ("status", "retry_after", "failure", "rest", "is_gone"),
    [
        (200, None, None, None, False),
        (299, "60", None, None, False),
        (302, None, "it answered 302, a redirection, which is not followed", None, False),
        (400, "no number", "it answered 400", None, False),
        (410, None, "it answered 410: it is gone for good", None, True),
        (429, "120", "it answered 429", 120, False),
        (503, "Thu, 01 Jan 2026 12:01:00 GMT", "it answered 503", 60, False),
        (503, "Thu, 01 Jan 2026 11:00:00 GMT", "it answered 503", 0, False),
        (503, "99999999999999999999", "it answered 503", 86_400, False),
        (503, "1 Jan 99999999999999999999 0:0:0 +0000", "it answered 503", None, False),
        (503, "Mon, 01 Jan 2020 00:00:00 -99999999999999999999", "it answered 503", None, False),
    ],
)
def test_outcomes_of_answers(
    status: int, retry_after: str | None, failure: str | None, rest: float | None, *, is_gone: bool
) -> None:
    """Anything but success is a failure; the receiver may ask for a rest, of a day at most."""
    found = outcome_of(status, retry_after, datetime(2026, 1, 1, 12, tzinfo=UTC))
    seconds = None if found.rest is None else found.rest.total_seconds()
    assert (found.failure, seconds, found.is_gone) == (failure, rest, is_gone)


def test_a_receiver_may_ask_for_a_longer_rest(context: RepositoryContext, clock: ManualClock) -> None:
    """`Retry-After` counts where it is longer than the rest by itself."""
    with receiving(Inlet(status=429, headers={"Retry-After": "600"})) as inlet:
        name_receivers(context, chat=inlet.url)
        warn_of(context)
        follower = follower_of(context)
        step_all(follower)
        follower.close()
    assert row_of(context).next_at == clock.now() + timedelta(minutes=10)


def test_a_redirection_is_not_followed(context: RepositoryContext) -> None:
    """The events go where the settings say, and nowhere else."""
    with receiving(Inlet()) as other, receiving(Inlet(status=307, headers={"Location": other.url})) as inlet:
        name_receivers(context, chat=inlet.url)
        warn_of(context)
        follower = follower_of(context)
        step_all(follower)
        follower.close()
    assert (len(inlet.sent), len(other.sent)) == (1, 0)
    assert "redirection" in str(row_of(context).failure)


def test_a_receiver_that_is_gone_is_left_alone_until_a_person_asks(
    context: RepositoryContext, clock: ManualClock
) -> None:
    """Nothing is lost meanwhile."""
    with receiving(Inlet(status=410)) as inlet:
        name_receivers(context, chat=inlet.url)
        written = warn_of(context, 2)
        follower = follower_of(context)
        step_all(follower)
        clock.advance(timedelta(days=30))
        step_all(follower)
        follower.close()
        assert len(inlet.sent) == 1
        assert list_webhooks(context)[0]["state"] == "gone"
        inlet.status = 200
        attempt = WebhookService(context).retry("chat")
    assert (attempt.delivered, attempt.failure) == (2, None)
    assert inlet.seqs == [written[0], *written]
    assert list_webhooks(context)[0]["state"] == "well"


def test_a_failure_says_why_and_shows_no_secret(context: RepositoryContext) -> None:
    """Neither the path of the address nor the secret is in what people see."""
    with socket.socket() as closed:
        closed.bind(("127.0.0.1", 0))
        url = f"http://127.0.0.1:{closed.getsockname()[1]}/in/very-secret-path"
    name_receivers(context, chat=url)
    warn_of(context)
    follower = follower_of(context)
    step_all(follower)
    follower.close()
    [shown] = list_webhooks(context)
    assert shown["state"] == "failing"
    assert "could not be reached" in shown["failure"]
    assert shown["url"].endswith("/…")
    text = f"{shown} {context.settings.webhooks['chat']!r}"
    assert "very-secret-path" not in text
    assert SECRET not in text


def test_a_receiver_that_does_not_answer_has_its_time(context: RepositoryContext) -> None:
    """Whether it says nothing, or a little again and again."""
    stop = threading.Event()

    def drip(listening: socket.socket) -> None:
        connection, _ = listening.accept()
        with connection:
            connection.sendall(b"HTTP/1.1 200 OK\r\n")
            while not stop.wait(0.05):
                connection.sendall(b"x: y\r\n")

    with socket.create_server(("127.0.0.1", 0)) as listening:
        thread = threading.Thread(target=drip, args=(listening,), daemon=True)
        thread.start()
        name_receivers(context, chat=f"http://127.0.0.1:{listening.getsockname()[1]}/")
        receiver = Receiver.of("chat", context.settings.webhooks["chat"], context.clock)
        warn_of(context)
        event = next(EventQuery(context=context).after(0))
        with Sender(receiver, attempt_time=timedelta(seconds=0.5)) as sender:
            outcome = sender.send(event, context.clock.now())
        stop.set()
        thread.join(PATIENCE)
    assert outcome.failure == "it did not answer within 0.5 s"


def test_a_certificate_is_checked(
    context: RepositoryContext, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A receiver whose certificate this machine does not know is not sent anything; a known one is."""
    certificate = tmp_path / "both.pem"
    made = (
        *("openssl", "req", "-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:prime256v1", "-nodes"),
        *("-days", "3650", "-subj", "/CN=localhost", "-addext", "subjectAltName=IP:127.0.0.1"),
        *("-keyout", str(tmp_path / "key.pem"), "-out", str(tmp_path / "cert.pem")),
    )
    subprocess.run(made, check=True, capture_output=True)
    certificate.write_text((tmp_path / "key.pem").read_text() + (tmp_path / "cert.pem").read_text())
    with receiving(Inlet(), certificate) as inlet:
        name_receivers(context, chat=inlet.url)
        service = WebhookService(context)
        refused = service.test("chat")
        assert refused is not None
        assert "CERTIFICATE_VERIFY_FAILED" in refused
        assert inlet.sent == []
        monkeypatch.setenv("SSL_CERT_FILE", str(tmp_path / "cert.pem"))
        assert service.test("chat") is None
    assert inlet.sent[0].event["event_type"] == "webhook_test"


# -- processes -----------------------------------------------------------------------------------------------


def test_one_process_at_a_time_delivers(context: RepositoryContext, inlet: Inlet, clock: ManualClock) -> None:
    """Another takes over when the first has ended, or was silent for a minute; that one then gives way."""
    name_receivers(context, chat=inlet.url)
    first = warn_of(context)
    one, two = follower_of(context, holder="one"), follower_of(context, holder="two")
    step_all(one)
    second = warn_of(context)
    step_all(two)
    assert inlet.seqs == first
    clock.advance(timedelta(minutes=2))
    step_all(two)
    assert inlet.seqs == first + second
    warn_of(context)
    step_all(one)
    assert inlet.seqs == first + second
    two.close()
    step_all(one)
    one.close()
    assert len(inlet.seqs) == 3


def test_a_retry_waits_for_the_process_that_delivers(
    context: RepositoryContext, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Its answer is that of the new attempt: an older failure is none."""
    with receiving(Inlet(status=410)) as inlet:
        name_receivers(context, chat=inlet.url)
        warn_of(context)
        one = follower_of(context, holder="one")
        step_all(one)
        moments = iter(range(1000))
        waiting = SimpleNamespace(monotonic=lambda: next(moments), sleep=lambda _: None)
        monkeypatch.setattr(receiver_actions, "time", waiting)
        assert "another process delivers" in str(WebhookService(context).retry("chat").failure)
        inlet.status = 200
        waiting.sleep = lambda _: step_all(one)
        attempt = WebhookService(context).retry("chat")
        one.close()
    assert (attempt.delivered, attempt.failure) == (1, None)


def test_a_process_that_was_overtaken_while_it_sent_moves_nothing(
    context: RepositoryContext, inlet: Inlet, clock: ManualClock
) -> None:
    """It had been stopped for a minute with an event in hand, and another process went on: a repetition."""
    name_receivers(context, chat=inlet.url)
    written = warn_of(context, 3)
    slow, other = follower_of(context, holder="slow"), follower_of(context, holder="other")

    def overtake(_: Sent) -> None:
        inlet.before = lambda _: None
        clock.advance(timedelta(minutes=2))
        step_all(other)

    inlet.before = overtake
    step_all(slow)
    assert inlet.seqs == [written[0], *written]
    row = row_of(context)
    assert (row.seq, row.delivered, row.holder) == (written[-1], 3, "other")
    slow.close()
    other.close()


@pytest.fixture
def world(tmp_path: Path, inlet: Inlet) -> Iterator[World]:
    """Give a repository with a plan, whose settings name a receiver."""
    made = World.create(tmp_path / "world", {"a.txt": "a\n"})
    made.write_plan(
        {"p": made.repo.diff_of({"b.txt": "b\n"})},
        gates={"unit": {"run": "true"}},
        workstreams={"w": {"tasks": {"t": {"patch": "p"}}}},
    )
    made.environment = {VARIABLE: SECRET}
    write_settings(made, chat=inlet.url)
    yield made
    kill_all(made.commands)


def write_settings(world: World, **urls: str) -> None:
    """Name receivers in the repository's own settings."""
    own = world.repo.path / ".git" / "maingate" / "maingate.toml"
    own.parent.mkdir(exist_ok=True)
    parts = [f'[webhooks.{name}]\nurl = "{url}"\nsecret_env = "{VARIABLE}"\n' for name, url in urls.items()]
    own.write_text("".join(parts))


@pytest.mark.parametrize("is_answered", [True, False], ids=["after the answer", "before the answer"])
def test_a_killed_process_leaves_no_gap(world: World, inlet: Inlet, *, is_answered: bool) -> None:
    """Killed between the delivery and its record, or amid the request: that event comes again, no other.

    The next process does not wait for the end of the hold of the one that was killed.
    """
    with Maingate.open(world.repo.path) as maingate:
        with maingate.database.write() as conn:
            webhooks.register(conn, webhook_key(maingate.context, "chat"), 0)
        written = warn_of(maingate.context, 5)
    killed: list[Callable[[], None]] = []

    def kill(_: Sent) -> None:
        if len(inlet.sent) == 3:
            killed[0]()

    if is_answered:
        first = world.start("webhook", "retry", "chat", fault="webhook.sent@3")
    else:
        inlet.before = kill
        killed.append(lambda: os.kill(first.pid, signal.SIGKILL))
        first = world.start("webhook", "retry", "chat")
    assert first.ended() == KILLED
    assert inlet.seqs == written[:3]
    with world.open() as maingate:
        assert row_of(maingate.context).holder is not None
    second = world.start("webhook", "retry", "chat")
    assert second.ended() == 0, second.said
    assert inlet.seqs == [*written[:3], *written[2:]]
    assert inlet.sent[2].headers["webhook-id"] == inlet.sent[3].headers["webhook-id"]


def test_a_run_delivers_its_events_and_a_dead_receiver_holds_up_nothing(world: World, inlet: Inlet) -> None:
    """From the first of the run to its end; the other receiver, and the run, go on."""
    with socket.socket() as closed:
        closed.bind(("127.0.0.1", 0))
        write_settings(world, chat=inlet.url, dead=f"http://127.0.0.1:{closed.getsockname()[1]}/")
        running = world.run()
        assert running.ended() == 0, running.said
    with world.open() as maingate:
        found = EventQuery(context=maingate.context).newest(0)
        states = {each["name"]: each["state"] for each in list_webhooks(maingate.context)}
    upto = next(event.seq for event in found if event.to_state == "succeeded" and event.entity_type == "run")
    assert inlet.seqs == [event.seq for event in found][: len(inlet.seqs)]
    assert upto in inlet.seqs
    assert states == {"chat": "well", "dead": "failing"}


def test_a_server_delivers_while_no_run_is_under_way(context: RepositoryContext, inlet: Inlet) -> None:
    """From its start on; a receiver that cannot be used is told, and holds up no other."""
    came = threading.Event()
    inlet.before = lambda _: came.set()
    unusable = {"url": inlet.url, "secret_env": VARIABLE, "filter": "by:type"}
    name_receivers(context, chat=inlet.url, odd=unusable)
    warn_of(context)
    said: list[str] = []
    with server_hooks(context, said.append) as hooks:
        for follower in webhook_followers(context, context.settings, lambda _: None):
            follower._register()
        written = warn_of(context)
        hooks.wake()
        assert came.wait(PATIENCE)
    assert inlet.seqs == written
    assert ["webhooks.odd: filter" in text for text in said] == [True]


# -- people --------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("type:nothing", "unknown type 'nothing'"),
        ("since:1h", "remove by:"),
        ("task:parser", "remove by:"),
        ('"open', "the quote is not closed"),
    ],
)
def test_a_filter_that_chooses_no_kind_of_event_is_refused(text: str, said: str) -> None:
    """The message names the receiver."""
    settings = Settings.model_validate(
        {"webhooks": {"chat": {"url": "https://h.example/", "secret_env": VARIABLE, "filter": text}}}
    )
    with pytest.raises(ReceiverError, match=r"webhooks\.chat: filter") as refused:
        Receiver.of("chat", settings.webhooks["chat"], ManualClock())
    assert said in str(refused.value)


@pytest.mark.parametrize(
    ("text", "said"),
    [
        (None, "the variable CHAT_SECRET with its secret is not set in this process"),
        ("", "has 0 secrets"),
        ("short", "a secret is 24 to 64 bytes in Base64"),
        (" ".join([SECRET] * 3), "has 3 secrets"),
    ],
)
def test_a_process_without_the_secret_leaves_the_receiver_to_others(
    context: RepositoryContext, inlet: Inlet, monkeypatch: pytest.MonkeyPatch, text: str | None, said: str
) -> None:
    """It says why, without the secret; nothing is sent, and the receiver is not held."""
    name_receivers(context, chat=inlet.url)
    warn_of(context)
    if text is None:
        monkeypatch.delenv(VARIABLE)
    else:
        monkeypatch.setenv(VARIABLE, text)
    follower = follower_of(context)
    with pytest.raises(ReceiverError, match=said) as refused:
        follower.step()
    assert not text or text not in str(refused.value)
    assert (inlet.sent, row_of(context).holder) == ([], None)
    assert said in list_webhooks(context)[0]["trouble"]


def test_an_event_that_a_receiver_never_takes_can_be_left_out(context: RepositoryContext) -> None:
    """The decision is on record, and is an event for receivers like any other."""
    with receiving(Inlet(status=lambda number: 400 if number == 1 else 200)) as inlet:
        name_receivers(context, chat=inlet.url)
        written = warn_of(context, 3)
        follower = follower_of(context)
        step_all(follower)
        follower.close()
        service = WebhookService(context)
        assert service.skip("chat", reason="too long for it", operator="ada") == 1
        service.retry("chat")
        assert inlet.seqs == [*written[:2], written[2], last_place(context)]
        decision = inlet.sent[-1].event
        assert (decision["operator"], decision["metadata"]["count"]) == ("ada", 1)
        assert "too long for it" in decision["reason"]["message"]
        warn_of(context, 2)
        assert service.skip("chat", reason="old", operator="ada", is_all=True) == 2
        service.retry("chat")
        assert inlet.seqs[-1] == last_place(context)
        with pytest.raises(UsageError, match="chat is owed no event"):
            service.skip("chat", reason="old", operator="ada")


def test_an_unknown_receiver_is_refused_with_those_that_there_are(context: RepositoryContext) -> None:
    """The message says where receivers are named."""
    name_receivers(context, chat="http://h.example/")
    with pytest.raises(UnknownEntityError, match="no receiver 'chart' in the settings; they have chat"):
        WebhookService(context).test("chart")


def test_a_failing_receiver_is_shown_until_it_is_mended(
    context: RepositoryContext, clock: ManualClock
) -> None:
    """In metrics at once, in the inbox and as an alert after a while; a removed one is nowhere."""

    def firing_after(alerts: AlertFollower) -> list[str]:
        alerts.step()
        with context.database.read() as conn:
            return [one.rule.name for one in firing(conn)]

    def figures() -> dict[tuple[str, tuple[str, ...]], float]:
        samples = Samples()
        with context.database.read() as conn:
            add_gauges(samples, conn, [context])
        names = ("webhook_deliveries", "webhook_lag_rows", "webhook_failing_seconds")
        return {(name, each): value for name in names for each, value in samples.values[name].items()}

    with receiving(Inlet(status=503)) as inlet:
        name_receivers(context, chat=inlet.url)
        warn_of(context, 3)
        follower = follower_of(context)
        step_all(follower)
        clock.advance(timedelta(minutes=14))
        assert inbox(context) == []
        clock.advance(timedelta(minutes=1))
        [item] = inbox(context)
        assert (item.code, item.command) == (InboxCode.WEBHOOK, "maingate webhook retry chat")
        assert "chat of webhooks takes no event: it answered 503; failures in a row: 1" in item.why
        assert figures() == {
            ("webhook_deliveries", ("chat", "delivered")): 0,
            ("webhook_deliveries", ("chat", "failed")): 1,
            ("webhook_lag_rows", ("chat",)): 3,
            ("webhook_failing_seconds", ("chat",)): 900,
        }
        assert firing_after(AlertFollower(context)) == []
        clock.advance(timedelta(seconds=1))
        assert firing_after(AlertFollower(context)) == ["MaingateWebhookFails"]
        assert [item.code for item in inbox(context)] == [InboxCode.WEBHOOK]
        name_receivers(context, other=inlet.url)
        assert (inbox(context), figures()) == ([], {})
        name_receivers(context, chat=inlet.url)
        inlet.status = 200
        step_all(follower)
        follower.close()
    assert inbox(context) == []
    assert firing_after(AlertFollower(context)) == []
    assert figures()["webhook_deliveries", ("chat", "delivered")] == 4  # the alert is the fourth
    assert figures()["webhook_failing_seconds", ("chat",)] == 0
    assert MOST_RECEIVERS >= MOST_WEBHOOKS


def test_the_interface_lists_receivers(context: RepositoryContext, inlet: Inlet) -> None:
    """With all fields, and without the path of the address."""
    with served([context.repository.root]) as live, live.client() as client:
        [(name, maingate)] = live.site
        name_receivers(maingate.context, chat=inlet.url)
        assert maingate.webhooks.retry("chat").failure is None
        [item] = client.get("/api/v1/webhooks").json()["items"]
    assert item.keys() == WebhookItem.model_fields.keys()
    assert (item["repo"], item["name"], item["state"], item["trouble"]) == (name, "chat", "well", None)
    assert "very-secret-path" not in str(item)


def test_the_libraries_say_nothing_of_addresses(
    context: RepositoryContext, inlet: Inlet, caplog: pytest.LogCaptureFixture
) -> None:
    """The library for HTTP logs each request with its address, unless it is told not to."""
    name_receivers(context, chat=inlet.url)
    with caplog.at_level("INFO"):
        assert WebhookService(context).test("chat") is None
    assert "very-secret-path" not in caplog.text
