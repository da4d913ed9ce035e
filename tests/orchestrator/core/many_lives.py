"""A world around the real core and the real record, in which every process may end at any moment.

The core, its loading from the database, the transactions and their audit are the program's own. What is
played is what lies outside: trees are sets of names, a target branch that others push to, gates and commands
that fail or are lost. A crash throws the core and all that is under way away, at any place between two things
that happen; what is on record, and what has happened to the branch, stays.
"""

import random
from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from pathlib import Path
from types import SimpleNamespace
from typing import Any, get_args

from maingate.clock import ManualClock
from maingate.commits import Candidate, Tip
from maingate.db.audit import verify
from maingate.db.dao import events, intents, leases, patches, requests, runs, tasks, workers, workstreams
from maingate.db.dao.patches import PatchRow
from maingate.db.dao.requests import Kind, Request
from maingate.db.dao.workers import WorkerRow
from maingate.db.engine import Database
from maingate.db.transitions import write
from maingate.errors import LeaseLostError
from maingate.ids import LeaseHolder, PatchId, RunId, TaskId, WorkstreamId, new_id
from maingate.landing.lease import require_lease
from maingate.orchestrator import decision_writer, snapshot_loader
from maingate.orchestrator.core import operator_decisions
from maingate.orchestrator.core.core import Core
from maingate.orchestrator.core.decision import Decision
from maingate.orchestrator.core.effects import (
    ApplyPatches,
    Effect,
    JudgeCandidate,
    JudgePatch,
    LandCandidate,
    MergeWorkstream,
    RestorePatch,
    RunCommand,
    RunNoop,
    TakePatch,
    WaitForRetry,
)
from maingate.orchestrator.core.events import (
    AppliedPatch,
    AttemptEnd,
    AttemptEnded,
    CancelRequested,
    CandidateJudged,
    CoreEvent,
    LandingFound,
    LandingOwed,
    OverrideRequested,
    PatchesApplied,
    PatchJudged,
    PatchRestored,
    PatchTaken,
    RetryDue,
    TargetLanded,
    TargetMoved,
    WorkstreamMerged,
)
from maingate.orchestrator.core.parts import Limits
from maingate.orchestrator.core.snapshot import RunNode, TaskNode, WorkstreamNode
from maingate.orchestrator.operator_requests import heard
from maingate.plan.choices import TaskKind
from maingate.plan.model import Plan
from maingate.reasons import Reason, ReasonCode
from maingate.recovery.retry_handler import RetryPolicy
from maingate.services import run_creation
from maingate.state import operator_rules
from maingate.state.machines import MACHINES
from maingate.state.operator_rules import Override
from maingate.verdicts.blame import Judgement, Opinion

START = datetime(2026, 1, 1, tzinfo=UTC)
KEY = "/sim/.git#refs/heads/main"
WHY = Reason(code=ReasonCode.GATE_FAILED, message="because")
OVERRIDES: tuple[Override, ...] = get_args(Override)
MOST_STEPS = 5000
"""Things that may happen in one life of a run; more means that it goes round in circles."""


@dataclass(frozen=True)
class Commit:
    """A commit: what it stands on, and its tree, a set of names."""

    parents: tuple[str, ...]
    tree: frozenset[str]


@dataclass(frozen=True, kw_only=True)
class Trouble:
    """How likely each fault is, at each thing that happens.

    Args:
        crash: The process is gone.
        zombie: The process is stopped instead, and wakes up when another one has taken over.
        twice: An answer comes again, later.
        lost: A command's worker is lost.
        push: Somebody else pushes to the target.
        cancel: Somebody cancels the run, or a part of it.
        override: Somebody decides about a part of it by hand.
        back: The clock jumps back by an hour.
    """

    crash: float = 0.0
    zombie: float = 0.0
    twice: float = 0.0
    lost: float = 0.0
    push: float = 0.0
    cancel: float = 0.0
    override: float = 0.0
    back: float = 0.0


