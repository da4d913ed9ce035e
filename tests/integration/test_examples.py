"""The examples: the commands of each README, run as they are written, end as the page says."""

import json
import re
import subprocess
import sys
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path
from typing import Any, Final

import pytest

from support.command_line import PATIENCE, a_clean_environment
from support.crashing import World, wait_until
from support.factories import GitRepo
from support.installed_command import installed_command

EXAMPLES: Final = Path(__file__).parents[2] / "examples"
_BLOCK: Final = re.compile(r"^```bash\n(.*?)^```", re.MULTILINE | re.DOTALL)
_LANDED: Final = {
    "ready-patches": {"thousands": "completed", "rounded": "failed", "readme": "completed"},
    "tool-with-retries": {"discount": "completed"},
    "dependencies": {
        "currency": "completed",
        "tests": "completed",
        "smoke": "completed",
        "docs": "completed",
    },
    "policy-and-reviewers": {"shipping": "completed", "settings": "failed"},
    "imported-list": {
        "line-5-write-a-whole-receipt": "completed",
        "line-9-describe-receipts-in-the-readme": "completed",
    },
    "rollback": {"prices": "completed"},
}
"""The workstreams of each example and how they end."""
_WAITING: Final = """SELECT 1 FROM patches p JOIN workstreams w ON w.id = p.workstream_id
WHERE w.name = 'shipping' AND p.state = 'validated'"""


class Folder:
    """A folder with a link to the examples, in which shell scripts run."""

    def __init__(self, path: Path, home: Path, programs: Path) -> None:
        self.path = path
        (path / "examples").symlink_to(EXAMPLES)
        python, environment = Path(sys.executable).parent, a_clean_environment(home)
        self._environment = environment | {"PATH": f"{programs}:{python}:{environment['PATH']}"}

    def start(self, script: str, *, cwd: Path | None = None) -> subprocess.Popen[str]:
        """Start a script."""
        return subprocess.Popen(
            ["sh", "-e", "-c", script],
            cwd=cwd or self.path,
            env=self._environment,
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
        )

    def run(self, script: str, *, cwd: Path | None = None) -> str:
        """Run a script to a good end and return what it printed."""
        return finished(self.start(script, cwd=cwd))

    def events(self, repository: Path, *options: str) -> list[Mapping[str, Any]]:
        """Return events on record."""
        said = self.run(f"maingate events --json {' '.join(options)}", cwd=repository)
        found: list[Mapping[str, Any]] = json.loads(said)
        return found


def finished(process: subprocess.Popen[str]) -> str:
    """Wait for a script and return what it printed."""
    said, _ = process.communicate(timeout=PATIENCE)
    assert process.returncode == 0, said
    return said


def blocks(name: str) -> list[str]:
    """Return the commands of an example's README, block by block."""
    return _BLOCK.findall((EXAMPLES / name / "README.md").read_text(encoding="utf-8"))


def repository_of(folder: Folder) -> Path:
    """Return the only repository that an example's commands made."""
    (found,) = folder.path.glob("try-*/shop")
    return found


def approved(folder: Folder, script: str) -> str:
    """Run the commands of the second terminal once their patch waits."""
    wait_until(lambda: shipping_waits(folder), "the patch that waits to be approved")
    return folder.run(script, cwd=repository_of(folder))


def shipping_waits(folder: Folder) -> bool:
    """Return whether the patch of the workstream `shipping` waits for a person."""
    for shop in folder.path.glob("try-*/shop"):
        world = World(folder=shop.parent)
        world.repo = GitRepo(shop)
        return world.has_begun and bool(world.rows(_WAITING))
    return False


@pytest.fixture
def folder(tmp_path: Path, hermetic_environment: Path) -> Iterator[Folder]:
    """Give a folder to run an example in."""
    with installed_command() as programs:
        yield Folder(tmp_path, hermetic_environment, programs)


@pytest.mark.parametrize("name", sorted(_LANDED))
def test_an_example_ends_as_its_readme_says(name: str, folder: Folder) -> None:
    """The commands of the README's first block end well, and each workstream ends as the page says."""
    commands, *more = blocks(name)
    process = folder.start(commands)
    if name == "policy-and-reviewers":
        assert "shipping" in approved(folder, more[0])
    finished(process)
    report = json.loads(folder.run("maingate status --json", cwd=repository_of(folder)))
    assert {each["name"]: each["state"] for each in report["workstreams"]} == _LANDED[name]
    if name in _FACTS:
        _FACTS[name](folder, report)


def of_ready_patches(folder: Folder, report: Mapping[str, Any]) -> None:
    """The run succeeds without the refused patch, which a gate kept out."""
    (refused,) = (task for task in report["tasks"] if task["name"] == "rounded/code")
    assert (report["state"], refused["patch"]["reason"]["code"]) == ("succeeded", "gate_failed")
    assert "AssertionError" in folder.run("maingate patch show rounded/code", cwd=repository_of(folder))


def of_tool_with_retries(_: Folder, report: Mapping[str, Any]) -> None:
    """The second attempt landed."""
    (task,) = report["tasks"]
    assert (task["retry_count"], task["patch"]["state"]) == (1, "committed")


def of_policy_and_reviewers(_: Folder, report: Mapping[str, Any]) -> None:
    """The policy kept a patch out."""
    (refused,) = (task for task in report["tasks"] if task["name"] == "settings/keys")
    assert refused["patch"]["reason"]["code"] == "policy_violation"


def of_imported_list(folder: Folder, _: Mapping[str, Any]) -> None:
    """The second item began on what the first landed."""
    readme = repository_of(folder) / "README.md"
    assert readme.read_text(encoding="utf-8").endswith("writes a whole receipt.\n")


def of_rollback(folder: Folder, report: Mapping[str, Any]) -> None:
    """The commands of the plan ran, and the page's last ones find their output."""
    repository = repository_of(folder)
    (event,) = folder.events(repository, "--type", "on_rollback")
    assert "was rolled back: customers" in event["metadata"]["output"]
    notified = (repository.parent / "notified.txt").read_text(encoding="utf-8")
    assert notified.startswith("rollback rolled_back: ")
    assert report["tasks"][0]["patch"]["state"] == "rolled_back"


_FACTS: Final[Mapping[str, Callable[[Folder, Mapping[str, Any]], None]]] = {
    "ready-patches": of_ready_patches,
    "tool-with-retries": of_tool_with_retries,
    "policy-and-reviewers": of_policy_and_reviewers,
    "imported-list": of_imported_list,
    "rollback": of_rollback,
}
"""What else each example's page promises."""


def test_every_example_is_listed_and_run() -> None:
    """The folders, the page that lists them and this file agree."""
    folders = {page.parent.name for page in EXAMPLES.glob("*/README.md")} - {"shop"}
    listed = set(re.findall(r"\]\(([a-z-]+)/README\.md\)", (EXAMPLES / "README.md").read_text("utf-8")))
    assert folders == listed == set(_LANDED)
