"""Beads exports as plans: what blocks and what does not, epics, lines of other kinds, and problems."""

import json
from collections.abc import Iterable
from pathlib import Path

import pytest

from maingate.errors import UsageError
from maingate.importers.task_lists.beads import import_beads
from support.imported import order_of, problems_of, sound_plan

BRACES = "an object in braces was expected"
AWAY = "take one of these dependencies away"


def write(folder: Path, lines: Iterable[object]) -> Path:
    """Write an issues.jsonl; text is written as it is."""
    path = folder / "issues.jsonl"
    texts = [line if isinstance(line, str) else json.dumps(line) for line in lines]
    path.write_text("".join(f"{text}\n" for text in texts), encoding="utf-8")
    return path


def on(identifier: str, kind: str) -> dict[str, str]:
    """Return a dependency."""
    return {"depends_on_id": identifier, "type": kind, "created_at": "2026-01-01T00:00:00Z"}


def test_blocking_types_order_and_others_do_not(tmp_path: Path) -> None:
    """Three types of dependencies make an issue wait; closed issues keep nobody waiting."""
    lines = [
        {"_schema": 3},
        {"_type": "memory", "key": "k", "value": "v"},
        {"_type": "issue", "id": "t-1", "title": "Lay pipes", "status": "open", "priority": 0},
        {"id": "t-2", "title": "Old thing", "status": "closed"},
        "",
        {
            "id": "t-3",
            "title": "Open the tap",
            "description": "Slowly.",
            "design": "A lever.",
            "acceptance_criteria": "Water runs.",
            "notes": "Cold first.",
            "status": "in_progress",
            "dependencies": [on("t-1", "blocks"), on("t-2", "blocks"), on("t-9", "related")],
        },
        {"id": "t-4", "title": "Call for help", "dependencies": [on("t-3", "conditional-blocks")]},
        {
            "id": "t-5",
            "title": "Close up",
            "dependencies": [on("t-4", "waits-for"), on("t-1", "parent-child")],
        },
        {
            "id": "t-6",
            "title": "Seen it",
            "dependencies": [on("t-1", "discovered-from")],
            "status": "deferred",
        },
        {"id": "t-7", "title": "Hello", "issue_type": "message"},
        {"id": "t-8", "title": "Gone", "status": "tombstone"},
    ]
    made = import_beads(write(tmp_path, lines), out=tmp_path / "plan.yaml")
    plan = sound_plan(made.path)
    assert {name: list(workstream.needs) for name, workstream in plan.workstreams.items()} == {
        "t-1-lay-pipes": [],
        "t-3-open-the-tap": ["t-1-lay-pipes"],
        "t-4-call-for-help": ["t-3-open-the-tap"],
        "t-5-close-up": ["t-4-call-for-help"],
        "t-6-seen-it": [],
    }
    task = plan.workstreams["t-3-open-the-tap"].tasks["t-3-open-the-tap"]
    assert task.title == "t-3: Open the tap"
    assert task.prompt == (
        "Open the tap\n\nSlowly.\n\nDesign:\nA lever.\n\nAccepted when:\nWater runs.\n\nNotes:\nCold first."
    )
    assert [workstream.priority for workstream in plan.workstreams.values()] == [2, 0, 0, 0, 0]
    assert made.skipped == ("t-2: Old thing (closed)", "t-7: Hello (a message)", "t-8: Gone (deleted)")
    assert made.notes[:3] == (
        "lines that are no issues, ignored: 2",
        "deferred or pinned, but in the plan: t-6",
        "conditional-blocks is imported as blocks: t-4",
    )


