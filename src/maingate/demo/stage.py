"""The demo's stage: a real repository, diffs made by git, and a plan of them."""

import json
import sys
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from maingate.demo.story import PROJECT, SCENES, Damage, Edit, Scene, StoryPatch
from maingate.git.command import run_git

AUTHOR: Final = {
    "GIT_AUTHOR_NAME": "Ada Example",
    "GIT_AUTHOR_EMAIL": "ada@example.org",
    "GIT_COMMITTER_NAME": "Ada Example",
    "GIT_COMMITTER_EMAIL": "ada@example.org",
}

TESTS: Final = (sys.executable, "-B", "-m", "unittest", "-q")
"""The project's gate: its own tests, run by the Python that runs Maingate."""


@dataclass(frozen=True, kw_only=True)
class Stage:
    """Paths of the demo.

    Args:
        root: The folder of the demo.
        repository: The project.
        plan: The plan file.
        outside: An empty folder beside the project that no patch may write to.
    """

    root: Path
    repository: Path
    plan: Path
    outside: Path


def set_stage(root: Path, scenes: Sequence[Scene] = SCENES) -> Stage:
    """Write the repository, the patches and the plan into a folder.

    Args:
        root: An empty folder.
        scenes: The story.
    """
    stage = Stage(root=root, repository=root / "tally", plan=root / "plan.yaml", outside=root / "outside")
    stage.outside.mkdir()
    _make_project(stage.repository)
    for scene in scenes:
        for patch in scene.patches:
            path = root / patch_path(scene, patch)
            path.parent.mkdir(exist_ok=True)
            path.write_bytes(make_diff(stage.repository, patch))
    stage.plan.write_text(plan_text(scenes), encoding="utf-8")
    return stage


def patch_path(scene: Scene, patch: StoryPatch) -> str:
    """Return the path of a patch in the plan."""
    return f"patches/{scene.name}-{patch.task}.patch"


def make_diff(repository: Path, patch: StoryPatch) -> bytes:
    """Return git's diff of a change, damaged as the story says."""
    if patch.raw:
        return patch.raw
    for edit in patch.edits:
        _make_edit(repository, edit)
    run_git("add", "-A", cwd=repository)
    diff = run_git("diff", "--cached", "--binary", "--full-index", cwd=repository).stdout
    run_git("reset", "-q", "--hard", cwd=repository)
    return diff if patch.damage is None else _damaged(diff, patch.damage)


def plan_text(scenes: Sequence[Scene]) -> str:
    """Return the text of the plan, in the style of a person."""
    lines = [
        "maingate: 1",
        "name: maingate demo",
        "repo: tally",
        "target: main",
        "gates:",
        f"  tests: {{type: UNIT, run: {json.dumps(TESTS)}, timeout: 60s}}",
        "workstreams:",
    ]
    for scene in scenes:
        lines += [f"  {scene.name}:", f"    title: {json.dumps(scene.title)}"]
        lines += [] if scene.lands else ["    critical: false        # when it fails, the others go on"]
        lines += ["    tasks:"]
        for patch in scene.patches:
            title = json.dumps(patch.title or scene.title)
            lines.append(f"      {patch.task}: {{patch: {patch_path(scene, patch)}, title: {title}}}")
    return "\n".join(lines) + "\n"


def _make_project(repository: Path) -> None:
    repository.mkdir()
    run_git("init", "-q", "-b", "main", cwd=repository)
    for name, content in PROJECT.items():
        path = repository / name
        path.parent.mkdir(exist_ok=True)
        path.write_text(content, encoding="utf-8")
    run_git("add", "-A", cwd=repository)
    run_git("commit", "-q", "-m", "tally: add up receipts", cwd=repository, env=AUTHOR)


def _make_edit(repository: Path, edit: Edit) -> None:
    path = repository / edit.path
    if edit.new is None:
        path.unlink()
        return
    before = path.read_text(encoding="utf-8") if edit.old else ""
    path.write_text(before.replace(edit.old, edit.new) if edit.old else edit.new, encoding="utf-8")


def _damaged(diff: bytes, damage: Damage) -> bytes:
    before, found, after = diff.partition(damage.find)
    if not found:
        raise AssertionError(f"the story's damage does not fit its diff: {damage.find!r}")
    return before if damage.put is None else before + damage.put + after
