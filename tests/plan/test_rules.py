"""The rules of a repository: what a plan inherits, what it may add and tighten, and what it may not."""

import json
import tomllib
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import pytest

from maingate.errors import PlanError, SettingsError
from maingate.plan.choices import LandingStyle
from maingate.plan.loader import LoadedPlan, parse_plan
from maingate.plan.model import Plan
from maingate.plan.rules import without_inherited

RULES = """\
landing = "squash"
prepare = ["make venv"]
keep = [".venv"]
[gates.build]
run = "make"
required = false
[gates.unit]
run = "pytest -q"
needs = ["build"]
timeout = "10m"
retries = 2
expect = [0, 5]
exclusive = true
on = ["landing"]
[gates.style]
run = "make style"
required = false
[tools.fixer]
run = "fix {prompt_file}"
"""


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """Return a repository, as far as folders show, with settings and a patch."""
    for part in ("objects", "refs"):
        (tmp_path / ".git" / part).mkdir(parents=True)
    (tmp_path / ".git" / "HEAD").write_text("ref: refs/heads/main\n")
    (tmp_path / "maingate.toml").write_text(RULES)
    (tmp_path / "p.patch").write_text("x")
    return tmp_path


def load(folder: Path, task: Mapping[str, Any] | None = None, stream: Any = None, **plan: Any) -> LoadedPlan:
    """Load a plan of one task, one key a line."""
    streams = {"w": {"tasks": {"t": {"patch": "p.patch", **(task or {})}}, **(stream or {})}}
    text = json.dumps({"maingate": 1, "workstreams": streams, **plan}, indent=1)
    return parse_plan(text.encode(), path=folder / "plan.yaml", cwd=folder, environ={"PATH": ""})


def test_a_plan_inherits_the_rules(folder: Path) -> None:
    """All of them, as if it stated them itself, in the order of the settings and before its own."""
    plan = load(folder, gates={"mine": {"run": ":"}}).plan
    assert list(plan.gates) == ["build", "unit", "style", "mine"]
    assert plan.landing_gates("w") == ["build", "unit", "style", "mine"]
    assert plan.task_gates("w", "t") == ["build", "style", "mine"]
    assert (plan.landing, plan.prepare, plan.keep.paths) == (LandingStyle.SQUASH, ("make venv",), (".venv",))
    assert "fixer" in plan.tools


def test_a_plan_without_settings_is_as_before(folder: Path) -> None:
    """There is nothing to inherit."""
    (folder / "maingate.toml").unlink()
    assert load(folder, landing="rebase").plan.gates == {}


@pytest.mark.parametrize(
    "stated",
    [
        {"timeout": "5m"},
        {"idle_timeout": "1m"},
        {"retries": 0},
        {"expect": [0]},
        {"needs_commit": True},
        {"needs": ["build", "mine"]},
        {"versions": ["true"]},
        {"on": ["task", "landing"]},
        {"run": "pytest -q", "timeout": "10m", "exclusive": True},
    ],
)
def test_a_plan_may_tighten_a_required_gate(folder: Path, stated: dict[str, Any]) -> None:
    """By the keys that change; all others stay as they are in the repository."""
    gate = load(folder, gates={"unit": stated, "mine": {"run": ":"}}).plan.gates["unit"]
    assert (gate.run, gate.exclusive) == ("pytest -q", True)


@pytest.mark.parametrize(
    ("gate", "stated", "hint"),
    [
        ("unit", {"run": "true"}, "another name"),
        ("unit", {"type": "LINT"}, "another name"),
        ("unit", {"env": {"A": "b"}}, "another name"),
        ("unit", {"inputs": ["src/**"]}, "another name"),
        ("unit", {"red_on_base": True}, "another name"),
        ("unit", {"timeout": "11m"}, "at most 10m"),
        ("build", {"timeout": "31m"}, "at most 30m"),
        ("unit", {"retries": 3}, "at most 2"),
        ("unit", {"expect": [0, 1]}, "another name"),
        ("unit", {"exclusive": False}, "it is true"),
        ("unit", {"needs": []}, "must keep build"),
        ("unit", {"on": []}, "must keep landing"),
        ("build", {"run": ":"}, "another name"),  # a gate that is required needs it
    ],
)
def test_a_plan_may_not_loosen_a_required_gate(
    folder: Path, gate: str, stated: dict[str, Any], hint: str
) -> None:
    """It is refused with the line of the key, and what would be allowed."""
    with pytest.raises(PlanError, match=rf"plan.yaml:\d+: gates.{gate}: .*would loosen.*{hint}") as refused:
        load(folder, gates={gate: stated})
    assert refused.value.problems[0].line is not None


