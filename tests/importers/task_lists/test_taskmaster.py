"""Task Master's tasks.json as plans: both shapes, ids of either type, subtasks, and problems."""

import json
from pathlib import Path

import pytest

from maingate.errors import PlanError, UsageError
from maingate.importers.task_lists.taskmaster import import_taskmaster
from maingate.importers.task_lists.tool_plans import ToolPlanOptions
from support.imported import order_of, problems_of, sound_plan

WHOLE = "the whole is done when its parts are"
AWAY = "take one of these dependencies away"

TASKS = [
    {"id": 1, "title": "Make the table", "status": "done", "dependencies": []},
    {
        "id": "2",
        "title": "Read rows",
        "description": "All of them.",
        "details": "Stream them.\nNo buffering.",
        "testStrategy": "Read a million.",
        "status": "pending",
        "priority": "high",
        "dependencies": [1],
    },
    {
        "id": 5,
        "title": "Write rows",
        "description": "Fast.",
        "status": "in-progress",
        "dependencies": ["2", 9],
        "subtasks": [
            {"id": 1, "title": "Open the file", "status": "done", "dependencies": []},
            {"id": 2, "title": "Write one", "dependencies": [1]},
            {"id": 3, "title": "Write many", "dependencies": [2, "5.1"]},
        ],
    },
    {"id": 6, "title": "Document it", "dependencies": [5.2]},
    {"id": 7, "title": "Announce it", "dependencies": [5]},
    {"id": 9, "title": "Never mind", "status": "cancelled"},
]


def write(folder: Path, data: object) -> Path:
    """Write a tasks.json."""
    path = folder / "tasks.json"
    path.write_text(data if isinstance(data, str) else json.dumps(data, indent=1), encoding="utf-8")
    return path


@pytest.mark.parametrize("data", [{"master": {"tasks": TASKS, "metadata": {}}}, {"tasks": TASKS, "meta": {}}])
def test_open_tasks_become_tasks_of_a_tool(data: object, tmp_path: Path) -> None:
    """Tagged or legacy, ids as text, numbers or both: each waits for the open ones it depends on."""
    made = import_taskmaster(write(tmp_path, data), out=tmp_path / "plan.yaml")
    plan = sound_plan(made.path)
    assert order_of(plan) == {
        "2/2-read-rows": [],
        "5/5-2-write-one": ["2"],
        "5/5-3-write-many": ["5-2-write-one", "2"],
        "6/6-document-it": ["5"],
        "7/7-announce-it": ["5"],
    }
    task = plan.workstreams["2"].tasks["2-read-rows"]
    assert (task.title, task.tool) == ("2: Read rows", "claude")
    assert task.prompt == (
        "Read rows\n\nAll of them.\n\nDetails:\nStream them.\nNo buffering.\n\n"
        "How it is tested:\nRead a million."
    )
    assert plan.workstreams["5"].tasks["5-2-write-one"].prompt == (
        "Write one\n\nThis is a part of: Write rows\n\nFast."
    )
    assert plan.workstreams["2"].priority == 1
    assert made.skipped == (
        "1: Make the table (done)",
        "5.1: Open the file (done)",
        "9: Never mind (cancelled)",
    )


def test_a_tag_chooses_the_list(tmp_path: Path) -> None:
    """With several lists one is named; the only one there is needs no name."""
    one, two = [{"id": 1, "title": "one"}], [{"id": 1, "title": "two"}]
    source = write(tmp_path, {"a": {"tasks": one}, "b": {"tasks": two}})
    plan = sound_plan(import_taskmaster(source, out=tmp_path / "b.yaml", tag="b").path)
    assert (plan.name, [*plan.workstreams["1"].tasks]) == ("b", ["1-two"])
    with pytest.raises(UsageError, match=r"no tag 'master'; choose one with --tag \(known: a, b\)"):
        import_taskmaster(source, out=tmp_path / "plan.yaml")
    with pytest.raises(UsageError, match="no tag 'c'"):
        import_taskmaster(source, out=tmp_path / "plan.yaml", tag="c")
    with pytest.raises(UsageError, match="has no tags: leave out --tag a"):
        import_taskmaster(write(tmp_path, {"tasks": one}), out=tmp_path / "plan.yaml", tag="a")
    plan = sound_plan(
        import_taskmaster(write(tmp_path, {"only": {"tasks": one}}), out=tmp_path / "o.yaml").path
    )
    assert plan.name == "only"


def test_tasks_that_wait_for_parts_of_each_other_land_as_one(tmp_path: Path) -> None:
    """Two tasks of which neither could land first are one workstream, and that is told."""
    tasks = [
        {"id": 1, "title": "a", "subtasks": [{"id": 1, "title": "x"}, {"id": 2, "dependencies": ["2.1"]}]},
        {"id": 2, "title": "b", "subtasks": [{"id": 1, "dependencies": ["1.1"]}]},
        {"id": 3, "title": "c", "dependencies": [2]},
    ]
    made = import_taskmaster(write(tmp_path, {"tasks": tasks}), out=tmp_path / "plan.yaml")
    assert order_of(sound_plan(made.path)) == {
        "1/1-1-x": [],
        "1/2-1": ["1-1-x"],
        "1/1-2": ["2-1"],
        "3/3-c": ["1"],
    }
    assert "1 lands together with 2: their parts wait for each other" in made.notes


