"""Checkbox lists as plans: what is a task, what is its text, who waits for whom, and spec-kit's lines."""

from pathlib import Path
from textwrap import dedent

import pytest

from maingate.errors import UsageError
from maingate.importers.plan_files import ImportedPlan
from maingate.importers.task_lists.markdown import import_markdown
from maingate.importers.task_lists.tool_plans import ToolPlanOptions
from maingate.plan.choices import Overlap
from maingate.plan.paths.overlapping_scopes import overlapping
from support.imported import order_of, problems_of, sound_plan

AWAY = "take one of these dependencies away"


def do_import(
    folder: Path, text: str, out: str = "plan.yaml", options: ToolPlanOptions | None = None
) -> ImportedPlan:
    """Write a list and import it."""
    path = folder / "tasks.md"
    path.write_text(dedent(text), encoding="utf-8")
    return import_markdown(path, out=folder / out, options=options)


def test_bullets_have_no_order_and_numbers_have(tmp_path: Path) -> None:
    """A list with bullets says nothing about order; in a numbered one each waits for the one before."""
    made = do_import(
        tmp_path,
        """\
        # Things
        - [ ] Paint the door
        - [x] Buy paint
        * [ ] Oil the lock

        1. [ ] Measure
        2. [X] Mark
        3. [ ] Saw

        Something else:

        1. [ ] Sweep
        """,
    )
    plan = sound_plan(made.path)
    assert order_of(plan) == {
        "line-2-paint-the-door/line-2-paint-the-door": [],
        "line-4-oil-the-lock/line-4-oil-the-lock": [],
        "line-6-measure/line-6-measure": [],
        "line-8-saw/line-8-saw": ["line-6-measure"],
        "line-12-sweep/line-12-sweep": [],
    }
    assert made.skipped == ("line 3: Buy paint (done)", "line 7: Mark (done)")
    assert list(overlapping(plan)) == []
    assert made.notes[-1].startswith("tools run side by side")
    assert plan.workstreams["line-8-saw"].tasks["line-8-saw"].prompt == "Saw\n\nFrom the section: Things"


@pytest.mark.parametrize(("overlap", "pairs"), [(None, 0), (Overlap.ALLOW, 0), (Overlap.SERIAL, 1)])
def test_tools_can_be_kept_one_after_the_other(tmp_path: Path, overlap: Overlap | None, pairs: int) -> None:
    """The tasks declare then that they may write every path; otherwise they declare nothing."""
    made = do_import(tmp_path, "- [ ] One\n- [ ] Two\n", options=ToolPlanOptions(overlap=overlap))
    assert len(overlapping(sound_plan(made.path))) == pairs


def test_what_stands_under_a_checkbox_is_its_text(tmp_path: Path) -> None:
    """Nested lists, paragraphs and code are told to the tool; checkboxes in code and comments are none."""
    made = do_import(
        tmp_path,
        """\
        <!-- - [ ] not this
        - [ ] nor this -->
        ```
        - [ ] code
        ```
        - [ ] Build the shed
        before winter

          With a window:

          - [x] roof
          - [ ] walls
              1. [ ] north

          ```sh
          - [ ] in code
          ```
        - Plain
          - [ ] Nested in a plain one
        - [x] Done
          - [ ] but not this
        > - [ ] quoted
        """,
    )
    plan = sound_plan(made.path)
    assert list(plan.workstreams) == ["line-6-build-the-shed-before-winter", "line-19-nested-in-a-plain-one"]
    (task,) = plan.workstreams["line-6-build-the-shed-before-winter"].tasks.values()
    assert task.prompt == (
        "Build the shed before winter\n\nWith a window:\n\n- [x] roof\n- [ ] walls\n    1. [ ] north\n\n"
        "```sh\n- [ ] in code\n```"
    )
    assert made.notes[0] == "line 20 is ticked, so what is open under it was left out too"


