"""prd.json as plans: the order of priority, what passes already, and what is wrong with them."""

import json
from pathlib import Path
from typing import Any

import pytest

from maingate.errors import UsageError
from maingate.importers.task_lists.prd import import_prd
from support.imported import order_of, problems_of, sound_plan


def write(folder: Path, stories: object, **head: Any) -> Path:
    """Write a prd.json."""
    path = folder / "prd.json"
    path.write_text(json.dumps({**head, "userStories": stories}, indent=1), encoding="utf-8")
    return path


AWAY = "take one of these dependencies away"


def story(identifier: object, **fields: Any) -> dict[str, Any]:
    """Return a story."""
    return {"id": identifier, "title": f"Story {identifier}", "passes": False, **fields}


def test_stories_come_in_the_order_of_their_priority(tmp_path: Path) -> None:
    """Each waits for those of the priority before; equal ones do not; those that pass are left out."""
    stories = [
        story("US-3", priority=3),
        story("US-1", priority=1, passes=True),
        story("US-2", priority=2, description="As a user.", acceptanceCriteria=["Works", "Fast"], notes="n"),
        story(7, priority=3),
        story("last"),
        story("later", priority=4.5),
        story("very last"),
    ]
    made = import_prd(
        write(tmp_path, stories, project="Shop", branchName="ralph/shop"), out=tmp_path / "p.yaml"
    )
    plan = sound_plan(made.path)
    assert plan.name == "Shop"
    assert order_of(plan) == {
        "us-2-story-us-2/us-2-story-us-2": [],
        "us-3-story-us-3/us-3-story-us-3": ["us-2-story-us-2"],
        "7-story-7/7-story-7": ["us-2-story-us-2"],
        "later-story-later/later-story-later": ["us-3-story-us-3", "7-story-7"],
        "last-story-last/last-story-last": ["later-story-later"],
        "very-last-story-very-last/very-last-story-very-last": ["last-story-last"],
    }
    task = plan.workstreams["us-2-story-us-2"].tasks["us-2-story-us-2"]
    assert task.title == "US-2: Story US-2"
    assert task.prompt == "Story US-2\n\nAs a user.\n\nAccepted when:\n- Works\n- Fast\n\nNotes:\nn"
    assert made.skipped == ("US-1: Story US-1 (passes)",)
    assert (
        made.notes[0] == "the PRD is for the branch 'ralph/shop': to land there, create it and give --target"
    )


def test_dependencies_hold_besides_priorities(tmp_path: Path) -> None:
    """A story may say itself what it needs; against the priorities that is a circle."""
    stories = [story("a", priority=1), story("b", priority=1, dependencies=["a"])]
    plan = sound_plan(import_prd(write(tmp_path, stories), out=tmp_path / "p.yaml").path)
    assert order_of(plan) == {"a-story-a/a-story-a": [], "b-story-b/b-story-b": ["a-story-a"]}
    stories = [story("a", priority=1, dependencies=["b"]), story("b", priority=2)]
    assert problems_of(lambda: import_prd(write(tmp_path, stories), out=tmp_path / "q.yaml")) == [
        "prd.json:9: stories wait for each other in a circle: a → b → a (take one of these dependencies away)"
    ]


def test_all_problems_are_told_at_once_with_their_lines(tmp_path: Path) -> None:
    """Wrong types, missing fields, ids given twice: each with its line, and nothing is written."""
    path = tmp_path / "prd.json"
    path.write_text(
        """{"project": 5, "userStories": [
{"id": "a", "title": "A", "passes": "false"},
{"id": "a", "title": "", "acceptanceCriteria": "works"},
{"id": "b", "title": "B", "priority": "high",
 "acceptanceCriteria": ["x",
   1]},
null
], "project": "x"}"""
    )
    assert problems_of(lambda: import_prd(path, out=tmp_path / "plan.yaml")) == [
        "prd.json:1: the PRD: 'project' must be text, not the number 5",
        "prd.json:2: story 'a': 'passes' must be true or false, not 'false' (write it without quotes)",
        "prd.json:3: story 'a': 'title' is empty (add it)",
        "prd.json:3: story 'a': 'acceptanceCriteria' must be a list, not 'works'",
        "prd.json:3: the story 'a' is there twice (first on line 2)",
        "prd.json:4: story 'b': 'priority' must be a number, not 'high'",
        "prd.json:6: story 'b': 'acceptanceCriteria' must be a list of text, not of the number 1",
        "prd.json:7: the PRD: 'userStories' has an entry that is null",
        "prd.json:8: 'project' is given twice (first on line 1)",
    ]
    assert not (tmp_path / "plan.yaml").exists()


def test_nulls_and_unknown_stories_are_left_out_and_told(tmp_path: Path) -> None:
    """What leads nowhere stops no import."""
    path = tmp_path / "prd.json"
    path.write_text(
        """{"userStories": [null,
{"id": "a", "title": "A", "acceptanceCriteria": ["x", null], "dependencies": ["gone"]}]}"""
    )
    made = import_prd(path, out=tmp_path / "plan.yaml")
    plan = sound_plan(made.path)
    assert plan.workstreams["a"].tasks["a"].prompt == "A\n\nAccepted when:\n- x"
    assert made.notes[:4] == (
        "line 1: the PRD: 'userStories' has an entry that is null; left out",
        "line 2: story 'a': 'acceptanceCriteria' has an entry that is null; left out",
        "line 2: story 'a' waits for 'gone', which does not exist; left out",
        "parts that lead nowhere, left out: 3; --strict refuses them",
    )


def test_circles_and_nameless_stories_are_told_with_all_the_rest(tmp_path: Path) -> None:
    """Other problems hide no circle, and a priority that cannot be read makes none."""
    path = tmp_path / "prd.json"
    path.write_text(
        """{"userStories": [
{"id": "a", "title": "A", "dependencies": ["b"]},
{"id": "b", "title": "B", "dependencies": ["a", "zz"]},
{"id": {}, "title": 5, "passes": "x", "priority": "1", "dependencies": ["yy"]},
{"id": "c", "title": "C", "priority": "first"},
{"id": "d", "title": "D", "priority": 1, "dependencies": ["c"]}
]}"""
    )
    assert problems_of(lambda: import_prd(path, out=tmp_path / "plan.yaml")) == [
        f"prd.json:2: stories wait for each other in a circle: a → b → a ({AWAY})",
        "prd.json:3: story 'b' waits for 'zz', which does not exist (known: c, d, a, b)",
        "prd.json:4: story 3: 'id' must be an id, text or a number, not keys with values",
        "prd.json:4: story 3: 'title' must be text, not the number 5",
        "prd.json:4: story 3: 'passes' must be true or false, not 'x' (write it without quotes)",
        "prd.json:4: story 3: 'priority' must be a number, not '1'",
        "prd.json:4: this story waits for 'yy', which does not exist (known: c, d, a, b)",
        "prd.json:5: story 'c': 'priority' must be a number, not 'first'",
    ]


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("{}", "'userStories' is missing"),
        ("[]", "must be keys with values"),
        ('{"userStories": {}}', "'userStories' must be a list"),
        ('{"userStories": []}', "has no open items"),
        ('{"userStories": [{"id": 1, "title": "t", "passes": true}]}', "has no open items"),
        ("{", "is not JSON"),
    ],
)
def test_what_is_no_prd_is_told(text: str, said: str, tmp_path: Path) -> None:
    """Broken and empty files are one clear error."""
    (tmp_path / "prd.json").write_text(text)
    with pytest.raises(UsageError, match=said):
        import_prd(tmp_path / "prd.json", out=tmp_path / "plan.yaml")
