"""Loading a plan: all that is wrong at once, or the plan."""

import json
import os
import time
from pathlib import Path

import pytest

from maingate.errors import PlanError, SettingsError
from maingate.plan.loader import LoadedPlan, load_plan, parse_plan
from maingate.plan.model import Plan
from maingate.settings import Settings
from support.factories import GitRepo
from support.plan_folder import PlanFolder


def test_a_small_plan_loads(folder: PlanFolder) -> None:
    """Values that are not stated have their defaults, and the name is the file's."""
    loaded = folder.load(folder.one_task("{patch: a.patch}"), name="small.yaml")
    assert loaded.plan.name == "small"
    assert loaded.patch_path("w", "t") == folder.path / "a.patch"
    assert loaded.root == folder.path
    assert loaded.line_of("workstreams", "w") == 3
    assert loaded.line_of("workstreams", "w", "tasks", "t", "scope") == 3
    assert loaded.line_of("gates") is None


def test_a_json_plan_is_the_same_plan(folder: PlanFolder) -> None:
    """YAML and JSON say the same things."""
    loaded = folder.load(folder.one_task("{patch: a.patch}", head="name: n"))
    again = folder.load(json.dumps(loaded.plan.as_json()), name="plan.json")
    assert again.plan == loaded.plan


def test_on_is_a_key(folder: PlanFolder) -> None:
    """The key that YAML 1.1 takes for true is read as written."""
    loaded = folder.load(folder.one_task("{patch: a.patch}", head="gates: {g: {run: 'true', on: [landing]}}"))
    assert (loaded.plan.task_gates("w", "t"), loaded.plan.landing_gates("w")) == ([], ["g"])


def test_many_mistakes_are_all_told_with_their_lines(folder: PlanFolder) -> None:
    """A dozen mistakes of every kind come in one go, in the order of the file, each with what to do."""
    (folder.path / "folder").mkdir()
    text = """\
    maingate: 1
    landing: merg
    strikt: true
    policy:
      max_files: 0
    gates:
      lint: {type: LINTT, run: "no-such-linter ."}
      unit: {run: "true", needs: [lnt], timeout: -10m, env: {PYTHON: 3.10}}
      a: {run: "true", needs: [b]}
      b: {run: "true", needs: [a]}
    tools:
      fixer: {run: [fix, "{prompt}"], preset: claude}
    workstreams:
      parser:
        needs: [lexer]
        gates: [unti]
        tasks:
          one: {patch: a.patch}
          one: {patch: a.patch}
          two: {patch: missing.patch, needs: [on, far], scope: []}
          three: {patch: folder, author: Ada}
          four: {tool: fxer, prompt: Do it}
          five: {}
          s ix: {patch: a.patch}
          seven: {patch: a.patch, scope: ["secrets/key"], critical: "yes"}
      other: {tasks: {far: {patch: a.patch}}}
      empty: {tasks: {}}
    """
    assert folder.problems(text) == [
        "plan.yaml:2: 'merg' is not a value for 'landing' (did you mean 'merge'?)",
        "plan.yaml:3: unknown key 'strikt' (did you mean 'strict'?)",
        "plan.yaml:5: policy: 'max_files' must be at least 1, not 0 (remove the key to have its default)",
        "plan.yaml:7: gates.lint: 'LINTT' is not a value for 'type' (did you mean 'LINT'?)",
        (
            "plan.yaml:7: gates.lint: cannot be run: 'no-such-linter' is not on PATH "
            "(install it, name its path, or let `prepare` install it)"
        ),
        (
            "plan.yaml:8: gates.unit: 'timeout': a duration must be above zero, not '-10m' "
            "(remove the key to have its default)"
        ),
        (
            "plan.yaml:8: gates.unit.env: 'PYTHON' must be text, not the number 3.1 "
            '(write it in quotes: "3.10")'
        ),
        "plan.yaml:8: gates.unit.needs: there is no gate 'lnt' (did you mean 'lint'?)",
        "plan.yaml:9: gates.a: gates need each other in a circle: a → b → a (remove one of these needs)",
        "plan.yaml:12: tools: tool 'fixer' has both 'run' and 'preset' (give exactly one)",
        (
            "plan.yaml:15: workstreams.parser.needs: there is no workstream 'lexer' "
            "(known: parser, other, empty)"
        ),
        "plan.yaml:16: workstreams.parser.gates: there is no gate 'unti' (did you mean 'unit'?)",
        "plan.yaml:19: workstreams.parser.tasks: 'one' is given twice (first on line 18)",
        "plan.yaml:20: workstreams.parser.tasks.two.needs: there is no task 'on' (did you mean 'one'?)",
        (
            "plan.yaml:20: workstreams.parser.tasks.two.needs: the task 'far' is in another workstream, "
            "'other' (let the workstream 'parser' need 'other')"
        ),
        (
            "plan.yaml:20: workstreams.parser.tasks.two: the file 'missing.patch' does not exist "
            "(paths are relative to the plan: missing.patch was looked for)"
        ),
        (
            "plan.yaml:20: workstreams.parser.tasks.two: the scope is empty: no patch fits "
            "(remove the key, or list globs)"
        ),
        (
            "plan.yaml:21: workstreams.parser.tasks.three: 'author': 'Ada' is not an author "
            '(write "Ada Example <ada@example.org>")'
        ),
        "plan.yaml:21: workstreams.parser.tasks.three: 'folder' is a folder (name a file in it)",
        "plan.yaml:22: workstreams.parser.tasks.four: there is no tool 'fxer' (did you mean 'fixer'?)",
        (
            "plan.yaml:23: workstreams.parser.tasks: task 'five' has none of 'patch', 'tool', 'command' and "
            "'noop' (give exactly one)"
        ),
        (
            "plan.yaml:24: workstreams.parser.tasks: 's ix' cannot be used as a name "
            "(a name starts with a letter or digit and goes on with letters, digits, '.', '_' and '-')"
        ),
        (
            "plan.yaml:25: workstreams.parser.tasks.seven: 'critical' must be true or false, not 'yes' "
            "(write true or false without quotes)"
        ),
        (
            "plan.yaml:25: workstreams.parser.tasks.seven: the scope 'secrets/key' leaves nothing to touch "
            "(only what is forbidden, or nothing at all, matches it)"
        ),
        "plan.yaml:27: workstreams.empty: 'tasks' is empty (put something in, or remove the key)",
    ]


