"""Who makes commits, and how they are signed: as git's configuration and the settings have it."""

import shutil
import subprocess
from datetime import UTC, datetime
from pathlib import Path

import pytest

from maingate.errors import GitError, RepositoryError
from maingate.git.commit_rules import CommitSettings
from maingate.git.repository import Repository
from support.factories import GitRepo
from support.landing import land

AT = datetime(2026, 1, 2, tzinfo=UTC)
needs_ssh = pytest.mark.skipif(shutil.which("ssh-keygen") is None, reason="needs ssh-keygen")


@pytest.fixture
def key(repo: GitRepo, tmp_path: Path) -> Path:
    """Give a key by which git verifies and is told to sign all commits of the repository."""
    path = tmp_path / "key"
    subprocess.run(["ssh-keygen", "-q", "-t", "ed25519", "-N", "", "-f", str(path)], check=True)
    allowed = tmp_path / "allowed"
    allowed.write_text(f"ada@example.org {path.with_suffix('.pub').read_text()}")
    for name, value in {
        "user.name": "Ada Committer",
        "user.email": "ada@example.org",
        "gpg.format": "ssh",
        "gpg.ssh.allowedSignersFile": str(allowed),
        "user.signingKey": str(path),
        "commit.gpgSign": "true",
    }.items():
        repo.git("config", name, value)
    repo.commit({"f.txt": "one\n"}, "base")
    return path


def unsigned(repo: GitRepo, *commits: str) -> list[str]:
    """Return the commits without a good signature of the key."""
    told = repo.git("log", "--no-walk", "--format=%h %G? %GS", *commits).splitlines()
    return [line for line in told if not line.endswith(" G ada@example.org")]


@needs_ssh
@pytest.mark.parametrize("style", ["merge", "squash", "rebase"])
def test_every_commit_that_lands_is_signed(repo: GitRepo, key: Path, style: str) -> None:
    """Patches, merges, squashes, what is rebased upon what landed meanwhile, and the sealed last one."""
    assert key.exists()
    start = repo.head()
    diffs = {name: repo.diff_of({f"{name}.txt": f"{name}\n"}) for name in "xyz"}
    streams = {
        "a": {"tasks": {"x": {"patch": "x"}, "y": {"patch": "y", "author": "Bob <b@x.org>"}}},
        "b": {"tasks": {"z": {"patch": "z"}}},
    }
    assert land(repo, diffs, workstreams=streams, landing=style).state == "succeeded"
    landed = repo.git("rev-list", f"{start}..main").split()
    assert len(landed) == {"merge": 5, "squash": 2, "rebase": 3}[style]
    assert unsigned(repo, *landed) == []
    assert set(repo.git("log", "--format=%cn <%ce>", f"{start}..main").splitlines()) == {
        "Ada Committer <ada@example.org>"
    }


@needs_ssh
def test_no_run_begins_that_could_not_sign(repo: GitRepo, key: Path) -> None:
    """Nothing lands unsigned where the configuration demands signatures; the setting can say otherwise."""
    diff = {"p": repo.diff_of({"f.txt": "two\n"})}
    head = repo.head()
    key.unlink()
    with pytest.raises(RepositoryError, match="commits have to be signed here") as refused:
        land(repo, diff)
    assert "ssh-keygen" in str(refused.value)
    assert repo.head("main") == head
    (repo.path / ".git" / "maingate" / "maingate.toml").write_text('sign = "never"\n')
    assert land(repo, diff).state == "succeeded"
    assert len(unsigned(repo, "main")) == 1


@needs_ssh
def test_a_key_that_is_lost_meanwhile_makes_no_unsigned_commit(repo: GitRepo, key: Path) -> None:
    """The commit is not made."""
    with Repository.open(repo.path) as opened:
        opened.commit_rules.check()
        key.unlink()
        with pytest.raises(GitError, match="a commit could not be signed"):
            opened.commit(tree=repo.tree(), parents=[repo.head()], message="x", date=AT)
        trial = opened.commit(tree=repo.tree(), parents=[], message="x", date=AT, is_trial=True)
    assert len(unsigned(repo, trial)) == 1


@needs_ssh
def test_signatures_can_be_required(repo: GitRepo, key: Path) -> None:
    """Whatever commit.gpgSign says; a key may stand in the configuration itself, or be a command's."""
    repo.git("config", "commit.gpgSign", "false")
    with Repository.open(repo.path) as opened:
        assert opened.commit_rules.signer is None
        rules = opened.read_commit_rules(CommitSettings(sign="required"))
        made = opened.commit(tree=repo.tree(), parents=[repo.head()], message="x", date=AT)
        assert unsigned(repo, made) == []
        repo.git("config", "--unset", "user.signingKey")
        with pytest.raises(RepositoryError, match=r"user\.signingKey is not set"):
            opened.read_commit_rules(CommitSettings(sign="required")).check()
        repo.git("config", "gpg.ssh.defaultKeyCommand", f"echo {key}")
        opened.read_commit_rules(CommitSettings(sign="required")).check()
        repo.git("config", "gpg.format", "none")
        with pytest.raises(GitError, match=r"gpg\.format is 'none'"):
            opened.read_commit_rules(CommitSettings(sign="required"))
    assert rules.signer is not None


