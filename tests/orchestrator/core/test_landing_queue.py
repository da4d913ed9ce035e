"""The queue of the target, without git or gates: cars, conflicts, blame, flakes, faults, moves by others."""

import re
from collections import Counter, defaultdict
from dataclasses import dataclass, field
from typing import Any

import pytest

from maingate.commits import Candidate, LandingIntent, Tip
from maingate.orchestrator.core.core import Core
from maingate.orchestrator.core.core_assembly import RunLimits
from maingate.orchestrator.core.decision import Decision
from maingate.orchestrator.core.effects import (
    BuildChain,
    Effect,
    JudgeChain,
    JudgePatch,
    LandCar,
    LookAtTarget,
    SealCar,
)
from maingate.orchestrator.core.events import (
    CancelRequested,
    ChainBuilt,
    ChainJudged,
    CoreEvent,
    FoundLanding,
    LandingFailed,
    LinkRefused,
    TargetLanded,
    TargetMoved,
    TargetSeen,
)
from maingate.orchestrator.core.queue.queue_state import id_of
from maingate.orchestrator.train.record import GatePast, TrainRecord
from maingate.orchestrator.train.values import TrainPolicy
from maingate.plan.choices import Proof
from maingate.plan.model import Plan
from maingate.reasons import Reason, ReasonCode
from maingate.state.workstream import WorkstreamState
from maingate.verdicts.blame import GateAnswer
from orchestrator.core.test_core import BASE, ROOM, World, picture_of

CONFLICT = Reason(code=ReasonCode.CONFLICT, message="it conflicts")
LOST = Reason(code=ReasonCode.INTERNAL_FAULT, message="it could not be run")


@dataclass
class Queue(World):
    """A world whose workstreams are on board at once, and whose gates may answer anything.

    Args:
        red: Sets of workstreams with which, all together, the gates fail.
        conflicting: Pairs of which the second cannot be merged onto the first.
        flakes: Answers that are wrong, as many times as they are listed, by the workstreams that are judged.
        lost: Workstreams on which no gate can be run.
        unlandable: Workstreams that no checkout can hold.
        workers: Runs of gates at once.
    """

    red_sets: list[set[str]] = field(default_factory=list)
    conflicting: set[tuple[str, str]] = field(default_factory=set)
    flakes: Counter[tuple[str, ...]] = field(default_factory=Counter)
    lost: set[str] = field(default_factory=set)
    unlandable: set[str] = field(default_factory=set)
    is_base_red: bool = False
    workers: int = 4
    proof: Proof = Proof.REF
    confirms: bool = True
    record: TrainRecord = field(default_factory=TrainRecord)
    runs: list[tuple[str, ...]] = field(default_factory=list)
    cars: list[tuple[str, ...]] = field(default_factory=list)

    def play(self) -> Core:
        """Run to the end: all lanes first, then the queue, each answer in the order of the questions."""
        limits = RunLimits(
            worker_id="wrk_1",
            capacity=ROOM,
            window=3,
            gate_runs=self.workers,
            train=TrainPolicy(proof=self.proof, confirms=self.confirms),
            record=self.record,
        )
        core = Core(picture_of(self.plan), limits)
        waiting = self.follow(core.begin())
        while waiting:
            waiting.sort(key=lambda effect: isinstance(effect, BuildChain | JudgeChain | LandCar))
            event = self.answer(core, waiting.pop(0))
            if event is not None:
                waiting += self.follow(core.handle(event))
        return core

    def answer(self, core: Core, effect: Effect) -> CoreEvent | None:
        """Answer, and note what was judged and what landed."""
        match effect:
            case BuildChain():
                return self._chain(effect)
            case JudgeChain():
                return self._judge(core, effect)
            case LandCar(members=members):
                names = tuple(member.name for member in members)
                if self.unlandable & {*names}:
                    return LandingFailed(car=effect.car, reason=LOST)
                if not self.moved:
                    self.cars.append(names)
        return super().answer(core, effect)

    def _chain(self, effect: BuildChain) -> CoreEvent:
        made: list[Candidate] = []
        onto, before = effect.onto, list(effect.before)
        for link in effect.links:
            name = link.input.name
            for behind, tip in before:
                on_it = tip.commit.split("|")
                if any((other, name) in self.conflicting for other in on_it):
                    refused = LinkRefused(workstream=link.input.workstream, reason=CONFLICT, behind=behind)
                    return ChainBuilt(build=effect.build, candidates=tuple(made), refused=refused)
            tip = Tip(commit=f"{onto.commit}|{name}", tree=f"{onto.tree}|{name}")
            commits = {patch: tip.commit for patch, _ in link.input.commits}
            made.append(Candidate(onto=onto, tip=tip, commits=commits))
            onto = tip
            before.append((link.input.workstream, tip))
        return ChainBuilt(build=effect.build, candidates=tuple(made))

    def _judge(self, core: Core, effect: JudgeChain) -> CoreEvent:
        names = tuple(core.workstream(ws_id).name for ws_id in effect.workstreams)
        on_it = set(effect.tip.commit.split("|"))
        self.runs.append(names)
        self.seconds += 1
        began = self.seconds
        self.seconds += 1
        if on_it & self.lost:
            return ChainJudged(run=effect.run, answers=(), started=began, ended=self.seconds, fault=LOST)
        passed = not any(bad <= on_it for bad in self.red_sets) and not self.is_base_red
        if self.flakes[names]:
            self.flakes[names] -= 1
            passed = not passed
        answers = tuple(GateAnswer(gate=gate, passed=passed, message="no") for gate in effect.gates)
        return ChainJudged(run=effect.run, answers=answers, started=began, ended=self.seconds)


