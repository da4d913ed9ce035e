"""The check of a commit's signature, with real keys: what `git merge --verify-signatures` would refuse."""

import os
import shutil
import subprocess
import tempfile
from collections.abc import Iterator, Mapping
from pathlib import Path

import pytest

from maingate.errors import RepositoryError
from maingate.git.repository import Repository
from support.factories import GitRepo

needs_ssh = pytest.mark.skipif(shutil.which("ssh-keygen") is None, reason="needs ssh-keygen")
needs_gpg = pytest.mark.skipif(shutil.which("gpg") is None, reason="needs gpg")


@pytest.fixture
def ssh(repo: GitRepo, tmp_path: Path) -> GitRepo:
    """Give a repository with a signed and an unsigned commit, and a list of signers with the key."""
    key, other = tmp_path / "key", tmp_path / "other"
    for path in (key, other):
        subprocess.run(["ssh-keygen", "-q", "-t", "ed25519", "-N", "", "-f", str(path)], check=True)
    (tmp_path / "allowed").write_text(f"ada@example.org {key.with_suffix('.pub').read_text()}")
    configure(
        repo,
        {
            "merge.verifySignatures": "true",
            "gpg.format": "ssh",
            "gpg.ssh.allowedSignersFile": str(tmp_path / "allowed"),
            "user.signingKey": str(key),
        },
    )
    repo.commit({"f.txt": "one\n"}, "unsigned")
    repo.git("commit", "-q", "--allow-empty", "-S", "-m", "signed")
    return repo


@pytest.fixture
def gpg(repo: GitRepo, monkeypatch: pytest.MonkeyPatch) -> Iterator[GitRepo]:
    """Give a repository whose last commit is signed by a key of gpg, in a folder with a short path."""
    with tempfile.TemporaryDirectory(prefix="gpg-", dir="/tmp") as home:
        monkeypatch.setenv("GNUPGHOME", home)
        quick = ["--batch", "--quiet", "--passphrase", "", "--quick-gen-key", "Ada <ada@example.org>"]
        subprocess.run(["gpg", *quick, "ed25519", "sign", "never"], check=True, capture_output=True)
        configure(repo, {"merge.verifySignatures": "true", "user.signingKey": "ada@example.org"})
        repo.commit({"f.txt": "one\n"}, "unsigned")
        repo.git("commit", "-q", "--allow-empty", "-S", "-m", "signed")
        yield repo
        subprocess.run(["gpgconf", "--kill", "all"], check=False)


def configure(repo: GitRepo, settings: Mapping[str, str]) -> None:
    """Write settings of git into a repository."""
    for name, value in settings.items():
        repo.git("config", name, value)


def fault(repo: GitRepo, commit: str) -> str | None:
    """Return why git would not merge a commit into main."""
    with Repository.open(repo.path) as opened:
        check = opened.merge_rules.signature_check("refs/heads/main")
        assert check is not None
        check.require_known_level()
        return check.fault_of(opened, opened.resolve_commit(commit))


def git_refuses(repo: GitRepo, commit: str) -> bool:
    """Return whether git itself refuses to merge a commit."""
    where = ["git", "-c", "advice.detachedHead=false"]
    subprocess.run([*where, "checkout", "-q", f"{commit}~1"], cwd=repo.path, check=True)
    done = subprocess.run(["git", "merge", "-q", commit], cwd=repo.path, capture_output=True, check=False)
    subprocess.run(["git", "checkout", "-q", "main"], cwd=repo.path, check=True)
    return done.returncode != 0


@needs_ssh
def test_a_signed_commit_has_no_fault(ssh: GitRepo) -> None:
    """As git has it; one without a signature has."""
    assert (fault(ssh, "main"), git_refuses(ssh, "main")) == (None, False)
    assert fault(ssh, "main~1") == "is not signed"


