"""Index files written and read here are those of git."""

from pathlib import Path

import pytest

from maingate.errors import GitError
from maingate.git.private_index import read_index, write_index
from maingate.git.trees import GitEntry
from support.factories import GitRepo

BLOB = "e69de29bb2d1d6434b8b29ae775ad8c2e48c5391"


def test_git_reads_what_is_written(repo: GitRepo, tmp_path: Path) -> None:
    """Every mode, every length of name, and names longer than the length field, come through."""
    names = [b"n" * length for length in range(1, 18)] + [b"d/" * 2100 + b"x", b"caf\xe9", b"q\n"]
    entries = {name: GitEntry(0o100644, BLOB) for name in names}
    entries[b"x"] = GitEntry(0o100755, BLOB)
    entries[b"l"] = GitEntry(0o120000, BLOB)
    entries[b"s"] = GitEntry(0o160000, "1" * 40)
    index = tmp_path / "index"
    write_index(index, entries)
    listed = _listed(repo, index)
    assert listed == entries
    assert read_index(index) == entries


@pytest.mark.parametrize("version", ["2", "3"])
def test_what_git_writes_is_read(repo: GitRepo, version: str) -> None:
    """Indexes of git itself are read, with entries that have extended flags too."""
    repo.commit({"a": "", "dir/b": "", "c" * 100: ""})
    if version == "3":
        repo.write({"later": ""})
        repo.git("add", "-N", "later")
    assert set(read_index(repo.path / ".git/index")) >= {b"a", b"dir/b", b"c" * 100}


def test_what_is_no_index_is_refused(tmp_path: Path, repo: GitRepo) -> None:
    """Another version, a cut file and an index with conflicts are errors, never a shorter list."""
    index = tmp_path / "index"
    write_index(index, {b"a": GitEntry(0o100644, BLOB)})
    content = index.read_bytes()
    repo.git("read-tree", "--empty")
    repo.git("update-index", "--index-info", stdin=f"100644 {BLOB} 2\ta\n".encode())
    conflicted = (repo.path / ".git/index").read_bytes()
    for bad in (
        b"",
        content[:40],
        content.replace(b"\0\0\0\2", b"\0\0\0\4", 1),
        b"X" + content[1:],
        conflicted,
    ):
        index.write_bytes(bad)
        with pytest.raises(GitError, match="cannot be read"):
            read_index(index)


def _listed(repo: GitRepo, index: Path) -> dict[bytes, GitEntry]:
    """Return what git lists of an index."""
    kept = repo.path / ".git/index"
    kept.write_bytes(index.read_bytes())
    records = repo.git_bytes("ls-files", "--stage", "-z").split(b"\0")[:-1]
    found = {}
    for record in records:
        head, _, name = record.partition(b"\t")
        mode, blob, _ = head.split()
        found[name] = GitEntry(int(mode, 8), blob.decode())
    return found
