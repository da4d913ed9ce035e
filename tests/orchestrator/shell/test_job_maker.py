"""The key of a gate's verdict: one thing is changed at a time, and it is another key, or it is not."""

import os
from collections.abc import Iterator, Mapping, Sequence
from typing import Any

import pytest

from maingate.commits import Tip
from maingate.git import checkout_conversion
from maingate.git.filter_drivers import NONE, FilterDrivers
from maingate.git.repository import Repository
from maingate.orchestrator.shell.job_maker import JobMaker
from maingate.plan.definitions import GateDefinition
from maingate.plan.model import Plan
from maingate.settings import Settings
from maingate.uet.process.command import CommandSpec
from maingate.uet.process.resource_limits import ProcessLimits
from maingate.verdicts import keys as verdict_keys
from orchestrator.core.test_core import picture_of
from support.factories import GitRepo

ENVIRONMENT = {"PATH": os.environ["PATH"], "LANG": "C.UTF-8", "TMPDIR": "/tmp/a"}  # noqa: S108 - never used
GATE: Mapping[str, Any] = {"run": "true"}
PLAN: Mapping[str, Any] = {"maingate": 1, "workstreams": {"a": {"tasks": {"t": {"noop": True}}}}}


@pytest.fixture
def repository(repo: GitRepo) -> Iterator[Repository]:
    """Open a repository with two commits of the same tree and one of another."""
    repo.commit({"src/a.py": "a\n", "setup.cfg": "one\n"}, "first")
    repo.commit({}, "second")
    repo.commit({"setup.cfg": "two\n"}, "third")
    with Repository.open(repo.path) as opened:
        yield opened


class Keys:
    """Makes the key of the gate ``g`` after one change.

    Args:
        repository: Where the commits are.
    """

    def __init__(self, repository: Repository) -> None:
        self._repository = repository

    def of(
        self,
        *,
        name: str = "g",
        gate: Mapping[str, Any] | None = None,
        plan: Mapping[str, Any] | None = None,
        settings: Mapping[str, Any] | None = None,
        environment: Mapping[str, str] | None = None,
        versions: Sequence[str] = (),
        drivers: FilterDrivers = NONE,
        remotes: str = "",
        revision: str = "HEAD~2",
    ) -> str:
        """Return the key."""
        made = Plan.model_validate({**PLAN, "gates": {name: {**GATE, **(gate or {})}}, **(plan or {})})
        jobs = JobMaker(
            made,
            Settings.model_validate(settings or {}),
            self._repository,
            {**ENVIRONMENT, **(environment or {})},
            environ={},
            versions={name: versions},
            drivers=drivers,
            remotes=remotes,
        )
        commit = self._repository.resolve_commit(revision)
        return jobs.keys.key(name, commit, self._repository.tree_of(commit))


@pytest.fixture
def keys(repository: Repository) -> Keys:
    """Give what makes keys."""
    return Keys(repository)


OF_A_GATE: dict[str, tuple[object, bool]] = {
    "type": ("LINT", False),
    "run": (["true"], True),
    "needs": (["h"], False),
    "timeout": ("7m", True),
    "idle_timeout": ("7m", True),
    "retries": (1, True),
    "expect": ([0, 1], True),
    "env": ({"X": "1"}, True),
    "inputs": (["src/**"], True),
    "needs_commit": (True, True),
    "red_on_base": (True, False),
    "versions": (["git version"], True),
    "exclusive": (True, True),
    "on": (["task"], False),
}
"""Each field of a gate: another value, and whether the verdict depends on it."""


def test_every_field_of_a_gate_is_tried() -> None:
    """Who adds a field to a gate decides here whether verdicts depend on it."""
    assert OF_A_GATE.keys() == GateDefinition.model_fields.keys()


