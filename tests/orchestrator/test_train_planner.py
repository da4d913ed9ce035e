"""The rules of the planner of the train, one by one."""

from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import get_args

import pytest

from maingate.orchestrator.train.chains import CandidateChain, ChainRun
from maingate.orchestrator.train.facts import TrainFacts, TrainState
from maingate.orchestrator.train.planner import plan_train
from maingate.orchestrator.train.values import (
    SPECULATION,
    Purpose,
    TrainItem,
    TrainPause,
    TrainPlan,
    TrainPolicy,
    WantedRun,
    confirmations,
)
from maingate.plan.choices import Proof
from maingate.settings import Settings

TRUSTING = TrainPolicy(confirms=False, scouts=False)


class Queue:
    """A queue of items named by letters, with what is known of its chains.

    Args:
        risks: The risk of each item, in order.
    """

    def __init__(
        self, risks: Mapping[str, float], policy: TrainPolicy = TRUSTING, *, workers: int = 1
    ) -> None:
        self.items = [TrainItem(id=name, risk=risk) for name, risk in risks.items()]
        self.facts = TrainFacts()
        self.policy, self.workers = policy, workers
        self.running: dict[str, WantedRun] = {}
        self.said("", passed=True, started=-2)

    def chain(self, items: str) -> CandidateChain:
        """Return the chain of some items."""
        chain = self.facts.root
        for item in items:
            chain = chain.then(item)
        return chain

    def said(self, items: str, *, passed: bool, started: float = 0, times: int = 1) -> None:
        """Record what the gates said about a chain, in runs that took a second."""
        for number in range(times):
            run_id = f"{items} {started} {number}"
            run = ChainRun(id=run_id, passed=passed, started=started, ended=started + 1)
            self.facts.record(WantedRun(chain=self.chain(items), without=frozenset(), chance=1), run)

    def plan(self) -> TrainPlan:
        """Return what the planner says."""
        return plan_train(
            TrainState(
                facts=self.facts,
                items=self.items,
                running=self.running,
                workers=self.workers,
                policy=self.policy,
            )
        )

    def starts(self) -> list[str]:
        """Return the chains that are to be tested, the best first."""
        return names(self.plan().start)


def names(runs: Sequence[WantedRun]) -> list[str]:
    """Return the items of runs."""
    return ["".join(run.chain.items()) for run in runs]


def letters(count: int, risk: float) -> dict[str, float]:
    """Return the risks of some items that are alike."""
    return {chr(ord("a") + at): risk for at in range(count)}


# -- tests to start ------------------------------------------------------------------------------------------


def test_the_prefix_that_is_as_likely_to_pass_as_to_fail_is_tested() -> None:
    """Four items at 15 % pass together in about half of all cases."""
    assert Queue(letters(20, 0.15)).starts() == ["abcd"]


def test_a_healthy_queue_is_tested_at_once() -> None:
    """Items that hardly ever fail need one run together, whatever the number of workers."""
    assert Queue(letters(20, 0.0), workers=8).starts() == ["".join(letters(20, 0))]


@pytest.mark.parametrize(("count", "first"), [(16, 16), (17, 17), (20, 14)])
def test_no_few_items_are_left_for_a_run_of_their_own(count: int, first: int) -> None:
    """Fourteen items at 5 % are as likely to pass as to fail; a few more behind them are tested with them."""
    assert [len(chain) for chain in Queue(letters(count, 0.05)).starts()] == [first]


@pytest.mark.parametrize(("risk", "first"), [(0.37, "ab"), (0.39, "a")])
def test_items_that_are_likely_to_fail_are_tested_alone(risk: float, first: str) -> None:
    """Above 38 % two items together are likelier to fail than one is."""
    assert Queue(letters(4, risk)).starts() == [first]


def test_a_failing_prefix_is_halved() -> None:
    """The next run tells whether the first culprit is in the one half or in the other."""
    queue = Queue(letters(8, 0.01))
    queue.said("abcdefgh", passed=False)
    assert queue.starts() == ["abcd"]


def test_idle_workers_assume_the_likeliest_answers() -> None:
    """The pass and the failure of a run under way are both followed, the likelier first."""
    plan = Queue(letters(3, 0.4), workers=3).plan()
    assert [(names([run])[0], sorted(run.without), round(run.chance, 2)) for run in plan.start] == [
        ("a", [], 1.0),
        ("ab", [], 0.6),
        ("b", ["a"], 0.4),
    ]


def test_what_needs_an_assumed_culprit_is_left_out_with_it() -> None:
    """No chain has an item without those that it needs."""
    queue = Queue(letters(3, 0.4), workers=3)
    queue.items[1] = replace(queue.items[1], needs=frozenset("a"))
    assert {run.without for run in queue.plan().start} == {frozenset(), frozenset("ab")}


