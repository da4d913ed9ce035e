"""``maingate init``: files to begin with, and nothing written over."""

from pathlib import Path

import pytest
import typer
from typer.testing import CliRunner, Result

from maingate.cli.agent_instructions import BEGIN, END, instructions
from maingate.cli.commands.init import init
from maingate.errors import UsageError
from maingate.patches.intake import Intake, take_in
from maingate.plan.loader import load_plan
from maingate.settings import Settings, load_settings
from support.factories import GitRepo

WRITTEN = ("maingate.toml", "maingate-plan.yaml", "maingate-plan.patches/0001-hello.patch")


def run_init(*args: str) -> Result:
    """Run the command in the working directory; errors go on to the caller."""
    app = typer.Typer()
    app.command()(init)
    return CliRunner().invoke(app, args, catch_exceptions=False)


def test_what_is_written_is_in_order(repo: GitRepo, monkeypatch: pytest.MonkeyPatch) -> None:
    """The settings leave every default, and the example plan has no problems."""
    monkeypatch.chdir(repo.path)
    told = run_init().stdout.splitlines()
    assert told == [
        *(f"wrote {repo.path / name}" for name in WRITTEN),
        "next: maingate plan check maingate-plan.yaml",
    ]
    assert load_settings(repo.path, {}) == Settings()
    assert load_plan(repo.path / "maingate-plan.yaml").plan.name == "say hello"


def test_the_example_patch_applies_and_passes_its_gate(
    repo: GitRepo, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The example runs as it is: git takes the patch, intake needs no repairs, the gate finds its word."""
    monkeypatch.chdir(repo.path)
    run_init()
    taken = take_in((repo.path / WRITTEN[2]).read_bytes(), max_bytes=1000)
    assert isinstance(taken, Intake)
    assert taken.repairs == ()
    repo.git("apply", "--index", WRITTEN[2])
    assert "Hello" in (repo.path / "maingate-hello.txt").read_text()


def test_it_writes_at_the_root_from_anywhere(repo: GitRepo, monkeypatch: pytest.MonkeyPatch) -> None:
    """Inside a folder of the repository, the files still go to its root."""
    (repo.path / "src").mkdir()
    monkeypatch.chdir(repo.path / "src")
    assert "next: maingate plan check ../maingate-plan.yaml" in run_init().stdout
    assert (repo.path / "maingate.toml").is_file()


def test_what_is_there_is_left_as_it_is(repo: GitRepo, monkeypatch: pytest.MonkeyPatch) -> None:
    """A file that is there already is kept, the others are written; when all are there, that is an error."""
    monkeypatch.chdir(repo.path)
    (repo.path / "maingate.toml").write_text("workers = 3\n")
    assert f"kept {repo.path / 'maingate.toml'}" in run_init().stdout
    assert (repo.path / "maingate.toml").read_text() == "workers = 3\n"
    with pytest.raises(UsageError, match="files are never overwritten"):
        run_init()


def test_outside_a_repository_nothing_is_written(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """There must be a work tree to write into."""
    monkeypatch.chdir(tmp_path)
    with pytest.raises(UsageError, match="git init"):
        run_init()
    assert list(tmp_path.iterdir()) == []


def test_the_files_speak_of_nothing_that_is_not_there(repo: GitRepo, monkeypatch: pytest.MonkeyPatch) -> None:
    """In the user's repository there is no documentation of ours, and no command that came later."""
    monkeypatch.chdir(repo.path)
    run_init()
    written = "".join((repo.path / name).read_text() for name in WRITTEN)
    assert "docs/" not in written
    assert "patch approve" not in written
    assert "maingate plan schema" in written


def test_agents_are_told_between_markers_and_the_rest_of_the_file_is_kept(
    repo: GitRepo, monkeypatch: pytest.MonkeyPatch
) -> None:
    """In `AGENTS.md`, which is made, and in `CLAUDE.md` where it exists; a second time changes nothing."""
    monkeypatch.chdir(repo.path)
    agents, claude = repo.path / "AGENTS.md", repo.path / "CLAUDE.md"
    first, _, hint = run_init("--agents").stdout.partition("\n")
    assert (first, "needs a gate" in hint) == (f"wrote {agents}", True)
    assert not (repo.path / "maingate.toml").exists()
    repo.write({"maingate.toml": '[gates.unit]\nrun = "true"\n'})
    claude.write_bytes(b"# Ours\r\n\r\nTabs.\r\n")
    assert run_init("--agents").stdout == f"wrote {claude}\n"
    assert claude.read_bytes() == b"# Ours\r\n\r\nTabs.\r\n\n" + instructions() + b"\n"
    agents.write_bytes(b"before\n" + BEGIN + b"old" + END + b"\nafter\n")
    run_init("--agents")
    assert agents.read_bytes() == b"before\n" + instructions() + b"\nafter\n"
    assert "up to date" in run_init("--agents").stdout


@pytest.mark.parametrize("content", [BEGIN, END, END + BEGIN, BEGIN * 2 + END])
def test_markers_that_are_not_a_pair_are_left_to_a_person(
    repo: GitRepo, monkeypatch: pytest.MonkeyPatch, content: bytes
) -> None:
    """Nothing is written, neither there nor into the other file."""
    monkeypatch.chdir(repo.path)
    (repo.path / "CLAUDE.md").write_bytes(content)
    with pytest.raises(UsageError, match="keep one"):
        run_init("--agents")
    assert (repo.path / "CLAUDE.md").read_bytes() == content
    assert not (repo.path / "AGENTS.md").exists()


def test_links_are_followed_within_the_work_tree_only(
    repo: GitRepo, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    """`CLAUDE.md` as a link to `AGENTS.md` is one file; a link that leads out is refused."""
    monkeypatch.chdir(repo.path)
    (repo.path / "CLAUDE.md").symlink_to("AGENTS.md")
    run_init("--agents")
    assert (repo.path / "AGENTS.md").read_bytes().count(BEGIN) == 1
    assert (repo.path / "CLAUDE.md").is_symlink()
    (repo.path / "AGENTS.md").unlink()
    (repo.path / "AGENTS.md").symlink_to(tmp_path / "elsewhere.md")
    with pytest.raises(UsageError, match="outside of the work tree"):
        run_init("--agents")


def test_the_page_has_the_text_that_is_written() -> None:
    """`docs/AGENTS.md` can be pasted from."""
    page = Path(__file__).parents[3] / "docs" / "AGENTS.md"
    assert instructions() in page.read_bytes()
