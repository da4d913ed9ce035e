"""What the worktrees of a run will lack is told before it begins."""

from typing import Any

import pytest

from maingate.git.repository import Repository
from maingate.plan.model import Plan
from maingate.services.runs.worktree_notes import notes_on_worktrees
from support.factories import GitRepo


def notes(repo: GitRepo, **plan: Any) -> list[str]:
    """Return the notes about a plan."""
    made = {"maingate": 1, "workstreams": {"w": {"tasks": {"t": {"noop": True}}}}, **plan}
    with Repository.open(repo.path) as opened:
        return notes_on_worktrees(opened, Plan.model_validate(made))


def test_a_filter_that_is_not_configured_is_told(repo: GitRepo) -> None:
    """A comment asks for none, and one that is configured is not missing."""
    repo.git("config", "filter.there.clean", "cat")
    repo.commit({".gitattributes": "# x filter=no\n*.bin -text filter=lfs merge=lfs\n*.a filter=there\n"})
    (note,) = notes(repo)
    assert note == (
        ".gitattributes asks for the filter lfs, which git's configuration does not have: gates see files as "
        "they are stored, and the patch of a tool that changes one is `filter_failed`"
    )


@pytest.mark.parametrize(
    "plan", [{}, {"submodules": "shallow"}, {"prepare": ["git submodule update --init"]}, {"target": "none"}]
)
def test_submodules_that_no_gate_sees_are_told(repo: GitRepo, plan: dict[str, Any]) -> None:
    """Not where the plan has them, or checks them out itself."""
    first = repo.commit({".gitmodules": '[submodule "s"]\n\tpath = sub\n\turl = ../s.git\n'})
    repo.git("update-index", "--add", "--cacheinfo", f"160000,{first},sub")
    repo.git("commit", "-q", "-m", "submodule")
    said = (
        "the submodules sub are empty in the worktrees of gates and tools "
        "(`submodules: recursive` checks them out)"
    )
    assert notes(repo, **plan) == ([] if plan else [said])


def test_nothing_is_said_of_other_repositories(repo: GitRepo) -> None:
    """An empty repository is none of this module's business."""
    assert notes(repo) == []
    repo.commit({"f": "f\n"})
    assert notes(repo) == []