@pytest.mark.parametrize(("theta", "count"), [(0.01, 8), (0.3, 3), (0.7, 1)])
def test_no_run_is_started_that_is_hardly_needed(theta: float, count: int) -> None:
    """The threshold limits the runs, however many workers there are."""
    queue = Queue(letters(20, 0.2), replace(TRUSTING, theta=theta), workers=8)
    assert len(queue.starts()) == count


def test_of_equally_likely_runs_the_quick_one_comes_first() -> None:
    """Chances that are about the same are ordered by chance per second."""
    queue = Queue(letters(4, 0.292), workers=3)
    assert queue.starts() == ["ab", "abcd", "a"]
    queue.items[2] = replace(queue.items[2], seconds=60.0)
    assert queue.starts() == ["ab", "a", "abcd"]


def test_a_run_under_way_is_kept_for_a_slightly_better_one() -> None:
    """A run is cancelled only for one that is worth twice as much."""
    queue = Queue(letters(20, 0.15))
    queue.running["old"] = WantedRun(chain=queue.chain("abc"), without=frozenset(), chance=1.0)
    assert (queue.plan().start, queue.plan().cancel) == ((), ())


def test_a_run_that_tells_nothing_any_more_is_cancelled() -> None:
    """A run of a prefix is worthless once a longer one has passed."""
    queue = Queue(letters(20, 0.15))
    queue.running["old"] = WantedRun(chain=queue.chain("abc"), without=frozenset(), chance=1.0)
    queue.said("abcd", passed=True)
    assert queue.plan().cancel == ("old",)


def test_scouts_leave_alone_what_a_failing_chain_has_in_it() -> None:
    """A culprit is there, and is being looked for: a group with it would say nothing new."""
    queue = Queue(letters(12, 0.2), replace(TRUSTING, scouts=True), workers=4)
    queue.said("abcdef", passed=False)
    scouted = [run.scouted for run in queue.plan().start if run.purpose is Purpose.SCOUT]
    assert scouted
    assert {*"ghijkl"}.issuperset(item for group in scouted for item in group)


def test_scouts_find_out_about_the_items_behind() -> None:
    """Workers that chains would not use well test groups alone; a failing group is halved."""
    queue = Queue(letters(12, 0.2), replace(TRUSTING, scouts=True), workers=4)
    plan = queue.plan()
    assert names(plan.start) == ["abc", "def", "ghi", "jkl"]
    for run in plan.start:
        passed = "e" not in run.scouted
        verdict = ChainRun(id=names([run])[0], passed=passed, started=0, ended=1)
        queue.facts.record(run, verdict)
    (landed,) = queue.plan().land
    queue.items = queue.items[3:]
    queue.facts.landed(landed)
    assert names(queue.plan().start)[:2] == ["d", "de"]


# -- landing -------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("proof", "landed"),
    [(Proof.COMMIT, ["a"]), (Proof.REF, ["abcd"]), (Proof.LATER, ["a", "abc", "abcd"])],
)
def test_a_proof_decides_the_steps_of_the_target(proof: Proof, landed: list[str]) -> None:
    """`commit` lands what passed itself, `ref` jumps to the last pass, `later` skips only what is red."""
    queue = Queue(letters(5, 0.1), replace(TRUSTING, proof=proof))
    queue.said("a", passed=True)
    queue.said("ab", passed=False)
    queue.said("abcd", passed=True)
    assert names_of(queue.plan().land) == landed


def names_of(chains: Sequence[CandidateChain]) -> list[str]:
    """Return the items of chains."""
    return ["".join(chain.items()) for chain in chains]


def test_an_item_whose_own_gates_still_run_does_not_land() -> None:
    """Its own gates and those of the train must both have passed."""
    queue = Queue(letters(3, 0.1))
    queue.items[1] = replace(queue.items[1], may_land=False)
    queue.said("abc", passed=True)
    assert queue.plan().land == ()
    queue.said("a", passed=True)
    assert names_of(queue.plan().land) == ["a"]


def test_conflicting_items_wait_for_those_ahead() -> None:
    """An item is held by the first one ahead that it conflicts with, and so is an item that needs it."""
    queue = Queue(letters(4, 0.0))
    queue.items[1] = replace(queue.items[1], conflicts=frozenset("ad"))
    queue.items[2] = replace(queue.items[2], needs=frozenset("b"))
    assert queue.plan().hold == {"b": "a", "c": "a"}
    assert queue.starts() == ["ad"]


# -- blame ---------------------------------------------------------------------------------------------------


def test_an_item_is_blamed_once_its_failure_is_confirmed_and_the_base_passed_after_it() -> None:
    """The failure, its confirmation and the base are all facts before an item is refused."""
    queue = Queue(letters(1, 0.1), TrainPolicy(), workers=3)
    queue.said("a", passed=False)
    plan = queue.plan()
    assert plan.blame is None
    assert [(names([run])[0], run.purpose) for run in plan.start] == [
        ("a", Purpose.CONFIRM),
        ("", Purpose.BASE),
    ]
    queue.said("a", passed=False, started=1)
    assert queue.plan().blame is None
    queue.said("", passed=True, started=1)
    assert queue.plan().blame == "a"


