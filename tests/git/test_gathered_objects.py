"""Objects that a thread gathers are one pack in the end, and there for whatever needs them before."""

import threading
from datetime import UTC, datetime
from pathlib import Path

import pytest

from maingate.errors import GitError, MissingObjectError
from maingate.git.command import run_git
from maingate.git.library import ObjectType
from maingate.git.pack_draft import PackDraft
from maingate.git.repository import Repository
from support.factories import GitRepo

WHEN = datetime(2026, 1, 2, tzinfo=UTC)
MANY = 60


@pytest.fixture(name="opened")
def _opened(repo: GitRepo) -> Repository:
    repo.commit({"a.txt": "a\n"}, "base")
    return Repository.open(repo.path)


def packs(opened: Repository) -> list[Path]:
    """List the packs of a repository."""
    return sorted((opened.git_dir / "objects" / "pack").glob("*.pack"))


def row_of_commits(opened: Repository, start: str, length: int) -> str:
    """Make commits in a row, each with a file of its own, and return the last."""
    at = start
    for number in range(length):
        blob = opened.write_blob(f"{number}\n".encode() * (1 + number * 50))
        tree = opened.splice(
            opened.tree_of(at), {b"new/%d" % number: opened.entry_at(opened.tree_of(start), b"a.txt")}
        )
        assert opened.read_blob(blob).startswith(b"%d\n" % number)
        at = opened.commit(tree=tree, parents=[at], message=f"c{number}", date=WHEN)
    return at


def test_many_objects_are_one_pack_that_git_can_read(repo: GitRepo, opened: Repository) -> None:
    """Its entries, its index and its checksums are those of git's format; nothing is stored besides."""
    assert opened.commit_rules  # read by git
    loose = repo.git("count-objects")
    with opened.gathering():
        tip = row_of_commits(opened, repo.head(), MANY)
        assert opened.has_object(tip)
        assert packs(opened) == []
    [pack] = packs(opened)
    assert repo.git("count-objects") == loose
    repo.git("verify-pack", str(pack))
    repo.git("fsck", "--strict", "--no-dangling", tip)
    assert repo.git("rev-list", "--count", tip) == str(MANY + 1)
    assert repo.git("cat-file", "-p", f"{tip}:new/7") == "a"
    assert [path.name for path in pack.parent.glob("tmp_*")] == []


def test_few_objects_are_stored_one_by_one(repo: GitRepo, opened: Repository) -> None:
    """A pack for each small change would be many."""
    with opened.gathering():
        blob = opened.write_blob(b"x\n")
    assert packs(opened) == []
    assert repo.git("cat-file", "-p", blob) == "x"


def test_what_is_there_already_is_not_written_again(repo: GitRepo, opened: Repository) -> None:
    """The result of a patch that a commit was made of is that commit's own."""
    base = opened.tree_of(repo.head())
    loose = repo.git("count-objects")
    with opened.gathering():
        blob = opened.write_blob(b"a\n")
        assert opened.splice(base, {b"a.txt": opened.entry_at(base, b"a.txt")}) == base
        assert opened.read_blob(blob) == b"a\n"
    assert repo.git("count-objects") == loose


def test_what_git_is_asked_about_is_written_before(repo: GitRepo, opened: Repository) -> None:
    """A git process knows nothing of the memory of this one."""
    with opened.gathering():
        tip = row_of_commits(opened, repo.head(), MANY)
        said = run_git("cat-file", "-t", tip, git_dir=opened.git_dir).stdout
        assert said == b"commit\n"
        later = row_of_commits(opened, tip, 2)
    assert repo.git("cat-file", "-t", later) == "commit"


def test_what_the_library_is_asked_about_is_written_before(repo: GitRepo, opened: Repository) -> None:
    """The library walks histories and points refs at commits that it can read itself."""
    base = repo.head()
    with opened.gathering():
        tip = row_of_commits(opened, base, MANY)
        assert opened.merge_base(base, base) == base
        assert packs(opened) == []
        assert opened.is_ancestor(base, tip)
        assert len(packs(opened)) == 1
        later = row_of_commits(opened, tip, 2)
        opened.keep("refs/maingate/kept", later)
        assert repo.git("cat-file", "-t", later) == "commit"


def test_what_was_made_before_a_failure_is_written(repo: GitRepo, opened: Repository) -> None:
    """It may be known by its id already to whatever goes on after the failure."""
    blob = PackDraft.name_of(ObjectType.BLOB, b"x\n")
    with pytest.raises(MissingObjectError), opened.gathering():
        opened.read_blob(opened.write_blob(b"x\n").replace("5", "6"))
    assert repo.git("cat-file", "-p", blob) == "x"


def test_each_thread_gathers_its_own(repo: GitRepo, opened: Repository) -> None:
    """Another thread writes as before, and gives away no object of this one."""
    found: list[bool] = []
    with opened.gathering():
        tip = row_of_commits(opened, repo.head(), MANY)

        def other() -> None:
            found.extend(
                [opened.has_object(tip), bool(repo.git("cat-file", "-t", opened.write_blob(b"o\n")))]
            )

        thread = threading.Thread(target=other)
        thread.start()
        thread.join()
    assert found == [False, True]
    assert opened.has_object(tip)


def test_a_forgotten_object_is_not_written(repo: GitRepo, opened: Repository) -> None:
    """One that was made again in another form would be garbage."""
    with opened.gathering():
        blob, kept = opened.write_blob(b"x\n"), opened.write_blob(b"y\n")
        opened.forget_gathered(blob)
    assert repo.git("cat-file", "-t", kept) == "blob"
    with pytest.raises(AssertionError):
        repo.git("cat-file", "-e", blob)


def test_other_users_can_read_a_pack_where_they_may(repo: GitRepo, opened: Repository) -> None:
    """The setting core.sharedRepository counts more than the umask."""
    repo.git("config", "core.sharedRepository", "group")
    with opened.gathering():
        row_of_commits(opened, repo.head(), MANY)
    [pack] = packs(opened)
    for path in (pack, pack.with_suffix(".idx")):
        assert path.stat().st_mode & 0o777 & 0o440 == 0o440


def test_a_pack_that_cannot_be_written_is_a_clear_error(repo: GitRepo, opened: Repository) -> None:
    """Whoever made the objects hears of it, before a ref could be moved to them."""
    folder = opened.git_dir / "objects" / "pack"
    folder.rmdir()
    folder.write_text("in the way\n")
    with pytest.raises(GitError, match="could not write a pack into"), opened.gathering():
        row_of_commits(opened, repo.head(), MANY)
    folder.unlink()


def test_names_are_those_of_git(repo: GitRepo) -> None:
    """An object's id follows from its kind and content alone."""
    (repo.path / "x").write_bytes(b"some\ncontent\n")
    made = PackDraft.name_of(ObjectType.BLOB, b"some\ncontent\n")
    assert made == repo.git("hash-object", "x")
