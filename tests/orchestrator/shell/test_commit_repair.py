"""Commits that git has removed are made again from the record, or their workstream is given up alone."""

from collections.abc import Collection
from typing import Never

from maingate.commits import Tip
from maingate.errors import GitError, MissingObjectError
from maingate.ids import PatchId
from maingate.orchestrator.core import recorded_commits
from maingate.orchestrator.core.effect_inputs import RecordedChain, RecordedCommit
from maingate.orchestrator.core.snapshot import PatchNode, RunNode
from maingate.orchestrator.shell.commit_repair import Repaired, repair
from maingate.plan.model import Plan
from maingate.reasons import Reason, ReasonCode
from maingate.state.patch_ledger import PatchState
from maingate.uet.step_values import Committed
from orchestrator.core.test_core import picture_of

PLAN = Plan.model_validate(
    {
        "maingate": 1,
        "workstreams": {
            "a": {"tasks": {"one": {"patch": "1.patch"}, "two": {"patch": "2.patch"}}},
            "b": {"tasks": {"three": {"patch": "3.patch"}}},
        },
    }
)


def tip(name: str, tree: str = "") -> Tip:
    """Make a commit with a tree of its name."""
    return Tip(commit=name, tree=tree or f"tree of {name}")


def picture(*, has_ended: bool = False) -> RunNode:
    """Make a run whose patches stand on their workstreams' refs."""
    run = picture_of(PLAN)
    for workstream in run.order:
        workstream.base = tip("base")
        for task in workstream.tasks:
            patch = PatchId(f"patch_{task.name}")
            state = PatchState.DROPPED if has_ended else PatchState.VERIFIED
            task.patch = PatchNode(id=patch, head=task.head, state=state, commit=task.name)
            task.patch.tree = f"tree of {task.name}"
        workstream.settled = tip(workstream.tasks[-1].name)
    return run


def repaired(run: RunNode, *, there: Collection[str], made: dict[str, str], said: list[str]) -> Repaired:
    """Repair a run whose repository has some commits; the others are made again under other names."""

    def apply_again(commit: RecordedCommit, base: Tip, onto: Tip) -> Committed | Reason:
        assert base == tip("base")
        assert onto.commit not in {"one", "two", "three"} or onto.commit in there, "it is built on a lost one"
        if commit.tip.commit not in made:
            return Reason(code=ReasonCode.CONFLICT, message="it does not apply")
        return Committed(commit=made[commit.tip.commit], tree=commit.tip.tree, method="exact")

    return repair(
        recorded_commits.chains_of(run),
        is_there=lambda name: name in there,
        apply_again=apply_again,
        warn=said.append,
    )


def test_a_chain_that_is_there_is_left_as_it_is() -> None:
    """The last commit has all others in its history, so that one question is enough."""
    said: list[str] = []
    found = repaired(picture(), there={"two", "three"}, made={}, said=said)
    assert (found.broken, said) == ({}, [])
    assert not any(found.tips.values())


def test_an_error_of_the_moment_ends_no_workstream() -> None:
    """Git that fails once is asked again, as in all other work; one that fails each time is believed."""
    chains = recorded_commits.chains_of(picture())

    def repaired_with(errors: int) -> Repaired:
        left = iter([GitError("busy")] * errors)

        def is_there(_: str) -> bool:
            if (error := next(left, None)) is not None:
                raise error
            return True

        return repair(chains[:1], is_there=is_there, apply_again=_never, warn=_never)

    assert [len(repaired_with(errors).broken) for errors in range(5)] == [0, 0, 0, 1, 1]


def _never(*_: object) -> Never:
    raise AssertionError("nothing is to be done")


def test_lost_commits_are_made_again_on_each_other() -> None:
    """Each is applied to the new commit before it; people are told which were made again."""
    said: list[str] = []
    run = picture()
    found = repaired(run, there={"one", "three"}, made={"two": "two again"}, said=said)
    first = run.order[0]
    assert found.broken == {}
    assert found.tips[first.id] == {
        PatchId("patch_one"): tip("one"),
        PatchId("patch_two"): tip("two again", "tree of two"),
    }
    [sentence] = said
    assert "workstream a" in sentence
    assert sentence.endswith(": a/two")


def test_one_that_cannot_be_made_again_breaks_its_workstream_alone() -> None:
    """The other workstream is repaired, whatever became of the first."""
    run = picture()
    found = repaired(run, there=set(), made={"three": "three again"}, said=[])
    first, second = run.order
    assert isinstance(found.broken[first.id], MissingObjectError)
    assert "it does not apply" in str(found.broken[first.id])
    assert found.tips.keys() == {second.id}


def test_nodes_get_the_commits_that_were_made_again() -> None:
    """The head of the workstream's ref moves along when it was one of them."""
    workstream = picture().order[0]
    recorded_commits.correct(workstream, {PatchId("patch_two"): tip("two again", "tree of two")})
    assert [task.patch.commit for task in workstream.tasks if task.patch] == ["one", "two again"]
    assert workstream.settled == tip("two again", "tree of two")


def test_a_broken_workstream_builds_on_nothing() -> None:
    """It is ended for the lost commit, so no effect may use one of them any more."""
    workstream = picture().order[0]
    recorded_commits.forget(workstream)
    assert workstream.settled is None
    assert [task.patch.commit for task in workstream.tasks if task.patch] == [None, None]


def test_patches_that_do_not_stand_on_the_ref_are_no_part_of_a_chain() -> None:
    """A dropped patch keeps its commit on record; nothing is built on it."""
    assert recorded_commits.chains_of(picture(has_ended=True)) == []
    chains: list[RecordedChain] = recorded_commits.chains_of(picture())
    assert [[each.task.label for each in chain.commits] for chain in chains] == [
        ["a/one", "a/two"],
        ["b/three"],
    ]