@dataclass
class Git:
    """The repository: it outlives every process."""

    commits: dict[str, Commit] = field(default_factory=lambda: {"base": Commit((), frozenset())})
    target: str = "base"
    git_dir: Path = Path("/sim/.git")
    foreign: int = 0

    def commit(self, name: str, parents: Sequence[str], tree: frozenset[str]) -> Tip:
        """Write a commit; one that is there already is the same."""
        self.commits[name] = Commit(tuple(parents), tree)
        return self.tip(name)

    def tip(self, name: str) -> Tip:
        """Return a commit with its tree's id."""
        return Tip(commit=name, tree=self.tree_of(name))

    def tree_of(self, name: str) -> str:
        """Return the id of a commit's tree."""
        return "+".join(sorted(self.commits[name].tree)) or "empty"

    def is_ancestor(self, ancestor: str, of: str) -> bool:
        """Tell whether a commit is in another's history, or is it."""
        waiting, seen = [of], set()
        while waiting:
            here = waiting.pop()
            if here == ancestor:
                return True
            if here not in seen:
                seen.add(here)
                waiting += self.commits[here].parents
        return False

    def push(self) -> None:
        """Let somebody else push something of their own on top."""
        self.foreign += 1
        name = f"theirs{self.foreign}"
        here = self.commits[self.target]
        self.target = self.commit(name, [self.target], here.tree | {name}).commit

    def landings(self) -> Counter[str]:
        """Count how often each workstream was merged into the target's history."""
        waiting, seen, found = [self.target], set(), Counter[str]()
        while waiting:
            here = waiting.pop()
            if here in seen:
                continue
            seen.add(here)
            if here.startswith("land "):
                found[here.split()[1]] += 1
            waiting += self.commits[here].parents
        return found