def queue_of(names: str, **rest: Any) -> Queue:
    """Make a queue of workstreams of one ready patch and one gate on the merged result."""
    plan = Plan.from_json(
        {
            "maingate": 1,
            "name": "p",
            "gates": {"unit": {"run": "true", "on": ["landing"]}},
            "workstreams": {name: {"tasks": {"t": {"patch": "x"}}, "critical": False} for name in names},
        }
    )
    return Queue(plan, {}, seed=0, **rest)


def states(core: Core) -> dict[str, str]:
    """Return which workstreams landed, and why the others did not."""
    return {
        ws.name: "landed" if ws.state is WorkstreamState.COMPLETED else str(ws.reason and ws.reason.code)
        for ws in core.run.order
    }


def landed(core: Core) -> str:
    """Return the workstreams on the target, in order."""
    return core.run.tip.commit.removeprefix("base").replace("|", "")


def test_what_is_right_lands_by_one_move_after_one_run() -> None:
    """Eight workstreams, one run of the gates, one car."""
    queue = queue_of("abcdefgh", workers=1)
    core = queue.play()
    assert landed(core) == "abcdefgh"
    assert queue.cars == [tuple("abcdefgh")]
    assert queue.runs == [tuple("abcdefgh")]


@pytest.mark.parametrize("workers", [1, 2, 4, 8])
@pytest.mark.parametrize("culprits", ["a", "d", "h", "bg", "abc", "abcdefgh"])
def test_each_culprit_alone_is_refused(workers: int, culprits: str) -> None:
    """The others land in their order, and each position of the target was tested as it is."""
    queue = queue_of("abcdefgh", workers=workers, red_sets=[{name} for name in culprits])
    core = queue.play()
    assert states(core) == {name: "gate_failed" if name in culprits else "landed" for name in "abcdefgh"}
    assert landed(core) == "".join(name for name in "abcdefgh" if name not in culprits)
    tested = {"".join(names) for names in queue.runs}
    on_target = ""
    for car in queue.cars:
        on_target += "".join(car)
        assert any(on_target.endswith(names) and names.endswith(car[-1]) for names in tested)


def test_two_that_fail_only_together_lose_the_second_alone() -> None:
    """Each passes alone; the one that comes later is to blame, with what is ahead of it."""
    queue = queue_of("abcdef", red_sets=[{"b", "e"}])
    core = queue.play()
    assert states(core)["e"] == "gate_failed"
    assert landed(core) == "abcdf"


def test_a_failure_that_a_second_run_does_not_confirm_refuses_nobody() -> None:
    """Every chain fails once: all land."""
    queue = queue_of("abcd", workers=2)
    queue.flakes.update({tuple("abcd"[:length]): 1 for length in range(1, 5)})
    core = queue.play()
    assert landed(core) == "abcd"


def test_a_red_target_blames_nobody() -> None:
    """The gate fails without any workstream too: each ends with that reason, and nothing lands."""
    core = queue_of("abc", is_base_red=True).play()
    assert states(core) == dict.fromkeys("abc", "base_red")
    assert landed(core) == ""


def test_a_conflict_with_one_ahead_is_held_and_fails_when_that_has_landed() -> None:
    """It is overtaken by those that conflict with nothing, and is refused by the target in the end."""
    queue = queue_of("abcd", conflicting={("a", "b")})
    core = queue.play()
    assert states(core) == {"a": "landed", "b": "conflict", "c": "landed", "d": "landed"}


def test_a_conflict_with_one_that_is_refused_is_none() -> None:
    """What was in its way has left, so it lands."""
    queue = queue_of("abc", conflicting={("a", "b")}, red_sets=[{"a"}])
    core = queue.play()
    assert states(core) == {"a": "gate_failed", "b": "landed", "c": "landed"}


