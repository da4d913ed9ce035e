"""Mistakes in a plan beyond its single fields."""

import os

import pytest

from maingate.plan.model import Plan
from support.plan_folder import PlanFolder

GOOD = "{patch: a.patch}"


@pytest.mark.parametrize(
    ("task", "said"),
    [
        ("{patch: a.patch, tool: x}", "has both 'patch' and 'tool' (give exactly one)"),
        ("{}", "has none of 'patch', 'tool', 'command' and 'noop' (give exactly one)"),
        ("{patch: a.patch, prompt: Do}", "'prompt' is for tools (a ready patch needs none: remove it)"),
        ("{patch: a.patch, needs: [t]}", "'t' needs itself (remove one of these needs)"),
        ("{tool: x}", "the tool 'x' needs a prompt (give 'prompt' or 'prompt_file')"),
        (
            "{tool: x, prompt: a, prompt_file: a.patch}",
            "both 'prompt' and 'prompt_file' are given (give one)",
        ),
        ("{tool: x, prompt_file: none.md}", "the file 'none.md' does not exist"),
        ("{patch: a.patch, date: '2026-01-31'}", "'date' has no time zone"),
        ("{patch: a.patch, date: yesterday}", "'date' is not a date: 'yesterday'"),
        ("{patch: a.patch, message: ' '}", "'message': the text is empty"),
        ("{patch: a.patch, max_retries: -1}", "'max_retries' must be at least 0, not -1"),
        (
            "{patch: a.patch, max_retries: '3'}",
            "'max_retries' must be a whole number, not '3' (write 3 without quotes)",
        ),
        ("{patch: a.patch, scope: 'src/**'}", "'scope' must be a list, not 'src/**' (write [\"src/**\"])"),
        (
            "{patch: a.patch, gates: [5]}",
            "'gates' must be text, not the number 5 (write it in quotes: \"5\")",
        ),
        ("5", "'t' must be keys with values, not the number 5"),
    ],
)
def test_a_task_that_cannot_be_done_is_told(folder: PlanFolder, task: str, said: str) -> None:
    """Each mistake in a task is one problem that says what to do."""
    head = "tools: {x: {run: [x, '{prompt}']}}"
    problem = folder.problems(folder.one_task(task, head=head))[0]
    assert said in problem


def test_circles_of_tasks_and_workstreams_are_told(folder: PlanFolder) -> None:
    """A circle is told once, as a way one can follow."""
    text = """\
    maingate: 1
    workstreams:
      a:
        needs: [b]
        tasks:
          t: {patch: a.patch, needs: [u]}
          u: {patch: a.patch, needs: [v]}
          v: {patch: a.patch, needs: [t]}
      b: {needs: [a], tasks: {t: {patch: a.patch}}}
    """
    first, second = folder.problems(text)
    assert first.startswith(
        "plan.yaml:4: workstreams.a: workstreams need each other in a circle: a → b → a ("
    )
    assert second.startswith(
        "plan.yaml:6: workstreams.a.tasks.t: tasks need each other in a circle: t → u → v → t ("
    )


def test_a_task_of_another_workstream_cannot_be_needed(folder: PlanFolder) -> None:
    """Across workstreams it is the workstreams that need each other."""
    text = """\
    maingate: 1
    workstreams:
      a: {tasks: {one: {patch: a.patch}}}
      b: {tasks: {two: {patch: a.patch, needs: [a/one]}}}
    """
    hint = "(let the workstream 'b' need 'a')"
    said = "the task 'one' is in another workstream, 'a'"
    assert folder.problems(text) == [f"plan.yaml:4: workstreams.b.tasks.two.needs: {said} {hint}"]


def test_a_task_is_needed_by_its_bare_name(folder: PlanFolder) -> None:
    """Within a workstream the workstream's name is not written."""
    (problem,) = folder.problems(folder.one_task("{patch: a.patch, needs: [w/t]}"))
    assert "there is no task 'w/t' (within a workstream write 't')" in problem


def test_workstreams_may_not_differ_in_case_only(folder: PlanFolder) -> None:
    """Their refs would be one file on some file systems."""
    text = f"maingate: 1\nworkstreams: {{a: {{tasks: {{t: {GOOD}}}}}, A: {{tasks: {{t: {GOOD}}}}}}}\n"
    assert len(folder.problems(text)) == 2


