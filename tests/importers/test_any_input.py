"""Whatever is imported, it gives a plan that is in order or one clear error, and then nothing is written."""

import json
import tempfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from maingate.errors import UsageError
from maingate.importers.swebench.options import SwebenchOptions
from maingate.importers.swebench.plans import import_swebench
from maingate.importers.swebench.results import write_results
from maingate.importers.task_lists.beads import import_beads
from maingate.importers.task_lists.markdown import import_markdown
from maingate.importers.task_lists.prd import import_prd
from maingate.importers.task_lists.taskmaster import import_taskmaster
from maingate.plan.order import stable_order
from support.examples import examples
from support.imported import sound_plan

Importer = Callable[[Path, Path], Any]

IMPORTERS: dict[str, Importer] = {
    "taskmaster": lambda source, out: import_taskmaster(source, out=out),
    "beads": lambda source, out: import_beads(source, out=out),
    "prd": lambda source, out: import_prd(source, out=out),
    "markdown": lambda source, out: import_markdown(source, out=out),
    "swebench": lambda source, out: import_swebench(source, out=out),
    "results": lambda source, out: write_results([source], out=out),
}

JUNK = st.one_of(
    st.none(), st.booleans(), st.integers(), st.floats(), st.text(max_size=5), st.just([]), st.just({})
)
"""What is wanted nowhere; NaN and the infinities among it are not even JSON."""
IDS = st.one_of(
    st.integers(1, 4), st.sampled_from(["1", "2", "1.1", "2.1", "a", "A", "é/..", "x" * 200, "日"])
)
TEXT = st.one_of(
    st.text(max_size=20), st.sampled_from(["Do it", "a: b", "- x", "#", "'", "\x85", "two\nlines"])
)


def maybe(wanted: st.SearchStrategy[Any], junk: int = 12) -> st.SearchStrategy[Any]:
    """Return mostly what is wanted, and at times something else."""
    return st.integers(0, junk).flatmap(lambda dice: JUNK if dice == 0 else wanted)


def record(**fields: st.SearchStrategy[Any]) -> st.SearchStrategy[Any]:
    """Return an object with some of the fields."""
    return maybe(st.fixed_dictionaries({}, optional={key: maybe(value) for key, value in fields.items()}), 30)


def listed(items: st.SearchStrategy[Any], most: int = 4) -> st.SearchStrategy[Any]:
    """Return a short list."""
    return maybe(st.lists(maybe(items), max_size=most), 30)


SUBTASKS = listed(
    record(id=IDS, title=TEXT, dependencies=listed(IDS), status=st.sampled_from(["done", "review"]))
)
TASKS = listed(
    record(
        id=IDS,
        title=TEXT,
        description=TEXT,
        status=st.sampled_from(["pending", "done", "cancelled", "in_progress"]),
        priority=st.sampled_from(["high", "low"]),
        dependencies=listed(IDS, 2),
        subtasks=SUBTASKS,
    )
)
ISSUES = st.lists(
    record(
        id=IDS,
        title=TEXT,
        status=st.sampled_from(["open", "closed"]),
        issue_type=st.sampled_from(["epic", "task"]),
        dependencies=listed(
            record(
                depends_on_id=IDS, type=st.sampled_from(["blocks", "parent-child", "waits-for", "related"])
            ),
            2,
        ),
        _type=st.sampled_from(["issue", "memory"]),
    ),
    max_size=5,
)
STORIES = listed(
    record(
        id=IDS,
        title=TEXT,
        priority=st.one_of(st.integers(0, 3), st.floats(0, 3)),
        passes=st.booleans(),
        acceptanceCriteria=listed(TEXT),
        dependencies=listed(IDS, 1),
    )
)
PREDICTION = record(
    instance_id=IDS,
    model_patch=st.one_of(st.none(), TEXT, st.just("--- a/x\n+++ b/x\n@@ -1 +1 @@\n-a\n+b\n")),
)
REASONED = {"reason": record(code=TEXT)}
WORKSTREAM = record(name=TEXT, title=TEXT, state=st.sampled_from(["completed", "failed", "executing"]))
MARKUP = ("- ", "## ", "```", "<!--", "-->", "")
MARKDOWN = st.lists(
    st.builds(
        "".join,
        st.tuples(
            st.sampled_from(["", "  ", "\t", "    "]),
            st.sampled_from(["- [ ] ", "- [x] ", "* [X] ", "1. [ ] ", "2) [ ] ", "- [-] ", *MARKUP]),
            st.sampled_from(["", "T001 ", "T002 ", "**T003** ", "T4: "]),
            st.sampled_from(["", "[P] ", "[US1] ", "[P] [US2] "]),
            TEXT,
            st.sampled_from(["", *(f" (depends on {ids})" for ids in ("T001, T002", "T1-T3", "US1", "x"))]),
        ),
    ),
    max_size=8,
).map("\n".join)  # fmt: skip