def test_a_longer_chain_that_passes_says_that_the_base_has_not_begun_to_fail() -> None:
    """The base has passed before; only a pass after the failure began tells of the time since."""
    queue = Queue(letters(3, 0.1), TrainPolicy(), workers=3)
    queue.said("a", passed=False, times=2)
    assert [run.purpose for run in queue.plan().start if not run.chain.items()] == [Purpose.BASE]
    queue.said("b", passed=True, started=-1)
    assert queue.plan().blame is None
    queue.said("bc", passed=True)
    assert queue.plan().blame == "a"


def test_a_longer_chain_does_not_speak_for_a_base_that_never_passed() -> None:
    """It may have mended what the base fails."""
    queue = Queue(letters(3, 0.1), TrainPolicy(), workers=3)
    queue.facts = TrainFacts()
    queue.said("a", passed=False, times=2)
    queue.said("b", passed=True)
    assert queue.plan().blame is None


def test_what_was_refused_once_is_not_excused_by_the_time_since() -> None:
    """The base has passed after its first failure, on whatever that was."""
    queue = Queue(letters(1, 0.1), TrainPolicy())
    queue.said("a", passed=False, started=5, times=2)
    assert queue.plan().blame is None
    queue.items[0] = replace(queue.items[0], failing_since=-2)
    assert queue.plan().blame == "a"


def test_a_pass_among_the_confirmations_is_a_flake() -> None:
    """The chain has passed then, and lands."""
    queue = Queue(letters(1, 0.1), TrainPolicy())
    queue.said("a", passed=False)
    queue.said("a", passed=True, started=1)
    assert (queue.plan().blame, names_of(queue.plan().land)) == (None, ["a"])


def test_a_failure_that_is_likely_a_flake_is_asked_again_before_it_is_halved() -> None:
    """Items that seldom fail make gates that often do the likelier cause."""
    queue = Queue(letters(4, 0.001), TrainPolicy(flake_rate=0.2, scouts=False))
    queue.said("abcd", passed=False)
    assert [(names([run])[0], run.purpose) for run in queue.plan().start] == [("abcd", Purpose.CONFIRM)]


@pytest.mark.parametrize(
    ("rate", "count"), [(0.0, 1), (0.001, 1), (0.01, 2), (0.05, 3), (0.15, 4), (0.2, 5), (0.6, 5), (1.0, 5)]
)
def test_flaky_gates_are_confirmed_more_often(rate: float, count: int) -> None:
    """A false blame is rarer than 1 in 1,000 as far as five confirmations can make it so."""
    assert confirmations(rate) == count


def test_no_item_is_blamed_behind_one_that_has_not_landed() -> None:
    """Its predecessors are real only when they are on the target."""
    queue = Queue(letters(2, 0.1))
    queue.items[0] = replace(queue.items[0], may_land=False)
    queue.said("a", passed=True)
    queue.said("ab", passed=False)
    assert queue.plan().blame is None


@pytest.mark.parametrize(
    ("passed_once", "pause"), [(False, TrainPause.BASE_RED), (True, TrainPause.ENVIRONMENT_CHANGED)]
)
def test_a_red_base_blames_no_item(passed_once: bool, pause: TrainPause) -> None:
    """The train pauses until its base changes, and says whether the base passed once."""
    queue = Queue(letters(3, 0.1), TrainPolicy(), workers=2)
    if not passed_once:
        queue.facts = TrainFacts()
    queue.running["other"] = WantedRun(chain=queue.chain("abc"), without=frozenset(), chance=1.0)
    queue.said("a", passed=False, times=2)
    queue.said("", passed=False, started=1, times=2)
    assert queue.plan() == TrainPlan(pause=pause, cancel=("other",))
    queue.said("", passed=True, started=2)
    assert queue.plan().blame == "a"


def test_no_item_is_blamed_that_is_on_a_longer_chain_which_passed() -> None:
    """A later item may mend an earlier one: together they land."""
    queue = Queue(letters(2, 0.1))
    queue.items[1] = replace(queue.items[1], may_land=False)
    queue.said("a", passed=False)
    queue.said("ab", passed=True)
    assert (queue.plan().blame, queue.plan().land) == (None, ())
    queue.items[1] = replace(queue.items[1], may_land=True)
    assert names_of(queue.plan().land) == ["ab"]


def test_each_speculation_of_the_settings_has_a_threshold() -> None:
    """By the same names, from the one that starts most to the one that starts least."""
    names = get_args(Settings.model_fields["speculation"].annotation)
    assert list(SPECULATION) == [*names]
    assert sorted(SPECULATION.values()) == [SPECULATION[name] for name in names]