SPEC_KIT = """\
# Tasks: Lending

## Phase 1: Setup
- [x] T001 Make the project
- [ ] T002 Choose a licence
- [ ] T003 [P] Set up linting
- [ ] T004 Write the readme

## Phase 2: Foundations
- [ ] T005 [P] Tables in src/tables.py

## Phase 3: User Story 1 - Lend a book (Priority: P1)

### Tests
- [ ] T010 [P] [US1] Test of lending in tests/test_lend.py

### Code
- [ ] T012 [P] [US1] Book in src/book.py
- [ ] T013 [P] [US1] Reader in src/reader.py
- [ ] T014 [US1] Lend in src/lend.py (depends on T012, T013)
- [ ] T015 [US1] Take back

## Phase 4: User Story 2
- [ ] **T020** [US2] [P] Remind (depends on T012-T014 and T001)

## Phase 5: Polish
- [ ] T030 [P] Documents
- [ ] Tidy up
"""


def test_the_lines_of_spec_kit_say_who_waits_for_whom(tmp_path: Path) -> None:
    """Phases, stories, [P] and dependencies give the order; stories and phases land as one each."""
    made = do_import(tmp_path, SPEC_KIT)
    plan = sound_plan(made.path)
    workstreams = {name: (one.title, list(one.needs)) for name, one in plan.workstreams.items()}
    setup, foundations = "phase-1-setup", "phase-2-foundations"
    assert workstreams == {
        setup: ("Phase 1: Setup", []),
        foundations: ("Phase 2: Foundations", [setup]),
        "US1": ("US1: Phase 3: User Story 1 - Lend a book (Priority: P1)", [foundations]),
        "US2": ("US2: Phase 4: User Story 2", ["US1", foundations]),
        "phase-5-polish": ("Phase 5: Polish", [foundations, "US1", "US2"]),
    }
    needs = {name: list(task.needs) for one in plan.workstreams.values() for name, task in one.tasks.items()}
    assert needs == {
        "t002-choose-a-licence": [],
        "t003-set-up-linting": [],
        "t004-write-the-readme": ["t002-choose-a-licence", "t003-set-up-linting"],
        "t005-tables-in-src-tables-py": [],
        "t010-test-of-lending-in-tests-test-lend-py": [],
        "t012-book-in-src-book-py": [],
        "t013-reader-in-src-reader-py": [],
        "t014-lend-in-src-lend-py": [
            "t012-book-in-src-book-py",
            "t013-reader-in-src-reader-py",
            "t010-test-of-lending-in-tests-test-lend-py",
        ],
        "t015-take-back": ["t014-lend-in-src-lend-py"],
        "t020-remind": [],
        "t030-documents": [],
        "line-28-tidy-up": ["t030-documents"],
    }
    task = plan.workstreams["US1"].tasks["t014-lend-in-src-lend-py"]
    assert task.title == "T014: Lend in src/lend.py"
    assert task.prompt == (
        "Lend in src/lend.py\n\nFrom the section: Phase 3: User Story 1 - Lend a book (Priority: P1), Code"
    )
    assert made.skipped == ("T001: Make the project (done)",)
    assert list(overlapping(plan)) == []


def test_stories_wait_for_what_has_none_and_not_for_each_other(tmp_path: Path) -> None:
    """Only what is before them without a story comes first; what comes after without one waits for all."""
    text = """\
        ## Phase 1
        - [ ] T001 a
        ## Phase 2
        - [ ] T002 [US1] b
        ## Phase 3
        - [ ] T003 [US2] c
        ## Phase 4
        - [ ] T004 d
        """
    plan = sound_plan(do_import(tmp_path, text).path)
    assert {name: list(one.needs) for name, one in plan.workstreams.items()} == {
        "phase-1": [],
        "US1": ["phase-1"],
        "US2": ["phase-1"],
        "phase-4": ["phase-1", "US1", "US2"],
    }