@pytest.mark.parametrize(
    ("glob", "hint"),
    [
        ("../x", "has '.' or '..' in it"),
        ("./src/**", "write 'src/**'"),
        ("~/src", "relative to the repository's root"),
        ("C:/src", "relative to the repository's root"),
        (r"src\parser", "folders are parted by '/'"),
        (".git/config", "nothing in .git may be touched"),
        (".GIT/hooks/*", "nothing in .git may be touched"),
        ("", "it is empty"),
        ("# x", "is a comment"),
    ],
)
def test_a_glob_that_can_match_nothing_is_told(folder: PlanFolder, glob: str, hint: str) -> None:
    """A scope's glob that no path of a repository can match is a mistake."""
    (problem,) = folder.problems(folder.one_task(f"{{patch: a.patch, scope: ['{glob}', 'src/**']}}"))
    assert f"the glob {glob!r} can match nothing" in problem
    assert hint in problem


def test_a_glob_that_begins_with_the_repositorys_own_path_is_told(folder: PlanFolder) -> None:
    """An absolute path was meant to be relative."""
    (problem,) = folder.problems(folder.one_task(f"{{patch: a.patch, scope: ['{folder.path}/src']}}"))
    assert "relative to the repository's root" in problem


@pytest.mark.parametrize(
    ("scope", "forbid"),
    [
        ("['secrets/x']", "[]"),
        ("['secrets/**', '/secrets/a/*.py']", "[]"),
        ("['!src/**']", "[]"),
        ("['src/parser/**']", "['src/**']"),
        ("['src/*.py']", "['*.py']"),
        ("['docs']", "['docs/**', 'docs']"),
    ],
)
def test_a_scope_that_policy_takes_away_is_told(folder: PlanFolder, scope: str, forbid: str) -> None:
    """A scope of which nothing is left, once what is forbidden is taken away, fits no patch."""
    (problem,) = folder.problems(
        folder.one_task(f"{{patch: a.patch, scope: {scope}, policy: {{forbid: {forbid}}}}}")
    )
    assert "leaves nothing to touch" in problem


@pytest.mark.parametrize(
    ("scope", "forbid"),
    [
        ("['src/**']", "['src/gen/**']"),
        ("['src/**', 'secrets/x']", "[]"),
        ("['src/*']", "['*.py']"),
        ("['/src/**']", "['[a-z]*/**']"),
        ("['**']", "['src/**']"),
        ("['src/**', '!src/gen/**']", "[]"),
        ("['a/**']", "['a/**', '!a/b']"),
    ],
)
def test_a_scope_with_something_left_is_fine(folder: PlanFolder, scope: str, forbid: str) -> None:
    """A scope is accepted if paths are left, or if that is undecidable."""
    folder.load(folder.one_task(f"{{patch: a.patch, scope: {scope}, policy: {{forbid: {forbid}}}}}"))


TOOLED = "tools: {fix: {run: ['true']}}"


@pytest.mark.parametrize("scope", ["['tests/**']", "['.github/workflows/*.yml', '**/test_*.py']"])
def test_a_tools_scope_all_of_which_is_protected_is_told(folder: PlanFolder, scope: str) -> None:
    """Such a tool's patch can never land; the way out is said. A ready patch may touch it."""
    (problem,) = folder.problems(folder.one_task(f"{{tool: fix, scope: {scope}}}", head=TOOLED))
    assert "leaves nothing to touch" in problem
    assert "`policy: {protect: []}` in the plan" in problem
    folder.load(folder.one_task(f"{{tool: fix, scope: {scope}}}", head=f"{TOOLED}\npolicy: {{protect: []}}"))
    folder.load(folder.one_task(f"{{patch: a.patch, scope: {scope}}}"))


def test_a_tools_scope_that_a_policy_protects_is_told(folder: PlanFolder) -> None:
    """The `protect` of a layer replaces the default; a part that is left is enough."""
    head = f"{TOOLED}\npolicy: {{protect: ['src/gen/**']}}"
    (problem,) = folder.problems(folder.one_task("{tool: fix, scope: ['src/gen/a/**']}", head=head))
    assert "take it out there" in problem
    folder.load(folder.one_task("{tool: fix, scope: ['tests/**']}", head=head))
    folder.load(folder.one_task("{tool: fix, scope: ['src/**']}", head=head))


