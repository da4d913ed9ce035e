"""The git command: scrubbed, without hooks or prompts, and clear when it fails."""

import os
import stat
import sys
from pathlib import Path

import pytest

from maingate.errors import GitError, OutsideFaultError
from maingate.git import command
from maingate.git.command import git_environment, parse_version, require_git, run_git
from support.factories import GitRepo


def test_output_comes_back_as_bytes(repo: GitRepo) -> None:
    """Standard output is what git wrote, byte for byte; standard error is text."""
    blob = run_git("hash-object", "-w", "--stdin", git_dir=repo.path / ".git", input=b"caf\xe9\r\n").stdout
    result = run_git("cat-file", "blob", blob.strip(), git_dir=repo.path / ".git")
    assert (result.code, result.stdout, result.stderr) == (0, b"caf\xe9\r\n", "")


def test_arguments_may_be_bytes_and_paths(repo: GitRepo) -> None:
    """A name that is not UTF-8 reaches git as it is."""
    (repo.path / os.fsdecode(b"caf\xe9")).write_text("x")
    run_git("add", b"caf\xe9", cwd=repo.path)
    assert run_git("ls-files", "-z", cwd=repo.path).stdout == b"caf\xe9\0"


def test_a_failure_says_command_code_and_last_words(repo: GitRepo) -> None:
    """The output and exit code of git are in the message and in attributes."""
    with pytest.raises(GitError, match="git rev-parse --verify nowhere` exited with 128: fatal:") as raised:
        run_git("rev-parse", "--verify", "nowhere", cwd=repo.path)
    error = raised.value
    assert error.command == ("rev-parse", "--verify", "nowhere")
    assert error.exit_code == 128
    assert "fatal" in error.stderr
    assert isinstance(error, OutsideFaultError)


def test_an_unchecked_failure_is_a_result(repo: GitRepo) -> None:
    """The caller who expects a refusal reads the exit code."""
    assert run_git("rev-parse", "--verify", "-q", "nowhere", cwd=repo.path, check=False).code == 1


def test_the_callers_git_variables_do_not_count(repo: GitRepo, monkeypatch: pytest.MonkeyPatch) -> None:
    """A GIT_DIR or GIT_INDEX_FILE of the caller (a hook, an alias) never redirects a command."""
    monkeypatch.setenv("GIT_DIR", "/nonexistent")
    monkeypatch.setenv("GIT_INDEX_FILE", "/nonexistent")
    monkeypatch.setenv("GIT_CONFIG_PARAMETERS", "'core.bare=true'")
    assert run_git("rev-parse", "--is-bare-repository", cwd=repo.path).stdout == b"false\n"


def test_the_users_configuration_does_not_count(repo: GitRepo, hermetic_environment: Path) -> None:
    """Without being asked for, ~/.gitconfig changes nothing; asked for, it counts."""
    (hermetic_environment / ".gitconfig").write_text("[user]\n\tname = From Home\n")
    assert run_git("config", "user.name", cwd=repo.path, check=False).code == 1
    asked = run_git("config", "user.name", cwd=repo.path, persons_config=True)
    assert asked.stdout == b"From Home\n"


@pytest.mark.parametrize("persons_config", [True, False])
def test_hooks_and_fsmonitor_never_run(repo: GitRepo, tmp_path: Path, *, persons_config: bool) -> None:
    """Programs that a repository's configuration names are not started, with any configuration in force."""
    repo.commit({"a": "1\n"})
    traces = tmp_path / "ran"
    program = tmp_path / "program"
    program.write_text(f"#!/bin/sh\necho ran >> {traces}\n")
    program.chmod(program.stat().st_mode | stat.S_IXUSR)
    repo.git("config", "core.fsmonitor", str(program))
    for hook in ("reference-transaction", "post-index-change", "pre-auto-gc"):
        (repo.path / ".git/hooks").mkdir(exist_ok=True)
        (repo.path / ".git/hooks" / hook).symlink_to(program)
    run_git("status", cwd=repo.path, persons_config=persons_config)
    run_git("update-ref", "refs/heads/other", "HEAD", cwd=repo.path, persons_config=persons_config)
    run_git("read-tree", "-m", "-u", "HEAD", cwd=repo.path, persons_config=persons_config)
    assert not traces.exists()


def test_standard_input_is_empty_unless_given(repo: GitRepo) -> None:
    """A command that reads gets nothing rather than the terminal."""
    empty = "e69de29bb2d1d6434b8b29ae775ad8c2e48c5391"
    assert run_git("hash-object", "--stdin", cwd=repo.path).stdout.decode().strip() == empty


def test_a_timeout_ends_the_command(repo: GitRepo) -> None:
    """A command that takes too long is an error that says for how long it was waited."""
    sleeper = f"!{sys.executable} -c 'import time; time.sleep(60)'"
    with pytest.raises(GitError, match=r"did not end within 0\.05 s"):
        run_git("-c", f"alias.nap={sleeper}", "nap", cwd=repo.path, timeout=0.05)


def test_a_missing_git_is_a_clear_error(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """Without git on PATH the message says to install it."""
    monkeypatch.setenv("PATH", str(tmp_path))
    monkeypatch.setattr(os, "defpath", str(tmp_path))
    with pytest.raises(GitError, match="git was not found"):
        require_git()


def test_a_missing_directory_is_not_a_missing_git(tmp_path: Path) -> None:
    """The working directory that is not there is named."""
    with pytest.raises(GitError, match="no such directory"):
        run_git("version", cwd=tmp_path / "gone")


@pytest.mark.parametrize(
    "said", ["git version 2.35.0", "git version 2.39.5 (Apple Git-154)", "git version 3.0.rc1"]
)
def test_new_enough_versions_are_accepted(said: str) -> None:
    """2.35 and newer will do, whatever vendors append."""
    assert parse_version(said) >= command.OLDEST_GIT


@pytest.mark.parametrize("said", ["git version 2.34.9", "git version 1.8.3.1", "busybox"])
def test_old_or_strange_versions_are_refused(said: str) -> None:
    """Too old a git, or something else called git, is refused with what is wanted."""
    with pytest.raises(GitError, match=r"2\.35 or newer|is no version"):
        parse_version(said)


def test_the_environment_speaks_c_and_asks_nothing(monkeypatch: pytest.MonkeyPatch) -> None:
    """Messages are parsed, so they are in one language; a prompt would never be answered."""
    monkeypatch.setenv("LANG", "de_DE.UTF-8")
    environment = git_environment(extra={"GIT_INDEX_FILE": "x"})
    assert environment["LC_ALL"] == "C"
    assert environment["GIT_TERMINAL_PROMPT"] == "0"
    assert environment["GIT_OPTIONAL_LOCKS"] == "0"
    assert environment["GIT_INDEX_FILE"] == "x"
