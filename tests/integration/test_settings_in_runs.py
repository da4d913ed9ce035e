"""What settings allow within a run, whatever lands meanwhile, and what is known of verdicts across runs."""

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import pytest

from maingate.bootstrap import Maingate
from maingate.errors import PlanError
from maingate.orchestrator.progress import News, SilentListener
from maingate.plan.loader import load_plan
from support.factories import GitRepo
from support.landing import land, one_each, write_plan

ALLOW = "MAINGATE_POLICY_ALLOW_SETTINGS_CHANGES"


class Hearing(SilentListener):
    """Remembers what is said about the run as such."""

    def __init__(self) -> None:
        self.heard: list[str] = []

    def notice(self, text: str) -> None:
        """Remember it."""
        self.heard.append(text)

    def happened(self, news: Sequence[News]) -> None:
        """Ignore it."""


def resumed(repo: GitRepo, run_id: Any) -> tuple[Mapping[str, Any], list[str]]:
    """Execute an admitted run by another process's eyes; return its report and what was said."""
    hearing = Hearing()
    with Maingate.open(repo.path) as maingate:
        maingate.execution.execute(run_id, workers=1, listener=hearing)
        return maingate.report(run_id), hearing.heard


def admitted(repo: GitRepo, folder: Path, patches: Mapping[str, bytes], **plan: Any) -> Any:
    """Admit a run, and let go of it as a killed process does."""
    path = write_plan(folder, {"repo": str(repo.path), "workstreams": one_each(patches), **plan}, patches)
    with Maingate.open(repo.path) as maingate:
        return maingate.admission.admit(load_plan(path))


def test_a_ready_patch_of_the_settings_is_refused(repo: GitRepo) -> None:
    """It is quarantined as any violation of policy; others land."""
    repo.commit({"f": "a\n"})
    patches = {"s": repo.diff_of({"maingate.toml": "workers = 1\n"}), "f": repo.diff_of({"f": "b\n"})}
    done = land(repo, patches)
    assert (done.code("s/t"), done.patch_state("s/t")) == ("policy_violation", "quarantined")
    assert done.patch_state("f/t") == "committed"
    assert not (repo.path / "maingate.toml").exists()


def test_a_plan_cannot_allow_changes_of_the_settings(repo: GitRepo, tmp_path: Path) -> None:
    """Plans tighten only, also where no settings say anything."""
    repo.commit({"f": "a\n"})
    patches = {"s": repo.diff_of({"maingate.toml": "workers = 1\n"})}
    with pytest.raises(PlanError, match="would loosen the policy"):
        admitted(repo, tmp_path / "p", patches, policy={"allow_settings_changes": True})


def test_settings_that_a_run_lands_hold_for_later_runs_only(
    repo: GitRepo, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A run goes by what the tree said at its admission, through every resume, and says so."""
    monkeypatch.setenv(ALLOW, "true")
    repo.commit({"maingate.toml": "[policy]\nmax_lines = 3\n", "f": "a\n"})
    big = {"big": repo.diff_of({"f": "b\n" * 9})}
    first = admitted(repo, tmp_path / "one", big)
    land(repo, {"s": repo.diff_of({"maingate.toml": "[policy]\nmax_lines = 99\n"})}, folder=tmp_path / "two")
    assert "99" in (repo.path / "maingate.toml").read_text()
    report, heard = resumed(repo, first)
    assert report["tasks"][0]["reason"]["code"] == "policy_violation"
    assert [text.partition(" has changed")[0] for text in heard] == [str(repo.path / "maingate.toml")]
    assert land(repo, big, folder=tmp_path / "three").patch_state("big/t") == "committed"


def test_the_repositorys_own_file_holds_at_once(repo: GitRepo, tmp_path: Path) -> None:
    """What no patch reaches is read by every command, also for a run that was admitted before."""
    repo.commit({"f": "a\n"})
    run = admitted(repo, tmp_path / "one", {"big": repo.diff_of({"f": "b\n" * 9})})
    own = repo.path / ".git" / "maingate" / "maingate.toml"
    own.write_text("[policy]\nmax_lines = 3\n")
    report, heard = resumed(repo, run)
    assert report["tasks"][0]["reason"]["code"] == "policy_violation"
    assert heard == []


def test_another_version_of_a_program_asks_the_gate_anew(repo: GitRepo, tmp_path: Path) -> None:
    """The same version is the same verdict."""
    repo.commit({"f": "a\n"})
    version = tmp_path / "version"
    gates = {"g": {"run": "true", "inputs": ["g"], "versions": [f"cat {version}"]}}

    def reused(said: str, content: str) -> int:
        version.write_text(said)
        patches = {"p": repo.diff_of({"f": content})}
        done = land(repo, patches, folder=tmp_path / content.strip(), gates=gates)
        assert done.patch_state("p/t") == "committed"
        return int(done.report["gates"]["run"])

    assert [reused("1", "b\n"), reused("1", "c\n"), reused("2", "d\n")] == [1, 0, 1]


def test_a_program_that_tells_no_version_refuses_the_plan(repo: GitRepo, tmp_path: Path) -> None:
    """Before anything starts, with the gate, the command and the line."""
    repo.commit({"f": "a\n"})
    gates = {"g": {"run": "true", "versions": ["exit 5"]}}
    with pytest.raises(PlanError, match=r"plan.yaml:\d+: gate g: `exit 5`, .* exited with 5"):
        admitted(repo, tmp_path / "p", {"p": repo.diff_of({"f": "b\n"})}, gates=gates)
    with Maingate.open(repo.path) as maingate:
        assert maingate.execution.interrupted() == []


def test_attributes_that_change_what_a_gate_reads_ask_it_anew(repo: GitRepo, tmp_path: Path) -> None:
    """A patch of `.gitattributes` alone does not land where a fresh clone of it would fail."""
    gate = "! grep -r \"$(printf '\\r')\" src"
    repo.commit({"src/a": "a\n"})
    gates = {"g": {"run": gate, "inputs": ["src/**"]}}
    assert land(repo, {"p": repo.diff_of({"src/b": "b\n"})}, folder=tmp_path / "one", gates=gates).state
    done = land(
        repo,
        {"p": repo.diff_of({".gitattributes": "/src/** text eol=crlf\n"})},
        folder=tmp_path / "two",
        gates=gates,
    )
    assert done.code("p/t") == "gate_failed"