GPG = """#!/bin/sh
echo "$@" > "$0.args"
cat > "$0.given"
printf '\\n[GNUPG:] SIG_CREATED D 1 8 00 1 AB\\n' >&2
printf -- '-----BEGIN PGP SIGNATURE-----\\r\\n\\r\\nabc\\r\\n-----END PGP SIGNATURE-----\\r\\n'
"""


def test_other_formats_are_signed_by_their_program(repo: GitRepo, tmp_path: Path) -> None:
    """It is given the commit without a signature, and the key or the committer; its status is believed."""
    program = tmp_path / "gpg"
    program.write_text(GPG)
    program.chmod(0o755)
    repo.commit({"f.txt": "one\n"}, "base")
    for name, value in {"gpg.program": str(program), "user.name": "Ada", "user.email": "a@b.org"}.items():
        repo.git("config", name, value)
    with Repository.open(repo.path) as opened:
        opened.read_commit_rules(CommitSettings(sign="required"))
        made = opened.commit(tree=repo.tree(), parents=[], message="x\n\ny", date=AT)
        program.write_text(GPG.replace("SIG_CREATED", "FAILURE"))
        with pytest.raises(RepositoryError, match="could not be signed"):
            opened.commit_rules.check()
    assert (tmp_path / "gpg.args").read_text() == "--status-fd=2 -bsau Ada <a@b.org>\n"
    stored = repo.git_bytes("cat-file", "commit", made)
    signature = b"gpgsig -----BEGIN PGP SIGNATURE-----\n \n abc\n -----END PGP SIGNATURE-----\n"
    assert signature in stored
    given = stored.replace(signature, b"")
    assert given.endswith(b"committer Ada <a@b.org> 1767312000 +0000\n\nx\n\ny\n")


@pytest.mark.parametrize("style", ["merge", "squash"])
@pytest.mark.parametrize("needs_commit", [False, True])
def test_a_landing_asks_for_one_signature_of_what_lands(
    repo: GitRepo, tmp_path: Path, style: str, needs_commit: bool
) -> None:
    """A key that is asked for at each use: the merge needs it as it is sealed, and not before."""
    program = tmp_path / "gpg"
    program.write_text(GPG.replace('echo "$@" > "$0.args"', 'echo "$@" >> "$0.args"'))
    program.chmod(0o755)
    repo.commit({"f.txt": "one\n"}, "base")
    for name, value in {"gpg.program": str(program), "commit.gpgSign": "true"}.items():
        repo.git("config", name, value)
    start = repo.head()
    gates = {"unit": {"run": "true", "needs_commit": needs_commit}}
    assert (
        land(repo, {"p": repo.diff_of({"f.txt": "two\n"})}, gates=gates, landing=style).state == "succeeded"
    )
    asked = (tmp_path / "gpg.args").read_text().splitlines()
    assert len(asked) == len(["the trial before the run", "the patch", "the commit that lands"])
    for commit in repo.git("rev-list", f"{start}..main").split():
        assert "gpgsig" in repo.git("cat-file", "commit", commit)


@pytest.mark.parametrize(
    ("config", "setting", "committer"),
    [
        ({}, None, "Maingate <maingate@localhost>"),
        ({"user.name": "Ada"}, None, "Maingate <maingate@localhost>"),
        ({"user.name": "Ada", "user.email": "a@b.org"}, None, "Ada <a@b.org>"),
        ({"user.name": "Ada", "user.email": "a@b.org", "committer.name": "Bot"}, None, "Bot <a@b.org>"),
        ({"user.name": "Ada", "user.email": "a@b.org"}, "Queue <q@x.org>", "Queue <q@x.org>"),
    ],
)
def test_the_committer_is_the_settings_or_gits(
    repo: GitRepo, config: dict[str, str], setting: str | None, committer: str
) -> None:
    """Maingate's own name stands only where there is no other; it is the author of what has none, too."""
    repo.commit({"f.txt": "one\n"}, "base")
    for name, value in config.items():
        repo.git("config", name, value)
    with Repository.open(repo.path) as opened:
        opened.read_commit_rules(CommitSettings(committer=setting))
        made = opened.commit(tree=repo.tree(), parents=[], message="x", date=AT)
    assert repo.git("log", "-1", "--format=%an <%ae>|%cn <%ce>", made) == f"{committer}|{committer}"


def test_the_settings_reach_a_run(repo: GitRepo) -> None:
    """`committer` and `sign` of the repository's own file count; a tree cannot set them."""
    repo.commit({"f.txt": "one\n"}, "base")
    diff = {"p": repo.diff_of({"f.txt": "two\n"})}
    folder = repo.path / ".git" / "maingate"
    folder.mkdir()
    (folder / "maingate.toml").write_text('committer = "Queue <q@x.org>"\n')
    assert land(repo, diff).state == "succeeded"
    assert repo.git("log", "-1", "--format=%cn <%ce>", "main") == "Queue <q@x.org>"
