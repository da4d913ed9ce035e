"""The demo's stage: a real repository, the story's patches, and a plan of them."""

import json
import shutil
import sys
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from maingate.demo.story import PROJECT, SCENES, Scene, StoryPatch, file_of
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
class DemoPaths:
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


def set_stage(root: Path, scenes: Sequence[Scene] = SCENES) -> DemoPaths:
    """Write the repository, the patches and the plan into a folder.

    Args:
        root: An empty folder.
        scenes: The story.
    """
    stage = DemoPaths(root=root, repository=root / "tally", plan=root / "plan.yaml", outside=root / "outside")
    stage.outside.mkdir()
    _make_project(stage.repository)
    for scene in scenes:
        for patch in scene.patches:
            path = root / patch_path(scene, patch)
            path.parent.mkdir(exist_ok=True)
            shutil.copyfile(file_of(scene, patch), path)
    stage.plan.write_text(plan_text(scenes), encoding="utf-8")
    return stage


def patch_path(scene: Scene, patch: StoryPatch) -> str:
    """Return the path of a patch in the plan."""
    return f"patches/{scene.name}-{patch.task}.patch"


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
    shutil.copytree(PROJECT, repository, ignore=shutil.ignore_patterns("__pycache__"))
    run_git("init", "-q", "-b", "main", cwd=repository)
    run_git("add", "-A", cwd=repository)
    run_git("commit", "-q", "-m", "tally: add up receipts", cwd=repository, env=AUTHOR)
