"""`maingate demo` tells a true story."""

import subprocess
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from maingate.cli.commands import demo
from maingate.demo.check import differences, marks_left
from maingate.demo.stage import TESTS, plan_text, set_stage
from maingate.demo.story import SCENES
from maingate.reasons import ReasonCode
from support.command_line import Invoke, Played, maingate
from support.factories import GitRepo


def test_the_demo_keeps_its_promises(hermetic_environment: Path, tmp_path: Path) -> None:
    """Exit 0, each scene told with its command, the folder gone, and nothing of it in the user's home."""
    done = maingate("demo", cwd=tmp_path, home=hermetic_environment, env={"TMPDIR": str(tmp_path)})
    assert (done.returncode, done.stderr) == (0, "")
    for scene in SCENES:
        assert scene.title in done.stdout
        assert scene.lands or f"maingate patch show {scene.name}/" in done.stdout
    assert "✔ main's own tests pass" in done.stdout
    told = done.stdout.partition("What landed")[2]
    assert max(len(line) for line in told.splitlines()) <= 80
    assert list(tmp_path.iterdir()) == []
    assert not (hermetic_environment / "cache").exists()


def test_the_demo_can_be_kept_and_looked_into(hermetic_environment: Path, tmp_path: Path) -> None:
    """`--keep DIR` leaves a repository in which the other commands work; the user's database is not used."""
    kept = tmp_path / "kept"
    database = {"MAINGATE_DATABASE_URL": f"sqlite:///{tmp_path}/mine.db"}
    done = maingate("demo", "--keep", str(kept), cwd=tmp_path, home=hermetic_environment, env=database)
    assert (done.returncode, done.stderr) == (0, "")
    assert f"cd {kept}/tally" in done.stdout
    assert not (tmp_path / "mine.db").exists()
    shown = maingate("quarantine", cwd=kept / "tally", home=hermetic_environment)
    assert shown.returncode == 0
    assert "shortcut/link" in shown.stdout


def test_a_folder_that_is_not_empty_is_refused(invoke: Invoke, tmp_path: Path) -> None:
    """Nothing of the user's is mixed with the demo."""
    (tmp_path / "mine").write_text("x")
    result = invoke("demo", "--keep", tmp_path)
    assert (result.exit_code, result.stdout) == (2, "")
    assert "not an empty folder" in " ".join(result.stderr.split())
    assert [path.name for path in tmp_path.iterdir()] == ["mine"]


def test_the_project_of_the_story_is_green(tmp_path: Path) -> None:
    """Before anything lands, its own tests pass."""
    stage = set_stage(tmp_path, ())
    assert subprocess.run(TESTS, cwd=stage.repository, capture_output=True, check=False).returncode == 0


def test_the_story_has_no_difference_from_what_happened(played: Played) -> None:
    """The expectations that the demo checks are those that came true."""
    assert differences(SCENES, played.report) == []


@pytest.mark.parametrize(
    ("scene", "change"),
    [
        ("quantities", {"refused": ReasonCode.CONFLICT}),
        ("aligned", {"refused": None}),
        ("truncated", {"refused": ReasonCode.CONFLICT}),
    ],
)
def test_another_end_than_the_story_s_is_noticed(played: Played, scene: str, change: dict[str, Any]) -> None:
    """A patch that lands, is kept out, or is kept out for another reason than told is a difference."""
    told = [replace(one, **change) if one.name == scene else one for one in SCENES]
    (difference,) = differences(told, played.report)
    assert difference.startswith(f"{scene}: expected")


def test_marks_on_the_disk_are_noticed(played: Played, tmp_path: Path) -> None:
    """The demo looks at the disk itself: a file outside, a changed configuration, red tests, lost lines."""
    repository = played.copy_to(tmp_path)
    stage = replace(played.stage, root=tmp_path, repository=repository, outside=tmp_path / "outside")
    stage.outside.mkdir()
    config = (repository / ".git" / "config").read_bytes()
    assert marks_left(stage, config, played.report) == []
    (stage.outside / "startup.py").touch()
    (repository / "tests" / "test_red.py").write_text("raise AssertionError\n")
    (repository / "README.md").write_text("# tally\n")
    assert marks_left(stage, b"", played.report) == [
        "something was written outside the repository",
        ".git/config was changed",
        "the tests fail on main",
        "the checkout is not clean",
        "the README lost its last lines",
    ]


def test_a_difference_is_exit_5(invoke: Invoke, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The demo does not claim what did not happen."""
    monkeypatch.setattr(demo, "_play", lambda _: ["aligned: expected this, found that"])
    result = invoke("demo", "--keep", tmp_path / "kept")
    assert result.exit_code == 5
    assert "aligned: expected this, found that" in result.stderr


def test_the_plan_of_the_story_is_one_a_person_would_write(tmp_path: Path) -> None:
    """It names every patch, and lets the run go on past those that are expected to fail."""
    text = plan_text(SCENES)
    assert text.count("critical: false") == sum(not scene.lands for scene in SCENES)
    stage = set_stage(tmp_path)
    assert GitRepo(stage.repository).git("status", "--porcelain") == ""
    assert all(f"patches/{path.name}" in text for path in (tmp_path / "patches").iterdir())