def test_all_problems_are_told_at_once_with_their_lines(tmp_path: Path) -> None:
    """Wrong types, unknown dependencies, ids given twice: each with its line, and nothing is written.

    What cannot be named is looked at all the same, and one wrong field hides no other.
    """
    text = """{"master": {"tasks": [
{"id": 1, "title": 7},
{"id": 1, "title": "again"},
{"title": "no id"},
{"id": 2, "status": "dnoe", "dependencies": [11,
  {}]},
"words",
{"id": 3, "priority": "hihg", "subtasks": [
  {"id": 1, "dependencies": ["3"]}], "dependencies": "2"},
{"id": true, "title": "x\\u0000", "status": 7, "dependencies": [12], "subtasks": [
  {"id": 1, "title": 5, "dependencies": [2]}]},
{"id": 4, "title": 5, "status": 7, "details": [], "priority": {}}
]}}"""
    assert problems_of(lambda: import_taskmaster(write(tmp_path, text), out=tmp_path / "plan.yaml")) == [
        "tasks.json:2: task '1': 'title' must be text, not the number 7",
        "tasks.json:3: the task '1' is there twice (first on line 2)",
        "tasks.json:4: task 3: 'id' is missing (add it)",
        "tasks.json:5: task '2': 'dnoe' is not a value for 'status' (did you mean 'done'?)",
        "tasks.json:5: task '2' waits for '11', which does not exist (did you mean '1'?)",
        "tasks.json:6: task '2': 'dependencies' must be an id, text or a number, not keys with values",
        "tasks.json:7: task 5 must be keys with values, not 'words' (an object in braces was expected)",
        "tasks.json:8: task '3': 'hihg' is not a value for 'priority' (did you mean 'high'?)",
        "tasks.json:9: task '3': 'dependencies' must be a list, not '2'",
        f"tasks.json:9: task '3.1' waits for '3', which it is a part of ({WHOLE})",
        "tasks.json:10: task 7: 'id' must be an id, text or a number, not true",
        "tasks.json:10: task 7: 'status' must be text, not the number 7",
        "tasks.json:10: task 7: 'title' has a NUL character in it (remove it)",
        "tasks.json:10: this task waits for '12', which does not exist (did you mean '2'?)",
        "tasks.json:11: subtask 1 of task 7: 'title' must be text, not the number 5",
        "tasks.json:12: task '4': 'status' must be text, not the number 7",
        "tasks.json:12: task '4': 'details' must be text, not a list",
        "tasks.json:12: task '4': 'title' must be text, not the number 5",
        "tasks.json:12: task '4': 'priority' must be text, not keys with values",
    ]
    assert [path.name for path in tmp_path.iterdir()] == ["tasks.json"]


@pytest.mark.parametrize(
    ("tasks", "said"),
    [
        (
            [{"id": 1, "dependencies": [2]}, {"id": 2, "dependencies": [1]}],
            "tasks wait for each other in a circle: 1 → 2 → 1",
        ),
        ([{"id": 1, "dependencies": [1]}], "task '1' waits for itself"),
        ([{"id": 1, "subtasks": [{"id": 1, "dependencies": ["1.1"]}]}], "task '1.1' waits for itself"),
        ([{"id": 2, "subtasks": [{"id": 1, "dependencies": [2]}]}], "'2', which it is a part of"),
    ],
)
def test_circles_are_refused(tasks: list[object], said: str, tmp_path: Path) -> None:
    """What could never begin is told with its way around."""
    with pytest.raises(PlanError) as refused:
        import_taskmaster(write(tmp_path, {"tasks": tasks}), out=tmp_path / "plan.yaml")
    assert said in str(refused.value)


def test_circles_are_told_with_all_the_rest(tmp_path: Path) -> None:
    """Other problems hide no circle; an id that is there twice hides nothing of either."""
    text = """{"tasks": [
{"id": 1, "dependencies": [2]},
{"id": 2, "dependencies": [1, 99]},
{"id": 2, "dependencies": [98]},
{"id": 3, "title": 5, "subtasks": [
  {"id": 1, "dependencies": [2]},
  {"id": 2, "dependencies": [1]}]}
]}"""
    assert problems_of(lambda: import_taskmaster(write(tmp_path, text), out=tmp_path / "plan.yaml")) == [
        f"tasks.json:2: tasks wait for each other in a circle: 1 → 2 → 1 ({AWAY})",
        "tasks.json:3: task '2' waits for '99', which does not exist (known: 1, 2, 3, 3.1, 3.2)",
        "tasks.json:4: the task '2' is there twice (first on line 3)",
        "tasks.json:4: task '2' waits for '98', which does not exist (known: 1, 2, 3, 3.1, 3.2)",
        "tasks.json:5: task '3': 'title' must be text, not the number 5",
        f"tasks.json:6: tasks wait for each other in a circle: 3.1 → 3.2 → 3.1 ({AWAY})",
    ]