@pytest.mark.parametrize(("field", "value", "matters"), [(name, *rest) for name, rest in OF_A_GATE.items()])
def test_what_a_gate_is_decides_the_key(keys: Keys, field: str, value: object, matters: bool) -> None:
    """All of a gate's definition but its kind and its place is in the key."""
    gates = {"gates": {"g": {**GATE, field: value}, "h": GATE}}
    assert (keys.of(plan=gates) != keys.of()) is matters


CHANGES: dict[str, dict[str, Any]] = {
    "its name, which it sees": {"name": "other"},
    "prepare": {"plan": {"prepare": ["true"]}},
    "what prepare depends on": {"plan": {"prepare_inputs": ["setup.cfg"]}},
    "what is kept": {"plan": {"keep": [".venv"]}},
    "the submodules": {"plan": {"submodules": "shallow"}},
    "the timeout of the settings": {"settings": {"gate_timeout": "7m"}},
    "the idle timeout of the settings": {"settings": {"gate_idle_timeout": "7m"}},
    "a limit": {"settings": {"limits": {"memory": "1GiB"}}},
    "whether failures are confirmed": {"settings": {"confirm_failures": False}},
    "PATH": {"environment": {"PATH": f"{os.environ['PATH']}:/none"}},
    "the locale": {"environment": {"LANG": "C"}},
    "one more variable": {"environment": {"LC_ALL": "C"}},
    "the version of a program": {"versions": ["Python 3.14.0"]},
    "the tree": {"revision": "HEAD"},
    "a filter": {"drivers": FilterDrivers(settings=(("filter.x.smudge", "cat"),))},
    "what a filter is told": {"drivers": FilterDrivers(place="export GIT_LFS_SKIP_SMUDGE=1 && ")},
}


@pytest.mark.parametrize("change", CHANGES.values(), ids=CHANGES.keys())
def test_what_is_around_a_gate_decides_the_key(keys: Keys, change: dict[str, Any]) -> None:
    """Environment, settings, preparation and programs are in the key."""
    assert keys.of(**change) != keys.of()


NO_MATTER: dict[str, dict[str, Any]] = {
    "a temporary folder, which each job has its own of": {"environment": {"TMPDIR": "/tmp/b"}},  # noqa: S108
    "how much of the output is kept": {"settings": {"log_head_bytes": "1KiB", "log_tail_bytes": "1KiB"}},
    "how long it has to end when it is told to": {"settings": {"kill_grace": "1s"}},
    "how many workers there are": {"settings": {"workers": 1}},
    "another gate": {"plan": {"gates": {"g": GATE, "h": {"run": "false"}}}},
    "what is landed": {"plan": {"workstreams": {"b": {"tasks": {"u": {"noop": True}}}}, "landing": "squash"}},
    "another commit of the same tree": {"revision": "HEAD~1"},
}


@pytest.mark.parametrize("change", NO_MATTER.values(), ids=NO_MATTER.keys())
def test_what_does_not_matter_keeps_the_key(keys: Keys, change: dict[str, Any]) -> None:
    """A verdict is taken over where nothing that it depends on has changed."""
    assert keys.of(**change) == keys.of()


def test_every_part_of_how_a_gate_is_run_is_decided_about() -> None:
    """Who adds to what a worker is told about a gate, or to limits, decides whether verdicts depend on it."""
    decided = {"name", "run", "timeout", "idle_timeout", "expect", "env", "secret_env", "limits"}
    assert decided | {"grace", "log_head", "log_tail"} == CommandSpec.__dataclass_fields__.keys()
    assert {
        "cpu_seconds",
        "memory_bytes",
        "processes",
        "file_bytes",
    } == ProcessLimits.__dataclass_fields__.keys()