def test_a_policy_may_only_tighten(folder: PlanFolder) -> None:
    """maingate.toml, plan, workstream and task: each may only tighten what is around it."""
    (folder.path / "maingate.toml").write_text("[policy]\nmax_files = 10\nbinary = false\n")
    text = """\
    maingate: 1
    policy: {max_files: 20, max_lines: 100}
    workstreams:
      w:
        policy: {binary: true, max_lines: 50}
        tasks: {t: {patch: a.patch, policy: {max_lines: 60}}}
    """
    assert folder.problems(text) == [
        (
            "plan.yaml:2: policy: 'max_files' would loosen the policy around it "
            "(at most 10 is granted: lower it or remove the key)"
        ),
        (
            "plan.yaml:5: workstreams.w.policy: 'binary' would loosen the policy around it "
            "(the layers around it do not grant it: remove the key, or grant it there)"
        ),
        (
            "plan.yaml:6: workstreams.w.tasks.t.policy: 'max_lines' would loosen the policy around it "
            "(at most 50 is granted: lower it or remove the key)"
        ),
    ]


def test_a_policy_may_say_what_maingate_toml_leaves_open(folder: PlanFolder) -> None:
    """A plan may allow binary patches that maingate.toml does not mention."""
    assert folder.load(folder.one_task(GOOD, head="policy: {binary: true}")).plan.policy.binary is True


def test_a_policy_that_allows_nothing_is_told(folder: PlanFolder) -> None:
    """An empty `allow` fits no patch."""
    (problem,) = folder.problems(folder.one_task(GOOD, head="policy: {allow: []}"))
    assert "'allow' is empty" in problem


@pytest.mark.parametrize(
    "run",
    [
        "no-such-program && true",
        "no-such-program --x",
        "[no-such-program]",
        "[./no-such-script]",
        "no/such/script",
        "[/no/such/program]",
    ],
)
def test_a_gate_that_nobody_can_run_is_told(folder: PlanFolder, run: str) -> None:
    """A program that is neither on PATH nor in the repository is told before anything starts."""
    (problem,) = folder.problems(folder.one_task(GOOD, head=f"gates: {{g: {{run: {run}}}}}"))
    assert "gates.g: cannot be run" in problem


@pytest.mark.parametrize(
    "head",
    [
        "gates: {g: {run: 'true'}}",
        "gates: {g: {run: [git, status]}}",
        "gates: {g: {run: 'cd x && no-such-program'}}",
        "gates: {g: {run: 'X=1 no-such-program'}}",
        "gates: {g: {run: 'no-such-program || true'}}",
        "gates: {g: {run: 'no-such-program; true'}}",
        "gates: {g: {run: '$PYTHON -m pytest'}}",
        "gates: {g: {run: [./script]}}",
        "gates: {g: {run: script-on-path, env: {PATH: tools}}}",
        "prepare: [make tools]\ngates: {g: {run: [no-such-program]}}",
    ],
)
def test_a_gate_that_somebody_may_be_able_to_run_is_fine(folder: PlanFolder, head: str) -> None:
    """Shell words, programs in the repository, and what `prepare` may bring are accepted."""
    (folder.path / "tools").mkdir()
    for script in (folder.path / "script", folder.path / "tools" / "script-on-path"):
        script.write_text("#!/bin/sh\n")
        script.chmod(0o755)
    folder.load(folder.one_task(GOOD, head=head))


def test_a_script_that_a_patch_brings_can_be_a_gate(folder: PlanFolder) -> None:
    """A program that one of the plan's patches speaks of may be there by then."""
    (folder.path / "a.patch").write_text("+++ b/scripts/check\n")
    folder.load(folder.one_task(GOOD, head="gates: {g: {run: [./scripts/check]}}"))


def test_programs_are_looked_up_in_the_given_environment(folder: PlanFolder) -> None:
    """PATH is that of the environment handed in."""
    head = "gates: {g: {run: [git, status]}}"
    folder.load(folder.one_task(GOOD, head=head), environ=dict(os.environ))
    assert folder.problems(folder.one_task(GOOD, head=head), environ={"PATH": "/nonexistent"})


def test_a_scope_on_a_command_is_one_mistake(folder: PlanFolder) -> None:
    """A command has no scope, with any content; the content is no second problem."""
    for scope in ("[]", "['/x']"):
        [said] = folder.problems(folder.one_task(f"{{command: 'true', scope: {scope}}}"))
        assert "'scope' is for patches" in said


