"""A run is one tree of spans at the receiver, whatever is retried, killed or down meanwhile."""

import socket
import sys
from collections.abc import Callable, Iterator, Mapping
from contextlib import closing
from dataclasses import replace
from pathlib import Path
from typing import Final

import pytest

from maingate.bootstrap import Maingate
from maingate.db.dao.history import events
from maingate.db.ledger import follower_positions
from maingate.errors import OutsideFaultError
from maingate.monitoring.ledger_followers import HookFollower
from maingate.monitoring.traces.export import SpanExport
from maingate.monitoring.traces.hook import TraceHook
from maingate.monitoring.traces.receiver import SpansRefusedError, receiver_of
from maingate.monitoring.traces.receiver import TraceReceiver as Wanted
from maingate.monitoring.traces.spans import TraceSpan
from maingate.trace_ids import CallerSpan, RunTrace, span_id_of
from support.crashing import KILLED, PATIENCE, World, kill_all
from support.database_factories import NOW
from support.factories import GitRepo
from support.landing import Landed, land
from support.trace_receiver import Received, TraceReceiver, receiving

ENDPOINT: Final = "OTEL_EXPORTER_OTLP_ENDPOINT"
CALLER: Final = CallerSpan(trace=0xABC, id=0xDEF, is_sampled=True)


@pytest.fixture
def receiver(monkeypatch: pytest.MonkeyPatch) -> Iterator[TraceReceiver]:
    """Give a receiver that the environment names."""
    with receiving() as made:
        monkeypatch.setenv(ENDPOINT, made.url)
        yield made


@pytest.fixture
def repo(tmp_path: Path) -> GitRepo:
    """Give a repository with one commit."""
    made = GitRepo.create(tmp_path / "repo")
    made.commit({"a.txt": "1\n"})
    return made


def warnings_of(repo: GitRepo) -> list[str]:
    """Return the warnings on record."""
    with Maingate.open(repo.path) as maingate, maingate.database.read() as conn:
        return [str((event.reason or {})["message"]) for event in events.query(conn, type="warning")]


def check_nesting(spans: list[Received]) -> None:
    """Each span begins within its parent, and no span ends before it begins."""
    by_id = {span.id: span for span in spans}
    for span in spans:
        assert span.start <= span.end
        assert span.parent == "" or by_id[span.parent].start <= span.start, span


def test_a_run_is_one_tree_with_its_failures(repo: GitRepo, receiver: TraceReceiver, tmp_path: Path) -> None:
    """A patch that lands, one that a gate refuses, and one that passes only at the second execution."""
    flag = tmp_path / "flag"
    gate = f"! test -e bad.txt && {{ test ! -e flaky.txt || test -e {flag} || {{ touch {flag}; false; }}; }}"
    names = ("good", "bad", "flaky")
    landed = land(
        repo,
        {name: repo.diff_of({f"{name}.txt": "secret content\n"}) for name in names},
        gates={"unit": {"run": gate, "on": ["task", "landing"]}},
    )
    assert landed.state == "failed"
    assert receiver.tree() == sorted(
        [
            "run",
            *(f"run > workstream {name}" for name in names),
            *(f"run > workstream {name} > task t" for name in names),
            *(f"run > workstream {name} > task t > attempt 1" for name in names),
            *(f"run > workstream {name} > task t > attempt 1 > patch" for name in names),
            *(f"run > workstream {name} > task t > attempt 1 > patch > gate unit" for name in names),
            *(f"run > workstream {name} > landing" for name in names if name != "bad"),
            "run > workstream bad > gate unit",
            *_landing_gates(receiver),
        ]
    )
    check_nesting(receiver.spans)
    check_ends(receiver, landed)
    assert "secret content" not in repr(receiver.spans)


def _landing_gates(receiver: TraceReceiver) -> list[str]:
    """Return the gates of merged results; one that is tested ahead may have no landing yet."""
    ahead = {f"run > workstream {name} > gate unit" for name in ("good", "flaky")}
    return [path for path in receiver.tree() if path.endswith("landing > gate unit") or path in ahead]


