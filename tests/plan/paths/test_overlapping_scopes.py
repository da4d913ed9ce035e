"""Tasks whose tools may write the same paths are found, and none that can is passed over."""

from itertools import combinations, product
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from pathspec import GitIgnoreSpec
from pathspec.patterns.gitignore.base import GitIgnorePatternError

from maingate.plan.model import Plan
from maingate.plan.paths.glob_overlap import may_overlap
from maingate.plan.paths.overlapping_scopes import Scopes, earlier_rivals, overlapping
from support.examples import examples

NAMES = ["a", "b", "ab", "ba", ".a", "a.b"]
PATHS = ["/".join(parts) for depth in (1, 2, 3) for parts in product(NAMES, repeat=depth)]
PARTS = st.sampled_from(
    ["a", "b", "ab", "*", "**", "?", "a*", "*b", "?b", "a**", "[ab]", "[!a]*", "\\a", "*.b", "a.b"]
)


@st.composite
def globs(draw: st.DrawFn) -> str:
    """Draw a gitignore-style glob over few letters."""
    body = "/".join(draw(st.lists(PARTS, min_size=1, max_size=3)))
    glob = draw(st.sampled_from(["", "", "/", "!"])) + body + draw(st.sampled_from(["", "", "/", "/**"]))
    try:
        GitIgnoreSpec.from_lines([glob])
    except (GitIgnorePatternError, ValueError):
        return "a"
    return glob


@settings(max_examples=examples(400), deadline=None)
@given(st.lists(globs(), min_size=1, max_size=3), st.lists(globs(), min_size=1, max_size=3))
def test_no_path_that_matches_both_is_passed_over(one: list[str], other: list[str]) -> None:
    """Compared with all paths over a few names: globs that share one overlap."""
    first, second = GitIgnoreSpec.from_lines(one), GitIgnoreSpec.from_lines(other)
    shared = [path for path in first.match_files(PATHS) if second.match_file(path)]
    assert may_overlap(one, other) or not shared
    assert may_overlap(one, other) == may_overlap(other, one)


@pytest.mark.parametrize(
    ("one", "other"),
    [
        (["src/parser/**"], ["src/lexer/**"]),
        (["src/*.py"], ["src/*.c"]),
        (["/docs/"], ["/src/"]),
        (["/a"], ["/b"]),
        (["src/a?.py"], ["src/b?.py"]),
        (["!src/**"], ["src/**"]),
    ],
)
def test_scopes_that_cannot_meet_are_told_apart(one: list[str], other: list[str]) -> None:
    """Tasks that keep to different folders, or kinds of files, run side by side."""
    assert not may_overlap(one, other)


@pytest.mark.parametrize(
    ("one", "other"),
    [
        (["src/**"], ["src/parser/**"]),
        (["*.py"], ["src/"]),
        (["**"], ["x"]),
        (["src"], ["src/a/b"]),
        (["src/*.py"], ["**/test_*"]),
        (["a/b"], ["a/b"]),
        (["[ab]/x"], ["c/x"]),
        (["docs/"], ["src/"]),
        (["*.py"], ["*.md"]),
    ],
)
def test_scopes_that_can_meet_overlap(one: list[str], other: list[str]) -> None:
    """One path is enough, such as `docs/src/x`; where it is hard to tell, they are said to."""
    assert may_overlap(one, other)


def plan_of(workstreams: dict[str, Any], **keys: Any) -> Plan:
    """Make a plan with one tool."""
    return Plan.model_validate(
        {"maingate": 1, "tools": {"x": {"run": "x"}}, "workstreams": workstreams, **keys}
    )


def tool(*scope: str, **keys: Any) -> dict[str, Any]:
    """Make a task with a tool; without globs it has no scope."""
    return {"tool": "x", **({"scope": list(scope)} if scope else {}), **keys}


def test_pairs_are_told_in_the_order_of_the_plan() -> None:
    """Tasks of other workstreams count; ready patches and tasks without a scope do not."""
    plan = plan_of(
        {
            "v": {"tasks": {"a": tool("src/**"), "b": tool("docs/**"), "c": {"patch": "p"}}},
            "w": {"tasks": {"d": tool("src/a/**"), "e": tool()}},
        }
    )
    assert list(overlapping(plan)) == [
        (("v", "a"), ("w", "d")),
    ]


def test_tasks_that_wait_for_each_other_anyway_are_passed_over() -> None:
    """Needs of tasks and of workstreams, also by way of others."""
    plan = plan_of(
        {
            "v": {
                "tasks": {"a": tool("x"), "b": {"noop": True, "needs": ["a"]}, "c": tool("x", needs=["b"])}
            },
            "w": {"needs": ["v"], "tasks": {"d": tool("x")}},
        }
    )
    assert list(overlapping(plan)) == []