def test_json_problems_have_lines_too(folder: PlanFolder) -> None:
    """A plan in JSON is refused with lines like one in YAML."""
    text = '{\n"maingate": 1,\n"gatess": {},\n"workstreams": {"w": {"tasks": {\n"t": {"patch": 5}}}}\n}\n'
    assert folder.problems(text, name="plan.json") == [
        "plan.json:3: unknown key 'gatess' (did you mean 'gates'?)",
        (
            "plan.json:5: workstreams.w.tasks.t: 'patch' must be text, not the number 5 "
            '(write it in quotes: "5")'
        ),
    ]


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("- a\n", "plan.yaml:1: is not a plan"),
        ("just text\n", "plan.yaml:1: is not a plan"),
        ("~\n", "plan.yaml:1: is not a plan"),
        (
            "maingate: 2\nworkstreams: {w: {tasks: {t: {patch: a.patch}}}}\n",
            "plan.yaml:1: 2 is not a value for 'maingate'",
        ),
        ("workstreams: {w: {tasks: {t: {patch: a.patch}}}}\n", "plan.yaml:1: 'maingate' is missing"),
        ("maingate: 1\n", "plan.yaml:1: 'workstreams' is missing"),
        ("maingate: 1\nworkstreams: {}\n", "plan.yaml:2: 'workstreams' is empty"),
        ("maingate: 1\nworkstreams: []\n", "plan.yaml:2: 'workstreams' must be keys with values, not a list"),
        ("maingate: 1\nworkstreams:\n", "plan.yaml:2: 'workstreams' has no value"),
        ("maingate: 1\nworkstreams: {w: {}}\n", "plan.yaml:2: workstreams.w: 'tasks' is missing"),
        (
            "maingate: 1\nworkstreams: {w: {tasks: {t: }}}\n",
            "plan.yaml:2: workstreams.w.tasks: 't' has no value",
        ),
    ],
)
def test_a_plan_without_the_needful_says_what_is_missing(folder: PlanFolder, text: str, said: str) -> None:
    """Missing values are reported by name, each once."""
    first, *others = folder.problems(text)
    assert first.startswith(said)
    assert [other for other in others if "is empty" not in other] == []