class Life:
    """One process that controls the run, from taking it up to its end or its death."""

    def __init__(self, world: "World") -> None:
        self.world = world
        self.lease = world.take_lease()
        with world.database.read() as conn:
            run, self.heads = snapshot_loader.load(conn, world.git, world.run_id, now=world.clock.now())  # type: ignore[arg-type]
        worker = world.new_worker()
        self.core = Core(
            run,
            Limits(
                worker_id=worker,
                capacity=dict.fromkeys(TaskKind, 2),
                window=3,
                lookahead=3,
                retries=RetryPolicy(losses=1000),
            ),
        )
        self.unwritten: list[Decision] = []
        self.due: list[tuple[float, Effect | CoreEvent]] = []
        self.is_stale = False
        decision = self.core.begin()
        self.heard: set[str] = set()
        for request in world.asked(self):
            decision += self.core.handle(heard(request))
        self.follow(decision)

    # -- what happens ----------------------------------------------------------------------------------------

    @property
    def is_busy(self) -> bool:
        """Tell whether anything can still happen."""
        return bool(self.unwritten or self.due)

    def step(self) -> None:
        """Let one thing happen: a transaction, an effect, or the arrival of an answer."""
        chance = self.world.chance
        if self.unwritten and (not self.due or chance.random() < 0.5):
            self.record()
            return
        at = chance.randrange(len(self.due))
        _, what = self.due.pop(at)
        self.world.clock.advance(timedelta(seconds=chance.random()))
        if isinstance(what, CoreEvent):
            self.world.say(f"hear {type(what).__name__}")
            self.follow(self.core.handle(what))
            is_asked = isinstance(what, CancelRequested | OverrideRequested)
            if not is_asked and chance.random() < self.world.trouble.twice:
                self.due.append((0.0, what))
            return
        self.world.say(f"do {type(what).__name__}")
        event = self.carry_out(what)
        if event is not None:
            self.due.append((0.0, event))

    def follow(self, decision: Decision) -> None:
        """Begin the guesses; the rest waits for the record, in order."""
        self.due += [(0.0, effect) for effect in decision.speculative]
        if decision.writes or decision.effects:
            self.unwritten.append(decision)

    def record(self) -> None:
        """Write what waits, one decision or several, in one transaction; then their effects may begin."""
        count = self.world.chance.randint(1, len(self.unwritten))
        batch, self.unwritten = self.unwritten[:count], self.unwritten[count:]
        world, merged = self.world, Decision()
        for decision in batch:
            merged += decision
        with world.database.write() as conn:
            require_lease(conn, self.lease)
            self.heads.update(
                (head.id, head)
                for head in decision_writer.write(merged, self.core.run.input, world.clock, conn)
            )
            changed = write(conn, self.heads, merged.steps, at=world.clock.now())
        self.heads.update(changed)
        if merged.overrides and not self.unwritten:
            world.compare(self.core)
        world.say(f"record {len(merged.steps)} steps")
        self.due += [(0.0, effect) for effect in merged.effects]

    # -- effects ---------------------------------------------------------------------------------------------

    def carry_out(self, effect: Effect) -> CoreEvent | None:  # noqa: PLR0911, C901 - a table
        """Do what is asked for in the played world."""
        world, core = self.world, self.core
        match effect:
            case TakePatch(task=task_id):
                return self._taken(core.task(task_id))
            case RestorePatch(task=task_id):
                return PatchRestored(task=task_id, material=core.task(task_id).name)
            case RunNoop(task=task_id, attempt=attempt):
                return AttemptEnded(task=task_id, attempt=attempt, end=AttemptEnd.DONE)
            case RunCommand(task=task_id, attempt=attempt):
                return self._commanded(core.task(task_id), attempt)
            case WaitForRetry(task=task_id, attempt=attempt):
                return RetryDue(task=task_id, attempt=attempt)
            case ApplyPatches(tasks=task_ids, onto=onto):
                return self._applied(task_ids, onto)
            case JudgePatch(task=task_id, tip=tip):
                return PatchJudged(
                    task=task_id, commit=tip.commit, judgement=world.judged(tip, core.task(task_id).gates)
                )
            case MergeWorkstream(workstream=ws_id):
                return self._merged(core.workstream(ws_id))
            case JudgeCandidate(workstream=ws_id, candidate=candidate):
                is_bad = world.bad.get(core.workstream(ws_id).name) == "landing"
                judgement = _refused() if is_bad else Judgement(opinion=Opinion.PASSED)
                return CandidateJudged(workstream=ws_id, candidate=candidate, judgement=judgement)
            case LandCandidate(workstream=ws_id, candidate=candidate, intent=intent):
                if world.git.target != candidate.onto.commit:
                    return TargetMoved(workstream=ws_id, intent=intent)
                world.git.target = candidate.tip.commit
                world.say(f"target is {candidate.tip.commit}")
                return TargetLanded(workstream=ws_id, candidate=candidate, intent=intent)
            case _:
                return None

    # what each effect comes to

    def _taken(self, task: TaskNode) -> CoreEvent:
        row = PatchRow(
            id=PatchId(new_id("patch")),
            run_id=self.core.run.id,
            workstream_id=task.workstream.id,
            task_id=task.id,
        )
        is_bad = self.world.bad.get(task.label) == "refused"
        return PatchTaken(
            task=task.id,
            patch=row,
            diff=b"",
            material=None if is_bad else task.name,
            refusal=WHY if is_bad else None,
        )

    def _commanded(self, task: TaskNode, attempt: int) -> CoreEvent:
        world = self.world
        if world.chance.random() < world.trouble.lost:
            return AttemptEnded(task=task.id, attempt=attempt, end=AttemptEnd.LOST, reason=WHY)
        world.ran[task.label] += 1
        fails = {"fails": 10**6, "flaky": 2}.get(world.bad.get(task.label, ""), 0)
        end = AttemptEnd.FAILED if task.retries < fails else AttemptEnd.DONE
        return AttemptEnded(task=task.id, attempt=attempt, end=end, reason=WHY)

    def _applied(self, task_ids: tuple[TaskId, ...], onto: Tip) -> CoreEvent | None:
        applied: list[AppliedPatch] = []
        tip = onto
        for task in map(self.core.task, task_ids):
            if task.material is None:
                return None
            if self.world.bad.get(task.label) == "conflict":
                return PatchesApplied(tasks=task_ids, onto=onto, applied=tuple(applied), refusal=WHY)
            tree = self.world.git.commits[tip.commit].tree | {task.label}
            tip = self.world.git.commit(f"({tip.commit}).{task.label}", [tip.commit], tree)
            applied.append(AppliedPatch(tip=tip, method="exact"))
        return PatchesApplied(tasks=task_ids, onto=onto, applied=tuple(applied))

    def _merged(self, workstream: WorkstreamNode) -> CoreEvent:
        """Look for what has landed, then for what is owed, and only then merge, as the program does."""
        git = self.world.git
        for intent in reversed(workstream.intents):
            if self.world.looks(git, intent.new):
                return LandingFound(workstream=workstream.id, intent=intent.id, tip=git.tip(intent.new))
        last = workstream.intents[-1] if workstream.intents else None
        if last and last.id == workstream.open_intent and last.old == git.target:
            candidate = Candidate(onto=git.tip(last.old), tip=git.tip(last.new), commits=last.commits)
            return LandingOwed(workstream=workstream.id, candidate=candidate, intent=last.id)
        if self.world.bad.get(workstream.name) == "merge" or workstream.lane is None:
            return WorkstreamMerged(workstream=workstream.id, conflict=WHY)
        onto, settled = git.target, workstream.lane.settled.commit
        tree = git.commits[onto].tree | git.commits[settled].tree
        self.world.merges += 1
        tip = git.commit(f"land {workstream.name} {self.world.merges}", [onto, settled], tree)
        commits = {task.patch.id: tip.commit for task in workstream.landed_patches() if task.patch}
        candidate = Candidate(onto=git.tip(onto), tip=tip, commits=commits)
        return WorkstreamMerged(workstream=workstream.id, candidate=candidate)