def test_the_machine_and_its_git_decide_the_key(keys: Keys, monkeypatch: pytest.MonkeyPatch) -> None:
    """Another system, user, ceiling, git or umask is another key, as is another way of running gates."""
    before = keys.of()
    made = set()
    for module, name, value in (
        (verdict_keys, "machine", lambda: {"system": "other"}),
        (verdict_keys, "KEY_VERSION", verdict_keys.KEY_VERSION + 1),
        (checkout_conversion, "git_version", lambda _path: "git version 99"),
        (checkout_conversion, "hermetic_options", lambda: ("-c", "core.autocrlf=true")),
        (checkout_conversion, "umask", lambda: 0o777),
    ):
        with monkeypatch.context() as patch:
            patch.setattr(module, name, value)
            made.add(keys.of())
    assert before not in made
    assert len(made) == 5


def test_machine_tells_users_apart(monkeypatch: pytest.MonkeyPatch) -> None:
    """A gate that passes as root need not pass as somebody else."""
    before = verdict_keys.machine()
    monkeypatch.setattr(os, "geteuid", lambda: 12345)
    assert verdict_keys.machine() != before


def test_the_umask_is_read_and_left_as_it_is() -> None:
    """Asking for it changes nothing."""
    before = os.umask(0o027)
    try:
        assert checkout_conversion.umask() == 0o027
        assert checkout_conversion.umask() == 0o027
    finally:
        os.umask(before)


def test_declared_inputs_leave_the_rest_of_the_tree_out(keys: Keys) -> None:
    """With inputs, a verdict holds for every tree that has the same."""
    inputs = {"inputs": ["src/**"]}
    assert keys.of(gate=inputs) == keys.of(gate=inputs, revision="HEAD")


def test_what_is_prepared_from_counts_for_gates_with_inputs(keys: Keys) -> None:
    """What `prepare` made is seen by every gate."""
    gate, plan = {"inputs": ["src/**"]}, {"prepare": ["true"], "prepare_inputs": ["setup.cfg"]}
    assert keys.of(gate=gate, plan=plan) != keys.of(gate=gate, plan=plan, revision="HEAD")


@pytest.mark.parametrize("inputs", [None, ["src/**"]])
def test_a_gate_that_needs_the_commit_has_a_key_for_each(
    keys: Keys, repository: Repository, inputs: Sequence[str] | None
) -> None:
    """Two commits of one tree are two questions, and the end of a shallow history is part of each."""
    gate = {"needs_commit": True, "inputs": inputs}
    first = keys.of(gate=gate)
    assert first != keys.of(gate=gate, revision="HEAD~1")
    (repository.git_dir / "shallow").write_text(f"{repository.resolve_commit('HEAD')}\n")
    assert first != keys.of(gate=gate)


def test_no_secret_is_in_what_a_key_is_made_of(keys: Keys, monkeypatch: pytest.MonkeyPatch) -> None:
    """A secret decides by its digest."""
    said: list[str] = []
    for secret in ("s3cret", "other"):
        spec = CommandSpec(name="g", run="true", secret_env={"TOKEN": secret})
        monkeypatch.setattr(JobMaker, "_spec", lambda _self, _name, _gate, spec=spec: spec)
        said.append(keys.of())
        assert secret not in str(verdict_keys._execution(spec))
    assert said[0] != said[1]


@pytest.mark.parametrize(
    ("environment", "versions"), [({"CC": "clang"}, ("1",)), ({}, ("2",))], ids=["variable", "version"]
)
def test_what_was_prepared_elsewhere_is_prepared_anew(
    repository: Repository, environment: Mapping[str, str], versions: Sequence[str]
) -> None:
    """A later run takes over what a slot keeps only from the same environment and the same programs."""

    def digest(environment: Mapping[str, str], versions: Sequence[str]) -> str:
        made = Plan.model_validate({**PLAN, "gates": {"g": GATE}, "prepare": ["true"], "keep": ["x"]})
        jobs = JobMaker(
            made,
            Settings(),
            repository,
            {**ENVIRONMENT, **environment},
            environ={},
            versions={"g": versions},
        )
        return jobs.keys.prepare_digest(repository.tree_of(repository.resolve_commit("HEAD")))

    assert digest({}, ("1",)) == digest({"TMPDIR": "/elsewhere"}, ("1",))
    assert digest(environment, versions) != digest({}, ("1",))


