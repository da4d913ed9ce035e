"""What must be true of runs that have ended, whatever happened to their processes."""

import json
import re
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass

from sqlalchemy import Connection

from maingate.db.audit.record_check import verify
from maingate.db.dao import artifacts, intents, leases, patches, requests, runs, tasks, workstreams
from maingate.db.dao.history import events
from maingate.db.dao.workstreams import WorkstreamRow
from maingate.db.schema.tables import ENTITIES
from maingate.landing.lease import key_of, run_key
from maingate.plan.choices import LandingStyle, Proof
from maingate.reasons import ReasonCode
from maingate.state.machines import MACHINES
from maingate.state.patch_ledger import PatchState
from maingate.state.task import TaskState
from maingate.state.workstream import WorkstreamState
from simulation.git_world import TARGET
from simulation.played_run import PlayedRun
from simulation.simulation import Ended
from simulation.worker_world import passes

HEARD_WITHIN = 0.6
"""Seconds in which a process hears of an order about the queue, and ends a landing that it has begun."""


@dataclass(frozen=True, kw_only=True)
class Outcome:
    """What a run came to, in words that do not depend on when anything happened."""

    run: str
    workstreams: Mapping[str, str]
    tasks: Mapping[str, str]
    files: Mapping[str, str]


def outcome_of(ended: Ended, played: PlayedRun) -> Outcome:
    """Say what came out: of completed workstreams also what became of each task, and the target's files."""
    with ended.scene.open() as maingate, maingate.database.read() as conn:
        streams = {row.id: row for row in workstreams.of_run(conn, played.id)}
        done = {row.id for row in streams.values() if row.state is WorkstreamState.COMPLETED}
        repository = ended.scene.repository
        return Outcome(
            run=runs.get(conn, played.id).state,
            workstreams={row.name: str(row.state) for row in streams.values()},
            tasks={
                f"{streams[row.workstream_id].name}/{row.name}": str(row.state)
                for row in tasks.of_run(conn, played.id)
                if row.workstream_id in done
            },
            files={
                path: text
                for path, text in repository.files(repository.refs[TARGET]).items()
                if not path.startswith("others/")
            },
        )


def own_faults(ended: Ended) -> list[str]:
    """List the mistakes of the program's own in runs that nothing disturbed, which would hide all others."""
    reasons = []
    with ended.scene.open() as maingate, maingate.database.read() as conn:
        for played in ended.runs:
            reasons += [row.reason for row in tasks.of_run(conn, played.id)]
            reasons += [row.reason for row in workstreams.of_run(conn, played.id)]
    return [each.message for each in reasons if each is not None and each.code is ReasonCode.INTERNAL_FAULT]


def violations(ended: Ended) -> list[str]:
    """List what is not as it must be."""
    found = list(ended.wrong)
    with ended.scene.open() as maingate:
        with maingate.database.read() as conn:
            for played in ended.runs:
                found += _ends(played, conn)
                found += _agreement(ended, played, conn)
                found += _decisions(played, conn)
            found += _work_ends(conn)
            found += _landings(ended, conn)
            found += _leftovers(ended, conn)
            found += _obedience(ended)
            given = conn.exec_driver_sql("SELECT value FROM counters WHERE name = 'event'").scalar_one()
        report = verify(maingate.database, log=maingate.paths.transitions)
        found += [f"audit: {finding}" for finding in report.findings]
        lines = maingate.paths.transitions.read_text().count("\n")
        if lines != given:
            found.append(f"transitions.jsonl has {lines} lines, the ledger gave out {given} numbers")
    return found


def _ends(played: PlayedRun, conn: Connection) -> Iterator[str]:
    """Everything of a run has come to its end."""
    rows: list[tuple[str, str, str]] = [
        (machine, row.id, str(row.state))
        for machine, found in (
            ("run", [runs.get(conn, played.id)]),
            ("workstream", workstreams.of_run(conn, played.id)),
            ("task", tasks.of_run(conn, played.id)),
            ("patch_ledger", patches.of_run(conn, played.id)),
        )
        for row in found
    ]
    yield from _not_ended(rows)


def _work_ends(conn: Connection) -> Iterator[str]:
    """All gates and workers have come to their ends, whoever started them."""
    for machine in ("test_gate", "worker", "uet_worker"):
        select = f"SELECT id, state FROM {ENTITIES[machine].name}"
        yield from _not_ended([(machine, row[0], row[1]) for row in conn.exec_driver_sql(select)])


def _not_ended(rows: Sequence[tuple[str, str, str]]) -> Iterator[str]:
    for machine, entity, state in rows:
        if state not in {*MACHINES[machine].terminal, "committed", "BLOCKED"}:
            yield f"{entity} is {state}"