def test_a_wrong_part_does_not_make_those_who_need_it_wrong(folder: PlanFolder) -> None:
    """A gate with a mistake in it is known all the same: a list with its name is no mistake."""
    text = folder.one_task("{patch: a.patch, gates: [g]}", head="gates: {g: {run: 5}}")
    assert folder.problems(text) == [
        (
            "plan.yaml:2: gates.g: 'run': 5 is not a command (write a string "
            '(run by sh) or a list such as ["pytest", "-q"])'
        )
    ]


@pytest.mark.parametrize("name", ["absent.yaml", "."])
def test_a_file_that_cannot_be_read_is_told(folder: PlanFolder, name: str) -> None:
    """A missing plan and a folder are problems of that file."""
    with pytest.raises(PlanError, match="cannot be read"):
        load_plan(folder.path / name)


def test_faulty_settings_are_told_with_the_plan(folder: PlanFolder) -> None:
    """Mistakes in maingate.toml are reported with those in the plan, or alone if the plan is correct."""
    (folder.path / "maingate.toml").write_text("wrokers = 1\n")
    told = folder.problems(folder.one_task("{patch: none.patch}"))
    assert [line.split(":")[0] for line in told] == ["plan.yaml", "maingate.toml"]
    with pytest.raises(SettingsError, match="wrokers"):
        folder.load(folder.one_task("{patch: a.patch}"))


def test_the_repository_is_looked_for_around_the_plan_then_here(folder: PlanFolder, tmp_path: Path) -> None:
    """`repo` decides; else the plan's own folder comes before the working directory."""
    inside = folder.load(folder.one_task("{patch: a.patch}", head="repo: ."))
    assert inside.repository_candidates(tmp_path) == [folder.path]
    outside = tmp_path / "plans"
    outside.mkdir()
    (outside / "p.patch").touch()
    text = "maingate: 1\nworkstreams: {w: {tasks: {t: {patch: p.patch}}}}\n"
    loaded = parse_plan(text.encode(), path=outside / "plan.yaml", cwd=folder.path)
    assert loaded.repository_candidates(folder.path) == [outside, folder.path]
    assert loaded.root == folder.path


def test_a_repository_that_is_no_folder_is_told(folder: PlanFolder) -> None:
    """`repo` must lead somewhere."""
    assert folder.problems(folder.one_task("{patch: a.patch}", head="repo: nowhere")) == [
        "plan.yaml:2: 'repo': 'nowhere' is not a folder (paths are relative to the plan)"
    ]


def test_a_repository_that_is_no_repository_is_told(folder: PlanFolder, tmp_path: Path) -> None:
    """A folder without a repository around it is told with the line of `repo`."""
    (tmp_path / "bare").mkdir()
    problem = folder.problems(folder.one_task("{patch: a.patch}", head=f"repo: {tmp_path / 'bare'}"))[0]
    assert problem.startswith("plan.yaml:2: 'repo': ")
    assert "is not in a git repository (name a repository, or run `git init` there)" in problem


