"""Check of the demo's end against its story: by the report, and on the disk itself."""

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from maingate.demo.stage import DemoPaths
    from maingate.demo.story import Scene


def differences(scenes: Sequence["Scene"], report: Mapping[str, Any]) -> list[str]:
    """Return the differences between the outcome of each workstream and its scene."""
    streams = {stream["name"]: stream for stream in report["workstreams"]}
    found = [] if report["state"] == "succeeded" else [f"the run {report['state']}"]
    for scene in scenes:
        patches = [task_of(report, f"{scene.name}/{patch.task}")["patch"] for patch in scene.patches]
        want = _wanted(scene)
        got = (streams[scene.name]["state"], *(patch_outcome(patch) for patch in patches))
        if got != want:
            found.append(f"{scene.name}: expected {want}, found {got}")
    return found


def _wanted(scene: "Scene") -> tuple[Any, ...]:
    ends = ("committed", None) if scene.lands else ("quarantined", str(scene.refused))
    return ("completed" if scene.lands else "failed", *[ends] * len(scene.patches))


def patch_outcome(patch: Mapping[str, Any] | None) -> tuple[str, str | None]:
    """Return a patch's state and the code of its reason."""
    if patch is None:
        return ("none", None)
    return (patch["state"], patch["reason"]["code"] if patch["reason"] else None)


def task_of(report: Mapping[str, Any], name: str) -> Mapping[str, Any]:
    """Return a task of a report by its name."""
    return next(task for task in report["tasks"] if task["name"] == name)


def marks_left(stage: "DemoPaths", config: bytes, report: Mapping[str, Any]) -> list[str]:
    """Return the problems found on the disk itself, independent of Maingate's report."""
    import subprocess

    from maingate.demo.stage import TESTS
    from maingate.git.command import run_git

    found = []
    if any(stage.outside.iterdir()):
        found.append("something was written outside the repository")
    if (stage.repository / ".git" / "config").read_bytes() != config:
        found.append(".git/config was changed")
    if subprocess.run(TESTS, cwd=stage.repository, capture_output=True, check=False).returncode != 0:
        found.append("the tests fail on main")
    if run_git("rev-parse", "main", cwd=stage.repository).stdout.decode().strip() != report["target"]["new"]:
        found.append("main is not where the report says")
    if run_git("status", "--porcelain", cwd=stage.repository).stdout:
        found.append("the checkout is not clean")
    if not (stage.repository / "README.md").read_text(encoding="utf-8").endswith("Amounts are in cents.\n"):
        found.append("the README lost its last lines")
    if not task_of(report, "readme/usage")["patch"]["repairs"]:
        found.append("readme/usage: the repair was not recorded")
    return found
