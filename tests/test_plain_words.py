"""Docstrings and pages are in plain words: a verb of the trade first, and a named subject."""

import ast
import re
from collections.abc import Iterator
from pathlib import Path
from typing import Final

import pytest

ROOT: Final = Path(__file__).parents[1]
SOURCE: Final = ROOT / "src" / "maingate"
ROOMS: Final = tuple(
    sorted(path.name for path in SOURCE.iterdir() if path.suffix == ".py" or (path / "__init__.py").exists())
)
"""Every module and package of the program."""

PAGES: Final = sorted(
    page.relative_to(ROOT)
    for pattern in ("*.md", "docs/*.md", "docs/adr/*.md", "examples/**/*.md", ".github/**/*.md")
    for page in ROOT.glob(pattern)
)
"""Every page of the documentation."""

FIRST_WORDS: Final = frozenset(
    {
        *(
            "Ask",
            "Bring",
            "Give",
            "Go",
            "Has",
            "Have",
            "Hear",
            "How",
            "Is",
            "Let",
            "Look",
            "Put",
            "Say",
            "See",
        ),
        *("Somebody", "Tell", "What", "Whatever", "When", "Where", "Whether", "Which", "Who", "Whoever"),
    }
)
"""Words with which no docstring of a function begins; those of classes and constants avoid the questions."""

_QUESTIONS: Final = frozenset({"How", "What", "Whatever", "Where", "Whether", "Who", "Whoever", "Which"})
_SUBJECT: Final = re.compile(r"(?:^|[.;:]\s+)(?:What(?:ever)?|Who(?:ever)?)\b(?!:)", re.IGNORECASE)
_NOBODY: Final = re.compile(r"\b(?:anybody|everybody|nobody|somebody|whoever)\b", re.IGNORECASE)
_BLOCK: Final = re.compile(r"^[ ]*```.*?^[ ]*```", re.MULTILINE | re.DOTALL)
_QUOTED: Final = re.compile(r"`[^`\n]*`|\"[^\"\n]*\"")
_PART: Final = re.compile(r"\n\s*\n|\n\s*(?=[-*|#\d])|\|")
"""The borders of paragraphs, list entries, headings and table cells."""

Documented = ast.Module | ast.ClassDef | ast.FunctionDef | ast.AsyncFunctionDef


def docstrings(path: Path) -> Iterator[tuple[int, bool, str]]:
    """Return the docstrings of a module, of attributes too: line, whether it is a function's, and text."""
    for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
        if not isinstance(node, Documented):
            continue
        text = ast.get_docstring(node)
        is_function = isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef)
        if text is not None:
            yield node.body[0].lineno, is_function, text
        for before, after in zip(node.body, node.body[1:], strict=False):
            if isinstance(before, ast.Assign | ast.AnnAssign) and (said := _literal(after)):
                yield after.lineno, False, said


def _literal(node: ast.stmt) -> str:
    """Return the text of a statement that is nothing but a text; empty for another one."""
    value = node.value if isinstance(node, ast.Expr) else None
    return value.value if isinstance(value, ast.Constant) and isinstance(value.value, str) else ""


def faults(text: str, *, is_function: bool) -> list[str]:
    """Return what is wrong with the words of a docstring."""
    first = re.split(r"\W", text, maxsplit=1)[0]
    found = [f"begins with {first}"] if first in (FIRST_WORDS if is_function else _QUESTIONS) else []
    found += [f"has the subject {match[0].strip()!r}" for match in _SUBJECT.finditer(text)]
    return found + [f"says {match[0]!r}" for match in _NOBODY.finditer(text)]


@pytest.mark.parametrize("name", ROOMS)
def test_docstrings_are_in_plain_words(name: str) -> None:
    """A first line begins with a verb or names a thing; no subject is 'what' or 'somebody'."""
    root = SOURCE / name
    paths = sorted(root.rglob("*.py")) if root.is_dir() else [root]
    assert [
        f"{path.relative_to(SOURCE)}:{line}: {fault}"
        for path in paths
        for line, is_function, text in docstrings(path)
        for fault in faults(text, is_function=is_function)
    ] == []


def parts(page: str) -> Iterator[str]:
    """Return the paragraphs, list entries, headings and table cells of a page, without code and quotes."""
    for part in _PART.split(_QUOTED.sub("it", _BLOCK.sub("", page))):
        yield " ".join(part.strip(" -*#0123456789.").split())


@pytest.mark.parametrize("page", PAGES, ids=str)
def test_pages_are_in_plain_words(page: Path) -> None:
    """No sentence of the documentation has the subject 'what' or 'somebody'."""
    text = (ROOT / page).read_text(encoding="utf-8")
    assert [
        f"{part}: {fault}"
        for part in parts(text)
        for fault in faults(part, is_function=False)
        if not fault.startswith("begins")
    ] == []


@pytest.mark.parametrize(
    ("text", "found"),
    [
        ("# A page\n\nWhat it needs\nis there.", 1),
        ("- **What goes** stays.", 1),
        ("| a | what became of it |", 1),
        ("One line. Whoever reads\nit.", 2),
        ("Return the line that says\nwhat it is.", 0),
        ('```\nWhat git prints.\n```\n\n`nobody` and "whoever" are quoted.', 0),
    ],
)
def test_the_check_of_pages_finds_faults(text: str, found: int) -> None:
    """The rule above can fail, also across lines, in lists and in tables."""
    said = [fault for part in parts(text) for fault in faults(part, is_function=False)]
    assert len([fault for fault in said if not fault.startswith("begins")]) == found


@pytest.mark.parametrize(
    ("text", "is_function", "found"),
    [
        ("Tell whether it is there.", True, ["begins with Tell"]),
        ("Return it. What is left over is removed.", True, ["has the subject '. What'"]),
        ("Wait for the lock: nobody else may have it.", True, ["says 'nobody'"]),
        ("What a row says.", False, ["begins with What", "has the subject 'What'"]),
        ("Return what git printed.", True, []),
        ("A lock that one process holds.", False, []),
    ],
)
def test_the_check_finds_faults(text: str, is_function: bool, found: list[str]) -> None:
    """The rule above can fail."""
    assert faults(text, is_function=is_function) == found
