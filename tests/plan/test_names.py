"""Names that can become a part of a git ref."""

import subprocess

import pytest
from hypothesis import given
from hypothesis import strategies as st

from maingate.plan.names import fault_of_branch, fault_of_name


@pytest.mark.parametrize("name", ["parser", "fix-1", "0001-a", "A", "v1.2", "a_b", "x" * 100])
def test_words_are_names(name: str) -> None:
    """A letter or digit, then letters, digits, dots, underscores and dashes."""
    assert fault_of_name(name) is None


@pytest.mark.parametrize(
    "name", ["", "-a", ".a", "_a", "a b", "a/b", "a..b", "a.", "a.lock", "ä", "a\n", "a:b", "a~1", "x" * 101]
)
def test_what_a_ref_or_a_person_could_stumble_over_is_no_name(name: str) -> None:
    """Names that git refuses in a ref, that could be an option, or that are endless are refused."""
    assert fault_of_name(name)


@given(st.text(alphabet="ab.-_1L", min_size=1, max_size=8).map(lambda text: text + ".lock"[: len(text) % 6]))
def test_git_takes_every_name_as_a_ref(name: str) -> None:
    """Every name that passes here passes git-check-ref-format(1)."""
    if fault_of_name(name) is None:
        ref = f"refs/maingate/run_1/{name}"
        assert subprocess.run(["git", "check-ref-format", ref], check=False).returncode == 0


@pytest.mark.parametrize(
    "name", ["main", "refs/heads/main", "a/b.c", "ä", "@", "a@b", "x.lock.y", "fix#1", "HEAD-1"]
)
def test_names_of_branches(name: str) -> None:
    """Short or in full, in any letters."""
    assert fault_of_branch(name) is None


@pytest.mark.parametrize(
    ("name", "why"),
    [
        ("bad..ref", "cannot contain '..'"),
        ("a@{1}", "cannot contain '..', '@{'"),
        ("a//b", "or '//'"),
        ("a b", "no spaces"),
        ("a\n", "no control characters"),
        ("a~1", "none of ~"),
        ("a\\b", "none of ~"),
        ("-a", "cannot begin with '-'"),
        ("/a", "cannot begin with '-' or '/'"),
        ("a/", "cannot end in '/'"),
        ("a.", "cannot end in '/' or '.'"),
        ("a/.b", "can begin with '.'"),
        ("a.lock/b", "or end in '.lock'"),
        ("a.lock", "or end in '.lock'"),
        ("", "say which branch"),
        ("HEAD", "say which branch"),
        ("refs/tags/v1", "patches land on branches"),
        ("refs/heads/", "cannot end in '/'"),
    ],
)
def test_what_is_no_name_of_a_branch_is_told(name: str, why: str) -> None:
    """Each with the rule that it breaks."""
    assert why in str(fault_of_branch(name))


@given(
    st.text(alphabet="ab./-_@{~^:?*[\\ \t\x7fä", max_size=6).map(lambda text: text + ".lock"[: len(text) % 6])
)
def test_git_and_maingate_agree_on_names_of_branches(name: str) -> None:
    """A name passes here exactly if it passes git-check-ref-format(1)."""
    asked = ["git", "check-ref-format", f"refs/heads/{name}"]
    takes = subprocess.run(asked, check=False).returncode == 0 and not name.startswith("-")
    assert (fault_of_branch(name) is None) is takes
