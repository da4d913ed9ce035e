"""The repository for trials: everything readable, nothing left."""

from pathlib import Path

import pytest

from maingate.git.merge import MergeConflict, merge_commits
from maingate.git.repository import Repository
from maingate.git.scratch_repository import scratch_over
from maingate.git.trees import FILE_MODE, GitEntry
from support.factories import GitRepo


def objects(repo: GitRepo) -> set[str]:
    """Return the ids of all objects that a repository has."""
    return set(repo.git("cat-file", "--batch-all-objects", "--batch-check=%(objectname)").split())


def test_what_a_trial_writes_is_in_the_scratch_alone(repo: GitRepo) -> None:
    """Objects of the repository are there; new ones are not in the repository, nor anywhere afterwards."""
    head = repo.commit({"a.txt": "one\n"}, "base")
    before = objects(repo)
    with Repository.open(repo.path) as repository, scratch_over(repository) as scratch:
        tree = scratch.tree_of(head)
        blob = scratch.write_blob(b"only tried\n")
        made = scratch.splice(tree, {b"b.txt": GitEntry(FILE_MODE, blob)})
        assert [path for path, _ in scratch.list_files(made)] == [b"a.txt", b"b.txt"]
        assert not repository.has_object(blob)
        place = scratch.git_dir
        assert place.is_dir()
    assert not place.exists()
    assert objects(repo) == before


def test_git_itself_merges_there(repo: GitRepo) -> None:
    """A conflict is judged by a git process, which sees the objects of both."""
    repo.commit({"a.txt": "one\n"}, "base")
    repo.git("checkout", "-q", "-b", "side")
    side = repo.commit({"a.txt": "side\n"}, "side")
    repo.git("checkout", "-q", "main")
    main = repo.commit({"a.txt": "main\n"}, "main")
    before = objects(repo)
    with Repository.open(repo.path) as repository, scratch_over(repository) as scratch:
        assert merge_commits(scratch, ours=main, theirs=side) == MergeConflict((b"a.txt",))
    assert objects(repo) == before


@pytest.mark.parametrize("name", ["with space", "#hash", 'quo"te', "new\nline", "col:on"])
def test_a_repository_of_any_name_can_be_tried(tmp_path: Path, name: str) -> None:
    """`alternates` has comments, quotes and lines of its own."""
    repo = GitRepo.create(tmp_path / name)
    head = repo.commit({"a.txt": "one\n"}, "base")
    with Repository.open(repo.path) as repository, scratch_over(repository) as scratch:
        assert [path for path, _ in scratch.list_files(scratch.tree_of(head))] == [b"a.txt"]
        assert scratch.private_git_dir().git("cat-file", "-t", head).stdout == b"commit\n"


def test_a_shallow_clone_ends_where_it_is_cut(repo: GitRepo, tmp_path: Path) -> None:
    """A history that is cut off is not a damaged one."""
    repo.commit({"a.txt": "one\n"}, "one")
    head = repo.commit({"a.txt": "two\n"}, "two")
    clone = tmp_path / "clone"
    repo.git("clone", "-q", "--depth", "1", f"file://{repo.path}", str(clone))
    with Repository.open(clone) as repository, scratch_over(repository) as scratch:
        assert scratch.is_shallow
        assert scratch.private_git_dir().git("rev-list", head).stdout.decode().split() == [head]
        assert scratch.is_ancestor(head, head)
