"""What settings allow within a run, whatever lands meanwhile, and what is known of verdicts across runs."""

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import pytest

from maingate.bootstrap import Maingate
from maingate.db.dao import runs
from maingate.errors import PlanError, SettingsError
from maingate.orchestrator.progress import News, SilentListener
from maingate.services.runs.plan_loading import load_plan
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


class Approving(Hearing):
    """Approves each patch that waits for it, as a person does."""

    def __init__(self, repo: GitRepo) -> None:
        super().__init__()
        self._repo = repo

    def notice(self, text: str) -> None:
        """Approve what waits."""
        super().notice(text)
        if "waits for" in text:
            with Maingate.open(self._repo.path) as maingate:
                waiting = [task["patch"]["id"] for task in maingate.report()["tasks"] if task["patch"]]
                maingate.operator.approve_patch(waiting[0], message="read", operator="ada")


def landed_with_approval(repo: GitRepo, folder: Path, files: Mapping[str, str], **plan: Any) -> Any:
    """Land one patch, approved by a person when it waits for that; return the report and what was said."""
    patches = {"p": repo.diff_of(files)}
    path = write_plan(folder, {"repo": str(repo.path), "workstreams": one_each(patches), **plan}, patches)
    approving = Approving(repo)
    with Maingate.open(repo.path) as maingate:
        run_id = maingate.admission.admit(load_plan(path))
        maingate.execution.execute(run_id, workers=1, listener=approving)
        return maingate.report(run_id), approving.heard


def test_a_patch_of_the_settings_waits_for_an_approval_and_counts_from_the_next_run_on(
    repo: GitRepo, tmp_path: Path
) -> None:
    """It is proved by the gates that the target has; those that it brings prove what lands after it."""
    repo.commit({"maingate.toml": '[gates.g]\nrun = "grep -q a f"\n', "f": "a\n"})
    new = {"maingate.toml": '[gates.g]\nrun = "! grep -q c f"\n'}
    report, heard = landed_with_approval(repo, tmp_path / "one", new)
    assert report["state"] == "succeeded", report
    assert any("waits for" in text for text in heard)
    assert (
        land(repo, {"p": repo.diff_of({"f": "a\nc\n"})}, folder=tmp_path / "two").code("p/t") == "gate_failed"
    )
    report, heard = landed_with_approval(repo, tmp_path / "three", {"f": "b\n"})
    assert (report["state"], heard) == ("succeeded", [])


def test_the_gates_of_the_targets_tree_hold_whatever_is_checked_out(repo: GitRepo, tmp_path: Path) -> None:
    """A branch and a checkout cannot bring gates of their own, nor a policy; the machine's part they can."""
    repo.commit({"maingate.toml": '[gates.g]\nrun = "! grep -q bad f"\n', "f": "a\n"})
    repo.git("switch", "-q", "-c", "agent")
    bad = repo.diff_of({"f": "bad\n"})
    repo.commit({"maingate.toml": 'workers = 1\n[gates.g]\nrun = "true"\n[policy]\nmax_files = 9\n'})
    done = land(repo, {"p": bad}, folder=tmp_path / "one")
    assert (done.code("p/t"), done.report["gates"]["failed"] > 0) == ("gate_failed", True)
    with Maingate.open(repo.path) as maingate, maingate.database.read() as conn:
        recorded = runs.get(conn, done.report["run_id"]).tree_settings
    assert recorded == {"workers": 1, "gates": {"g": {"run": "! grep -q bad f"}}}


def test_a_plan_that_was_loaded_before_the_target_moved_goes_by_the_target(
    repo: GitRepo, tmp_path: Path
) -> None:
    """The admission decides, by the commit that the run is based on."""
    repo.commit({"f": "a\n"})
    patches = {"p": repo.diff_of({"f": "bad\n"})}
    path = write_plan(tmp_path, {"repo": str(repo.path), "workstreams": one_each(patches)}, patches)
    loaded = load_plan(path)
    repo.commit({"maingate.toml": '[gates.g]\nrun = "! grep -q bad f"\n'})
    with Maingate.open(repo.path) as maingate:
        run_id = maingate.admission.admit(loaded)
        maingate.execution.execute(run_id, workers=1)
        assert maingate.report(run_id)["state"] == "failed"


@pytest.mark.parametrize(
    ("content", "said"),
    [
        ("[gates.g]\nrun = 'x'\ntimout = '1m'\n", r"main:maingate.toml:3: gates.g: unknown key 'timout'"),
        ("[gates.g]\nneeds = ['h']\nrun = 'true'\n", r"main:maingate.toml:2: .*there is no gate 'h'"),
        ("[gates.g]\nrun = 'true'\nrequired = 'no'\n", r"main:maingate.toml:3: .*'required' must be true"),
        ("[tools.t]\nrun = 'true'\nsecrets = ['KEY']\n", r"main:maingate.toml:3: .*which secrets a tool"),
        ("gates = 7\n", r"main:maingate.toml:1: 'gates' must be keys with values"),
        ("env_allow = ['*']\n", r"main:maingate.toml:1: 'env_allow' is not taken from"),
        ("[gates\n", r"main:maingate.toml:1"),
        ("a = " + "[" * 100_000, r"main:maingate.toml"),
        ("#" * 1_100_000, r"main:maingate.toml: has 1,100,000 bytes"),
        ("\udcff", r"main:maingate.toml: is not UTF-8"),
    ],
)
def test_wrong_settings_in_the_targets_tree_refuse_the_run(
    repo: GitRepo, tmp_path: Path, content: str, said: str
) -> None:
    """With the place in the tree, also where the checkout has none."""
    repo.commit({"f": "a\n", "maingate.toml": content.encode(errors="surrogateescape")})
    repo.git("switch", "-q", "-c", "agent")
    repo.commit({"maingate.toml": None})
    with pytest.raises((PlanError, SettingsError), match=said):
        admitted(repo, tmp_path / "p", {"p": repo.diff_of({"f": "b\n"})}, target="main")


@pytest.mark.parametrize("content", ["env_allow = ['*']\n", "[gates\n", "workers = 0\n"])
def test_a_patch_that_would_make_wrong_settings_is_refused(
    repo: GitRepo, tmp_path: Path, content: str
) -> None:
    """At once, and not after an approval: with them on the target, every later run would be refused."""
    repo.commit({"f": "a\n", "maingate.toml": "workers = 2\n"})
    done = land(repo, {"p": repo.diff_of({"maingate.toml": content})}, folder=tmp_path / "one")
    assert done.code("p/t") == "policy_violation"
    assert "no later run could begin: main:maingate.toml:1:" in done.task("p/t")["reason"]["message"]


@pytest.mark.parametrize("kind", ["link", "folder"])
def test_settings_that_are_no_plain_file_refuse_the_run(repo: GitRepo, tmp_path: Path, kind: str) -> None:
    """A link would name other content than what was committed."""
    repo.commit({"f": "a\n", "maingate.toml/x": "a\n"} if kind == "folder" else {"f": "a\n"})
    if kind == "link":
        (repo.path / "maingate.toml").symlink_to("f")
        repo.git("add", "-A")
        repo.git("commit", "-qm", "link")
    patches = {"p": repo.diff_of({"f": "b\n"})}
    repo.git("switch", "-q", "--orphan", "agent")
    with pytest.raises(SettingsError, match=r"main:maingate.toml: is (a symbolic link|not a file)"):
        admitted(repo, tmp_path / "p", patches, target="main")


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
