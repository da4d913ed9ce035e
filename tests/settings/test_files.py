"""The files that settings are read from."""

import json
from pathlib import Path

import pytest

from maingate.db.engine import BUSY_TIMEOUT
from maingate.errors import SettingsError
from maingate.settings import SettingsFiles, load_settings, tree_values
from support.factories import GitRepo


def refusal(root: Path, environ: dict[str, str] | None = None) -> str:
    """Load what is wrong and return what is said about it."""
    with pytest.raises(SettingsError) as caught:
        load_settings(root, environ or {})
    return str(caught.value)


def own(repo: GitRepo, text: str) -> Path:
    """Write the repository's own file."""
    file = repo.path / ".git" / "maingate" / "maingate.toml"
    file.parent.mkdir(exist_ok=True)
    file.write_text(text)
    return file


def test_only_where_nothing_is_set_do_the_files_say_nothing(repo: GitRepo, tmp_path: Path) -> None:
    """A file, a link that leads nowhere, a file that cannot be looked for and a variable may."""
    files = SettingsFiles.of(repo.path / ".git", repo.path)
    others = {"PATH": "/bin", "MAINGATE_WORKERS": ""}
    assert not files.may_set_anything(others)
    assert not SettingsFiles.of(tmp_path / "no" / "where", None).may_set_anything(others)
    assert files.may_set_anything({"MAINGATE_WORKERS": "2"})
    assert SettingsFiles(own=tmp_path / ("x" * 300)).may_set_anything(others)
    (repo.path / "maingate.toml").symlink_to("nowhere")
    assert files.may_set_anything(others)
    (repo.path / "maingate.toml").unlink()
    own(repo, "")
    assert files.may_set_anything(others)


def test_a_database_is_waited_for_as_long_as_the_setting_says_by_default() -> None:
    """Without any setting, the settings are not loaded to open the database."""
    assert load_settings(None, {}).busy_timeout == BUSY_TIMEOUT


def test_the_repositorys_own_file_is_laid_over_the_trees(repo: GitRepo) -> None:
    """Later wins: the tree's file, the repository's own, the environment."""
    repo.write(
        {"maingate.toml": 'workers = 1\nkill_grace = "1s"\ngate_timeout = "1m"\n[limits]\ncpu = "1m"\n'}
    )
    own(repo, 'workers = 2\nkill_grace = "2s"\n[limits]\nprocesses = 7\n')
    settings = load_settings(repo.path, {"MAINGATE_WORKERS": "3"})
    assert (settings.workers, settings.kill_grace.total_seconds()) == (3, 2)
    assert settings.gate_timeout.total_seconds() == 60
    assert (settings.limits.cpu is not None, settings.limits.processes) == (True, 7)


@pytest.mark.parametrize(
    ("key", "value"),
    [
        ("database_url", '"sqlite:////tmp/x.db"'),
        ("cache_dir", '"/tmp/x"'),
        ("env_allow", '["*"]'),
        ("prompt_template", '"/etc/passwd"'),
    ],
)
def test_what_no_commit_may_decide_is_refused_in_the_tree(repo: GitRepo, key: str, value: str) -> None:
    """Each is told with its line and where it may be; there it is taken."""
    repo.write({"maingate.toml": f"workers = 1\n{key} = {value}\n"})
    file = repo.path / ".git" / "maingate" / "maingate.toml"
    said = refusal(repo.path)
    assert f"maingate.toml:2: '{key}' is not taken from a file that a commit can change" in said
    assert f"write it into {file}, or set MAINGATE_{key.upper()}" in said
    repo.write({"maingate.toml": "workers = 1\n"})
    own(repo, f"{key} = {value}\n")
    assert getattr(load_settings(repo.path, {}), key) is not None


def test_what_is_wrong_in_both_files_is_told_at_once(repo: GitRepo) -> None:
    """One line each, with the file."""
    repo.write({"maingate.toml": 'env_allow = ["*"]\nwrokers = 1\n'})
    file = own(repo, "workers = 0\n")
    said = refusal(repo.path).splitlines()
    assert len(said) == 3
    assert said[2].strip().startswith(f"{file}:1: 'workers'")


