"""Particulars of a conflict: the first patch that conflicts, and what the target has changed in its files."""

from collections.abc import Mapping, Sequence
from datetime import UTC, datetime

import pytest

from maingate.git.repository import Repository
from maingate.landing.candidate import build
from maingate.landing.conflict_detail import MOST_BYTES, with_particulars
from maingate.plan.choices import LandingStyle
from maingate.reasons import Reason
from support.factories import GitRepo
from support.landing_inputs import input_of, tip_of

ODD = "*[a].txt"
STYLES = list(LandingStyle)


def conflict(
    repo: GitRepo, own: Sequence[Mapping[str, str]], theirs: Mapping[str, str], style: LandingStyle
) -> Reason:
    """Return the conflict of commits in a row with a change of the target."""
    repo.commit({"a.txt": "a\n", "b.txt": "b\n", ODD: "odd\n"}, "base")
    repo.git("checkout", "-qb", "own")
    commits = [repo.commit(dict(files), "own") for files in own]
    repo.git("checkout", "-q", "main")
    head = repo.commit(dict(theirs), "theirs")
    with Repository.open(repo.path) as repository:
        landing = input_of(repository, commits)
        refused = build(
            repository,
            landing,
            style=style,
            onto=tip_of(repository, head),
            target="refs/heads/main",
            at=datetime(2026, 1, 1, tzinfo=UTC),
            judge=lambda _: None,
        )
        assert isinstance(refused, Reason)
        return with_particulars(
            repository, landing, refused, onto=tip_of(repository, head), target="refs/heads/main"
        )


@pytest.mark.parametrize("style", STYLES)
def test_the_first_patch_in_conflict_is_named_with_its_task(repo: GitRepo, style: LandingStyle) -> None:
    """Others before it merge; the files that do not conflict are not told."""
    own = [{"a.txt": "own\n"}, {"b.txt": "own\n"}, {"c.txt": "own\n"}]
    told = conflict(repo, own, {"b.txt": "theirs\n", ODD: "theirs\n"}, style)
    assert (told.detail["patch"], told.detail["task"]) == ("patch_1", "task1")
    assert told.detail["paths"] == ["b.txt"]
    assert told.detail["onto"] == repo.head("main")
    assert "-b\n+theirs\n" in told.detail["changes"]
    assert "odd" not in told.detail["changes"]


def test_a_name_is_no_pattern(repo: GitRepo) -> None:
    """The changes are those of the very file."""
    told = conflict(repo, [{ODD: "own\n"}], {ODD: "theirs\n", "a.txt": "more\n"}, LandingStyle.MERGE)
    assert told.detail["paths"] == [ODD]
    assert "-odd\n+theirs\n" in told.detail["changes"]
    assert "more" not in told.detail["changes"]


def test_long_changes_are_cut(repo: GitRepo) -> None:
    """A prompt has no room for all; it says how much is left out."""
    told = conflict(repo, [{"a.txt": "own\n"}], {"a.txt": "x" * 3 * MOST_BYTES}, LandingStyle.MERGE)
    assert len(told.detail["changes"]) < MOST_BYTES + 100
    assert told.detail["changes"].endswith("more bytes]")