def test_gates_lists_may_name_known_gates_only(folder: PlanFolder) -> None:
    """Unknown gates are told wherever they are listed; with no gates at all, that is said."""
    assert folder.problems(folder.one_task("{patch: a.patch, gates: [unit]}")) == [
        "plan.yaml:3: workstreams.w.tasks.t.gates: there is no gate 'unit' (the plan has no gates)"
    ]


@pytest.mark.parametrize(
    ("head", "said"),
    [
        ("tools: {x: {}}", "has neither 'run' nor 'preset'"),
        ("tools: {x: {preset: cloude}}", "did you mean 'claude'?"),
        ("tools: {x: {run: x, max_concurrent: 0}}", "'max_concurrent' must be at least 1, not 0"),
        ("tools: {x: {run: x, capture: std}}", "'std' is not a value for 'capture'"),
        ("tools: {x: {run: x, model: m}}", "'model' is for presets (write it into 'run')"),
        ("tools: {x: {run: x, args: [a]}}", "'args' is for presets (write it into 'run')"),
        ("tools: {x: {run: x, prompt_by: argument}}", "'run' has no place for it (write {prompt}"),
        ("tools: {x: {run: x, prompt_by: mail}}", "'mail' is not a value for 'prompt_by'"),
        ("tools: {x: {preset: claude, prompt_by: file}}", "'prompt_by' is for 'run'"),
        ("tools: {x: {preset: claude, capture: stdout}}", "a preset prints no diff"),
        ("tools: {x: {run: x, secrets: ['sk-123']}}", "a secret is not the name of an environment variable"),
        ("tools: {x: {run: x, secrets: [KEY], env: {KEY: v}}}", "'KEY' is a secret, and 'env' sets it"),
        ("tools: {x: {run: x, rate_limit: ['(']}}", "'(' is not a regular expression"),
        ("tools: {x: {run: x, limits: {memory: lots}}}", "'lots' is not a size"),
        ("tools: {x: {run: x, limits: {cpus: 3}}}", "did you mean 'cpu'?"),
        ("tools: {x: {run: x, max_cost_usd: 0}}", "'max_cost_usd' must be above 0, not 0"),
        ("budget_usd: -1", "'budget_usd' must be above 0, not -1"),
        ("overlap: maybe", "'maybe' is not a value for 'overlap'"),
        ("gates: {g: {run: ''}}", "the command is empty"),
        ("gates: {g: {run: []}}", "the command is empty"),
        ("gates: {g: {run: [pytest, 5]}}", "5 in a command is not text"),
        ("gates: {g: {run: 'true', expect: [256]}}", "256 is not an exit code"),
        ("gates: {g: {run: 'true', on: [tasks]}}", "did you mean 'task'?"),
        ("gates: {g: {run: 'true', inputs: ['../x']}}", "can match nothing"),
        ("gates: {g: {}}", "'run' is missing"),
        ("prepare: [5]", "5 is not a command"),
        ("keep: ['/../x']", "can match nothing"),
        ("notify: [5]", "5 is not a command"),
        ("notify: ls", "'notify' must be a list"),
        ("notify: [no-such-program]", "notify: cannot be run: 'no-such-program' is not on PATH"),
        ("prepare: ['true']\nnotify: [[no-such-program]]", "notify: cannot be run"),
        ("strict: maybe", "'strict' must be true or false"),
        ("target: 1e5", 'write it in quotes: "1e5"'),
    ],
)
def test_a_wrong_head_is_told(folder: PlanFolder, head: str, said: str) -> None:
    """Mistakes in gates, tools and the plan's own keys each have their words."""
    assert said in "\n".join(folder.problems(folder.one_task(GOOD, head=head)))


def test_a_secret_that_is_not_set_is_told_where_the_tool_is_used(folder: PlanFolder) -> None:
    """An unused tool needs none; its value is shown nowhere."""
    head = "tools: {x: {run: [x, '{prompt}'], secrets: [KEY, OTHER]}}"
    task = folder.one_task("{tool: x, prompt: Do}", head=head)
    (said,) = folder.problems(task, environ={"KEY": "v"})
    assert said.startswith("plan.yaml:2: tools.x.secrets: the secret 'OTHER' is not set in the environment")
    assert folder.load(task, environ={"KEY": "v", "OTHER": "w"}).plan.tools["x"].secrets == ("KEY", "OTHER")
    assert folder.load(folder.one_task(GOOD, head=head), environ={}).plan.tools["x"].needs_prompt


