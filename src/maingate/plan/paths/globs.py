"""Gitignore-style globs of a plan: globs that can match no path, and globs that a policy forbids whole."""

import re
from collections.abc import Iterator, Sequence
from typing import Final

from pathspec import GitIgnoreSpec
from pathspec.patterns.gitignore.base import GitIgnorePatternError

ALWAYS_FORBIDDEN: Final = ".git/**"
"""Globs that no patch may touch under any policy (docs/SPECIFICATION.md §2.6)."""

IN_GIT: Final = "nothing in .git may be touched"

_DRIVE: Final = re.compile(r"[A-Za-z]:[\\/]")
_ANYTHING: Final = "\x02any\x02"

DEFAULT_TESTS: Final[tuple[str, ...]] = (
    "test/",
    "tests/",
    "__tests__/",
    "spec/",
    "test_*.py",
    "*_test.py",
    "*_test.go",
    "*.test.*",
    "*.spec.*",
    "conftest.py",
)
"""The usual places of tests."""

DEFAULT_PROTECT: Final[tuple[str, ...]] = (
    *DEFAULT_TESTS,
    "/.github/",
    "/.gitlab-ci.yml",
    "/.circleci/",
    "/.ci/",
    "/.buildkite/",
    "/.travis.yml",
    "/azure-pipelines.yml",
    "/Jenkinsfile",
    "/maingate.toml",
)
"""Globs that a tool's patch may not touch, unless a layer states others: the tests and CI that judge it."""


def fault_of_glob(pattern: str, *, root: str = "") -> str | None:
    """Return why a glob cannot match a path of a repository; None when it can.

    A leading slash is valid: it ties the glob to the repository's root, as in a `.gitignore`.

    Args:
        pattern: The glob, as in a `.gitignore`.
        root: The repository's root; a glob that begins with it should be relative.
    """
    bare = pattern.removeprefix("!")
    parts = bare.split("/")
    faults = (
        (not bare.strip(), "it is empty"),
        (bare.startswith("#"), "a glob that begins with # is a comment"),
        (_is_absolute(bare, root), "paths are relative to the repository's root"),
        (re.search(r"\\[A-Za-z0-9]", bare), "folders are parted by '/'"),
        ("." in parts or ".." in parts, "no path of a repository has '.' or '..' in it"),
        (parts[bare.startswith("/")].lower() == ".git", IN_GIT),
    )
    return next((reason for applies, reason in faults if applies), None) or _refused_as_glob(pattern)


def _is_absolute(pattern: str, root: str) -> bool:
    in_root = root != "" and f"{pattern}/".startswith(f"{root}/")
    return in_root or pattern.startswith("~") or _DRIVE.match(pattern) is not None


def _refused_as_glob(pattern: str) -> str | None:
    try:
        GitIgnoreSpec.from_lines([pattern])
    except (GitIgnorePatternError, ValueError) as error:
        return f"it is not a gitignore-style glob: {error}"
    return None


def matches_nothing(patterns: Sequence[str], *, taken: Sequence[Sequence[str]] = ()) -> bool:
    """Return whether globs certainly match no path outside of those that policies forbid.

    Samples decide: each glob is filled in with letters that are never written. A glob that cannot be decided
    (brackets, negations) counts as matching a path.

    Args:
        patterns: Globs that are each without fault.
        taken: Lists of forbidden globs; each list is a `.gitignore` of its own.
    """
    if all(pattern.startswith("!") for pattern in patterns):
        return True
    decidable = [globs for globs in taken if not any("[" in glob or glob.startswith("!") for glob in globs)]
    specs = [GitIgnoreSpec.from_lines(globs) for globs in (*decidable, [ALWAYS_FORBIDDEN])]
    return all(
        any(spec.match_file(sample) for spec in specs)
        for pattern in patterns
        if not pattern.startswith("!")
        for sample in _samples(pattern)
    )


def _samples(pattern: str) -> Iterator[str]:
    """Yield paths that a glob matches and that only another wildcard can match too."""
    text = pattern.strip().strip("/")
    anchored = "/" in pattern.strip().rstrip("/")
    filled = text.replace("**", _ANYTHING).replace("*", _ANYTHING).replace("?", "\x02")
    for path in (filled, f"{filled}/{_ANYTHING}"):
        yield path
        if not anchored:
            yield f"{_ANYTHING}/{path}"
        if "**" in text:
            yield text.replace("**", f"{_ANYTHING}/{_ANYTHING}").replace("*", _ANYTHING).replace("?", "\x02")
