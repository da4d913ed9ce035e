"""Names that can become a part of a git ref."""

import subprocess

import pytest
from hypothesis import given
from hypothesis import strategies as st

from headgate.plan.names import fault_of_name


@pytest.mark.parametrize("name", ["parser", "fix-1", "0001-a", "A", "v1.2", "a_b", "x" * 100])
def test_words_are_names(name: str) -> None:
    """A letter or digit, then letters, digits, dots, underscores and dashes."""
    assert fault_of_name(name) is None


@pytest.mark.parametrize(
    "name", ["", "-a", ".a", "_a", "a b", "a/b", "a..b", "a.", "a.lock", "ä", "a\n", "a:b", "a~1", "x" * 101]
)
def test_what_a_ref_or_a_person_could_stumble_over_is_no_name(name: str) -> None:
    """What git refuses in a ref, what could be an option, and what is endless is refused."""
    assert fault_of_name(name)


@given(st.text(alphabet="ab.-_1L", min_size=1, max_size=8).map(lambda text: text + ".lock"[: len(text) % 6]))
def test_git_takes_every_name_as_a_ref(name: str) -> None:
    """Whatever passes here passes git-check-ref-format(1)."""
    if fault_of_name(name) is None:
        ref = f"refs/headgate/run_1/{name}"
        assert subprocess.run(["git", "check-ref-format", ref], check=False).returncode == 0