def test_what_cannot_be_judged_ends_that_alone() -> None:
    """Chains with it cannot be judged either, so the others are tried without it, one at a time."""
    queue = queue_of("abcd", lost={"c"})
    core = queue.play()
    assert states(core) == {"a": "landed", "b": "landed", "c": "internal_fault", "d": "landed"}
    assert landed(core) == "abd"


def test_what_no_checkout_can_hold_keeps_no_other_from_landing() -> None:
    """A car with it does not land; its members are tried one at a time."""
    queue = queue_of("abcd", unlandable={"b"})
    core = queue.play()
    assert states(core) == {"a": "landed", "b": "internal_fault", "c": "landed", "d": "landed"}


def test_a_fault_beside_a_car_that_lands_ends_none_of_its_workstreams() -> None:
    """The target with `a` is asked again for the sake of `b`, while `a` is landing: that process is lost."""
    both: list[Effect] = []
    late: list[Effect] = []
    lost: list[str] = []

    class Lossy(Queue):
        def answer(self, core: Core, effect: Effect) -> CoreEvent | None:
            is_first_of_both = isinstance(effect, JudgeChain) and len(effect.workstreams) > 1 and not both
            if is_first_of_both:
                both.append(effect)
                return None
            if isinstance(effect, LandCar) and not lost:
                late.append(effect)
                return None
            return super().answer(core, effect)

        def _judge(self, core: Core, effect: JudgeChain) -> CoreEvent:
            names = [core.workstream(each).name for each in effect.workstreams]
            if names == ["a"] and late:
                lost.append(effect.run)
                return ChainJudged(run=effect.run, answers=(), started=0, ended=0, fault=LOST)
            return super()._judge(core, effect)

        def follow(self, decision: Decision) -> list[Effect]:
            again = both[:1] if len(both) == 1 else []
            both.extend(again)
            return [*super().follow(decision), *again, *([late.pop()] if lost and late else [])]

    core = Lossy(queue_of("ab").plan, {}, seed=0, red_sets=[{"b"}]).play()
    assert lost
    assert states(core) == {"a": "landed", "b": "gate_failed"}


def test_an_answer_that_comes_again_later_answers_no_later_question() -> None:
    """Neither what was built of other workstreams, nor where the target was before."""

    class Repeating(Queue):
        def answer(self, core: Core, effect: Effect) -> CoreEvent | None:
            if isinstance(effect, BuildChain | LookAtTarget):
                for late in old:
                    decision = core.handle(late)
                    assert [*decision.speculative, *decision.effects] == []
            event = super().answer(core, effect)
            if isinstance(event, ChainBuilt | TargetSeen):
                old.append(event)
            return event

    old: list[CoreEvent] = []
    plan = queue_of("abcd").plan
    core = Repeating(plan, {}, seed=0, moved=2, proof=Proof.COMMIT, red_sets=[{"b"}], workers=2).play()
    assert states(core) == {"a": "landed", "b": "gate_failed", "c": "landed", "d": "landed"}
    assert landed(core) == "acd"
    assert {type(event) for event in old} == {ChainBuilt, TargetSeen}


def test_others_move_the_target() -> None:
    """The queue is built again on what the target holds, and lands whole."""
    queue = queue_of("abcd")
    queue.moved = 3
    core = queue.play()
    assert landed(core) == "abcd"


def test_others_who_move_the_target_now_and_then_end_no_workstream() -> None:
    """Each lands after three lost races, on a branch that many push to: that is no reason to give any up."""

    class Busy(Queue):
        def answer(self, core: Core, effect: Effect) -> CoreEvent | None:
            event = super().answer(core, effect)
            self.moved = 3 if isinstance(event, TargetLanded) else self.moved
            return event

    queue = Busy(queue_of("abcdefgh").plan, {}, seed=0, proof=Proof.COMMIT, moved=3)
    assert landed(queue.play()) == "abcdefgh"


@pytest.mark.parametrize("names", ["abcd", "dbca"])
def test_a_car_that_is_found_on_the_target_leaves_it_at_the_last_commit(names: str) -> None:
    """A killed process left no record of it; workstreams are found in the plan's order, not the car's."""

    class Killed(Queue):
        def answer(self, core: Core, effect: Effect) -> CoreEvent | None:
            if isinstance(effect, LandCar):
                found.extend(
                    FoundLanding(workstream=each.workstream, intent=each.intent, tip=each.candidate.tip)
                    for each in effect.members
                )
                return TargetMoved(car=effect.car)
            if isinstance(effect, LookAtTarget) and found:
                head = found[-1].tip
                order = sorted(found, key=lambda each: names.index(core.workstream(each.workstream).name))
                return TargetSeen(look=effect.look, head=head, found=tuple(order))
            return super().answer(core, effect)

    found: list[FoundLanding] = []
    core = Killed(queue_of("abcd").plan, {}, seed=0).play()
    assert states(core) == dict.fromkeys("abcd", "landed")
    assert landed(core) == "abcd"