def test_a_number_is_the_id_that_was_written(tmp_path: Path) -> None:
    """5.20 without quotes is the subtask 20, and not the subtask 2."""
    text = '{"tasks": [{"id": 5, "subtasks": [{"id": 2}]}, {"id": 6, "dependencies": [5.20]}]}'
    strict = ToolPlanOptions(is_strict=True)
    (said,) = problems_of(
        lambda: import_taskmaster(write(tmp_path, text), out=tmp_path / "plan.yaml", options=strict)
    )
    assert "task '6' waits for '5.20', which does not exist" in said


DEAD_ENDS = """{"tasks": [
{"id": 1, "title": "One", "dependencies": [null, 12],
 "subtasks": [null, {"id": 1, "title": "Part", "dependencies": ["7.3"]}]},
null,
{"id": 2, "title": "Two", "dependencies": [1]},
{"id": 3, "title": "Three", "status": "done", "dependencies": [99]}
]}"""
DEAD_ENDS_TOLD = [
    (2, "task '1': 'dependencies' has an entry that is null", ""),
    (2, "task '1' waits for '12', which does not exist", "did you mean '2'?"),
    (3, "subtask 1 of 1 is null", ""),
    (3, "task '1.1' waits for '7.3', which does not exist", "known: 1, 1.1, 2, 3"),
    (4, "task 2 is null", ""),
]


def test_dead_ends_are_left_out_and_each_is_told(tmp_path: Path) -> None:
    """Deleted tasks, and nulls in lists: the rest is the plan; the dead ends of a done task tell nothing."""
    made = import_taskmaster(write(tmp_path, DEAD_ENDS), out=tmp_path / "plan.yaml")
    assert order_of(sound_plan(made.path)) == {"1/1-1-part": [], "2/2-two": ["1"]}
    assert [note for note in made.notes if "left out" in note] == [
        f"line {line}: {said}{f' ({hint})' if hint.startswith('did') else ''}; left out"
        for line, said, hint in DEAD_ENDS_TOLD
    ] + ["parts that lead nowhere, left out: 5; --strict refuses them"]


def test_dead_ends_are_refused_on_request(tmp_path: Path) -> None:
    """With --strict, each is a problem of its line, and nothing is written."""
    strict = ToolPlanOptions(is_strict=True)
    said = problems_of(
        lambda: import_taskmaster(write(tmp_path, DEAD_ENDS), out=tmp_path / "plan.yaml", options=strict)
    )
    assert said == [
        f"tasks.json:{line}: {what}{f' ({hint})' if hint else ''}" for line, what, hint in DEAD_ENDS_TOLD
    ]
    assert not (tmp_path / "plan.yaml").exists()


def test_a_circle_among_done_tasks_keeps_nobody_waiting(tmp_path: Path) -> None:
    """Who depends on what is done does not wait for it."""
    tasks = [
        {"id": 1, "status": "done", "dependencies": [2]},
        {"id": 2, "status": "pending", "title": "t", "dependencies": [1]},
    ]
    made = import_taskmaster(write(tmp_path, {"tasks": tasks}), out=tmp_path / "plan.yaml")
    assert order_of(sound_plan(made.path)) == {"2/2-t": []}


@pytest.mark.parametrize(
    ("data", "said"),
    [
        ("", "is empty"),
        ('{"tasks": [', "is not JSON"),
        ("[]", "is not a tasks.json"),
        ("{}", "it has no 'tasks'"),
        ('{"tasks": 5}', "the tasks must be a list"),
        ('{"tasks": []}', "has no open items"),
        ('{"tasks": [{"id": 1, "status": "done"}]}', "has no open items"),
    ],
)
def test_what_is_no_list_of_tasks_is_told(data: str, said: str, tmp_path: Path) -> None:
    """Broken and empty files are one clear error."""
    with pytest.raises(UsageError, match=said):
        import_taskmaster(write(tmp_path, data), out=tmp_path / "plan.yaml")


def test_the_tool_and_the_rest_are_as_asked_for(tmp_path: Path) -> None:
    """Another preset, or a command of one's own; anything else is refused with what there is."""
    source = write(tmp_path, {"tasks": [{"id": 1, "title": "t"}]})
    options = ToolPlanOptions(tool="fixer=fix {prompt_file}", name="n", target="dev", gates={"unit": "true"})
    made = import_taskmaster(source, out=tmp_path / "own.yaml", options=options)
    plan = sound_plan(made.path)
    assert (plan.name, plan.target, plan.tools["fixer"].run) == ("n", "dev", "fix {prompt_file}")
    assert made.notes == ()
    plan = sound_plan(
        import_taskmaster(source, out=tmp_path / "codex.yaml", options=ToolPlanOptions(tool="codex")).path
    )
    assert plan.tools["codex"].preset == "codex"
    with pytest.raises(UsageError, match="did you mean 'claude'"):
        import_taskmaster(source, out=tmp_path / "no.yaml", options=ToolPlanOptions(tool="cluade"))
    with pytest.raises(UsageError, match="already exists and is not overwritten"):
        import_taskmaster(source, out=tmp_path / "own.yaml")