def test_a_story_that_another_waits_for_in_the_middle_lands_with_it(tmp_path: Path) -> None:
    """Stories that wait for parts of each other are one workstream; a whole story can be waited for."""
    text = """\
        - [ ] T001 [P] [US1] a
        - [ ] T002 [P] [US2] b (depends on T001)
        - [ ] T003 [P] [US1] c (depends on T002)
        - [ ] T004 [P] [US3] d (depends on US1)
        """
    made = do_import(tmp_path, text)
    assert order_of(sound_plan(made.path)) == {
        "US1/t001-a": [],
        "US1/t002-b": ["t001-a"],
        "US1/t003-c": ["t002-b"],
        "US3/t004-d": ["US1"],
    }
    assert "US1 lands together with US2: their parts wait for each other" in made.notes


def test_all_problems_are_told_at_once_with_their_lines(tmp_path: Path) -> None:
    """Unknown ids, ids given twice, what only looks like a checkbox: each with its line."""
    text = """\
        - [ ] T001 One (depends on T009)
        - [ ] T001 Again
        - [-] T002 Half
        - [] T003 No space
        - [ ]
        - [ ] T004 Four (depends on the weather, T9-T1)
        - [ ] T005
        """
    assert problems_of(lambda: do_import(tmp_path, text)) == [
        "tasks.md:1: task 'T001' waits for 'T009', which does not exist (did you mean 'T005'?)",
        "tasks.md:2: the task 'T001' is there twice (first on line 1)",
        "tasks.md:3: '[-]' is neither an open nor a done checkbox (write '[ ]' or '[x]')",
        "tasks.md:4: '[]' is neither an open nor a done checkbox (write '[ ]' or '[x]')",
        "tasks.md:5: the checkbox says nothing (write what is to be done)",
        "tasks.md:6: task 'T004' depends on 'the', which is not a task id (write ids such as T012, T013)",
        "tasks.md:6: task 'T004' depends on 'weather', which is not a task id (write ids such as T012, T013)",
        "tasks.md:6: task 'T004' depends on 'T9-T1', which is not a range of tasks",
        "tasks.md:7: task 'T005' says nothing (write what is to be done)",
    ]
    assert not (tmp_path / "plan.yaml").exists()


def test_dependencies_in_words_are_left_out_and_told(tmp_path: Path) -> None:
    """What stands in a spec-kit task's parentheses need not be an id."""
    made = do_import(tmp_path, "- [ ] T001 One (depends on the weather, T007)\n- [ ] T002 [P] Two\n")
    assert made.notes[:4] == (
        "line 1: task 'T001' depends on 'the', which is not a task id; left out",
        "line 1: task 'T001' depends on 'weather', which is not a task id; left out",
        "line 1: task 'T001' waits for 'T007', which does not exist (did you mean 'T002'?); left out",
        "parts that lead nowhere, left out: 3; --strict refuses them",
    )


def test_circles_are_refused(tmp_path: Path) -> None:
    """A task that depends on one that comes after it could never begin."""
    text = "- [ ] T001 One (depends on T002)\n- [ ] T002 Two\n"
    (said,) = problems_of(lambda: do_import(tmp_path, text))
    assert said.startswith("tasks.md:1: tasks wait for each other in a circle: T001 → T002 → T001 (take one")


def test_circles_are_told_with_all_the_rest(tmp_path: Path) -> None:
    """Other problems hide no circle."""
    text = (
        "- [ ] T001 One (depends on T002)\n- [ ] T002 Two\n- [-] T003\n- [ ] T004 [P] F (depends on T077)\n"
    )
    assert problems_of(lambda: do_import(tmp_path, text)) == [
        f"tasks.md:1: tasks wait for each other in a circle: T001 → T002 → T001 ({AWAY})",
        "tasks.md:3: '[-]' is neither an open nor a done checkbox (write '[ ]' or '[x]')",
        "tasks.md:4: task 'T004' waits for 'T077', which does not exist (known: T001, T002, T004)",
    ]


@pytest.mark.parametrize(
    ("text", "said"),
    [("", "is empty"), ("# Words\n\nonly\n", "has no checkboxes"), ("- [x] all done\n", "has no open items")],
)
def test_what_has_no_open_checkbox_is_told(text: str, said: str, tmp_path: Path) -> None:
    """Empty files, files without checkboxes and files with nothing open are one clear error."""
    with pytest.raises(UsageError, match=said):
        do_import(tmp_path, text)