@dataclass
class World:
    """Everything that outlives a process, and the seed that decides what happens next.

    Args:
        bad: What goes wrong with which task (``refused``, ``conflict``, ``red``, ``fails``, ``flaky``) and
            which workstream (``merge``, ``landing``).
        looks: Tells whether the target holds a commit; a test may break it.
    """

    database: Database
    plan: Plan
    bad: Mapping[str, str]
    seed: int
    trouble: Trouble
    looks: Callable[[Git, str], bool] = lambda git, commit: git.is_ancestor(commit, git.target)
    is_told: bool = False

    def __post_init__(self) -> None:
        """Admit the plan."""
        self.chance = random.Random(self.seed)
        self.git, self.clock, self.merges, self.lives = Git(), ManualClock(current=START), 0, 0
        self.ran: Counter[str] = Counter()
        self.was_cancelled = False
        loaded = SimpleNamespace(plan=self.plan, path=Path("plan"), patch_path=lambda *_: Path("patch"))
        target = SimpleNamespace(ref="refs/heads/main", commit="base")
        admitted = run_creation.Admission(loaded=loaded, target=target)  # type: ignore[arg-type]
        with self.database.write() as conn:
            self.run_id = run_creation.create(
                conn,
                self.git,  # type: ignore[arg-type]
                admitted,
                repository_id="repo_1",
                at=START,
            )

    def say(self, text: str) -> None:
        """Tell what happens, where somebody wants to know."""
        if self.is_told:
            print(f"{self.lives}: {text}")  # noqa: T201 - a trace for people

    # -- playing ---------------------------------------------------------------------------------------------

    def play(self, *, most_lives: int = 12) -> None:
        """Take the run to its end, through as many lives as it takes."""
        stopped: Life | None = None
        while not self.has_ended():
            self.lives += 1
            is_last = self.lives > most_lives
            life = Life(self)
            died = self.live(life, mortal=not is_last, beside=stopped)
            stopped = died if died is not None and self.chance.random() < self.trouble.zombie else None
        if stopped is not None:
            self.wake(stopped)

    def live(self, life: Life, *, mortal: bool, beside: Life | None) -> Life | None:
        """Let a process work until it has nothing to do or dies; return it when it dies."""
        for _ in range(MOST_STEPS):
            if not life.is_busy:
                if not life.core.is_over:
                    raise AssertionError("nothing is under way, and the run has not ended")
                with self.database.read() as conn:
                    assert not life.heard & {each.id for each in requests.waiting(conn, self.run_id)}
                return None
            self.happen(life)
            if mortal and self.chance.random() < self.trouble.crash:
                self.say("crash")
                return life
            if beside is not None and self.chance.random() < 0.3:
                beside = self.wake(beside)
            life.step()
        raise AssertionError(f"{MOST_STEPS} things happened, and the run has not ended")

    def wake(self, stale: Life) -> Life | None:
        """Let a process that was stopped do one thing; None when it has found out that it is too late."""
        if not stale.is_busy:
            return None
        try:
            stale.step()
        except LeaseLostError:
            return None
        return stale

    def happen(self, life: Life) -> None:
        """Let others do something."""
        if self.chance.random() < self.trouble.push:
            self.git.push()
        if self.chance.random() < self.trouble.back:
            self.clock.current -= timedelta(hours=1)
        if self.chance.random() < self.trouble.cancel:
            run = life.core.run
            nodes = [run.id, *(ws.id for ws in run.order), *(task.id for task in life.core.tasks)]
            self.ask(life, "cancel", self.chance.choice(nodes))
        if self.chance.random() < self.trouble.override:
            self.decide(life)

    def decide(self, life: Life) -> None:
        """Decide about something by hand that it suits, and at times about anything."""
        override = self.chance.choice(OVERRIDES)
        nodes: list[TaskNode | WorkstreamNode] = [*life.core.run.order, *life.core.tasks]
        suited = [
            node
            for node in nodes
            if operator_rules.refusal(override, operator_decisions.facts_of(node)) is None
        ]
        if self.chance.random() < 0.2 or suited:
            self.ask(life, override, self.chance.choice(suited or nodes).id)

    def ask(self, life: Life, kind: Kind, entity: str) -> None:
        """Ask for something, and let the process hear it."""
        self.was_cancelled = True
        self.say(f"{kind} {entity}")
        request = Request(
            id=new_id("req"),
            run_id=self.run_id,
            kind=kind,
            entity_id=entity,
            message="",
            operator="sim",
            created_at=self.clock.now(),
        )
        with self.database.write() as conn:
            requests.ask(conn, request)
        life.due += [(0.0, heard(each)) for each in self.asked(life)]

    def asked(self, life: Life) -> Sequence[Request]:
        """Read what is asked and was not heard yet."""
        with self.database.read() as conn:
            waiting = requests.waiting(conn, self.run_id)
        fresh = [request for request in waiting if request.id not in life.heard]
        life.heard.update(request.id for request in fresh)
        return fresh

    def judged(self, tip: Tip, gates: Sequence[str]) -> Judgement:
        """Judge a tree: red when a red patch is in it."""
        names = self.git.commits[tip.commit].tree
        if any(self.bad.get(name) == "red" for name in names):
            return _refused()
        return Judgement(opinion=Opinion.PASSED, gates=tuple(gates))

    def take_lease(self) -> leases.Lease:
        """Take the target over from whoever had it."""
        with self.database.write() as conn:
            held = leases.acquire(
                conn,
                KEY,
                holder=LeaseHolder(self.run_id),
                host="sim",
                pid=self.lives + 1,
                pid_started="",
                now=self.clock.now(),
                ttl=timedelta(hours=3),
                instead_of=leases.of_key(conn, KEY),
            )
        if not isinstance(held, leases.Lease):
            raise TypeError(f"the lease cannot be had: {held}")
        return held

    def new_worker(self) -> str:
        """Register the process as a worker."""
        row = WorkerRow(id=new_id("wrk"), name="sim", max_concurrent_tasks=9)
        with self.database.write() as conn:
            workers.insert_many(conn, [row], at=self.clock.now())
        return row.id

    def has_ended(self) -> bool:
        """Tell whether the run has ended, on record."""
        with self.database.read() as conn:
            return MACHINES["run"].is_terminal(runs.get(conn, self.run_id).state)

    def compare(self, core: Core) -> None:
        """Hold the picture in memory against the one that another process would load."""
        with self.database.read() as conn:
            loaded, _ = snapshot_loader.load(conn, self.git, self.run_id, now=self.clock.now())  # type: ignore[arg-type]
        assert _picture(core.run) == _picture(loaded)

    # -- what must be true -----------------------------------------------------------------------------------

    def check(self) -> None:
        """Hold the record and the repository against what must always be true when a run has ended."""
        with self.database.read() as conn:
            streams = workstreams.of_run(conn, self.run_id)
            rows = tasks.of_run(conn, self.run_id)
            ledger = patches.of_run(conn, self.run_id)
            open_intents = intents.pending(conn)
        landings, here = self.git.landings(), self.git.commits[self.git.target].tree
        labels = {row.id: f"{_name(streams, row.workstream_id)}/{row.name}" for row in rows}
        newest = {patch.task_id: patch for patch in ledger}
        for machine, entities in (("workstream", streams), ("task", rows)):
            for entity in entities:
                assert MACHINES[machine].is_terminal(entity.state), (entity.name, entity.state)
        assert not open_intents
        decided, done = self.decisions()
        assert decided == done
        for stream in streams:
            mine = [row for row in rows if row.workstream_id == stream.id]
            committed = [
                labels[row.id] for row in mine if row.id in newest and newest[row.id].state == "committed"
            ]
            has_landed = stream.state == "completed" and bool(committed)
            assert landings[stream.name] == int(has_landed), (stream.name, stream.state, landings)
            there = {name for name in here if name.startswith(f"{stream.name}/")}
            assert there == set(committed), (stream.name, stream.state, there, committed)
            assert stream.state == "completed" or not committed
            for row in mine:
                patch = newest.get(row.id)
                assert patch is None or patch.state in {"committed", "quarantined", "dropped"}, patch
                if row.state == "failed" and stream.state == "completed":
                    assert not row.is_critical
        for patch in ledger:
            assert patch.state != "quarantined" or patch.quarantine_reason is not None
        report = verify(self.database)
        assert report.is_intact, report

    def decisions(self) -> tuple[Counter[Any], Counter[Any]]:
        """Count what was decided by hand: by the requests that were followed, and by the events of it."""
        sql = "SELECT kind, entity_id FROM requests WHERE kind <> 'cancel' AND answer IS NOT NULL"
        with self.database.read() as conn:
            asked = Counter(map(tuple, conn.exec_driver_sql(f"{sql} AND NOT is_refused")))
            found = events.query(conn, type="manual_override")
        return asked, Counter((event.trigger, event.entity_id) for event in found)

    def end(self) -> dict[str, str]:
        """Reduce the end to what must not depend on faults: all states, and the target's tree."""
        with self.database.read() as conn:
            run = runs.get(conn, self.run_id)
            streams = workstreams.of_run(conn, self.run_id)
            rows = tasks.of_run(conn, self.run_id)
            newest = {patch.task_id: patch for patch in patches.of_run(conn, self.run_id)}
        end = {"run": str(run.state), "tree": self.git.tree_of(self.git.target)}
        end |= {stream.name: str(stream.state) for stream in streams}
        for row in rows:
            stream = next(each for each in streams if each.id == row.workstream_id)
            if stream.state == "completed":
                patch = newest.get(row.id)
                end[f"{stream.name}/{row.name}"] = f"{row.state} {patch.state if patch else '-'}"
        return end