def test_what_is_found_before_its_patches_are_applied_again_is_done_when_they_are() -> None:
    """Its process was killed after the landing; no other event is needed to end the run."""
    plan = Plan.from_json(
        {
            "maingate": 1,
            "name": "p",
            "gates": {"unit": {"run": "true"}},
            "workstreams": {"a": {"tasks": {"t": {"patch": "x"}, "u": {"patch": "y"}}}},
        }
    )
    run = picture_of(plan)
    [workstream] = run.order
    intent = LandingIntent(
        id="intent_1",
        run=run.id,
        workstream=workstream.id,
        old=BASE.commit,
        new="base|a",
        commits=defaultdict(lambda: "base|a"),
    )
    workstream.intents, workstream.open_intent = [intent], intent.id
    core = Core(run, RunLimits(worker_id="wrk_1", capacity=ROOM, window=3, gate_runs=1))
    queue = Queue(plan, {}, seed=0)
    waiting = queue.follow(core.begin())
    landed_as = Tip(commit="base|a", tree="base|a")
    found = FoundLanding(workstream=workstream.id, intent=intent.id, tip=landed_as)
    [look] = [effect for effect in waiting if isinstance(effect, LookAtTarget)]
    waiting.remove(look)
    waiting += queue.follow(core.handle(TargetSeen(look=look.look, head=landed_as, found=(found,))))
    while waiting:
        event = queue.answer(core, waiting.pop(0))
        waiting += queue.follow(core.handle(event)) if event is not None else []
    assert (core.is_over, states(core)) == (True, {"a": "landed"})


@pytest.mark.parametrize(("proof", "cars"), [(Proof.COMMIT, 4), (Proof.LATER, 4), (Proof.REF, 1)])
def test_the_proof_decides_which_positions_the_target_has(proof: Proof, cars: int) -> None:
    """One for each workstream, or one for all; only `commit` tests each of them."""
    queue = queue_of("abcd", workers=1, proof=proof)
    core = queue.play()
    assert landed(core) == "abcd"
    assert len(queue.cars) == cars
    assert len(queue.runs) == (4 if proof is Proof.COMMIT else 1)


def test_gates_of_one_workstream_are_not_asked_of_another_that_lands_after_it() -> None:
    """`c` breaks a gate that only `a` has: it lands if that has landed, as it would have one by one."""
    plan = Plan.from_json(
        {
            "maingate": 1,
            "name": "p",
            "gates": {name: {"run": "true", "on": ["landing"]} for name in ("unit", "lint")},
            "workstreams": {
                "a": {"tasks": {"t": {"patch": "x"}}, "gates": ["unit", "lint"]},
                "b": {"tasks": {"t": {"patch": "x"}}, "gates": ["unit"]},
                "c": {"tasks": {"t": {"patch": "x"}}, "gates": ["unit"]},
            },
        }
    )

    class Breaking(Queue):
        def _judge(self, core: Core, effect: JudgeChain) -> CoreEvent:
            assert core
            self.seconds += 1
            is_broken = "c" in effect.tip.commit.split("|")
            answers = tuple(
                GateAnswer(gate=gate, passed=not (is_broken and gate == "lint"), message="no")
                for gate in effect.gates
            )
            return ChainJudged(run=effect.run, answers=answers, started=self.seconds, ended=self.seconds)

    core = Breaking(plan, {}, seed=0).play()
    assert states(core) == {"a": "landed", "b": "landed", "c": "landed"}


@dataclass
class FailingFast(Queue):
    """A queue whose gates are asked in order until the first fails; `lint` is asked before `unit`."""

    red_units: set[str] = field(default_factory=set)
    asked: list[tuple[tuple[str, ...], tuple[str, ...]]] = field(default_factory=list)

    def _judge(self, core: Core, effect: JudgeChain) -> CoreEvent:
        self.seconds += 1
        names = tuple(core.workstream(ws_id).name for ws_id in effect.workstreams)
        self.asked.append((names, effect.gates))
        answers = []
        for gate in effect.gates:
            passed = gate == "lint" or not self.red_units & set(effect.tip.commit.split("|"))
            if gate == "lint" and self.flakes[names]:
                self.flakes[names] -= 1
                passed = False
            answers.append(GateAnswer(gate=gate, passed=passed, message="no"))
            if not passed:
                break
        return ChainJudged(
            run=effect.run, answers=tuple(answers), started=self.seconds - 1, ended=self.seconds
        )