FILES: dict[str, st.SearchStrategy[str]] = {
    "taskmaster": st.one_of(
        TASKS.map(lambda tasks: json.dumps({"tasks": tasks})),
        TASKS.map(lambda tasks: json.dumps({"master": {"tasks": tasks}}, indent=1)),
    ),
    "beads": ISSUES.map(lambda issues: "\n".join(json.dumps(issue) for issue in issues)),
    "prd": st.tuples(STORIES, maybe(TEXT)).map(
        lambda both: json.dumps({"userStories": both[0], "project": both[1], "branchName": both[1]})
    ),
    "markdown": MARKDOWN,
    "swebench": st.one_of(
        listed(PREDICTION).map(json.dumps),
        st.lists(PREDICTION, max_size=3).map(lambda all_: "\n".join(map(json.dumps, all_))),
        st.dictionaries(TEXT, PREDICTION, max_size=3).map(json.dumps),
    ),
    "results": st.fixed_dictionaries(
        {"run_id": st.just("r"), "workstreams": listed(WORKSTREAM)},
        optional={"tasks": listed(record(name=TEXT, patch=record(**REASONED), **REASONED))},
    ).map(json.dumps),
}  # fmt: skip


@st.composite
def _sound(draw: st.DrawFn, ids: str, fields: Any, link: Callable[[str], Any]) -> list[dict[str, Any]]:
    """Return objects with ids of their own that depend on some before them, in any order."""
    made = []
    for number, identifier in enumerate(ids):
        before = draw(st.lists(st.sampled_from(ids[:number]), max_size=2)) if number else []
        made.append({**draw(fields), "id": identifier, "dependencies": [link(one) for one in before]})
    return draw(st.permutations(made))


def _fields(**fields: st.SearchStrategy[Any]) -> st.SearchStrategy[Any]:
    return st.fixed_dictionaries({"title": st.just("Do it")}, optional=fields)


WORDS = st.text(st.characters(blacklist_categories=["Cs"], blacklist_characters="\0"), max_size=30)
SOUND_TASK = _fields(
    description=WORDS,
    status=st.sampled_from(["pending", "done", "cancelled", "in_progress"]),
    priority=st.sampled_from(["high", "low"]),
    subtasks=_sound("12", _fields(details=WORDS), int),
)


def _numbered(lines: list[tuple[str, str, str]]) -> str:
    numbered = (f"{box}T{number:03} {marks}{text}" for number, (box, marks, text) in enumerate(lines))
    return "\n".join(("- [ ] Begin", *numbered))


SOUND: dict[str, st.SearchStrategy[str]] = {
    "taskmaster": _sound("1234", SOUND_TASK, int).map(lambda tasks: json.dumps({"tasks": tasks})),
    "beads": _sound(
        "aBcdé",
        _fields(
            description=WORDS,
            status=st.sampled_from(["open", "closed"]),
            issue_type=st.sampled_from(["epic", "task"]),
            priority=st.integers(0, 4),
        ),
        lambda one: {"depends_on_id": one, "type": "parent-child" if one in "aB" else "blocks"},
    ).map(lambda issues: "\n".join(json.dumps(issue) for issue in issues)),
    "prd": _sound("1234", _fields(description=WORDS, passes=st.booleans(), notes=WORDS), str).map(
        lambda stories: json.dumps({"userStories": [{**one, "priority": int(one["id"])} for one in stories]})
    ),
    "markdown": st.lists(
        st.tuples(
            st.sampled_from(["- [ ] ", "- [x] ", "1. [ ] ", "## ", "  - [ ] ", "  "]),
            st.sampled_from(["", "[P] ", "[US1] ", "[P] [US2] "]),
            WORDS.map(lambda words: " ".join(("Do", *words.split()))),
        ),
        min_size=1,
    ).map(_numbered),
    "swebench": st.dictionaries(
        st.sampled_from(["a__b-1", "A__b-1", "日", "x y"]), st.fixed_dictionaries({"model_patch": WORDS})
    ).map(lambda all_: json.dumps({"a": {"model_patch": "x"}} | all_)),
}  # fmt: skip