def test_an_epic_is_its_issues(tmp_path: Path) -> None:
    """Who waits for an epic waits for what is open under it, and what it waits for all of that waits for."""
    lines = [
        {"id": "e", "title": "Kitchen", "issue_type": "epic", "description": "A new one.",
         "dependencies": [on("permit", "blocks"), on("sink", "blocks")]},
        {"id": "sink", "title": "Sink", "dependencies": [on("e", "parent-child")]},
        {"id": "oven", "title": "Oven", "dependencies": [on("e", "parent-child"), on("sink", "blocks")]},
        {"id": "floor", "title": "Floor", "status": "closed", "dependencies": [on("e", "parent-child")]},
        {"id": "party", "title": "Party", "dependencies": [on("e", "blocks")]},
        {"id": "permit", "title": "Permit"},
        {"id": "done", "title": "Bath", "issue_type": "epic"},
        {"id": "tub", "title": "Tub", "status": "closed", "dependencies": [on("done", "parent-child")]},
    ]  # fmt: skip
    made = import_beads(write(tmp_path, lines), out=tmp_path / "plan.yaml")
    plan = sound_plan(made.path)
    assert order_of(plan) == {
        "sink/sink": ["permit"],
        "oven/oven": ["sink", "permit"],
        "party/party": ["sink", "oven"],
        "permit/permit": [],
    }
    assert plan.workstreams["oven"].tasks["oven"].prompt == (
        "Oven\n\nThis is a part of: Kitchen\n\nA new one."
    )
    assert "done: Bath (nothing of it is open)" in made.skipped


def test_all_problems_are_told_at_once_with_their_lines(tmp_path: Path) -> None:
    """Broken lines, wrong types, unknown issues: each with its line, and nothing is written."""
    lines = [
        '{"id": "a", "title": "A", "dependencies": [{"depends_on_id": "zz", "type": "blocks"}]}',
        '{"id": "b", "title": ',
        "[1]",
        '{"id": "c"}',
        '{"id": "a", "title": "A again", "priority": "P1"}',
        '{"id": "d", "title": "D", "dependencies": [{"issue_id": "x", "depends_on_id": 5}, 7]}',
        '{"title": "nameless"}',
    ]
    assert problems_of(lambda: import_beads(write(tmp_path, lines), out=tmp_path / "plan.yaml")) == [
        "issues.jsonl:1: issue 'a' waits for 'zz', which does not exist (known: a, c, d)",
        "issues.jsonl:2: is not JSON: a value was expected here",
        f"issues.jsonl:3: line 3 must be keys with values, not a list ({BRACES})",
        "issues.jsonl:4: issue 'c': 'title' is missing (add it)",
        "issues.jsonl:5: issue 'a': 'priority' must be a number, not 'P1'",
        "issues.jsonl:5: the issue 'a' is there twice (first on line 1)",
        "issues.jsonl:6: issue 'd': a dependency: 'issue_id' is another issue's (the line is that of 'd')",
        f"issues.jsonl:6: issue 'd': a dependency must be keys with values, not the number 7 ({BRACES})",
        "issues.jsonl:6: issue 'd' waits for '5', which does not exist (known: a, c, d)",
        "issues.jsonl:7: line 7: 'id' is missing (add it)",
    ]
    assert not (tmp_path / "plan.yaml").exists()


def test_dead_ends_are_left_out_and_each_is_told(tmp_path: Path) -> None:
    """Deleted issues, those of another project, and nulls: the other dependencies stay."""
    lines = [
        {"id": "bd-1", "title": "one", "dependencies": [on("gt-77", "blocks"), None]},
        {"id": "bd-2", "title": "two",
         "dependencies": [on("external:other:cap", "blocks"), on("bd-1", "blocks")]},
        {"id": "bd-3", "title": "three", "dependencies": [on("gone", "parent-child"), {"type": "blocks"}]},
        {"id": "bd-4", "title": "four", "status": "closed", "dependencies": [on("gt-78", "blocks")]},
    ]  # fmt: skip
    made = import_beads(write(tmp_path, lines), out=tmp_path / "plan.yaml")
    assert order_of(sound_plan(made.path)) == {
        "bd-1-one/bd-1-one": [],
        "bd-2-two/bd-2-two": ["bd-1-one"],
        "bd-3-three/bd-3-three": [],
    }
    assert [note for note in made.notes if "left out" in note] == [
        "line 1: issue 'bd-1': 'dependencies' has an entry that is null; left out",
        "line 1: issue 'bd-1' waits for 'gt-77', which does not exist; left out",
        "line 2: issue 'bd-2' waits for 'external:other:cap', which does not exist; left out",
        "line 3: issue 'bd-3': a dependency names no issue; left out",
        "line 3: issue 'bd-3' is a part of 'gone', which does not exist; left out",
        "parts that lead nowhere, left out: 5; --strict refuses them",
    ]