def failing_fast(names: str, **rest: Any) -> FailingFast:
    """Make a queue of workstreams with two gates on the merged result."""
    gates = {name: {"run": "true", "on": ["landing"]} for name in ("lint", "unit")}
    tasks = {name: {"tasks": {"t": {"patch": "x"}}, "critical": False} for name in names}
    plan = Plan.from_json({"maingate": 1, "name": "p", "gates": gates, "workstreams": tasks})
    return FailingFast(plan, {}, seed=0, **rest)


def test_a_chain_lands_only_once_gates_that_were_not_asked_have_passed() -> None:
    """`lint` fails by chance, and alone is confirmed; then `unit` is asked, of which nothing is known."""
    queue = failing_fast("a", workers=1, flakes=Counter({("a",): 1}))
    assert landed(queue.play()) == "a"
    assert queue.asked == [(("a",), ("lint", "unit")), (("a",), ("lint",)), (("a",), ("unit",))]


@pytest.mark.parametrize("workers", [1, 2, 4])
@pytest.mark.parametrize("culprits", ["a", "c", "bd", "abcd"])
@pytest.mark.parametrize("flakes", [0, 1])
def test_a_failure_behind_one_that_was_a_flake_is_found(workers: int, culprits: str, flakes: int) -> None:
    """Each chain may fail at `lint` by chance first: the culprits alone are refused, because of `unit`."""
    queue = failing_fast("abcd", workers=workers, red_units={*culprits})
    queue.flakes.update({tuple("abcd"[:length]): flakes for length in range(1, 5)})
    core = queue.play()
    assert landed(core) == "".join(name for name in "abcd" if name not in culprits)
    for name in culprits:
        assert reason_of(core, name).detail["gates"] == ["unit"]


# -- gates that are deferred ---------------------------------------------------------------------------------


@dataclass
class Deferred(Queue):
    """A queue whose workstreams have several ready patches, some of which make the gates fail."""

    bad_patches: set[str] = field(default_factory=set)
    judged: list[str] = field(default_factory=list)
    failures: list[int | None] = field(default_factory=list)

    def answer(self, core: Core, effect: Effect) -> CoreEvent | None:
        """Answer, and note which patches were judged by themselves."""
        if isinstance(effect, JudgePatch):
            self.judged.append(core.task(effect.task).label)
            self.failures.append(effect.failures)
        return super().answer(core, effect)

    def is_red(self, tip: Tip, prefix: str = "") -> bool:
        """Tell whether a tree has a bad patch."""
        labels = re.split(r"[+|]", tip.tree)
        return any(label in self.bad_patches and label.startswith(prefix) for label in labels)

    def _judge(self, core: Core, effect: JudgeChain) -> CoreEvent:
        names = {core.workstream(ws_id).name for ws_id in effect.workstreams}
        on_it = [
            car.item.label
            for ws in core.run.order
            if ws.name in names and ws.lane is not None
            for car in ws.lane.chain
        ]
        self.red_sets = [{"base"}] if self.bad_patches & {*on_it} else []
        return super()._judge(core, effect)


def deferred(tasks: dict[str, Any], **rest: Any) -> Deferred:
    """Make a queue of two workstreams: `a` with some tasks, and `b` with a patch."""
    plan = Plan.from_json(
        {
            "maingate": 1,
            "name": "p",
            "gates": {"unit": {"run": "true"}},
            "workstreams": {"a": {"tasks": tasks}, "b": {"tasks": {"t": {"patch": "x"}}}},
        }
    )
    return Deferred(plan, {}, seed=0, **rest)


THREE = {name: {"patch": "x"} for name in ("t1", "t2", "t3")}


def test_a_green_workstream_costs_one_run_whatever_its_patches() -> None:
    """No patch is judged by itself; all are verified and committed with the merged result."""
    queue = deferred(THREE, workers=1)
    core = queue.play()
    assert queue.judged == []
    assert queue.runs == [("a", "b")]
    assert {(str(task.state), str(task.require_patch().state)) for task in core.tasks} == {
        ("completed", "committed")
    }


def test_a_critical_culprit_is_named_and_ends_its_workstream() -> None:
    """Its own lane is asked; the other workstream lands."""
    queue = deferred(THREE, bad_patches={"a/t2"})
    core = queue.play()
    assert states(core) == {"a": "gate_failed", "b": "landed"}
    assert {*queue.judged} >= {"a/t1", "a/t2"}
    ended = {task.label: str(task.require_patch().state) for task in core.tasks}
    assert ended == {"a/t1": "dropped", "a/t2": "quarantined", "a/t3": "dropped", "b/t": "committed"}