def test_what_the_policy_allows_limits_a_scope() -> None:
    """Two tasks that may write all that their workstreams allow cannot meet in different folders."""
    plan = plan_of(
        {
            "v": {"policy": {"allow": ["src/**"]}, "tasks": {"a": tool("**")}},
            "w": {"policy": {"allow": ["docs/**"]}, "tasks": {"b": tool("**")}},
        }
    )
    assert list(overlapping(plan)) == []


@pytest.mark.parametrize(
    ("of_plan", "of_v", "pairs"),
    [
        ("allow", None, []),
        ("allow", "serial", ["a b", "a c", "b c"]),
        ("serial", "allow", ["a c", "b c"]),
        ("serial", None, ["a b", "a c", "b c"]),
    ],
)
def test_the_plan_may_let_scopes_overlap(of_plan: str, of_v: str | None, pairs: list[str]) -> None:
    """A workstream's word counts for its tasks; between workstreams both have to allow it."""
    plan = plan_of(
        {
            "v": {"overlap": of_v, "tasks": {"a": tool("**"), "b": tool("b")}},
            "w": {"tasks": {"c": tool("b")}},
        },
        overlap=of_plan,
    )
    assert [f"{one[1]} {other[1]}" for one, other in overlapping(plan)] == pairs


@pytest.mark.parametrize("overlap", ["allow", "serial"])
def test_tasks_without_a_scope_run_beside_all_others(overlap: str) -> None:
    """They declare nothing, whatever the plan says of scopes that overlap, and whatever others declare."""
    plan = plan_of({"v": {"tasks": {"a": tool(), "b": tool(), "c": tool("**")}}}, overlap=overlap)
    assert list(overlapping(plan)) == []
    assert earlier_rivals(plan) == {("v", name): [] for name in "abc"}


def test_a_task_waits_for_the_nearest_of_those_before_it() -> None:
    """One that such a task waits for itself has ended by then; those of other workstreams do not count."""
    plan = plan_of(
        {
            "v": {
                "tasks": {
                    "a": tool("/x"),
                    "b": tool("/y"),
                    "c": tool("/x", "/y"),
                    "d": tool("/x", "/y", "/z"),
                }
            },
            "w": {"tasks": {"e": tool("/x")}},
        }
    )
    assert earlier_rivals(plan) == {
        ("v", "a"): [],
        ("v", "b"): [],
        ("v", "c"): [("v", "b"), ("v", "a")],
        ("v", "d"): [("v", "c")],
        ("w", "e"): [],
    }


@settings(max_examples=60)
@given(st.lists(st.tuples(st.lists(globs(), min_size=1, max_size=2), st.booleans()), min_size=2, max_size=6))
def test_pairs_found_together_are_those_found_one_by_one(scopes: list[tuple[list[str], bool]]) -> None:
    """Globs are looked up in a tree; the answer is that of holding each task against each."""
    streams = {
        f"w{n}": {
            "tasks": {"t": tool(*scope)},
            **({"policy": {"allow": ["a/**", "*.b"]}} if has_policy else {}),
            **({"needs": [f"w{n - 1}"]} if n == 3 else {}),
        }
        for n, (scope, has_policy) in enumerate(scopes)
    }
    plan = plan_of(streams)
    apart = Scopes(plan)
    tasks = [(name, "t") for name in streams]
    assert list(overlapping(plan)) == [
        (one, other)
        for one, other in combinations(tasks, 2)
        if apart.keep_apart(one, other) and (one[0], other[0]) != ("w2", "w3")
    ]


def test_globs_are_held_against_few_others(monkeypatch: pytest.MonkeyPatch) -> None:
    """Tasks with a folder each are never compared; a shared file makes all pairs, which are only counted."""
    asked: list[tuple[str, str]] = []

    def names_meet(one: str, other: str) -> bool:
        asked.append((one, other))
        return one == other

    monkeypatch.setattr("maingate.plan.paths.overlapping_scopes.names_overlap", names_meet)
    monkeypatch.setattr("maingate.plan.paths.glob_overlap.names_overlap", names_meet)
    apart = {f"t{number}": tool(f"/src/{number}/**") for number in range(2000)}
    assert len(overlapping(plan_of({"w": {"tasks": apart}}))) == 0
    assert len(asked) == 0
    shared = {f"t{number}": tool(f"/src/{number}/**", "src/*.py") for number in range(1000)}
    pairs = overlapping(plan_of({"w": {"tasks": shared}}))
    assert len(pairs) == 1000 * 999 // 2
    assert next(iter(pairs)) == (("w", "t0"), ("w", "t1"))
    assert len(asked) < 10 * 1000


def test_many_tasks_that_need_each_other_are_ordered_in_time() -> None:
    """Ready patches are no tools, however many need each other."""
    chain = {f"t{n}": {"patch": "p", "needs": [f"t{n - 1}"] if n else []} for n in range(3000)}
    assert list(overlapping(plan_of({"w": {"tasks": chain}}))) == []