def _agreement(ended: Ended, played: PlayedRun, conn: Connection) -> Iterator[str]:
    """The ends of what belongs together go together."""
    streams = {row.id: row for row in workstreams.of_run(conn, played.id)}
    steps = {row.id: row for row in tasks.of_run(conn, played.id)}
    ledger = patches.of_run(conn, played.id)
    for step in steps.values():
        stream = streams[step.workstream_id]
        is_owed = step.is_critical and stream.state is WorkstreamState.COMPLETED
        if is_owed and step.state is not TaskState.COMPLETED:
            yield f"{stream.name} is completed, its critical task {step.name} is {step.state}"
    newest = patches.present(ledger)
    for patch in ledger:
        stream, task = streams[patch.workstream_id], steps[patch.task_id or ""]
        if patch is not newest[patch.task_id]:
            if patch.state not in {PatchState.QUARANTINED, PatchState.DROPPED}:
                yield f"{patch.id} is {patch.state}, and another patch of its task came after it"
            continue
        lands = stream.state is WorkstreamState.COMPLETED and task.state is TaskState.COMPLETED
        if lands is not (patch.state is PatchState.COMMITTED):
            what = f"the patch of {stream.name}/{task.name}"
            yield f"{what} is {patch.state}, they are {stream.state} and {task.state}"
        evidence = ended.scene.paths.quarantine / f"{patch.id}.json"
        if patch.state is PatchState.QUARANTINED and not evidence.exists():
            yield f"there is no evidence of {patch.id}"
    for task_id, count in Counter(patch.task_id for patch in ledger).items():
        if count > 1 and steps[task_id].kind != "tool":
            yield f"{task_id} has {count} patches"


def _landings(ended: Ended, conn: Connection) -> Iterator[str]:
    """What is completed landed once, what is not landed never, and the target says the same."""
    repository = ended.scene.repository
    landed = Counter(name for move in repository.moves for name in names_of(move.by))
    is_rewritten = bool(landed["rewrite"])
    head = repository.refs[TARGET]
    history, files = repository.history(head), repository.files(head)
    for played in ended.runs:
        ledger = patches.of_run(conn, played.id)
        for stream in workstreams.of_run(conn, played.id):
            mine = [
                row for row in ledger if row.workstream_id == stream.id and row.state is PatchState.COMMITTED
            ]
            count, due = landed[f"land {stream.name}"], int(bool(mine))
            if count != due and not (is_rewritten and count > due):  # it may have been taken from the branch
                yield f"{stream.name} is {stream.state} and landed {count} times"
            yield from _seen_on(stream, files, is_completed=stream.state is WorkstreamState.COMPLETED)
            for patch in mine if not is_rewritten else ():
                if patch.commit not in history:
                    yield f"the commit of {patch.id} is not on the target"
    if not is_rewritten:
        yield from _marks(ended, conn, files, is_others_too=bool(landed["push"]))
        yield from _positions(ended, conn)
        for played in ended.runs:
            yield from _commits(ended, played, conn)
    commits = Counter(
        line
        for commit in history
        for line in repository.read_commit(commit).message.decode().splitlines()
        if line.startswith("Maingate-Workstream: ")
    )
    yield from (f"{line} is on the target {count} times" for line, count in commits.items() if count > 1)
    checkout = ended.scene.checkout
    if checkout.path and not landed["push"] and not is_rewritten and checkout.commit != head:
        yield "the checkout has not followed the target"


def names_of(by: str) -> list[str]:
    """Name each landing of a move, which may be of several workstreams; any other move by its own name."""
    if not by.startswith("land "):
        return [by]
    return [f"land {name}" for name in by.removeprefix("land ").split(", ")]


def _marks(ended: Ended, conn: Connection, files: Mapping[str, str], *, is_others_too: bool) -> Iterator[str]:
    """What the target's files say is what was committed, unless others have written over it."""
    committed = set()
    for played in ended.runs:
        streams = {row.id: row.name for row in workstreams.of_run(conn, played.id)}
        labels = {row.id: f"{streams[row.workstream_id]}/{row.name}" for row in tasks.of_run(conn, played.id)}
        ledger = patches.of_run(conn, played.id)
        committed |= {labels[row.task_id or ""] for row in ledger if row.state is PatchState.COMMITTED}
    seen = {mark for text in files.values() for mark in re.findall(r"<(\w+/t\d+)>", text)}
    if seen != committed and not (is_others_too and seen < committed):
        yield f"{sorted(committed)} are committed, the target has {sorted(seen)}"


def _seen_on(stream: WorkstreamRow, files: Mapping[str, str], *, is_completed: bool) -> Iterator[str]:
    if not is_completed and any(f"<{stream.name}/" in text for text in files.values()):
        yield f"{stream.name} is {stream.state}, and something of it is on the target"