def test_circles_are_refused(tmp_path: Path) -> None:
    """Issues that block each other, and epics that are parts of each other, are told."""
    lines = [
        {"id": "a", "title": "A", "dependencies": [on("b", "blocks")]},
        {"id": "b", "title": "B", "dependencies": [on("a", "waits-for")]},
    ]
    assert problems_of(lambda: import_beads(write(tmp_path, lines), out=tmp_path / "plan.yaml")) == [
        f"issues.jsonl:1: issues wait for each other in a circle: a → b → a ({AWAY})"
    ]
    lines = [
        {"id": "a", "title": "A", "issue_type": "epic", "dependencies": [on("b", "parent-child")]},
        {"id": "b", "title": "B", "issue_type": "epic", "dependencies": [on("a", "parent-child")]},
    ]
    assert problems_of(lambda: import_beads(write(tmp_path, lines), out=tmp_path / "plan.yaml")) == [
        f"issues.jsonl:1: issues are parts of each other in a circle: a → b → a ({AWAY})"
    ]


def test_circles_and_nameless_issues_are_told_with_all_the_rest(tmp_path: Path) -> None:
    """Other problems hide no circle of either kind, and no circle hides another."""
    lines = [
        {"id": "a", "title": "A", "issue_type": "epic", "dependencies": [on("b", "parent-child")]},
        {"id": "b", "title": "B", "issue_type": "epic", "dependencies": [on("a", "parent-child")]},
        {"id": "c", "title": "C", "dependencies": [on("d", "blocks")]},
        {"id": "d", "title": 5, "dependencies": [on("c", "blocks")]},
        {"title": 5, "priority": "x", "status": 6, "dependencies": [on("zz", "blocks")]},
    ]
    assert problems_of(lambda: import_beads(write(tmp_path, lines), out=tmp_path / "plan.yaml")) == [
        f"issues.jsonl:1: issues are parts of each other in a circle: a → b → a ({AWAY})",
        f"issues.jsonl:3: issues wait for each other in a circle: c → d → c ({AWAY})",
        "issues.jsonl:4: issue 'd': 'title' must be text, not the number 5",
        "issues.jsonl:5: line 5: 'id' is missing (add it)",
        "issues.jsonl:5: line 5: 'status' must be text, not the number 6",
        "issues.jsonl:5: line 5: 'priority' must be a number, not 'x'",
        "issues.jsonl:5: line 5: 'title' must be text, not the number 5",
        "issues.jsonl:5: this issue waits for 'zz', which does not exist (known: a, b, c, d)",
    ]


def test_ids_of_any_kind_give_names_of_their_own(tmp_path: Path) -> None:
    """Ids with letters that no name has, and ids that differ in those only."""
    lines = [{"id": name, "title": "日本"} for name in ("bd-1.1", "bd-1 1", "BD-1.1", "日", "é/..")]
    plan = sound_plan(import_beads(write(tmp_path, lines), out=tmp_path / "plan.yaml").path)
    assert list(plan.workstreams) == ["bd-1-1", "bd-1-1-2", "bd-1-1-3", "part-4", "e"]
    assert [task.title for one in plan.workstreams.values() for task in one.tasks.values()] == [
        "bd-1.1: 日本",
        "bd-1 1: 日本",
        "BD-1.1: 日本",
        "日: 日本",
        "é/..: 日本",
    ]


@pytest.mark.parametrize("raw", [b"", b"\xff\n", b"\n\n"])
def test_a_file_without_issues_is_told(raw: bytes, tmp_path: Path) -> None:
    """Empty files and files that are no text are one clear error."""
    path = tmp_path / "issues.jsonl"
    path.write_bytes(raw)
    with pytest.raises(UsageError, match=r"is empty|not UTF-8"):
        import_beads(path, out=tmp_path / "plan.yaml")
    with pytest.raises(UsageError, match="cannot be read: no such file"):
        import_beads(tmp_path / "none.jsonl", out=tmp_path / "plan.yaml")
