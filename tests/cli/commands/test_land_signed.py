"""A repository that merges signed commits only (`merge.verifySignatures`): branches, landings, patches."""

import shutil
import subprocess
from pathlib import Path

import pytest

from support.command_line import Call, called_in, json_of
from support.factories import GitRepo

RULES = '[gates.good]\nrun = "! grep -rq bad . --include=*.txt"\n'
pytestmark = pytest.mark.skipif(shutil.which("ssh-keygen") is None, reason="needs ssh-keygen")


@pytest.fixture
def base(repo: GitRepo, tmp_path: Path) -> GitRepo:
    """Give a repository that asks for signatures, with a signed and an unsigned branch of two commits."""
    key = tmp_path / "key"
    subprocess.run(["ssh-keygen", "-q", "-t", "ed25519", "-N", "", "-f", str(key)], check=True)
    (tmp_path / "allowed").write_text(f"ada@example.org {key.with_suffix('.pub').read_text()}")
    for name, value in {
        "gpg.format": "ssh",
        "gpg.ssh.allowedSignersFile": str(tmp_path / "allowed"),
        "user.signingKey": str(key),
        "merge.verifySignatures": "true",
    }.items():
        repo.git("config", name, value)
    repo.commit({"maingate.toml": RULES, "f.txt": "f\n"}, "base")
    for name, tip in (("good", ["-S"]), ("plain", ["--no-gpg-sign"])):
        repo.git("switch", "-q", "-c", name, "main")
        repo.commit({f"{name}-1.txt": "1\n"}, "one")
        repo.write({f"{name}-2.txt": "2\n"})
        repo.git("add", "-A")
        repo.git("commit", "-q", *tip, "-m", "two")
    repo.git("switch", "-q", "main")
    return repo


@pytest.fixture
def call(base: GitRepo, hermetic_environment: Path) -> Call:
    """Give the command line in the repository."""
    return called_in(base.path, hermetic_environment)


def files(base: GitRepo) -> set[str]:
    """Return the files of the branches that are on the target."""
    return {name for name in base.git("ls-tree", "--name-only", "main").split() if "-" in name}


GOOD, PLAIN = {"good-1.txt", "good-2.txt"}, {"plain-1.txt", "plain-2.txt"}


@pytest.mark.parametrize("style", ["merge", "squash"])
def test_a_branch_whose_newest_commit_is_not_signed_is_refused_and_others_land(
    base: GitRepo, call: Call, style: str
) -> None:
    """As `git merge` and `git merge --squash` have it; the dry run tells it, and nothing else is blamed."""
    unsigned = base.head("plain")
    words = ("land", "plain", "good", "--landing", style, "--json")
    tried = {item["name"]: item for item in json_of(call(*words, "--dry-run"), 1)["trial"]["items"]}
    assert {name: item["state"] for name, item in tried.items()} == {"plain": "refused", "good": "clear"}
    run = json_of(call(*words), 1)
    streams = {each["name"]: each for each in run["workstreams"]}
    assert {name: each["state"] for name, each in streams.items()} == {"plain": "failed", "good": "completed"}
    (refused,) = (task for task in run["tasks"] if (task["reason"] or {}).get("code") == "signature_invalid")
    for reason in (tried["plain"]["reason"], refused["reason"]):
        assert reason["code"] == "signature_invalid"
        assert f"commit {unsigned[:12]} is not signed" in reason["message"]
        assert reason["detail"] == {"commit": unsigned, "setting": "merge.verifySignatures"}
    assert files(base) == GOOD
    assert call("audit", "verify").returncode == 0


def test_git_merges_what_landed_and_refuses_what_was_refused(base: GitRepo, call: Call) -> None:
    """The measure is git itself, in a copy of the repository."""
    copy = base.path.parent / "copy"
    shutil.copytree(base.path, copy)
    codes = [
        subprocess.run(
            ["git", "merge", "-q", "--no-edit", name], cwd=copy, capture_output=True, check=False
        ).returncode
        for name in ("good", "plain")
    ]
    assert (codes[0], codes[1] != 0) == (0, True)
    json_of(call("land", "good", "--json"), 0)
    json_of(call("land", "plain", "--json"), 1)
    assert files(base) == GOOD


def test_a_branch_that_cannot_land_as_it_is_is_checked_too(base: GitRepo, call: Call) -> None:
    """It has merged its target, so it is made anew as one commit; its newest commit is checked still."""
    base.commit({"late.txt": "late\n"}, "late")
    for name in ("good", "plain"):
        base.git("switch", "-q", name)
        base.git("merge", "-q", "--no-verify-signatures", "--no-gpg-sign", "-m", "catch up", "main")
        base.commit({f"{name}-3.txt": "3\n"}, "three")
    base.git("switch", "-q", "good")
    base.git("commit", "-q", "--amend", "--no-edit", "-S")
    base.git("switch", "-q", "main")
    json_of(call("land", "plain", "good", "--landing", "squash", "--json"), 1)
    assert files(base) == GOOD | {"good-3.txt"}


def test_what_git_does_not_check_lands(base: GitRepo, call: Call, tmp_path: Path) -> None:
    """`git rebase`, and patches as by `git am`; options of the branch take the check away, as for git."""
    json_of(call("land", "plain", "--landing", "rebase", "--json"), 0)
    assert files(base) == PLAIN
    patch = tmp_path / "own.patch"
    patch.write_bytes(base.diff_of({"own-1.txt": "own\n"}))
    json_of(call("land", str(patch), "--json"), 0)
    base.git("config", "branch.main.mergeOptions", "--no-verify-signatures")
    base.git("switch", "-q", "-c", "more", "main")
    base.commit({"more-1.txt": "more\n"}, "more")
    json_of(call("land", "more", "--json"), 0)
    assert files(base) == PLAIN | {"own-1.txt", "more-1.txt"}