@needs_ssh
def test_a_signature_of_another_content_is_bad(ssh: GitRepo) -> None:
    """It was copied from another commit."""
    signed = ssh.git_bytes("cat-file", "commit", "main")
    forged = ssh.git("hash-object", "-t", "commit", "-w", "--stdin", stdin=signed + b"more\n")
    assert (fault(ssh, forged) or "").startswith("has a bad signature")
    assert git_refuses(ssh, forged)


@needs_ssh
def test_a_key_that_is_no_signers_is_not_trusted(ssh: GitRepo, tmp_path: Path) -> None:
    """The signature is good, and of whom is not known."""
    ssh.git("config", "user.signingKey", str(tmp_path / "other"))
    ssh.git("commit", "-q", "--allow-empty", "-S", "-m", "other")
    assert "that key is not trusted as much as needed (marginal)" in (fault(ssh, "main") or "")
    assert git_refuses(ssh, "main")
    ssh.git("config", "gpg.minTrustLevel", "undefined")
    assert fault(ssh, "main") is not None
    assert git_refuses(ssh, "main")


@needs_ssh
@pytest.mark.parametrize("name", ["allowedSignersFile", "program"])
def test_a_check_that_cannot_be_made_says_why(ssh: GitRepo, name: str) -> None:
    """The list of signers, or the program, is not there: git merges nothing then."""
    ssh.git("config", f"gpg.ssh.{name}", "missing")
    told = fault(ssh, "main") or ""
    assert told.startswith("has a signature")
    assert "missing" in told
    assert "No such file" in told
    assert git_refuses(ssh, "main")


@needs_ssh
def test_a_list_of_signers_may_be_named_from_the_top_of_the_work_tree(ssh: GitRepo, tmp_path: Path) -> None:
    """Git reads it there, wherever Maingate was started."""
    shutil.copy(tmp_path / "allowed", ssh.path / "signers")
    ssh.git("config", "gpg.ssh.allowedSignersFile", "signers")
    assert fault(ssh, "main") is None


@needs_ssh
def test_a_level_of_trust_that_is_none_is_refused(ssh: GitRepo) -> None:
    """The message has the levels."""
    ssh.git("config", "gpg.minTrustLevel", "some")
    with (
        Repository.open(ssh.path) as opened,
        pytest.raises(RepositoryError, match="undefined, never, marginal"),
    ):
        opened.merge_rules.require_known("refs/heads/main")


@needs_gpg
@pytest.mark.parametrize(
    ("trust", "wanted", "is_refused"),
    [
        ("6", None, False),
        ("6", "ultimate", False),
        ("2", None, True),
        ("2", "undefined", False),
        ("5", "ultimate", True),
    ],
)
def test_the_key_has_to_be_trusted_enough(
    gpg: GitRepo, trust: str, wanted: str | None, is_refused: bool
) -> None:
    """Marginally, unless `gpg.minTrustLevel` says otherwise."""
    told = subprocess.run(["gpg", "--list-keys", "--with-colons"], capture_output=True, text=True, check=True)
    print_ = next(line for line in told.stdout.splitlines() if line.startswith("fpr:")).split(":")[9]
    subprocess.run(
        ["gpg", "--quiet", "--import-ownertrust"], input=f"{print_}:{trust}:\n", text=True, check=True
    )
    if wanted is not None:
        gpg.git("config", "gpg.minTrustLevel", wanted)
    assert git_refuses(gpg, "main") is is_refused
    assert (fault(gpg, "main") is not None) is is_refused


@needs_gpg
def test_a_key_that_is_not_there_cannot_be_checked(gpg: GitRepo, monkeypatch: pytest.MonkeyPatch) -> None:
    """As for a commit of a person whose key was not imported."""
    with tempfile.TemporaryDirectory(prefix="gpg-", dir="/tmp") as other:
        monkeypatch.setenv("GNUPGHOME", other)
        assert (fault(gpg, "main") or "").startswith("has a signature that cannot be checked")
        assert git_refuses(gpg, "main")
        subprocess.run(["gpgconf", "--kill", "all"], check=False, env=dict(os.environ))
