"""What a workstream is built on: what the target held once all that it needs, directly or not, had ended."""

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import pytest

from support.crashing import KILLED, World, end_of
from support.factories import GitRepo
from support.landing import land

ONE, TWO = {"g": "one\n"}, {"g": "two\n"}


@pytest.fixture
def base(repo: GitRepo) -> GitRepo:
    """Give a repository with one file."""
    repo.commit({"f": "f\n"}, "base")
    return repo


def steps_of(repo: GitRepo) -> tuple[bytes, bytes]:
    """Make a patch that creates a file, and one that changes it then; the repository stays as it was."""
    first = repo.diff_of(ONE)
    return first, first.replace(b"new file mode 100644\n", b"").replace(b"/dev/null", b"a/g").replace(
        b"@@ -0,0 +1 @@\n+one", b"@@ -1 +1 @@\n-one\n+two"
    )


REFUSED: dict[str, Any] = {"patch": "broken", "critical": False}
NOTHING: dict[str, Mapping[str, Any]] = {
    "a command": {"tasks": {"t": {"command": "true"}}},
    "a point": {"tasks": {"t": {"noop": True}}},
    "a refused patch": {"tasks": {"t": REFUSED}},
    "a patch that is there already": {"tasks": {"t": {"patch": "first", "critical": False}}},
    "several": {"tasks": {"c": {"command": "true"}, "t": REFUSED, "n": {"noop": True, "needs": ["c"]}}},
}


@pytest.mark.parametrize("middle", NOTHING.values(), ids=NOTHING)
def test_one_that_landed_nothing_is_looked_through(base: GitRepo, middle: Mapping[str, Any]) -> None:
    """It needs one that landed nothing, which needs one that did: it begins on that."""
    first, second = steps_of(base)
    landed = land(
        base,
        {"first": first, "second": second, "broken": b"no patch at all\n"},
        workstreams={
            "w1": {"tasks": {"t": {"patch": "first"}}},
            "w2": {"needs": ["w1"], **middle},
            "w3": {"needs": ["w2"], **middle},
            "w4": {"needs": ["w3"], "tasks": {"t": {"patch": "second"}}},
        },
    )
    assert landed.workstream("w2")["landed"] is None
    assert landed.state == "succeeded"
    assert base.git("show", "main:g") == "two"


@pytest.mark.parametrize("order", [["left", "right"], ["right", "left"]])
def test_a_diamond_is_built_on_both_of_its_sides(base: GitRepo, order: list[str]) -> None:
    """Whichever side lands last, and although one of them landed nothing."""
    first, second = steps_of(base)
    sides = {
        "left": {"needs": ["top"], "tasks": {"t": {"patch": "first"}}},
        "right": {"needs": ["top"], "tasks": {"t": {"command": "true"}}},
    }
    landed = land(
        base,
        {"first": first, "second": second, "other": base.diff_of({"h": "h\n"})},
        workstreams={
            "top": {"tasks": {"t": {"patch": "other"}}},
            **{name: sides[name] for name in order},
            "bottom": {"needs": order, "tasks": {"t": {"patch": "second"}, "h": {"command": "test -f h"}}},
        },
    )
    assert landed.state == "succeeded"
    assert base.git("show", "main:g") == "two"


def test_what_somebody_else_pushed_before_is_part_of_it(base: GitRepo) -> None:
    """The target that the needed one landed on counts, not what the run began on."""
    first, second = steps_of(base)
    theirs = base.diff_of({"theirs": "x\n"})
    push = (
        f"cd {base.path} && B=$(git commit-tree -p main -m theirs "
        "$( (git ls-tree main; printf '100644 blob '; echo x | git hash-object -w --stdin | tr -d '\\n'; "
        "printf '\\ttheirs\\n') | git mktree)) && git update-ref refs/heads/main $B"
    )
    base.git("checkout", "-q", "--detach")
    landed = land(
        base,
        {"first": first, "second": second, "theirs": theirs},
        workstreams={
            "w1": {"tasks": {"p": {"command": push}, "t": {"patch": "first", "needs": ["p"]}}},
            "w2": {"needs": ["w1"], "tasks": {"t": {"command": "test -f theirs"}}},
            "w3": {"needs": ["w2"], "tasks": {"c": {"command": "test -f theirs"}, "t": {"patch": "second"}}},
        },
    )
    assert landed.state == "succeeded"
    assert (base.git("show", "main:g"), base.git("show", "main:theirs")) == ("two", "x")


@pytest.mark.parametrize("fault", ["landing.after-ref@1", "transaction.after@6", "gate.started@2"])
def test_a_process_that_takes_over_builds_on_the_same(tmp_path: Path, fault: str) -> None:
    """What landed in an earlier life of the run is seen through those that landed nothing, as in this one."""
    world = World.create(tmp_path / "world", {"f": "f\n"})
    first, second = steps_of(world.repo)
    world.write_plan(
        {"first": first, "second": second},
        gates={"unit": {"run": "test -f f"}},
        workstreams={
            "w1": {"tasks": {"t": {"patch": "first"}}},
            "w2": {"needs": ["w1"], "tasks": {"t": {"command": "test -f g"}}},
            "w3": {"needs": ["w2"], "tasks": {"t": {"noop": True}}},
            "w4": {"needs": ["w3"], "tasks": {"t": {"patch": "second"}}},
        },
    )
    assert world.run(fault=fault).ended() == KILLED
    assert end_of(world, world.finish()).report["state"] == "succeeded"
    assert world.repo.git("show", "main:g") == "two"
