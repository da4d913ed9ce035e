"""A folder with a plan in it, inside a git repository."""

import pytest

from support.factories import GitRepo
from support.plan_folder import PlanFolder


@pytest.fixture
def folder(repo: GitRepo) -> PlanFolder:
    """Return a folder in a repository with the patch ``a.patch`` in it."""
    (repo.path / "a.patch").write_text("not looked at by the loader")
    return PlanFolder(repo.path)