def _positions(ended: Ended, conn: Connection) -> Iterator[str]:
    """Each position is that of landing one workstream after the other, and passes what those ask for."""
    repository, files = ended.scene.repository, dict(ended.scene.plans[0].files)
    changes = {stream: each for played in ended.runs for stream, each in changes_of(played, conn).items()}
    gates = {
        name: played.plan.plan.landing_gates(name)
        for played in ended.runs
        for name in played.plan.plan.workstreams
    }
    for move in repository.moves:
        now = repository.files(move.new)
        if not move.by.startswith("land "):
            files |= dict(now.items() - repository.files(move.old).items())
            continue
        names = [name.removeprefix("land ") for name in names_of(move.by)]
        for path, old, new in (change for name in names for change in changes[name]):
            if files.get(path) != old:
                yield f"{names} change {path} from {old}, and it is {files.get(path)}"
            files[path] = new
        if files != now:
            yield f"with {names} the target has {now}, one after the other they make {files}"
        asked = {gate for name in names for gate in gates[name]}
        yield from (f"with {names} the target is red: {gate}" for gate in asked if not passes(gate, now))


def _commits(ended: Ended, played: PlayedRun, conn: Connection) -> Iterator[str]:
    """Each commit that lands in a row passes what its patch asks for, where the plan promises it."""
    plan, repository = played.plan.plan, ended.scene.repository
    if plan.proof is not Proof.COMMIT or plan.landing is not LandingStyle.REBASE:
        return
    streams = {row.id: row.name for row in workstreams.of_run(conn, played.id)}
    names = {row.id: (streams[row.workstream_id], row.name) for row in tasks.of_run(conn, played.id)}
    for patch in patches.of_run(conn, played.id):
        if patch.state is PatchState.COMMITTED:
            stream, task = names[patch.task_id or ""]
            files = repository.files(patch.commit or "")
            for gate in plan.task_gates(stream, task):
                if not passes(gate, files):
                    yield f"the commit of {stream}/{task} is red: {gate}"


def changes_of(played: PlayedRun, conn: Connection) -> dict[str, list[tuple[str, str | None, str]]]:
    """Return what each workstream changes by what was committed of it, in order: path, from what, to what."""
    plan, newest = played.plan.plan, patches.present(patches.of_run(conn, played.id))
    ids = {row.id: row.name for row in workstreams.of_run(conn, played.id)}
    rows = {(ids[row.workstream_id], row.name): newest.get(row.id) for row in tasks.of_run(conn, played.id)}
    found: dict[str, list[tuple[str, str | None, str]]] = {}
    for name, stream in plan.workstreams.items():
        made = [rows[name, task] for task in stream.task_order()]
        diffs = [
            json.loads(artifacts.diff_of(conn, patch.id))
            for patch in made
            if patch is not None and patch.state is PatchState.COMMITTED
        ]
        found[name] = [(diff["path"], diff["old"], diff["new"]) for diff in diffs]
    return found


def _leftovers(ended: Ended, conn: Connection) -> Iterator[str]:
    for intent in intents.pending(conn):
        yield f"{intent.id} is pending"
    for row in conn.exec_driver_sql("SELECT workstream_id, state FROM queue_items"):
        yield f"{row[0]} is still handed over, and {row[1]}"
    for key in (
        key_of(ended.scene.identity.id, TARGET),
        *(run_key(played.id) for played in ended.runs),
    ):
        lease = leases.of_key(conn, key)
        if lease is not None and lease.expires_at > lease.acquired_at and not ended.troubles.has_crash:
            yield f"the lease is still held: {lease}"
    for played in ended.runs:
        for request in requests.waiting(conn, played.id):
            if not ended.troubles.has_crash:
                yield f"{request.id} was never answered"
    if left := ended.scene.world.living.keys():
        yield f"processes are left: {sorted(left)}"


def _obedience(ended: Ended) -> Iterator[str]:
    """Nothing lands while an order is in force, but what was under way when it was given."""
    for move in ended.scene.repository.moves:
        for began, over in ended.holds:
            if move.by.startswith("land ") and began + HEARD_WITHIN < move.at < over:
                yield f"{move.by} at {move.at:.3f}, though nothing was to from {began:.3f} to {over:.3f}"


def _decisions(played: PlayedRun, conn: Connection) -> Iterator[str]:
    """Each thing that somebody decided by hand was done once, or refused."""
    applied = "kind <> 'cancel' AND handled_at IS NOT NULL AND NOT is_refused"
    select = f"SELECT kind, entity_id FROM requests WHERE run_id = ? AND {applied}"
    asked = Counter(map(tuple, conn.exec_driver_sql(select, (played.id,))))
    found = events.query(conn, type="manual_override", run_id=played.id, limit=1000)
    done = Counter((event.trigger, event.entity_id) for event in found)
    if done != asked:
        yield f"people decided {asked}, on record is {done}"