def _picture(run: RunNode) -> Any:
    """Give what decides how a run goes on, of all that has not ended."""
    streams = [
        (ws.name, ws.state, None if ws.has_ended else (ws.unmet, ws.open_tasks, ws.open_intent))
        for ws in run.order
    ]
    steps = [
        (
            task.label,
            task.state,
            task.patch and task.patch.state,
            None if task.has_ended else (task.unmet, task.attempt, task.retries, task.losses),
        )
        for ws in run.order
        for task in ws.tasks
    ]
    return run.state, run.open_workstreams, streams, steps


def _name(streams: Sequence[Any], workstream_id: str) -> str:
    return str(next(stream.name for stream in streams if stream.id == workstream_id))


def _refused() -> Judgement:
    return Judgement(opinion=Opinion.FAILED, reason=WHY)


def plan_of(chance: random.Random) -> tuple[Plan, dict[str, str]]:
    """Draw a plan of up to four workstreams, and what goes wrong in it."""
    workstreams_: dict[str, Any] = {}
    bad: dict[str, str] = {}
    for at in range(chance.randint(1, 4)):
        name = f"w{at}"
        names: list[str] = []
        described: dict[str, Any] = {}
        for number in range(chance.randint(1, 5)):
            task = f"t{number}"
            kind = chance.choice(["patch", "patch", "patch", "command", "noop"])
            described[task] = {
                kind: {"patch": "p", "command": "true", "noop": True}[kind],
                "critical": chance.random() < 0.5,
                "needs": chance.sample(names, min(len(names), chance.choice([0, 0, 0, 1, 2]))),
            }
            if kind == "patch":
                described[task]["gates"] = chance.choice([[], ["unit"]])
                bad[f"{name}/{task}"] = chance.choice(["", "", "", "", "refused", "conflict", "red"])
            if kind == "command":
                bad[f"{name}/{task}"] = chance.choice(["", "", "flaky", "fails"])
            names.append(task)
        bad[name] = chance.choice(["", "", "", "", "", "merge", "landing"])
        earlier = sorted(workstreams_)
        workstreams_[name] = {
            "tasks": described,
            "critical": chance.random() < 0.5,
            "priority": chance.randint(0, 2),
            "needs": chance.sample(earlier, min(len(earlier), chance.choice([0, 0, 1]))),
        }
    plan = {"maingate": 1, "name": "p", "gates": {"unit": {"run": "true"}}, "workstreams": workstreams_}
    return Plan.from_json(plan), bad


__all__ = ["Git", "Life", "RunId", "Trouble", "WorkstreamId", "World", "plan_of"]