def check_ends(receiver: TraceReceiver, landed: Landed) -> None:
    """Each span has its status and its attributes."""
    run_id = landed.report["run_id"]
    [run] = receiver.named("run")
    assert (run.id, run.trace) == (f"{span_id_of(run_id):016x}", f"{RunTrace(run_id=run_id).id:032x}")
    assert (run.status, run.service) == ("error", "maingate")
    assert run.attributes["maingate.run.id"] == run_id
    assert (run.attributes["maingate.state"], run.attributes["maingate.target"]) == (
        "failed",
        "refs/heads/main",
    )
    [task] = [
        span for span in receiver.named("task t") if span.attributes["maingate.workstream.name"] == "bad"
    ]
    assert (task.status, task.attributes["maingate.reason"]) == ("error", "gate_failed")
    assert "unit" in task.message
    gates = {span.attributes["maingate.gate.id"]: span for span in receiver.named("gate unit")}
    assert {gate.status for gate in gates.values()} == {"ok", "error"}
    [flaky] = [gate for gate in gates.values() if gate.attributes["maingate.gate.flaky"]]
    assert (flaky.status, flaky.attributes["maingate.gate.executions"]) == ("ok", 2)
    [failed] = [gate for gate in gates.values() if gate.status == "error"]
    assert failed.attributes["maingate.gate.exit_code"] == 1
    landings = receiver.named("landing")
    assert [span.status for span in landings] == ["ok"] * len(landings)