def test_the_policy_of_the_own_file_only_tightens_the_trees(repo: GitRepo) -> None:
    """A rule of the tree's file stays in force, and a list is in one of the two files."""
    repo.write({"maingate.toml": '[policy]\nmax_files = 5\nbinary = false\nforbid = ["a/"]\n'})
    own(repo, '[policy]\nmax_files = 9\nbinary = true\nforbid = []\nmax_lines = 3\nallow = ["b/"]\n')
    said = refusal(repo.path)
    assert "max_files is looser than maingate.toml allows" in said
    assert "binary is looser than maingate.toml allows" in said
    assert "policy.forbid is in the tree's maingate.toml too (keep it in one of the two)" in said
    assert said.count("\n") == 2
    own(repo, '[policy]\nmax_files = 3\nallow = ["b/"]\n')
    policy = load_settings(repo.path, {}).policy
    assert (policy.max_files, policy.forbid, policy.allow, policy.binary) == (3, ("a/",), ("b/",), False)
    assert "looser" in refusal(repo.path, {"MAINGATE_POLICY_MAX_FILES": "4"})


def test_settings_that_are_a_link_are_not_read(repo: GitRepo) -> None:
    """A change of a link's target would change the settings."""
    repo.write({"config/m.toml": "workers = 1\n"})
    (repo.path / "maingate.toml").symlink_to("config/m.toml")
    assert "maingate.toml: is a symbolic link (write a plain file" in refusal(repo.path)


def test_a_linked_work_tree_has_the_settings_of_the_main_one(repo: GitRepo, tmp_path: Path) -> None:
    """Both files are the same, whichever work tree a command is called from."""
    repo.commit({"maingate.toml": "workers = 1\n"})
    linked = tmp_path / "linked"
    repo.git("worktree", "add", "-q", str(linked))
    (linked / "maingate.toml").write_text("workers = 9\n")
    own(repo, 'env_allow = ["PATH"]\n')
    for root in (linked, repo.path):
        settings = load_settings(root, {})
        assert (settings.workers, settings.env_allow) == (1, ("PATH",))


def test_a_bare_repository_has_its_own_file_only(tmp_path: Path) -> None:
    """There is no tree: a file that lies beside HEAD is none of a tree."""
    bare = GitRepo(tmp_path)
    bare.git("init", "-q", "--bare", "bare.git")
    root = tmp_path / "bare.git"
    (root / "maingate.toml").write_text("workers = 9\n")
    (root / "maingate").mkdir()
    (root / "maingate" / "maingate.toml").write_text("workers = 2\n")
    assert load_settings(root, {}).workers == 2
    assert SettingsFiles.around(root).tree is None


def test_a_git_directory_elsewhere_is_followed(tmp_path: Path) -> None:
    """The repository's own file is in the git directory that a `.git` file names, as in a submodule."""
    here = GitRepo(tmp_path)
    here.git("init", "-q", f"--separate-git-dir={tmp_path / 'elsewhere'}", "tree")
    files = SettingsFiles.around(tmp_path / "tree")
    assert files == SettingsFiles.of(tmp_path / "elsewhere", tmp_path / "tree")


def test_folders_of_a_tree_are_not_taken_for_a_git_directory(repo: GitRepo) -> None:
    """A patch can make `maingate/maingate.toml` in the tree; it is nobody's settings."""
    repo.write({"maingate/maingate.toml": 'env_allow = ["*"]\n', "HEAD": "x", "objects/a": "", "refs/b": ""})
    assert "*" not in load_settings(repo.path, {}).env_allow
    assert SettingsFiles.around(repo.path / "maingate").own is None
    assert SettingsFiles.around(None) == SettingsFiles()


def test_only_settings_can_allow_changes_of_settings(repo: GitRepo) -> None:
    """By default they are refused, which a plan cannot loosen; either file or the environment allows them."""
    assert load_settings(repo.path, {}).policy.allow_settings_changes is False
    allowed = {"MAINGATE_POLICY_ALLOW_SETTINGS_CHANGES": "true"}
    assert load_settings(repo.path, allowed).policy.allow_settings_changes is True
    repo.write({"maingate.toml": "[policy]\nallow_settings_changes = false\n"})
    assert "allow_settings_changes is looser" in refusal(repo.path, allowed)


def test_what_the_tree_says_can_be_kept_and_given_back(repo: GitRepo) -> None:
    """It is what is stated and nothing else, and takes the place of what the file says later."""
    text = 'gate_timeout = "90s"\nworkers = 1\n[limits]\nmemory = "1GiB"\n'
    text += '[policy]\nallow = ["a/"]\nmax_files = 5\n'
    repo.write({"maingate.toml": text})
    files = SettingsFiles.around(repo.path)
    before, kept = load_settings(repo.path, {}), json.loads(json.dumps(tree_values(files)))
    assert kept["policy"] == {"allow": ["a/"], "max_files": 5}
    repo.write({"maingate.toml": "workers = 2\n"})
    assert load_settings(repo.path, {}, tree=kept) == before
    assert load_settings(repo.path, {}).workers == 2
    repo.write({"maingate.toml": "wrokers = 2\n"})
    with pytest.raises(SettingsError, match="unknown key"):
        tree_values(files)