def test_a_culprit_that_is_not_critical_is_passed_over() -> None:
    """The rest of its workstream lands."""
    queue = deferred(THREE | {"t2": {"patch": "x", "critical": False}}, bad_patches={"a/t2"})
    core = queue.play()
    assert states(core) == {"a": "landed", "b": "landed"}
    ended = {task.label: str(task.require_patch().state) for task in core.tasks}
    assert ended == {"a/t1": "committed", "a/t2": "quarantined", "a/t3": "committed", "b/t": "committed"}


def test_a_workstream_that_is_refused_is_judged_by_itself_and_holds_up_no_other() -> None:
    """Its patch is named; the others have landed before that."""
    queue = deferred({"t1": {"patch": "x"}}, bad_patches={"a/t1"})
    core = queue.play()
    assert states(core) == {"a": "gate_failed", "b": "landed"}
    assert queue.judged == ["a/t1"]


@pytest.mark.parametrize(
    ("gate", "task"),
    [({"on": ["task", "landing"]}, {}), ({}, {"gates": ["unit"]}), ({"on": ["landing"]}, {})],
)
def test_a_plan_may_ask_for_each_patch(gate: dict[str, Any], task: dict[str, Any]) -> None:
    """By the gate's `on`, or by a list of a task; where no gate is asked of patches, nothing is deferred."""
    plan = Plan.from_json(
        {
            "maingate": 1,
            "name": "p",
            "gates": {"unit": {"run": "true"} | gate},
            "workstreams": {"a": {"tasks": {"t": {"patch": "x"} | task}}},
        }
    )
    queue = Deferred(plan, {}, seed=0)
    core = queue.play()
    assert states(core) == {"a": "landed"}
    assert queue.judged == ([] if gate == {"on": ["landing"]} else ["a/t"])


@pytest.mark.parametrize("moment", [SealCar, BuildChain])
def test_a_patch_that_is_cancelled_while_its_car_is_made_ready_does_not_land(moment: type[Effect]) -> None:
    """Its workstream is built and proved again without it, also if only that patch was in conflict."""
    late: list[Effect] = []
    cars: list[set[str]] = []

    class Cancelling(Deferred):
        def answer(self, core: Core, effect: Effect) -> CoreEvent | None:
            if isinstance(effect, moment) and not late:
                late.append(effect)
                task = next(task for task in core.tasks if task.label == "a/t2")
                return CancelRequested(entity=task.id, reason=LOST)
            if isinstance(effect, LandCar):
                cars.append({patch for member in effect.members for patch in member.candidate.commits})
            return super().answer(core, effect)

        def _chain(self, effect: BuildChain) -> CoreEvent:
            link = effect.links[0]
            if moment is BuildChain and link.input.name == "a" and len(link.input.commits) == len(THREE):
                refused = LinkRefused(workstream=link.input.workstream, reason=CONFLICT, behind=None)
                return ChainBuilt(build=effect.build, candidates=(), refused=refused)
            return super()._chain(effect)

        def follow(self, decision: Decision) -> list[Effect]:
            delayed = late[:1] if len(late) == 1 else []
            late.extend(delayed)
            return [*super().follow(decision), *delayed]

    tasks = {**THREE, "t2": {"patch": "x", "critical": False}}
    core = Cancelling(deferred(tasks).plan, {}, seed=0).play()
    committed = {task.require_patch().id for task in core.tasks if task.label != "a/t2"}
    assert cars == [committed]
    assert {task.label: str(task.require_patch().state) for task in core.tasks} == {
        "a/t1": "committed",
        "a/t2": "dropped",
        "a/t3": "committed",
        "b/t": "committed",
    }


# -- several gates -------------------------------------------------------------------------------------------


@dataclass
class Gates(Queue):
    """A queue whose gates answer each by itself.

    Args:
        first: Gates that fail when they run for the first time, whatever they run on.
        broken: Gates that each workstream fails; without a name, the target does.
    """

    first: set[str] = field(default_factory=set)
    broken: dict[str, set[str]] = field(default_factory=dict)

    def _judge(self, core: Core, effect: JudgeChain) -> CoreEvent:
        self.runs.append(tuple(core.workstream(ws_id).name for ws_id in effect.workstreams))
        on_it = {"", *effect.tip.commit.split("|")}
        red = {gate for name in on_it for gate in self.broken.get(name, ())}
        answers: list[GateAnswer] = []
        for gate in effect.gates:
            is_blocked = any(not each.passed and each.gate in self.plan.gates[gate].needs for each in answers)
            passed = not is_blocked and gate not in red | self.first
            self.first -= set() if is_blocked else {gate}
            answers.append(GateAnswer(gate=gate, passed=passed, is_blocked=is_blocked, message="no"))
        self.seconds += 1
        return ChainJudged(
            run=effect.run, answers=tuple(answers), started=self.seconds - 1, ended=self.seconds
        )