def test_a_wrong_name_does_not_hide_what_is_under_it(folder: PlanFolder) -> None:
    """Names that were refused, missing commands and empty workstreams leave their other keys to be judged."""
    text = """\
    maingate: 1
    gates:
      unit: {run: "true", needs: [lnt], bogus: 1}
      bare: {needs: [unt]}
    workstreams:
      bad name:
        tasks: {t: {patch: none.patch}}
      empty:
        needs: [nobody]
        gates: [unti]
        tasks: {}
    """
    told = "\n".join(folder.problems(text))
    for said in (
        "3: gates.unit: unknown key 'bogus'",
        "3: gates.unit.needs: there is no gate 'lnt'",
        "4: gates.bare: 'run' is missing",
        "4: gates.bare.needs: there is no gate 'unt' (did you mean 'unit'?)",
        "6: workstreams: 'bad name' cannot be used as a name",
        "7: workstreams.bad name.tasks.t: the file 'none.patch' does not exist",
        "9: workstreams.empty.needs: there is no workstream 'nobody'",
        "10: workstreams.empty.gates: there is no gate 'unti'",
        "11: workstreams.empty: 'tasks' is empty",
    ):
        assert said in told
    assert len(told.splitlines()) == 9


def test_a_prompt_comes_from_the_plan_or_a_file(folder: PlanFolder) -> None:
    """A prompt can stand in the plan or in a file beside it."""
    (folder.path / "ask.md").write_text("Änder es")

    def prompt_of(**task: str) -> str:
        plan = Plan.model_validate({"maingate": 1, "workstreams": {"w": {"tasks": {"t": task}}}})
        loaded = LoadedPlan(plan=plan, path=folder.path / "p", lines={}, root=None, settings=Settings())
        return loaded.prompt_text("w", "t")

    assert prompt_of(tool="x", prompt="Do") == "Do"
    assert prompt_of(tool="x", prompt_file="ask.md") == "Änder es"


@pytest.mark.skipif(os.geteuid() == 0, reason="root may read everything")
def test_a_patch_that_may_not_be_read_is_told(folder: PlanFolder) -> None:
    """A file without read permission is told before anything starts."""
    (folder.path / "a.patch").chmod(0)
    assert "permission denied" in folder.problems(folder.one_task("{patch: a.patch}"))[0]


def test_two_hundred_tasks_load_in_half_a_second(folder: PlanFolder) -> None:
    """Reading and judging a plan costs milliseconds per hundred tasks."""
    tasks = "".join(
        f"      t{n}: {{patch: a.patch, needs: [t{n - 1}], scope: ['src/**'], author: 'A <a@b>'}}\n"
        for n in range(1, 201)
    )
    file = folder.write(f"maingate: 1\nworkstreams:\n  w:\n    tasks:\n      t0: {{patch: a.patch}}\n{tasks}")
    started = time.process_time()
    load_plan(file)
    assert time.process_time() - started < 0.5


def test_an_empty_patch_file_is_no_problem_of_the_plan(folder: PlanFolder) -> None:
    """That a patch is empty is an outcome of its task."""
    (folder.path / "a.patch").write_bytes(b"")
    assert (
        folder.load(folder.one_task("{patch: a.patch}")).plan.workstreams["w"].tasks["t"].patch == "a.patch"
    )


def test_a_bare_repository_is_a_root(tmp_path: Path, repo: GitRepo) -> None:
    """A bare repository has settings at its root, and its files cannot be looked at."""
    bare = tmp_path / "bare.git"
    repo.commit({"a": "1"})
    repo.git("clone", "-q", "--bare", ".", str(bare))
    (bare / "p.patch").touch()
    text = "maingate: 1\ngates: {g: {run: [./check]}}\nworkstreams: {w: {tasks: {t: {patch: p.patch}}}}\n"
    assert parse_plan(text.encode(), path=bare / "plan.yaml", cwd=tmp_path).root == bare


def test_a_target_that_no_branch_can_be_called_is_refused(folder: PlanFolder) -> None:
    """With its line and the rule, among all other problems, before git is asked."""
    text = folder.one_task("{patch: a.patch, gates: [x]}", head="target: bad..ref")
    rule = "the name of a branch cannot contain '..', '@{' or '//'"
    assert folder.problems(text) == [
        f"plan.yaml:2: 'target': 'bad..ref' cannot be the name of a branch ({rule})",
        "plan.yaml:3: workstreams.w.tasks.t.gates: there is no gate 'x' (the plan has no gates)",
    ]
    assert folder.load(folder.one_task("{patch: a.patch}", head="target: refs/heads/x/y")).plan.target
