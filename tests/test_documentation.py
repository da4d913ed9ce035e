"""The documents name what exists: modules, files of the repository, links between pages, and the version."""

import re
from collections.abc import Iterator
from importlib.metadata import version
from pathlib import Path
from typing import Final

import pytest

ROOT: Final = Path(__file__).parents[1]
SOURCE: Final = ROOT / "src" / "maingate"
PAGES: Final = sorted(
    page.relative_to(ROOT)
    for pattern in ("*.md", "docs/*.md", "docs/adr/*.md", "examples/**/*.md", ".github/**/*.md")
    for page in ROOT.glob(pattern)
)
_CODE: Final = re.compile(r"`([^`\s]+)`")
_LINK: Final = re.compile(r"\]\((?!https?:|#)([^)#\s]+)")
_DOTTED: Final = re.compile(r"[a-z_]+(?:\.[A-Za-z_]+)+")
_FILE: Final = re.compile(r"(?:src|tests|docs|examples|bench|deploy)/[\w./-]+")


FOUNDING_PLAN: Final = {
    "IMPLEMENTATION_SUMMARY.md",
    "docs/DEPLOYMENT.md",
    "docs/GETTING_STARTED.md",
    "src/maingate/api/health_endpoints.py",
    "src/maingate/monitoring/health.py",
    "src/maingate/monitoring/metrics.py",
    "src/maingate/orchestrator/run_orchestrator.py",
    "src/maingate/orchestrator/task_scheduler.py",
    "src/maingate/recovery/retry_handler.py",
    "src/maingate/recovery/rollback_manager.py",
    "src/maingate/uet/executor.py",
    "src/maingate/workers/pool_manager.py",
    "tests/e2e/test_full_pipeline.py",
    "tests/integration/test_orchestration.py",
    "tests/integration/test_recovery.py",
    "tests/integration/test_worker_pool.py",
}
"""The files that the founding plan names."""

_JSON: Final = {Path("docs/COMMANDS.md"): ["plan.serial"]}
"""Fields of JSON that look like modules."""


def module_of(name: str) -> Path | None:
    """Return the module or package that a dotted name begins with; None if there is none."""
    parts = name.removeprefix("maingate.").split(".")
    if not (SOURCE / parts[0]).is_dir() and not (SOURCE / f"{parts[0]}.py").is_file():
        return None
    for length in range(len(parts), 0, -1):
        path = SOURCE.joinpath(*parts[:length])
        for found in (path.with_suffix(".py"), path):
            if found.exists() and length >= len(parts) - 2:
                return found
    return None


def is_known(name: str) -> bool:
    """Return whether a dotted name is a module, or a name that its module defines."""
    parts = name.removeprefix("maingate.").split(".")
    found = module_of(name)
    if found is None:
        return False
    rest = parts[len(found.relative_to(SOURCE).with_suffix("").parts) :]
    text = "" if found.is_dir() else found.read_text(encoding="utf-8")
    return all(re.search(rf"\b{re.escape(part)}\b", text) for part in rest)


def named(page: Path, pattern: re.Pattern[str]) -> Iterator[str]:
    """Return the words in code style that match a pattern whole."""
    text = (ROOT / page).read_text(encoding="utf-8")
    yield from (word for word in _CODE.findall(text) if pattern.fullmatch(word))


@pytest.mark.parametrize("page", PAGES, ids=str)
def test_a_page_names_modules_and_files_that_exist(page: Path) -> None:
    """A module that has moved, or a file that is gone, is no more in the documents."""
    packages = {path.stem for path in SOURCE.iterdir()}
    modules = [
        word for word in named(page, _DOTTED) if word.removeprefix("maingate.").split(".")[0] in packages
    ]
    assert [
        word for word in modules if not word.endswith((".py", ".yaml")) and not is_known(word)
    ] == _JSON.get(page, [])
    assert [word for word in named(page, _FILE) if not (ROOT / word).exists()] == []


@pytest.mark.parametrize("page", PAGES, ids=str)
def test_links_between_pages_lead_somewhere(page: Path) -> None:
    """A relative link names a file of the repository."""
    text = (ROOT / page).read_text(encoding="utf-8")
    folder = (ROOT / page).parent
    assert [link for link in _LINK.findall(text) if not (folder / link).exists()] == []


def test_the_summary_has_every_deliverable_of_the_founding_plan() -> None:
    """Each area has its table, each deliverable with files has one of ours, and they exist (see above)."""
    text = (ROOT / "IMPLEMENTATION_SUMMARY.md").read_text(encoding="utf-8")
    named = set(re.findall(r"`((?:src|tests|docs|deploy)/[\w./-]+|IMPLEMENTATION_SUMMARY\.md)`", text))
    assert named >= FOUNDING_PLAN


def test_the_newest_release_in_the_changelog_is_the_version() -> None:
    """The first released section is the version of the package, and one for what comes next is above it."""
    headings = re.findall(
        r"^## \[(.+?)\](?: - (\d{4}-\d\d-\d\d))?$", (ROOT / "CHANGELOG.md").read_text(), re.MULTILINE
    )
    assert headings[0] == ("Unreleased", "")
    assert headings[1][0] == version("maingate")
    assert headings[1][1]


@pytest.mark.parametrize(
    ("name", "known"),
    [
        ("plan.loader", True),
        ("maingate.plan.loader.load_plan", True),
        ("plan.loader.nothing_of_the_kind", False),
        ("plan.no_such_module.at.all", False),
    ],
)
def test_the_check_of_names_can_fail(name: str, known: bool) -> None:
    """A name counts when its module has it."""
    assert is_known(name) is known