def gates_of(gates: dict[str, Any], workstreams: dict[str, list[str]], **rest: Any) -> Gates:
    """Make a queue of workstreams that each have some gates on their merged result."""
    plan = Plan.from_json(
        {
            "maingate": 1,
            "name": "p",
            "gates": {name: {"run": "true", "on": ["landing"]} | gate for name, gate in gates.items()},
            "workstreams": {
                name: {"tasks": {"t": {"patch": "x"}}, "gates": names, "critical": False}
                for name, names in workstreams.items()
            },
        }
    )
    return Gates(plan, {}, seed=0, **rest)


@pytest.mark.parametrize("workers", [1, 4])
def test_a_gate_that_failed_once_is_not_confirmed_by_another_that_fails_once(workers: int) -> None:
    """The second run asks for `two`, which had waited for `one`: its only failure is confirmed, too."""
    queue = gates_of(
        {"one": {}, "two": {"needs": ["one"]}}, {"a": ["one", "two"]}, first={"one", "two"}, workers=workers
    )
    assert states(queue.play()) == {"a": "landed"}


@pytest.mark.parametrize("workers", [1, 2, 4, 8])
def test_a_target_that_is_red_in_one_gate_excuses_no_failure_in_another(workers: int) -> None:
    """`a` is to blame for `one`; `b` fails `two` as the target does; `c` has neither trouble."""
    queue = gates_of(
        {"one": {}, "two": {}, "three": {}},
        {"b": ["two"], "a": ["one"], "c": ["three"]},
        broken={"a": {"one"}, "": {"two"}},
        workers=workers,
    )
    core = queue.play()
    assert states(core) == {"a": "gate_failed", "b": "base_red", "c": "landed"}
    ends = {task.workstream.name: str(task.require_patch().state) for task in core.tasks}
    assert ends == {"a": "quarantined", "b": "dropped", "c": "committed"}


# -- blame says with whom ------------------------------------------------------------------------------------


def patches_of(names: str, **rest: Any) -> Queue:
    """Make a queue of workstreams of one ready patch, whose gates are deferred."""
    plan = Plan.from_json(
        {
            "maingate": 1,
            "name": "p",
            "gates": {"unit": {"run": "true"}},
            "workstreams": {name: {"tasks": {"t": {"patch": "x"}}, "critical": False} for name in names},
        }
    )
    return Queue(plan, {}, seed=0, **rest)


def reason_of(core: Core, name: str) -> Reason:
    """Return the reason why a workstream was refused."""
    return next(ws.reason for ws in core.run.order if ws.name == name and ws.reason is not None)


@pytest.mark.parametrize("workers", [1, 2, 4, 8])
def test_one_that_passes_alone_is_told_with_whom_it_fails(workers: int) -> None:
    """`e` fails with `b` alone: it is named, or is among those that no run at hand rules out."""
    core = patches_of("abcdef", red_sets=[{"b", "e"}], workers=workers).play()
    reason = reason_of(core, "e")
    assert landed(core) == "abcdf"
    assert "b" in reason.detail["with"]
    assert reason.message.startswith("it fails together with ")
    assert "green alone" in reason.message


def test_the_other_is_named_where_a_run_at_hand_tells_it() -> None:
    """Only `a` and `b` are there: nothing else can be meant."""
    reason = reason_of(patches_of("ab", red_sets=[{"a", "b"}]).play(), "b")
    assert reason.detail["with"] == ["a"]
    assert reason.message.startswith("it fails together with a, landed before it (green alone, red with a): ")


def test_the_others_are_named_once_where_they_are_all_that_landed() -> None:
    """Any of them may be the other one."""
    reason = reason_of(patches_of("abc", red_sets=[{"a", "b", "c"}]).play(), "c")
    told = "it fails together with one or more of a, b, landed before it (green alone, red with all of them)"
    assert reason.message.startswith(f"{told}: ")


def test_one_that_fails_alone_is_told_of_no_other() -> None:
    """Its own patch is judged by itself, and is red."""
    queue = deferred({"t1": {"patch": "x"}}, bad_patches={"b/t"})
    reason = reason_of(queue.play(), "b")
    assert "with" not in reason.detail


def test_what_is_refused_explains_the_failures_of_groups_that_it_was_in() -> None:
    """While its patch is judged by itself, nobody else is suspected for what it did."""
    suspected: list[set[str]] = []

    class Watched(Queue):
        def answer(self, core: Core, effect: Effect) -> CoreEvent | None:
            if isinstance(effect, JudgePatch):
                state = core._parts.landing_queue._queue
                groups = [
                    {state.member(id_of(item)).name for item in group} for group in state.facts.suspected
                ]
                suspected.extend(groups)
            return super().answer(core, effect)

    watched = Watched(patches_of("abcdefghijkl").plan, {}, seed=0, red_sets=[{"d"}, {"g"}], workers=3)
    assert landed(watched.play()) == "abcefhijkl"
    assert suspected
    assert not [group for group in suspected if "d" in group]