@pytest.mark.parametrize("kind", SOUND)
@settings(max_examples=examples(100), deadline=None)
@given(data=st.data())
def test_what_is_in_order_gives_a_plan_that_is_in_order(kind: str, data: st.DataObject) -> None:
    """Any words, any order, any of it done: a plan that loads, unless nothing of it is open."""
    with tempfile.TemporaryDirectory() as folder:
        source, out = Path(folder, "source"), Path(folder, "plan.yaml")
        source.write_text(data.draw(SOUND[kind]), encoding="utf-8", newline="")
        try:
            IMPORTERS[kind](source, out)
        except UsageError as error:
            assert "has no open items" in str(error)  # noqa: PT017 - the other end is as good
        else:
            assert stable_order({name: one.needs for name, one in sound_plan(out).workstreams.items()})


def _import(kind: str, raw: bytes) -> None:
    with tempfile.TemporaryDirectory() as folder:
        source, out = Path(folder, "source"), Path(folder, "out", "plan.yaml")
        source.write_bytes(raw)
        try:
            IMPORTERS[kind](source, out)
        except UsageError as error:
            assert str(error).strip()  # noqa: PT017 - the other end is as good
            assert list(Path(folder).rglob("*.yaml")) == []
        else:
            if kind == "results":
                assert json.loads(out.read_text())["schema_version"] == 2
            else:
                sound_plan(out)


@pytest.mark.parametrize("kind", FILES)
@settings(max_examples=examples(150), deadline=None)
@given(data=st.data())
def test_what_looks_like_the_format_gives_a_sound_plan_or_an_error(kind: str, data: st.DataObject) -> None:
    """Files of the right shape with anything in them."""
    _import(kind, data.draw(FILES[kind]).encode(errors="surrogatepass"))


@pytest.mark.parametrize("kind", FILES)
@settings(max_examples=examples(60), deadline=None)
@given(
    raw=st.one_of(
        st.binary(max_size=40), st.text(alphabet='[]{}":,\\n0-dT xe\n', max_size=40).map(str.encode)
    )
)
def test_what_does_not_is_an_error(kind: str, raw: bytes) -> None:
    """Any bytes at all."""
    _import(kind, raw)


@pytest.mark.parametrize("kind", FILES)
@pytest.mark.parametrize("raw", [b"[" * 100_000, b'{"tasks":' * 50_000, b'{"a": 1' + b"0" * 5000 + b"}"])
def test_what_is_nested_or_long_without_end_is_an_error(kind: str, raw: bytes) -> None:
    """No depth and no number ends in a traceback."""
    _import(kind, raw)


@settings(max_examples=examples(60), deadline=None)
@given(
    predictions=st.lists(PREDICTION, max_size=3),
    instances=st.lists(
        record(
            instance_id=IDS,
            base_commit=st.just("a" * 40),
            test_patch=st.one_of(TEXT, st.just("--- a/t\n+++ b/t\n@@ -1 +1 @@\n-a\n+b\n")),
            FAIL_TO_PASS=st.one_of(listed(TEXT), listed(TEXT).map(json.dumps)),
            PASS_TO_PASS=st.just(["t.py::t"]),
        ),
        max_size=3,
    ),
)
def test_predictions_with_instances_too(predictions: list[Any], instances: list[Any]) -> None:
    """Two files of the right shape with anything in them."""
    with tempfile.TemporaryDirectory() as folder:
        source, other = Path(folder, "source"), Path(folder, "other")
        source.write_text(json.dumps(predictions))
        other.write_text(json.dumps(instances))
        try:
            made = import_swebench(
                source,
                out=Path(folder, "plans"),
                options=SwebenchOptions(instances=other, test_command="true {tests}"),
            )
        except UsageError:
            assert not Path(folder, "plans").exists()
        else:
            for plan in made.plans:
                sound_plan(plan)
