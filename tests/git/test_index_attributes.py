"""The `.gitattributes` of an index."""

from maingate.git.index_attributes import attribute_files
from support.factories import GitRepo


def test_every_file_of_that_name_is_found_and_no_other(repo: GitRepo) -> None:
    """As `git ls-files` lists them, with their blobs, whatever else is in the index."""
    names = [".gitattributes", "a/.gitattributes", "a/x.gitattributes", "b/c/.gitattributes", "z"]
    repo.commit({**{name: f"{name}\n" for name in names}, **{f"n{i:03}": "" for i in range(50)}})
    repo.git("update-index", "--index-version", "2")
    listed = repo.git("ls-files", "--stage", "--", ":(glob)**/.gitattributes").splitlines()
    expected = tuple((line.split("\t")[1].encode(), bytes.fromhex(line.split()[1])) for line in listed)
    assert len(expected) == 3
    assert attribute_files((repo.path / ".git/index").read_bytes()) == expected


def test_an_index_without_one_has_none(repo: GitRepo) -> None:
    """Nothing is found where there is nothing, in an index of nothing too."""
    repo.commit({"gitattributes": "x", "a/b": "y"})
    assert attribute_files((repo.path / ".git/index").read_bytes()) == ()
    repo.git("read-tree", "--empty")
    assert attribute_files((repo.path / ".git/index").read_bytes()) == ()