@pytest.mark.parametrize("workers", [1, 2])
def test_a_target_whose_older_pass_a_longer_chain_confirms_is_not_asked_again(workers: int) -> None:
    """What is behind the culprit has passed on the target since the culprit failed."""
    queue = queue_of("abcd", red_sets=[{"b"}], workers=workers)
    assert landed(queue.play()) == "acd"
    assert () not in queue.runs


@pytest.mark.parametrize("workers", [1, 2])
@pytest.mark.parametrize("failures", [1, 2])
def test_once_failures_were_flakes_later_ones_are_confirmed_more_often(workers: int, failures: int) -> None:
    """`c` fails on what is ahead again and again, after others of its failures were refuted."""
    queue = queue_of("abc", workers=workers)
    queue.flakes.update({("a", "b"): 1, ("a", "b", "c"): 1, ("b", "c"): failures})
    assert landed(queue.play()) == "abc"


@pytest.mark.parametrize(("passes", "failures"), [(0, 4), (5, 3), (50, 2)])
def test_a_failure_is_confirmed_until_it_is_believed(passes: int, failures: int) -> None:
    """The fourth one of a gate without a past, then the third, and the second one after many passes."""
    queue = queue_of("a", red_sets=[{"a"}], workers=1)
    queue.record = TrainRecord(gates={"unit": GatePast(passes=passes)})
    queue.play()
    assert queue.runs == [*[("a",)] * failures, ()]


def test_the_failure_of_a_patch_by_itself_counts_as_one_of_its_merged_result() -> None:
    """One confirmation less is made of the merged result, and the patch must fail as often as lacks then."""
    queue = deferred({"t1": {"patch": "x"}}, bad_patches={"b/t"}, workers=1)
    core = queue.play()
    assert (landed(core), queue.judged, queue.failures) == ("a", ["b/t"], [1])
    assert sum("b" in names for names in queue.runs) == 3


def test_one_that_passes_by_itself_is_refused_only_after_the_failures_that_lack() -> None:
    """It comes back after two failures: a third one refuses it, and a pass lets it land."""
    queue = patches_of("ab", red_sets=[{"a", "b"}], workers=2)
    assert states(queue.play())["b"] == "gate_failed"
    assert queue.runs.count(("b",)) + queue.runs.count(("a", "b")) >= 3
    queue = patches_of("ab", workers=2, flakes=Counter({("a", "b"): 1, ("b",): 1}))
    assert landed(queue.play()) == "ab"


def test_failures_are_not_confirmed_where_the_settings_say_so() -> None:
    """One failure is enough, whatever is known of the gate."""
    queue = queue_of("a", red_sets=[{"a"}], workers=1, confirms=False)
    core = queue.play()
    assert states(core) == {"a": "gate_failed"}
    assert queue.runs == [("a",), ()]


@pytest.mark.parametrize("seed", range(8))
def test_all_patches_are_applied_though_they_are_read_one_after_the_other(seed: int) -> None:
    """More than half of the patches are applied before the last ones have been read."""
    plan = Plan.from_json(
        {
            "maingate": 1,
            "name": "p",
            "gates": {"unit": {"run": "true"}},
            "workstreams": {"a": {"tasks": {f"t{number}": {"patch": "x"} for number in range(9)}}},
        }
    )
    assert states(World(plan, {}, seed=seed).run()) == {"a": "landed"}


# -- needs ---------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("proof", [Proof.COMMIT, Proof.REF])
@pytest.mark.parametrize("workers", [1, 4])
def test_one_that_needs_another_lands_in_one_order_on_one_base_however_many_land_at_once(
    proof: Proof, workers: int
) -> None:
    """`b` is behind `c`, which can land beside `a`, and begins on `a`, whether `c` came with it or not."""
    workstreams = {name: {"tasks": {"t": {"patch": "x"}}} for name in "abc"} | {
        "b": {"needs": ["a"], "tasks": {"t": {"patch": "x"}}}
    }
    plan = Plan.from_json(
        {"maingate": 1, "name": "p", "gates": {"unit": {"run": "true"}}, "workstreams": workstreams}
    )
    queue = Queue(plan, {}, seed=0, proof=proof, workers=workers)
    core = queue.play()
    assert "".join(name for car in queue.cars for name in car) == "acb"
    based_on = next(ws.base for ws in core.run.order if ws.name == "b")
    landed_a = next(ws.landed for ws in core.run.order if ws.name == "a")
    assert based_on == landed_a