def test_a_retry_is_an_attempt_of_its_own_with_a_link_and_programs_are_told_their_span(
    repo: GitRepo, receiver: TraceReceiver, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """What a tool and a gate find in TRACEPARENT is the span that is exported for them later.

    All of them are in the trace of the program that asked for the run, below its span.
    """
    monkeypatch.setenv("MAINGATE_RETRY_DELAY", "0.01")
    said = tmp_path / "said"
    said.mkdir()
    tool = (
        f'echo "$TRACEPARENT" > {said}/tool.$MAINGATE_ATTEMPT; test $MAINGATE_ATTEMPT = 2 && echo x > new.txt'
    )
    gate = f'echo "$TRACEPARENT" >> {said}/gate'
    landed = land(
        repo,
        {},
        workstreams={"w": {"tasks": {"t": {"tool": "maker", "prompt": "make it"}}}},
        tools={"maker": {"run": ["sh", "-c", tool]}},
        gates={"unit": {"run": gate}},
        traceparent=f"00-{CALLER.trace:032x}-{CALLER.id:016x}-01",
    )
    assert landed.state == "succeeded", landed.report
    assert {span.trace for span in receiver.spans} == {f"{CALLER.trace:032x}"}
    [run] = receiver.named("run")
    assert run.parent == f"{CALLER.id:016x}"
    [first], [second] = receiver.named("attempt 1"), receiver.named("attempt 2")
    assert (first.status, first.attributes["maingate.reason"]) == ("error", "tool_failed")
    assert (second.status, second.links, first.links) == ("ok", (first.id,), ())
    assert first.end <= second.start
    told = {path.name: path.read_text().split() for path in said.iterdir()}
    assert told["tool.1"] == [f"00-{first.trace}-{first.id}-01"]
    assert told["tool.2"] == [f"00-{first.trace}-{second.id}-01"]
    assert told["gate"] == [f"00-{first.trace}-{gate.id}-01" for gate in receiver.named("gate unit")]


def test_a_verdict_is_reused_whatever_the_trace(repo: GitRepo, receiver: TraceReceiver) -> None:
    """The second run tests the same tree: nothing of a trace is in the key."""
    with pytest.MonkeyPatch.context() as patch:
        patch.delenv(ENDPOINT)
        first = land(repo, {"x": repo.diff_of({"x.txt": "x\n"})}, gates={"unit": {"run": "true"}})
    assert receiver.spans == []
    repo.git("reset", "-q", "--hard", "HEAD~1")
    patch_again = repo.diff_of({"x.txt": "x\n"})
    second = land(
        repo, {"x": patch_again}, gates={"unit": {"run": "true"}}, folder=repo.path.parent / "again"
    )
    assert [each.report["gates"]["run"] for each in (first, second)] == [1, 0]


def test_a_killed_run_that_is_resumed_has_no_gap_and_no_second_version(
    tmp_path: Path, receiver: TraceReceiver
) -> None:
    """What is exported again after the kill is the same span; the tree is that of an untouched run."""
    world = World.create(tmp_path / "world", {"a.txt": "1\n"})
    world.write_plan(
        {"p": world.repo.diff_of({"b.txt": "b\n"}), "q": world.repo.diff_of({"c.txt": "c\n"})},
        gates={"unit": {"run": "true", "on": ["task", "landing"]}},
        workstreams={"w": {"tasks": {"s": {"patch": "p"}, "t": {"patch": "q"}}}},
    )
    try:
        environment = {ENDPOINT: receiver.url}
        assert world.run(fault="landing.after-ref", **environment).ended() == KILLED
        assert world.resume(**environment).ended() == 0
    finally:
        kill_all(world.commands)
    with world.open() as maingate, maingate.database.read() as conn:
        position = events.query(conn, limit=1, newest=True)[0].seq
    assert world.rows("SELECT seq FROM followers WHERE name = 'traces'") == [(position,)]
    assert len({span.id for span in receiver.spans}) == len(set(map(repr, receiver.spans)))
    before = {span.id: span for span in receiver.spans}
    with world.open() as maingate:
        export_again(maingate, receiver, warn=pytest.fail)
    assert {span.id: span for span in receiver.spans} == before
    tasks = [f"run > workstream w > task {name}" for name in ("s", "t")]
    expected = [line for task in tasks for line in (task, *(f"{task} > attempt 1{end}" for end in _ENDS))]
    assert receiver.tree() == sorted(["run", "run > workstream w", "run > workstream w > landing", *expected])


_ENDS: Final = ("", " > patch", " > patch > gate unit")


def export_again(
    maingate: Maingate, receiver: TraceReceiver, *, warn: Callable[[str], None], batch: int = TraceHook.batch
) -> None:
    """Export all of a record, as a process does that knows no position."""
    wanted = Wanted(asked_by="the test", endpoint=f"{receiver.url}/v1/traces")
    hook = TraceHook(wanted, maingate.database, warn=warn)
    hook.name, hook.batch = "again", batch
    follower = HookFollower(hook, database=maingate.database, clock=maingate.context.clock, holder="run_test")
    while follower.step():
        pass


@pytest.mark.parametrize("is_hanging", [False, True], ids=["down", "hanging"])
def test_a_receiver_that_takes_nothing_stops_no_run_and_loses_nothing(
    repo: GitRepo, receiver: TraceReceiver, monkeypatch: pytest.MonkeyPatch, *, is_hanging: bool
) -> None:
    """It is told once; the next run brings all that is missing."""
    monkeypatch.setenv("OTEL_EXPORTER_OTLP_TIMEOUT", "0.3")
    if is_hanging:
        receiver.wait.clear()
    else:
        with closing(socket.socket()) as unused:
            unused.bind(("127.0.0.1", 0))
            monkeypatch.setenv(ENDPOINT, f"http://127.0.0.1:{unused.getsockname()[1]}")
    first = land(repo, {"x": repo.diff_of({"x.txt": "x\n"})})
    assert first.state == "succeeded"
    told = [text for text in warnings_of(repo) if "hook traces" in text]
    assert len(told) == 1
    assert "nothing else is affected" in told[0]
    assert receiver.named("run") == []
    receiver.wait.set()
    monkeypatch.setenv(ENDPOINT, receiver.url)
    second = land(repo, {"y": repo.diff_of({"y.txt": "y\n"})}, folder=repo.path.parent / "second")
    runs = {span.attributes["maingate.run.id"] for span in receiver.named("run")}
    assert runs == {first.report["run_id"], second.report["run_id"]}


def test_spans_that_the_receiver_refuses_for_good_are_dropped_and_told_and_later_ones_are_sent(
    repo: GitRepo, receiver: TraceReceiver
) -> None:
    """One span that it will never take holds up no other; the run ends well, its record has a warning."""
    receiver.status = 400
    assert land(repo, {"x": repo.diff_of({"x.txt": "x\n"})}).state == "succeeded"
    said = warnings_of(repo)
    assert "in 1 request(s) so far: Failed to export" in said[0]
    assert all(text.startswith("hook traces dropped what the receiver refuses for good") for text in said)
    told: list[str] = []

    def mended(text: str) -> None:
        told.append(text)
        receiver.status = 200

    with Maingate.open(repo.path) as maingate:
        export_again(maingate, receiver, warn=mended, batch=5)
        with maingate.database.read() as conn:
            place = {row.name: (row.seq, row.failures) for row in follower_positions.all_of(conn)}["again"]
            assert place == (events.query(conn, limit=1, newest=True)[0].seq, 0)
    assert len(told) == 1
    assert receiver.named("run")


@pytest.mark.parametrize(
    ("status", "is_final"),
    [
        (400, True),
        (413, True),
        (422, True),
        (401, False),
        (404, False),
        (408, False),
        (429, False),
        (500, False),
    ],
)
def test_an_answer_about_the_spans_is_final_and_others_are_tried_again(
    receiver: TraceReceiver, status: int, *, is_final: bool
) -> None:
    """An address or a token that is wrong is mended, and then the same spans are taken."""
    receiver.status = status
    seconds = PATIENCE if is_final else 0.1  # for which it is tried again
    wanted = Wanted(asked_by="the test", endpoint=f"{receiver.url}/v1/traces", seconds=seconds)
    span = TraceSpan(name="s", run=RunTrace(run_id="run_1"), id=2, parent=None, start=NOW, end=NOW)
    with pytest.raises(OutsideFaultError) as caught:
        SpanExport(wanted).send([span])
    assert isinstance(caught.value, SpansRefusedError) == is_final


def test_without_the_extra_a_run_says_what_is_missing_and_lands(
    repo: GitRepo, monkeypatch: pytest.MonkeyPatch
) -> None:
    """And which setting asks for it."""
    for name in [
        each
        for each in sys.modules
        if each.startswith(("opentelemetry", "maingate.monitoring.traces.export"))
    ]:
        monkeypatch.delitem(sys.modules, name)
    monkeypatch.setitem(sys.modules, "opentelemetry", None)
    monkeypatch.setenv("MAINGATE_OTLP_ENDPOINT", "http://127.0.0.1:4318")
    assert land(repo, {"x": repo.diff_of({"x.txt": "x\n"})}).state == "succeeded"
    [told] = warnings_of(repo)
    assert "the setting `otlp_endpoint` asks for traces" in told
    assert "the extra `otel` adds them" in told


def test_the_values_of_secrets_are_not_sent(receiver: TraceReceiver) -> None:
    """Neither in names nor in messages nor in attributes; and a protocol that is not spoken is refused."""
    wanted = Wanted(asked_by="the test", endpoint=f"{receiver.url}/v1/traces")
    text = "it said hunter2-secret"
    span = TraceSpan(
        name=text,
        run=RunTrace(run_id="run_1", caller=CALLER),
        id=2,
        parent=None,
        start=NOW,
        end=NOW,
        attributes={"maingate.run.name": text},
        is_good=False,
        failure=text,
    )
    SpanExport(wanted, secrets=["hunter2-secret"]).send([span])
    [sent] = receiver.spans
    clean = "it said [redacted]"
    assert (sent.name, sent.message, sent.attributes) == (clean, clean, {"maingate.run.name": clean})
    assert (sent.trace, sent.id, sent.parent) == (f"{CALLER.trace:032x}", f"{2:016x}", "")
    with pytest.raises(OutsideFaultError, match="asks for 'grpc'"):
        SpanExport(replace(wanted, protocol="grpc"))
    receiver.status = 400
    with pytest.raises(OutsideFaultError, match="400"):
        SpanExport(wanted).send([span])


@pytest.mark.parametrize(
    ("environment", "asked_by"),
    [
        ({}, None),
        ({ENDPOINT: "http://x:4318"}, ENDPOINT),
        (
            {"OTEL_EXPORTER_OTLP_TRACES_ENDPOINT": "http://x:4318/v1/traces"},
            "OTEL_EXPORTER_OTLP_TRACES_ENDPOINT",
        ),
        ({ENDPOINT: "http://x:4318", "OTEL_SDK_DISABLED": "true"}, None),
        ({ENDPOINT: "http://x:4318", "OTEL_TRACES_EXPORTER": "none"}, None),
        ({ENDPOINT: " "}, None),
    ],
)
def test_the_variables_of_opentelemetry_decide_whether_there_are_traces(
    environment: Mapping[str, str], asked_by: str | None
) -> None:
    """As in any program."""
    found = receiver_of(None, environment)
    assert (found and found.asked_by) == asked_by


@pytest.mark.parametrize(
    ("sampler", "argument", "share"),
    [
        ("", "", 1.0),
        ("always_off", "", 0.0),
        ("parentbased_traceidratio", "0.25", 0.25),
        ("traceidratio", "x", 1.0),
    ],
)
def test_a_share_of_runs_is_sampled(sampler: str, argument: str, share: float) -> None:
    """A run is sampled whole or not at all, and its programs are told so."""
    environment = {ENDPOINT: "http://x", "OTEL_TRACES_SAMPLER": sampler, "OTEL_TRACES_SAMPLER_ARG": argument}
    found = receiver_of(None, environment)
    assert found is not None
    runs = [f"run_{number}" for number in range(2000)]
    taken = [found.takes(RunTrace(run_id=run)) for run in runs]
    assert sum(taken) / 2000 == pytest.approx(share, abs=0.05)
    flags = {found.trace_of(run, None).parent("gate_1")[-2:] for run in runs}
    assert flags == {f"{int(each):02x}" for each in taken}


@pytest.mark.parametrize("is_sampled", [True, False])
@pytest.mark.parametrize(
    ("sampler", "is_followed"),
    [("", True), ("parentbased_always_off", True), ("always_on", False), ("always_off", False)],
)
def test_a_run_is_sampled_as_its_caller_is_where_the_sampler_says_so(
    sampler: str, *, is_followed: bool, is_sampled: bool
) -> None:
    """A sampler that does not look at the caller decides by itself."""
    found = receiver_of(None, {ENDPOINT: "http://x", "OTEL_TRACES_SAMPLER": sampler})
    assert found is not None
    run = RunTrace(run_id="run_1", caller=replace(CALLER, is_sampled=is_sampled))
    assert found.takes(run) == (is_sampled if is_followed else sampler == "always_on")


def test_headers_compression_and_names_come_from_the_variables(
    repo: GitRepo, receiver: TraceReceiver, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Those of a secret are sent to the receiver, and nowhere else."""
    monkeypatch.setenv("OTEL_EXPORTER_OTLP_HEADERS", "api-key=hunter2")
    monkeypatch.setenv("OTEL_EXPORTER_OTLP_COMPRESSION", "gzip")
    monkeypatch.setenv("OTEL_SERVICE_NAME", "lander")
    land(repo, {"x": repo.diff_of({"x.txt": "x\n"})})
    assert {span.service for span in receiver.spans} == {"lander"}
    assert {headers["api-key"] for headers in receiver.headers} == {"hunter2"}
    assert "hunter2" not in repr(receiver.spans)