@pytest.mark.parametrize(
    ("own", "plan", "promise"),
    [
        ("", {}, "ref"),
        ("", {"proof": "later"}, "later"),
        ("", {"proof": "commit"}, "commit"),
        ("", {"strict": True}, "ref"),
        ("", {"strict": False}, "later"),
        ("", {"proof": "later", "strict": True}, "ref"),
        ("later", {}, "later"),
        ("later", {"proof": "ref"}, "ref"),
        ("later", {"strict": True}, "ref"),
        ("ref", {"proof": "ref"}, "ref"),
        ("ref", {"strict": False}, "ref"),
        ("ref", {"proof": "commit"}, "commit"),
        ("commit", {}, "commit"),
        ("commit", {"strict": True}, "commit"),
        ("commit", {"strict": False}, "commit"),
    ],
)
def test_the_tightest_proof_counts(folder: Path, own: str, plan: dict[str, Any], promise: str) -> None:
    """A plan inherits the repository's and may tighten it; the older key `strict` never loosens it."""
    (folder / "maingate.toml").write_text(f'proof = "{own}"\n' if own else "")
    loaded = load(folder, **plan).plan
    assert loaded.promise == promise
    assert Plan.from_json(loaded.as_json()).promise == promise


@pytest.mark.parametrize(
    ("own", "plan", "faults"),
    [
        ("ref", {"proof": "later"}, ["plan.yaml:12: 'proof' would promise less than the repository does"]),
        ("commit", {"proof": "ref"}, ["plan.yaml:12: 'proof' would promise less than the repository does"]),
        ("always", {}, ["maingate.toml:1: 'always' is not a value for 'proof'"]),
        ("always", {"proof": "commit"}, []),
        ("ref", {"proof": "all"}, ["plan.yaml:12: 'all' is not a value for 'proof'"]),
    ],
)
def test_a_proof_that_promises_less_or_is_none_is_refused(
    folder: Path, own: str, plan: dict[str, Any], faults: list[str]
) -> None:
    """With the place, in the plan or in the settings."""
    (folder / "maingate.toml").write_text(f'proof = "{own}"\n')
    try:
        load(folder, **plan)
        told = []
    except PlanError as error:
        told = [f"{Path(each.file).name}:{each.line}: {each.message}" for each in error.problems]
    assert told == faults


def test_a_stored_plan_can_inherit_anew(folder: Path) -> None:
    """What it had inherited unchanged is left out; what it states itself, or tightens, stays."""
    loaded = load(
        folder, gates={"unit": {"timeout": "5m"}, "mine": {"run": ":"}}, tools={"own": {"run": "x"}}
    )
    kept = without_inherited(loaded.plan.as_json(), tomllib.loads(RULES))
    assert (list(kept["gates"]), list(kept["tools"])) == (["unit", "mine"], ["own"])
    assert not {"prepare", "keep", "landing"} & kept.keys()


def test_a_gate_that_is_not_required_is_a_default(folder: Path) -> None:
    """A plan may change it, and leave it out."""
    plan = load(folder, gates={"style": {"run": ":", "timeout": "9h"}}, stream={"gates": ["unit"]}).plan
    assert (plan.gates["style"].run, plan.landing_gates("w")) == (":", ["build", "unit"])


def test_a_plan_may_not_leave_out_a_required_gate(folder: Path) -> None:
    """Neither of a workstream nor of a task, where the gate has that place; all are told at once."""
    rules = RULES.replace('on = ["landing"]\n', "")
    (folder / "maingate.toml").write_text(rules)
    with pytest.raises(PlanError) as refused:
        load(folder, {"gates": ["style"]}, {"gates": []}, prepare=["make other"], keep=[".venv"])
    said = [problem.message for problem in refused.value.problems]
    assert sum("leaves out" in each for each in said) == 2
    assert [each for each in said if "'prepare' decides" in each]
    assert len(said) == 3


def test_a_plan_without_required_gates_may_prepare_as_it_likes(folder: Path) -> None:
    """Then no gate of the repository depends on it."""
    (folder / "maingate.toml").write_text('prepare = ["make"]\n[gates.a]\nrun = ":"\nrequired = false\n')
    assert load(folder, prepare=["other"]).plan.prepare == ("other",)


def test_mistakes_of_rules_and_plan_are_told_together(folder: Path) -> None:
    """Each in its own file, with its line; those of the plan come first."""
    (folder / "maingate.toml").write_text('[gates.a]\nrun = ""\n[gates.b]\nrun = ":"\nneeds = ["c"]\n')
    with pytest.raises(PlanError) as refused:
        load(folder, {"gates": ["x", "a", "b"]})
    places = [(Path(problem.file).name, problem.line is not None) for problem in refused.value.problems]
    assert places == [("plan.yaml", True), ("maingate.toml", True), ("maingate.toml", True)]
    assert [problem.line for problem in refused.value.problems][1:] == [2, 5]


def test_the_repositorys_own_file_adds_rules_and_repeats_none(folder: Path) -> None:
    """What no commit reaches may have secrets; the same gate in both files is a mistake."""
    own = folder / ".git" / "maingate" / "maingate.toml"
    own.parent.mkdir()
    own.write_text('[tools.agent]\nrun = "agent"\nsecrets = ["KEY"]\n[gates.more]\nrun = ":"\n')
    loaded = load(folder)
    assert ({"agent", "fixer"}, "more") == (set(loaded.plan.tools), list(loaded.plan.gates)[-1])
    assert loaded.place_of("gates", "more", "run") == (str(own), 5)
    own.write_text('landing = "merge"\n[gates.unit]\nrun = ":"\n')
    with pytest.raises(SettingsError) as refused:
        load(folder)
    assert [each.message.split()[0] for each in refused.value.problems] == ["landing", "gates.unit"]
