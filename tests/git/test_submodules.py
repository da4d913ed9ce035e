"""The submodules of a tree, and the command that checks them out."""

import pytest

from maingate.git.repository import Repository
from maingate.git.submodule_update import has_newest_only, is_update, update_command
from maingate.git.submodules import as_globs, submodule_paths
from support.factories import GitRepo

CONFIG = """\
[submodule "a"]
\tpath = libs/a
\turl = ../a.git
[submodule "b"]
\turl = ../b.git
\tpath = "with space"
[submodule "gone"]
\tpath = gone
[submodule "file"]
\tpath = f
"""


def test_the_paths_are_those_that_are_configured_and_there(repo: GitRepo) -> None:
    """A path without a link to a commit, or that is a file, is none."""
    first = repo.commit({"f": "f\n"})
    assert submodule_paths(Repository.open(repo.path), repo.tree()) == ()
    repo.write({".gitmodules": CONFIG})
    repo.git("add", ".")
    for path in ("libs/a", "with space", "not configured"):
        repo.git("update-index", "--add", "--cacheinfo", f"160000,{first},{path}")
    repo.git("commit", "-q", "-m", "submodules")
    assert submodule_paths(Repository.open(repo.path), repo.tree()) == ("libs/a", "with space")


def test_a_path_is_kept_as_it_is_written() -> None:
    """Its name may have what a glob would read otherwise."""
    assert as_globs(("a", "b*[c]?")) == ("a", "b[*][[]c][?]")


@pytest.mark.parametrize(("depth", "last"), [("shallow", "--depth=1"), ("recursive", "--recursive")])
def test_how_deep_is_how_git_is_asked(depth: str, last: str) -> None:
    """Objects are borrowed from the person's clones of them."""
    command = update_command(depth)
    assert (command[0], command[-1]) == ("git", last)
    assert "submodule.alternateLocation=superproject" in command
    assert is_update(command)
    assert not is_update(" ".join(command))
    assert has_newest_only(command) == (depth == "shallow")