def test_the_secret_of_a_webhook_is_for_no_tool(folder: PlanFolder) -> None:
    """Also where no task uses the tool; the repository's own settings name the variable."""
    own = folder.path / ".git" / "maingate" / "maingate.toml"
    own.parent.mkdir(parents=True)
    own.write_text('[webhooks.chat]\nurl = "http://chat.example.org"\nsecret_env = "CHAT"\n')
    head = "tools: {x: {run: [x, '{prompt}'], secrets: [KEY, CHAT]}}"
    (said,) = folder.problems(folder.one_task(GOOD, head=head), environ={"KEY": "v", "CHAT": "w"})
    assert said.startswith(
        "plan.yaml:2: tools.x.secrets: 'CHAT' is the secret of the webhook 'chat', which no tool may see"
    )


@pytest.mark.parametrize("run", ["fix {prompt}", "[fix, '{prompt_file}']"])
def test_a_tool_with_a_placeholder_has_to_be_told_what_to_do(folder: PlanFolder, run: str) -> None:
    """Also when its command is a string."""
    task = folder.one_task(
        "{tool: x}",
        head=f"tools: {{x: {{run: {run!r}}}}}" if run[0] != "[" else f"tools: {{x: {{run: {run}}}}}",
    )
    assert "needs a prompt" in "\n".join(folder.problems(task))


def test_protection_of_git_may_be_spelt_out(folder: PlanFolder) -> None:
    """To forbid what is forbidden anyway is no mistake."""
    folder.load(folder.one_task(GOOD, head="policy: {forbid: ['.git/**', 'x']}"))


@pytest.mark.parametrize(
    ("workstream", "said"),
    [
        (
            "{on_rollback: [no-such-program, 'true'], tasks: {t: {patch: a.patch}}}",
            "workstreams.w.on_rollback: cannot be run: 'no-such-program' is not on PATH",
        ),
        ("{on_rollback: ['true', 5], tasks: {t: {patch: a.patch}}}", "5 is not a command"),
        ("{on_rollback: ['true', {}], tasks: {t: {patch: a.patch}}}", "is not a command"),
        ("{on_rollback: ls, tasks: {t: {patch: a.patch}}}", "'on_rollback' must be a list"),
        (
            "{on_rollback: ['true'], tasks: {t: {command: ls}, u: {noop: true}}}",
            "workstreams.w: 'on_rollback' would never run",
        ),
    ],
)
def test_a_wrong_on_rollback_is_told(folder: PlanFolder, workstream: str, said: str) -> None:
    """Its commands are judged as gates are; where nothing lands, nothing is rolled back."""
    (folder.path / "a.patch").write_text("")
    text = f"maingate: 1\nworkstreams: {{w: {workstream}}}\n"
    (problem,) = folder.problems(text)
    assert said in problem


def test_a_good_on_rollback_and_notify_are_taken(folder: PlanFolder) -> None:
    """Strings and lists; programs of the repository, and programs that `prepare` may bring to a worktree."""
    (folder.path / "a.patch").write_text("")
    (folder.path / "tell").write_text("#!/bin/sh\n")
    text = (
        "maingate: 1\nprepare: [make]\nnotify: [./tell, [git, status]]\n"
        "workstreams: {w: {on_rollback: [brought --by it, [git, status]], tasks: {t: {patch: a.patch}}}}\n"
    )
    plan = folder.load(text).plan
    assert plan.notify == ("./tell", ("git", "status"))
    assert plan.workstreams["w"].on_rollback == ("brought --by it", ("git", "status"))
    assert Plan.from_json(plan.as_json()) == plan


@pytest.mark.parametrize(
    ("command", "said"),
    [
        ("no-such-program --version", "'no-such-program' is not on PATH"),
        ("tools/x --version", "'tools/x' is a path in the repository"),
    ],
)
def test_versions_that_nobody_can_tell_are_refused(folder: PlanFolder, command: str, said: str) -> None:
    """They run outside of any worktree, where programs that `prepare` installs are not found."""
    head = f"prepare: ['true']\ngates:\n  g: {{run: 'true', versions: ['{command}']}}\n"
    (problem,) = folder.problems(folder.one_task(GOOD, head=head))
    assert f"gates.g.versions: cannot be run: {said}" in problem
