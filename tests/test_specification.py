"""docs/SPECIFICATION.md says what is so, and has every section that code and documents cite."""

import re
from collections.abc import Iterator
from datetime import timedelta
from pathlib import Path
from typing import Final

import pytest

from maingate.settings.durations import parse_duration, parse_size
from maingate.settings.model import Settings
from maingate.state.machines import MACHINES

ROOT: Final = Path(__file__).parents[1]
SPECIFICATION: Final = (ROOT / "docs/SPECIFICATION.md").read_text(encoding="utf-8")
ARCHITECTURE: Final = (ROOT / "docs/ARCHITECTURE.md").read_text(encoding="utf-8")
SECTIONS: Final = frozenset(re.findall(r"^#{2,3} (\d+(?:\.\d+)?)\.? ", SPECIFICATION, re.MULTILINE))
RULES: Final = frozenset(re.findall(r"^(\d)\. \*\*", SPECIFICATION, re.MULTILINE))
MACHINE_OF_SECTION: Final = {
    "1.2": "run", "1.3": "workstream", "1.4": "task", "1.5": "worker",
    "2.1": "uet_worker", "2.2": "patch_ledger", "2.3": "test_gate", "2.4": "circuit_breaker",
}  # fmt: skip


def pages() -> Iterator[tuple[str, str]]:
    """Return every text of the project that may cite, by its path, lines joined."""
    for pattern in ("src/**/*.py", "tests/**/*.py", "bench/**/*.py", "docs/**/*.md", "*.md"):
        for path in ROOT.glob(pattern):
            if path != Path(__file__):
                yield str(path.relative_to(ROOT)), " ".join(path.read_text(encoding="utf-8").split())


def section(number: str) -> str:
    """Return the text of a section of the specification."""
    return re.split(rf"^### {re.escape(number)} ", SPECIFICATION, flags=re.MULTILINE)[1].split("\n#")[0]


def test_every_section_that_is_cited_exists() -> None:
    """A reader who follows a citation finds what it promises."""
    cited = [(path, number) for path, text in pages() for number in re.findall(r"§(\d+(?:\.\d+)*)", text)]
    assert len(cited) > 80
    assert [(path, number) for path, number in cited if number not in SECTIONS] == []


def test_every_rule_that_is_cited_exists() -> None:
    """The rules of §1 are cited by number."""
    cited = [
        (path, rule)
        for path, text in pages()
        for rules in re.findall(r"§1, rules? (\d(?:(?:-|, | and )\d)*)", text)
        for rule in re.findall(r"\d", rules)
    ]
    assert len(cited) > 15
    assert [(path, rule) for path, rule in cited if rule not in RULES] == []


def test_every_part_of_the_architecture_that_is_cited_exists() -> None:
    """A citation names the heading: docs/ARCHITECTURE.md, "Layers"."""
    headings = re.findall(r"^## (.+)$", ARCHITECTURE, re.MULTILINE)
    cited = [
        (path, heading)
        for path, text in pages()
        for heading in re.findall(r'docs/ARCHITECTURE\.md, "([^"]+)"', text)
    ]
    assert cited
    assert [(path, heading) for path, heading in cited if heading not in headings] == []


def test_only_documents_that_exist_are_cited() -> None:
    """The documents on which the project was founded are not part of it."""
    foreign = re.compile(r"\bSSOT\b|\(design\b")
    assert [path for path, text in pages() if foreign.search(text)] == []


@pytest.mark.parametrize(("number", "machine"), MACHINE_OF_SECTION.items())
def test_the_states_are_those_of_the_machine(number: str, machine: str) -> None:
    """Each machine has its section, which names all its states in their order and links to its table."""
    text = section(number)
    stated = text[text.index("States ") : text.index("([table]")]
    assert re.findall(r"`(\w+)`", stated) == [str(state) for state in MACHINES[machine].states]
    assert f"state_machines.md#{machine})" in text


def test_the_figures_are_the_defaults_of_the_settings() -> None:
    """A figure in parentheses after a setting's name is its default."""
    stated = re.findall(r"`([a-z_]+)`\s\((\d\w*)\)", SPECIFICATION)
    defaults = Settings(workers=1)
    assert len(stated) > 15
    for name, figure in stated:
        value = getattr(defaults, name)
        parse = parse_duration if isinstance(value, timedelta) else parse_size if "iB" in figure else int
        assert (name, parse(figure)) == (name, value)