def test_a_task_may_shorten_its_tools_time(repository: Repository) -> None:
    """The task's timeout counts before the tool's, and that before the one of the settings."""
    tasks = {
        "a": {"tool": "x", "prompt": "p"},
        "b": {"tool": "x", "prompt": "p", "timeout": "1m"},
        "c": {"tool": "y", "prompt": "p"},
    }
    tools = {"x": {"run": "x", "timeout": "10m"}, "y": {"run": "y"}}
    made = Plan.model_validate({**PLAN, "tools": tools, "workstreams": {"w": {"tasks": tasks}}})
    settings = Settings.model_validate({"command_timeout": "7m"})
    jobs = JobMaker(made, settings, repository, ENVIRONMENT, environ={}, versions={})
    commit = repository.resolve_commit("HEAD")
    tip = Tip(commit=commit, tree=repository.tree_of(commit))
    times = {
        task.name: jobs.tool(task.input, 1, tip, prompt="p", budget_usd=None).command.timeout
        for task in picture_of(made).workstreams["w"].tasks
    }
    assert times == {"a": 600.0, "b": 60.0, "c": 420.0}


@pytest.mark.parametrize(
    ("plan", "settings", "seconds"),
    [
        ({}, {}, 1800.0),
        ({}, {"prepare_timeout": "7m"}, 420.0),
        ({"prepare_timeout": "10s"}, {"prepare_timeout": "7m"}, 10.0),
    ],
)
def test_a_plan_says_how_long_a_worktree_may_take_to_prepare(
    repository: Repository, plan: dict[str, Any], settings: dict[str, Any], seconds: float
) -> None:
    """Its own time counts before that of the settings; no verdict depends on it."""
    base = {**PLAN, "gates": {"unit": {"run": "true"}}, "prepare": ["true"]}
    made = Plan.model_validate({**base, **plan})
    jobs = JobMaker(made, Settings.model_validate(settings), repository, ENVIRONMENT, environ={}, versions={})
    commit = repository.resolve_commit("HEAD")
    tip = Tip(commit=commit, tree=repository.tree_of(commit))
    job = jobs.make("unit", tip, "g.1", 1, "g.log", urgent=False)
    assert (job.prepare_timeout, job.command.timeout) == (seconds, 1800.0)
    without = Plan.model_validate(base)
    others = JobMaker(without, Settings(), repository, ENVIRONMENT, environ={}, versions={})
    assert jobs.keys.key("unit", commit, tip.tree) == others.keys.key("unit", commit, tip.tree)


def test_a_tool_is_not_started_with_a_variable_that_has_become_the_secret_of_a_webhook(
    repository: Repository,
) -> None:
    """The plan was admitted before; the settings name the variable since."""
    tools = {"x": {"run": "x", "secrets": ["CHAT"]}}
    tasks = {"a": {"tool": "x", "prompt": "p"}}
    made = Plan.model_validate({**PLAN, "tools": tools, "workstreams": {"w": {"tasks": tasks}}})
    (task,) = picture_of(made).workstreams["w"].tasks
    receiver = {"url": "http://chat.example.org", "secret_env": "CHAT"}
    faults = [
        JobMaker(
            made, Settings.model_validate(settings), repository, ENVIRONMENT, environ={}, versions={}
        ).fault_of(task.input, "p")
        for settings in ({}, {"webhooks": {"chat": receiver}})
    ]
    assert faults == ["", "CHAT is the secret of the webhook chat by now, which no tool may see"]


def test_tags_and_remotes_matter_to_a_gate_that_needs_the_commit(keys: Keys) -> None:
    """Another tag gives another version; a gate that does not need the commit may not go by it."""
    needing = {"gates": {"g": {**GATE, "needs_commit": True}, "h": GATE}}
    assert keys.of(plan=needing, remotes="one") != keys.of(plan=needing, remotes="two")
    assert keys.of(remotes="one") == keys.of(remotes="two")
