"""The filter drivers of a user and a repository: which there are, and where they run."""

import subprocess
from pathlib import Path

import pytest

from maingate.git.command import run_git
from maingate.git.filter_drivers import NONE, FilterDrivers, is_filter_failure, read_drivers
from support.factories import GitRepo


def driven(repo: GitRepo) -> FilterDrivers:
    """Read the drivers of a repository."""
    return read_drivers(repo.path / ".git", repo.path)


def test_the_drivers_of_user_and_repository_are_read_and_nothing_else(
    repo: GitRepo, hermetic_environment: Path
) -> None:
    """The repository's own settings count after the user's; a driver's name may hold dots and spaces."""
    (hermetic_environment / ".gitconfig").write_text(
        '[filter "lfs"]\n\tclean = git-lfs clean -- %f\n\tsmudge = old\n\trequired\n'
        "[core]\n\thooksPath = /nowhere\n[alias]\n\tst = status\n"
    )
    repo.git("config", "filter.lfs.smudge", 'new "one"')
    repo.git("config", "filter.a.b c.process", "x")

    assert driven(repo).drivers == {
        "lfs": {"clean": "git-lfs clean -- %f", "smudge": 'new "one"', "required": "true"},
        "a.b c": {"process": "x"},
    }


def test_without_drivers_git_gets_no_variables(repo: GitRepo) -> None:
    """Nothing is configured, so nothing is said."""
    assert driven(repo) == NONE
    assert (NONE.variables(), NONE.as_config()) == ({}, "")


@pytest.mark.parametrize(
    ("settings", "required"),
    [
        ({"clean": "c", "smudge": "s"}, "true"),
        ({"process": "p"}, "true"),
        ({"clean": "c"}, None),
        ({"smudge": "s", "required": "false"}, "false"),
        ({"clean": "", "smudge": ""}, None),
    ],
)
def test_a_driver_of_both_ways_must_work(settings: dict[str, str], required: str | None) -> None:
    """Git takes a driver of one way, where both are required, for a broken one."""
    drivers = FilterDrivers(settings=tuple((f"filter.x.{part}", value) for part, value in settings.items()))
    given = drivers.variables()
    names = [given[name] for name in given if "_KEY_" in name]
    values = [given[name] for name in given if "_VALUE_" in name]
    assert dict(zip(names, values, strict=True)).get("filter.x.required") == required


def test_a_driver_runs_where_the_person_would_run_it(repo: GitRepo, tmp_path: Path) -> None:
    """It finds the person's git directory and configuration, though git itself works elsewhere."""
    repo.git(
        "config", "filter.x.clean", "cat >/dev/null; pwd; git rev-parse --absolute-git-dir; git config a.b"
    )
    repo.git("config", "a.b", "of the repository")
    elsewhere = tmp_path / "elsewhere"
    repo.git("init", "-q", str(elsewhere))
    (elsewhere / ".gitattributes").write_text("f filter=x\n")

    oid = run_git(
        "hash-object", "-w", "--stdin", "--path=f", cwd=elsewhere, env=driven(repo).variables(), input=b"raw"
    ).stdout.decode()

    said = run_git("cat-file", "blob", oid.strip(), cwd=elsewhere).stdout.decode().splitlines()
    assert said == [str(repo.path), str(repo.path / ".git"), "of the repository"]


def test_a_person_who_fetches_no_large_files_does_not_fetch_them_here(
    repo: GitRepo, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The variable reaches the filter, and no other of the person's environment does."""
    repo.git("config", "filter.x.clean", "cat >/dev/null; echo $GIT_LFS_SKIP_SMUDGE $GIT_LFS_OTHER")
    monkeypatch.setenv("GIT_LFS_SKIP_SMUDGE", "1")
    monkeypatch.setenv("GIT_LFS_OTHER", "2")
    (repo.path / ".gitattributes").write_text("f filter=x\n")
    oid = run_git(
        *("hash-object", "-w", "--stdin", "--path=f"),
        cwd=repo.path,
        env=driven(repo).variables(),
        input=b"raw",
    ).stdout.decode()
    assert repo.git("cat-file", "blob", oid.strip()) == "1"


def test_a_configuration_file_says_the_same(repo: GitRepo, tmp_path: Path) -> None:
    """Quotes, backslashes, line ends and comments in a command survive."""
    repo.git("config", 'filter.we\\ird".smudge', 'printf "a\\n" # ; x\n\tcat')
    drivers = driven(repo)
    (tmp_path / "config").write_text(drivers.as_config())
    said = subprocess.run(
        ["git", "config", "-z", "--file", str(tmp_path / "config"), "--list"], capture_output=True, check=True
    ).stdout.decode()
    variables = drivers.variables()
    assert said == f"{variables['GIT_CONFIG_KEY_0']}\n{variables['GIT_CONFIG_VALUE_0']}\0"


def test_transports_that_a_person_allows_count_for_jobs_alone(repo: GitRepo, tmp_path: Path) -> None:
    """A submodule is fetched as in a clone of the person's."""
    repo.git("config", "protocol.file.allow", "always")
    drivers = driven(repo)
    assert drivers.variables() == {}
    (tmp_path / "config").write_text(drivers.as_config())
    said = subprocess.check_output(["git", "config", "--file", str(tmp_path / "config"), "--list"])
    assert said == b"protocol.file.allow=always\n"


def test_drivers_can_be_written_down(repo: GitRepo) -> None:
    """A worker gets them as text."""
    repo.git("config", "filter.x.clean", "a 'b' \"c\"")
    repo.git("config", "protocol.file.allow", "always")
    assert FilterDrivers.from_text(driven(repo).to_text()) == driven(repo)


@pytest.mark.parametrize(
    "said",
    [
        "fatal: a.bin: smudge filter lfs failed",
        "error: external filter 'x' failed 1\nerror: external filter 'x' failed",
        "fatal: f: clean filter 'x' failed",
    ],
)
def test_a_filters_failure_is_told_from_others(said: str) -> None:
    """The words are git's, in no language but English."""
    assert is_filter_failure(said)
    assert not is_filter_failure("fatal: unable to write file a.bin: No space left on device")
