"""Metrics are the record's: right after a restart and in every process, bounded in cost and in number."""

import re
import sqlite3
from collections.abc import Mapping
from dataclasses import replace
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest
from prometheus_client.openmetrics.parser import text_string_to_metric_families as parse_openmetrics
from prometheus_client.parser import text_string_to_metric_families as parse

from maingate.bootstrap import Maingate
from maingate.clock import ManualClock
from maingate.db.dao import (
    breakers,
    gates,
    holds,
    patches,
    queue_controls,
    runs,
    tasks,
    tool_runs,
    workstreams,
)
from maingate.db.dao.history import events
from maingate.db.ledger.new_event import EventSubject, new_event
from maingate.db.rollups import store
from maingate.db.schema.rollup_kinds import BOUNDS_MS, MOST_NAMES, OTHER, Histogram
from maingate.db.sql.connection import Connection
from maingate.db.transitions import write
from maingate.events import EventType, Severity
from maingate.ids import LeaseHolder, new_id
from maingate.landing.lease import hold, key_of
from maingate.monitoring.ledger_metrics import exposed
from maingate.monitoring.metric_table import (
    BOUNDS,
    BUDGET,
    METRICS,
    PREFIX,
    PRIORITIES,
    Kind,
    Metric,
    as_markdown,
)
from maingate.monitoring.metrics import metrics_text, registry_of
from maingate.reasons import Reason, ReasonCode
from maingate.repository_context import RepositoryContext
from maingate.state.holds import Hold, HoldCode
from maingate.state.queue_control import QueueControl, QueueOrder
from maingate.state.steps.step import Context
from maingate.state.tool_run import ToolRun
from support.database_factories import (
    bring_to,
    make_gate,
    make_patch,
    make_run,
    make_task,
    make_workstream,
    plain_step,
)
from support.factories import GitRepo
from support.landing import Landed, land

PAGE = Path(__file__).parents[2] / "docs" / "METRICS.md"


def scraped(*contexts: RepositoryContext, names: str = "web api") -> dict[tuple[str, ...], float]:
    """Scrape, and return each sample by its name, and its labels as ``name=value`` in order."""
    text, _ = metrics_text(registry_of(dict(zip(names.split(), contexts, strict=False))))
    return {
        (sample.name, *(f"{key}={value}" for key, value in sorted(sample.labels.items()))): sample.value
        for family in parse(text.decode())
        for sample in family.samples
    }


def value(found: Mapping[tuple[str, ...], float], name: str, **labels: str) -> float | None:
    """Return one sample of the repository web; None when it is not there."""
    wanted = sorted({**labels, "repository": "web"}.items())
    return found.get((f"{PREFIX}{name}", *(f"{key}={text}" for key, text in wanted)))


@pytest.fixture
def landed(repo: GitRepo, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Landed:
    """Give a run of a good patch, one that its gate refuses, one that is flaky, and a tool that retries."""
    monkeypatch.setenv("MAINGATE_RETRY_DELAY", "0.01")
    repo.commit({"a.txt": "1\n", "b.txt": "1\n"}, "base")
    diffs = {"good": {"a.txt": "2\n"}, "bad": {"b.txt": "bad\n"}, "flaky": {"c.txt": "flaky\n"}}
    once = f"if test -f c.txt && ! test -f {tmp_path}/seen; then touch {tmp_path}/seen; exit 1; fi"
    unit = {"run": f"! grep -q bad *.txt && {{ {once}; true; }}", "type": "UNIT"}
    agent = {
        "run": ["sh", "-c", f"test -f {tmp_path}/tried || {{ touch {tmp_path}/tried; exit 1; }}; echo 1 > d"]
    }
    streams = {name: {"critical": False, "tasks": {"t": {"patch": name}}} for name in diffs}
    streams["made"] = {"critical": False, "tasks": {"t": {"tool": "agent", "prompt": "go"}}}
    return land(
        repo,
        {name: repo.diff_of(edit) for name, edit in diffs.items()},
        workstreams=streams,
        gates={"unit": unit},
        tools={"agent": agent},
    )


def test_the_metrics_of_a_run_tell_what_its_report_tells(landed: Landed) -> None:
    """Patches, gates, flakes, retries, tools, and the entities in each state."""
    with Maingate.open(landed.repo.path) as maingate:
        found = scraped(maingate.context)
    told = landed.report["gates"]
    states = [task["state"] for task in landed.report["tasks"]]
    committed = sum(task["patch"]["state"] == "committed" for task in landed.report["tasks"])
    assert committed == value(found, "patches_landed_total") == 3
    assert value(found, "patches_applied_total") == 4
    assert value(found, "patches_quarantined_total", reason="gate_failed") == 1
    assert value(found, "gate_runs_total", type="UNIT", result="passed") == told["passed"]
    assert value(found, "gate_runs_total", type="UNIT", result="failed") == told["failed"]
    assert (value(found, "gate_verdicts_reused_total", type="UNIT") or 0) == told["reused"]
    assert value(found, "gate_flakes_total", gate="unit") == told["flaky"] == 1
    assert value(found, "false_blame_undone_total", cause="flake") == 1
    assert value(found, "false_blame_undone_total", cause="base_red") == 0
    assert value(found, "task_retries_total", trigger="execution_failed") == 1
    assert value(found, "tool_runs_total", tool="agent", outcome="failed") == 1
    assert value(found, "tool_runs_total", tool="agent", outcome="patch") == 1
    for state in set(states):
        assert value(found, "entity_state", entity_type="task", state=state) == states.count(state)
    assert value(found, "entity_state", entity_type="task", state="running") == 0
    assert value(found, "run_duration_seconds_count", result="succeeded") == 1
    assert value(found, "task_duration_seconds_count", kind="tool", result="completed") == 1
    assert value(found, "patch_landing_duration_seconds_count") == 3
    assert value(found, "gate_duration_seconds_count", type="UNIT") >= told["run"]  # with those stopped
    assert value(found, "record_up") == 1
    assert value(found, "unfinished_runs") == 0


def test_every_process_says_the_same_and_a_restart_changes_nothing(landed: Landed) -> None:
    """Whether the roll-ups have come to the end of the ledger or not: nothing is counted in a process."""
    passing = (
        "scrape_seconds",
        "disk_free_bytes",
        "worker_oldest_heartbeat",
        "follower_",
        "process_",
    )

    def lasting(context: RepositoryContext) -> dict[tuple[str, ...], float]:
        found = scraped(context)
        return {key: number for key, number in found.items() if not any(each in key[0] for each in passing)}

    with Maingate.open(landed.repo.path) as one, Maingate.open(landed.repo.path) as other:
        before = lasting(one.context)
        assert lasting(other.context) == before
        store.catch_up(one.context.database, at=one.context.clock.now())
        assert lasting(other.context) == before
    with Maingate.open(landed.repo.path) as again:
        assert lasting(again.context) == before


def test_no_counter_ever_goes_down(context: RepositoryContext) -> None:
    """From scrape to scrape, while work goes on and is rolled up."""
    before: dict[tuple[str, ...], float] = {}
    for number in range(6):
        a_run_with_work(context, f"plan-{number}", end="succeeded" if number % 2 else "failed")
        found = scraped(context)
        fallen = {
            key: (before[key], found.get(key))
            for key in before
            if re.search(r"_(total|count|sum|bucket)$", key[0]) and found.get(key, -1) < before[key]
        }
        assert fallen == {}
        before = found
        if number == 3:
            store.catch_up(context.database, at=context.clock.now())


def a_run_with_work(
    context: RepositoryContext, name: str = "plan", *, end: str = "running", **plan: Any
) -> runs.RunRow:
    """Put a run on record, with a queued task, a running one, and a gate that waits."""
    now = context.clock.now()
    with context.database.write() as conn:
        [run] = runs.insert_many(
            conn, [make_run(name=name, repository_id=context.identity.id, plan=plan)], at=now
        )
        [stream] = workstreams.insert_many(conn, [make_workstream(run)], at=now)
        two = [make_task(stream, name="one"), make_task(stream, name="two")]
        [queued, running] = tasks.insert_many(conn, two, at=now)
        bring_to(conn, queued.head, "queued", at=now)
        bring_to(conn, running.head, "running", at=now)
        [patch] = patches.insert_many(conn, [make_patch(running)], at=now)
        gates.insert_many(conn, [make_gate(patch)], at=now)
        bring_to(conn, run.head, end, at=now)
    return run


def test_gauges_are_read_at_the_time_of_the_scrape(context: RepositoryContext, clock: ManualClock) -> None:
    """Queues, runs without a process, stuck entities, budgets and breakers."""
    run = a_run_with_work(context, budget_usd=10)
    clock.advance(timedelta(minutes=45))
    with context.database.write() as conn:
        task = tasks.of_run(conn, run.id)[1]
        tool_runs.record(conn, [a_tool_run(run, task, cost_micros=2_500_000, ended_at=clock.now())])
        [breaker] = breakers.insert_many(
            conn, [breakers.BreakerRow(id=new_id("brk"), tool="agent")], at=clock.now()
        )
    found = scraped(context)
    assert value(found, "queue_depth", queue="tasks") == 1
    assert value(found, "queue_depth", queue="gates") == 1
    assert value(found, "queue_depth", queue="landings") == 0
    assert value(found, "queue_oldest_seconds", queue="tasks") == 45 * 60
    assert value(found, "runs_without_process") == value(found, "unfinished_runs") == 1
    assert value(found, "stuck_entities", entity_type="task") == 0
    assert value(found, "budget_used_ratio") == 0.25
    assert value(found, "tool_cost_dollars_total", tool="agent") == 2.5
    assert value(found, "circuit_breaker_open", tool="agent") == value(found, "breakers_open") == 0
    with context.database.write() as conn:
        bring_to(conn, breaker.head, "OPEN", at=clock.now())
        key = key_of(context.identity.id, run.target_ref)
        hold(conn, key, holder=LeaseHolder(run.id), now=clock.now())
    found = scraped(context)
    assert value(found, "circuit_breaker_open", tool="agent") == value(found, "breakers_open") == 1
    assert value(found, "circuit_breaker_openings_total", tool="agent") == 1
    assert value(found, "runs_without_process") == 0
    assert value(found, "stuck_entities", entity_type="task") == 1
    assert value(found, "stuck_overrun_ratio", entity_type="task") == 1.5


def a_tool_run(run: runs.RunRow, task: tasks.TaskRow, **fields: Any) -> ToolRun:
    """Make an attempt of a tool."""
    plain: dict[str, Any] = {"task_id": task.id, "attempt": 1, "run_id": run.id, "tool": "agent"}
    return ToolRun(**({"outcome": "failed"} | plain | fields))


def test_an_override_is_counted_with_its_operator(context: RepositoryContext) -> None:
    """By the kind of entity."""
    about = EventSubject(machine="task", id="task_1", context=Context())
    event = new_event(
        EventType.MANUAL_OVERRIDE, about, context.clock.now(), severity=Severity.WARNING, operator="ada"
    )
    with context.database.write() as conn:
        events.record(conn, event)
    found = scraped(context)
    assert value(found, "manual_state_overrides_total", entity_type="task", operator="ada") == 1
    assert value(found, "events_total", event_type="manual_override", severity="warning") == 1


def test_repositories_that_share_a_record_are_one_set_of_metrics(
    repo: GitRepo, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Else sums would count the record twice; each open run counts once."""
    monkeypatch.setenv("MAINGATE_DATABASE_URL", f"sqlite:///{tmp_path}/shared.db")
    other = GitRepo.create(tmp_path / "other")
    for each in (repo, other):
        each.commit({"a.txt": "1\n"})
    with Maingate.open(repo.path) as one, Maingate.open(other.path) as two:
        a_run_with_work(one.context)
        a_run_with_work(two.context)
        found = scraped(one.context, two.context)
    names = {label for key in found for label in key if label.startswith("repository=")}
    assert names == {"repository=api,web"}
    assert found[f"{PREFIX}unfinished_runs", "repository=api,web"] == 2
    assert found[f"{PREFIX}entity_state", "entity_type=run", "repository=api,web", "state=running"] == 2


def test_repositories_with_records_of_their_own_are_told_apart(repo: GitRepo, tmp_path: Path) -> None:
    """By their names in the server."""
    other = GitRepo.create(tmp_path / "other")
    for each in (repo, other):
        each.commit({"a.txt": "1\n"})
    with Maingate.open(repo.path) as one, Maingate.open(other.path) as two:
        a_run_with_work(two.context)
        found = scraped(one.context, two.context)
    assert value(found, "unfinished_runs") == 0
    assert found[f"{PREFIX}unfinished_runs", "repository=api"] == 1


def test_a_record_that_cannot_be_read_is_down_and_disturbs_no_other(repo: GitRepo, tmp_path: Path) -> None:
    """A scrape that failed whole would say nothing about the records that are well."""
    other = GitRepo.create(tmp_path / "other")
    for each in (repo, other):
        each.commit({"a.txt": "1\n"})
    with Maingate.open(repo.path) as one, Maingate.open(other.path) as two:
        two.context.paths.database.rename(tmp_path / "away.db")
        two.context.database.engine.dispose()
        found = scraped(one.context, two.context)
    assert value(found, "record_up") == 1
    assert found[f"{PREFIX}record_up", "repository=api"] == 0
    assert not [key for key in found if "repository=api" in key and key[0] != f"{PREFIX}record_up"]


# -- names and numbers -------------------------------------------------------------------------------------


def test_both_formats_are_well_formed_and_chosen_by_the_caller(landed: Landed) -> None:
    """OpenMetrics where it is asked for; each is read by a parser of its own."""
    with Maingate.open(landed.repo.path) as maingate:
        registry = registry_of({"web": maingate.context})
        plain, plain_type = metrics_text(registry, "text/plain;version=0.0.4")
        wanted = "application/openmetrics-text;version=1.0.0;q=0.5,text/plain;version=0.0.4;q=0.3"
        open_, open_type = metrics_text(registry, wanted)
    assert plain_type.startswith("text/plain; version=")
    assert open_type.startswith("application/openmetrics-text; version=1.0.0")
    assert open_.endswith(b"# EOF\n")
    families = list(parse_openmetrics(open_.decode()))  # type: ignore[no-untyped-call]
    names = {family.name for family in families}
    assert {f"{PREFIX}{metric.name}" for metric in METRICS.values()} <= names
    assert {family.name for family in parse(plain.decode())} >= {f"{PREFIX}state_transitions"}


def test_names_have_units_and_labels_are_declared(landed: Landed) -> None:
    """Every sample is of a declared metric, with exactly its labels."""
    with Maingate.open(landed.repo.path) as maingate:
        text, _ = metrics_text(registry_of({"web": maingate.context}))
    for family in parse(text.decode()):
        if not family.name.startswith(PREFIX):
            continue
        metric = METRICS[family.name.removeprefix(PREFIX).removesuffix("_info")]
        assert family.documentation == metric.help
        for sample in family.samples:
            labels = set(sample.labels) - {"repository", "le"}
            assert labels == set(metric.labels), sample
    for metric in METRICS.values():
        assert not metric.name.endswith(("_total", "_info", "_count", "_sum", "_bucket"))
        is_time = "duration" in metric.name or "oldest" in metric.name
        assert metric.name.endswith("_seconds") or not is_time, metric.name


def test_the_queue_of_a_branch_has_gauges_by_priority_and_order(
    context: RepositoryContext, clock: ManualClock
) -> None:
    """Those that wait to land, since when, and the orders of people that are in force."""
    run = a_run_with_work(context)
    with context.database.write() as conn:
        rows = [make_workstream(run, name=f"w{place}", priority=place - 1) for place in range(3)]
        for row in workstreams.insert_many(conn, rows, at=clock.now()):
            bring_to(conn, row.head, "validating", at=clock.now())
        order: dict[str, Any] = {"operator": "ada", "reason": "", "since": clock.now()}
        key = key_of(context.identity.id, run.target_ref)
        queue_controls.put(conn, QueueControl(key=key, kind=QueueOrder.PAUSE, **order))
        until = clock.now() + timedelta(minutes=10)
        queue_controls.put(conn, QueueControl(key=key, kind=QueueOrder.FREEZE, until=until, **order))
    clock.advance(timedelta(minutes=15))
    found = scraped(context)
    for priority in PRIORITIES:
        assert value(found, "landing_queue_depth", priority=priority) == 1
        assert value(found, "landing_queue_oldest_seconds", priority=priority) == 15 * 60
    assert value(found, "queue_orders", order="pause") == 1
    assert value(found, "queue_orders", order="freeze") == 0
    assert value(found, "queue_held_seconds") == 15 * 60


def test_the_ends_of_workstreams_are_counted_by_reason(context: RepositoryContext) -> None:
    """Landed ones have none."""
    run, now = a_run_with_work(context), context.clock.now()
    reason = Reason(code=ReasonCode.CONFLICT, message="it conflicts")
    with context.database.write() as conn:
        rows = [make_workstream(run, name=name) for name in ("good", "bad")]
        good, bad = workstreams.insert_many(conn, rows, at=now)
        bring_to(conn, good.head, "completed", at=now)
        bring_to(conn, bad.head, "validating", at=now)
        head = workstreams.get(conn, bad.id).head
        step = replace(plain_step(head, "failed", "validation_failed", reason=reason), reason=reason)
        write(conn, {bad.id: head}, [step], at=now)
    found = scraped(context)
    assert value(found, "workstream_conclusions_total", result="landed", reason="") == 1
    assert value(found, "workstream_conclusions_total", result="failed", reason="conflict") == 1


def test_no_label_is_an_id(landed: Landed) -> None:
    """An id as a label is a new time series for each run, for ever."""
    with Maingate.open(landed.repo.path) as maingate:
        text, _ = metrics_text(registry_of({"web": maingate.context}))
    assert re.findall(r'"[a-z]+_[0-9A-HJKMNP-TV-Z]{26}"', text.decode()) == []


def test_the_declared_bounds_fit_into_the_budget() -> None:
    """The most that the labels of all metrics allow, by construction."""
    assert sum(metric.series for metric in METRICS.values()) <= BUDGET


def test_a_flood_of_names_stays_within_the_bounds(context: RepositoryContext) -> None:
    """Three times as many gates, tools and operators as are kept apart: the others count together."""
    run, now = a_run_with_work(context), context.clock.now()
    with context.database.write() as conn:
        [task] = [each for each in tasks.of_run(conn, run.id) if each.state == "running"]
        [patch] = patches.of_task(conn, task.id)
        for number in range(3 * MOST_NAMES):
            [gate] = gates.insert_many(conn, [make_gate(patch, name=f"gate-{number}")], at=now)
            flake(conn, gate)
            row = breakers.BreakerRow(id=new_id("brk"), tool=f"tool-{number}")
            [breaker] = breakers.insert_many(conn, [row], at=now)
            bring_to(conn, breaker.head, "OPEN", at=now)
            tool_runs.record(
                conn,
                [
                    a_tool_run(
                        run, task, attempt=number + 1, tool=f"tool-{number}", cost_micros=1, ended_at=now
                    )
                ],
            )
            about = EventSubject(machine="task", id=task.id, context=Context())
            said = new_event(
                EventType.MANUAL_OVERRIDE, about, now, severity=Severity.WARNING, operator=f"person-{number}"
            )
            events.record(conn, said)
    text, _ = metrics_text(registry_of({"web": context}))
    families = {family.name: family for family in parse(text.decode())}
    for metric in METRICS.values():
        found = families.get(f"{PREFIX}{metric.name}")
        series = 0 if found is None else len(found.samples)
        assert series <= metric.series, metric.name
    many = families[f"{PREFIX}manual_state_overrides"].samples
    assert len(many) == MOST_NAMES + 1
    assert {each.value for each in many if each.labels["operator"] == OTHER} == {2 * MOST_NAMES}
    assert sum(each.value for each in families[f"{PREFIX}circuit_breaker_open"].samples) == 3 * MOST_NAMES


def flake(conn: Connection, gate: gates.GateRow) -> None:
    """Let a gate pass on another execution."""
    bring_to(conn, gate.head, "RUNNING", at=gate.created_at)
    running = gates.get(conn, gate.id)
    step = plain_step(running.head, "PASSED", "exit_code_expected", is_flaky=True)
    write(conn, {gate.id: running.head}, [step], at=gate.created_at)


def test_a_scrape_costs_the_same_with_a_long_history(context: RepositoryContext) -> None:
    """Counted in the steps of the database's own machine, which are the same on every computer."""
    store.catch_up(context.database, at=context.clock.now())
    for number in range(4):
        a_run_with_work(context, f"plan-{number}", end="succeeded")
    store.catch_up(context.database, at=context.clock.now())
    little = steps_of_a_scrape(context)
    for number in range(120):
        a_run_with_work(context, f"more-{number}", end="succeeded")
    store.catch_up(context.database, at=context.clock.now())
    assert steps_of_a_scrape(context) < 1.1 * little


def steps_of_a_scrape(context: RepositoryContext) -> int:
    """Return how many steps, in tens, the database takes for a scrape."""
    counted = 0

    def count() -> int:
        nonlocal counted
        counted += 1
        return 0

    scraped(context)
    with context.database.engine.connect() as borrowed:
        raw = borrowed.connection.driver_connection
        assert isinstance(raw, sqlite3.Connection)
        raw.set_progress_handler(count, 10)
    try:
        scraped(context)
    finally:
        raw.set_progress_handler(None, 10)
    return counted


def test_the_buckets_of_a_histogram() -> None:
    """A value stays in the first bucket that holds it, whichever bounds are shown."""
    places = {BOUNDS_MS.index(bound): 1 for bound in BOUNDS_MS}
    shown = exposed(Histogram(buckets={**places, len(BOUNDS_MS): 1}, total=5))
    assert [bound for bound, _ in shown] == [*(f"{each / 1000:g}" for each in BOUNDS), "+Inf"]
    assert [number for _, number in shown] == [
        *(sum(each <= bound for each in BOUNDS_MS) for bound in BOUNDS),
        len(BOUNDS_MS) + 1,
    ]


def test_the_page_has_the_table_of_all_metrics() -> None:
    """As the program has it, to the letter."""
    assert as_markdown() in PAGE.read_text(encoding="utf-8")


@pytest.mark.parametrize("metric", METRICS.values(), ids=lambda metric: metric.name)
def test_a_metric_has_a_name_that_prometheus_takes(metric: Metric) -> None:
    """Lower case, and a sentence that says what it is."""
    assert re.fullmatch(r"[a-z][a-z_]*[a-z]", metric.name)
    assert metric.help.endswith(".")
    assert (metric.kind is Kind.INFO) == (metric.name == "build")


def test_workstreams_whose_patches_are_all_proven_wait_to_land_too(
    context: RepositoryContext, clock: ManualClock
) -> None:
    """They are off the record until they land: each has a hold. One with another open task does not wait."""
    run = a_run_with_work(context)
    with context.database.write() as conn:
        rows = [make_workstream(run, name=f"w{place}", priority=1) for place in range(2)]
        streams = workstreams.insert_many(conn, rows, at=clock.now())
        names = [(streams[0], "t"), (streams[1], "t"), (streams[1], "open")]
        made = tasks.insert_many(conn, [make_task(ws, name=name) for ws, name in names], at=clock.now())
        for head in (*(row.head for row in streams), *(row.head for row in made[:2])):
            state = "executing" if head.machine == "workstream" else "validating"
            bring_to(conn, head, state, at=clock.now())
        found = patches.insert_many(conn, [make_patch(task) for task in made[:2]], at=clock.now())
        for row in found:
            bring_to(conn, row.head, "queued", at=clock.now())
        clock.advance(timedelta(minutes=5))
        kept = Hold(code=HoldCode.WORKSTREAM, since=clock.now())
        holds.publish(conn, run.id, {row.id: kept for row in found})
    clock.advance(timedelta(minutes=10))
    scraped_now = scraped(context)
    assert value(scraped_now, "landing_queue_depth", priority="high") == 1
    assert value(scraped_now, "landing_queue_oldest_seconds", priority="high") == 10 * 60
