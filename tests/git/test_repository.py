"""A person's repository: objects, refs and history, and clear refusals of what cannot be worked on."""

import shutil
import subprocess
import threading
from datetime import datetime, timedelta, timezone
from pathlib import Path

import pytest

from maingate.errors import GitError, RepositoryError
from maingate.git.repository import GitEntry, RefChange, RefMoved, Repository, Signature, Target
from maingate.git.trees import EMPTY_TREE, TreeConflictError
from support.factories import GitRepo

WHEN = datetime(2026, 1, 2, 3, 4, 5, tzinfo=timezone(timedelta(hours=2)))
FILE, TREE = 0o100644, 0o040000


@pytest.fixture(name="opened")
def _opened(repo: GitRepo) -> Repository:
    """Return the repository, opened, with two commits on main."""
    repo.commit({"a.txt": "one\n", "dir/b.txt": "b\n", "dir/sub/c.txt": "c\n"}, "first")
    repo.commit({"a.txt": "two\n"}, "second")
    return Repository.open(repo.path)


# opening


@pytest.mark.usefixtures("opened")
def test_opens_from_anywhere_inside(repo: GitRepo) -> None:
    """A path below the top finds the repository around it."""
    below = Repository.open(repo.path / "dir" / "sub")
    assert (below.root, below.git_dir, below.is_bare) == (repo.path, repo.path / ".git", False)


@pytest.mark.usefixtures("opened")
def test_a_linked_worktree_belongs_to_its_repository(repo: GitRepo, tmp_path: Path) -> None:
    """Opened in a linked worktree, objects and refs are the main repository's, and HEAD the worktree's."""
    repo.git("worktree", "add", "-q", "-b", "side", str(tmp_path / "linked"))
    linked = Repository.open(tmp_path / "linked")
    assert (linked.root, linked.git_dir) == (repo.path, repo.path / ".git")
    assert linked.resolve_target() == Target(ref="refs/heads/side", commit=repo.head())


@pytest.mark.usefixtures("opened")
def test_a_bare_repository_is_its_own_root(repo: GitRepo, tmp_path: Path) -> None:
    """A repository without a working tree is as good as any."""
    repo.git("clone", "-q", "--bare", str(repo.path), str(tmp_path / "bare.git"))
    bare = Repository.open(tmp_path / "bare.git")
    assert (bare.is_bare, bare.root, bare.git_dir) == (True, tmp_path / "bare.git", tmp_path / "bare.git")
    assert bare.resolve_target("main").commit == repo.head()


def test_a_git_directory_that_stands_apart_is_of_the_tree_that_points_to_it(tmp_path: Path) -> None:
    """Its files are where `.git` is a file; where nothing points there, no folder is taken for them."""
    (tmp_path / "apart").mkdir()
    here = GitRepo(tmp_path)
    here.git("init", "-q", f"--separate-git-dir={tmp_path / 'apart' / 'git'}", "tree")
    (tmp_path / "tree" / "below").mkdir()
    tops = {Repository.open(tmp_path / name).root for name in ("tree", "tree/below")}
    assert tops == {tmp_path / "tree"}
    with pytest.raises(RepositoryError, match=r"says where.*core\.worktree"):
        Repository.open(tmp_path / "apart" / "git")
    here.git("--git-dir=apart/git", "config", "core.worktree", str(tmp_path / "tree"))
    assert Repository.open(tmp_path / "apart" / "git").root == tmp_path / "tree"


@pytest.mark.parametrize("way", ["a file", "a link", "configured"])
def test_a_git_directory_among_the_files_is_refused(tmp_path: Path, way: str) -> None:
    """No rule for paths would keep a patch from writing git's hooks, or the record, by that name."""
    here = GitRepo(tmp_path)
    here.git("init", "-q", "tree")
    tree = tmp_path / "tree"
    (tree / "in").mkdir()
    (tree / ".git").rename(tree / "in" / "git")
    if way == "a file":
        (tree / ".git").write_text("gitdir: in/git\n")
    elif way == "a link":
        (tree / ".git").symlink_to("in/git")
    else:
        here.git("--git-dir=tree/in/git", "config", "core.worktree", str(tree))
    for path in (tree, tree / "in" / "git") if way != "configured" else (tree / "in" / "git",):
        with pytest.raises(RepositoryError, match=r"among the files.*move it out"):
            Repository.open(path)


def test_no_repository_is_refused(tmp_path: Path) -> None:
    """Outside a repository the message says what to do."""
    with pytest.raises(RepositoryError, match=r"not in a git repository.*git init"):
        Repository.open(tmp_path)
    with pytest.raises(RepositoryError, match="does not exist"):
        Repository.open(tmp_path / "nowhere")


# the target


def test_the_target_is_what_is_checked_out(repo: GitRepo, opened: Repository) -> None:
    """Without a name the target is the branch of the checkout; a name may be short or in full."""
    expected = Target(ref="refs/heads/main", commit=repo.head())
    assert opened.resolve_target() == expected
    assert opened.resolve_target("main") == expected
    assert opened.resolve_target("refs/heads/main") == expected


def test_the_name_of_a_branch_may_be_shortened_as_for_git(repo: GitRepo, opened: Repository) -> None:
    """`heads/main` is `main`, unless there is a branch whose own name begins so."""
    expected = Target(ref="refs/heads/main", commit=repo.head())
    assert opened.resolve_target("heads/main") == expected
    repo.git("branch", "heads/main")
    assert opened.resolve_target("heads/main").ref == "refs/heads/heads/main"
    assert opened.resolve_target("refs/heads/main") == expected


def test_a_symbolic_branch_means_the_one_that_moves(repo: GitRepo, opened: Repository) -> None:
    """A branch that is an alias of another is resolved, so that its lane is that of the real one."""
    repo.git("symbolic-ref", "refs/heads/trunk", "refs/heads/main")
    assert opened.resolve_target("trunk").ref == "refs/heads/main"


def test_an_empty_repository_has_no_target(repo: GitRepo) -> None:
    """Before the first commit there is nothing to land on."""
    with pytest.raises(RepositoryError, match="no commits yet: make a first commit on main"):
        Repository.open(repo.path).resolve_target()


def test_an_unborn_branch_is_no_target(repo: GitRepo, opened: Repository) -> None:
    """A branch that is checked out but has no commit is named."""
    repo.git("checkout", "-q", "--orphan", "fresh")
    with pytest.raises(RepositoryError, match="no branch fresh with a commit; it has: main"):
        opened.resolve_target()


def test_a_detached_head_is_no_target(repo: GitRepo, opened: Repository) -> None:
    """With HEAD on a commit the target has to be named."""
    repo.git("checkout", "-q", "--detach")
    with pytest.raises(RepositoryError, match=r"HEAD is detached.*`target:`"):
        opened.resolve_target()
    assert opened.resolve_target("main").ref == "refs/heads/main"


def test_what_is_not_a_branch_is_no_target(repo: GitRepo, opened: Repository) -> None:
    """Tags, remote-tracking branches, commits and other refs are refused, each with its own advice."""
    repo.git("tag", "v1")
    repo.git("update-ref", "refs/remotes/origin/dev", "HEAD")
    for name, advice in {
        "v1": "is a tag",
        "origin/dev": "git branch dev origin/dev",
        "remotes/origin/dev": "git branch dev origin/dev",
        "tags/v1": "is a tag",
        "heads/mian": "no branch mian with a commit; did you mean main",
        repo.head(): "looks like a commit",
        "refs/tags/v1": "not a branch",
        "mian": "did you mean main",
        "elsewhere": "it has: main",
    }.items():
        with pytest.raises(RepositoryError, match=advice):
            opened.resolve_target(name)


def test_a_shallow_clone_works_and_knows_it(repo: GitRepo, opened: Repository, tmp_path: Path) -> None:
    """A shallow clone can be worked on; an action that needs the missing history names the command for it."""
    repo.git("clone", "-q", "--depth=1", f"file://{repo.path}", str(tmp_path / "shallow"))
    shallow = Repository.open(tmp_path / "shallow")
    head = shallow.resolve_target().commit
    assert (shallow.is_shallow, opened.is_shallow) == (True, False)
    made = shallow.commit(tree=shallow.tree_of(head), parents=[head], message="more", date=WHEN)
    assert shallow.is_ancestor(head, made)
    assert shallow.merge_base(head, made) == head
    with pytest.raises(RepositoryError, match="--unshallow"):
        shallow.resolve_commit("HEAD~1")


def test_revisions_mean_commits(repo: GitRepo, opened: Repository) -> None:
    """Any of git's expressions finds its commit, through tags too; nonsense is refused."""
    repo.git("tag", "-a", "-m", "x", "v1", "HEAD~1")
    assert opened.resolve_commit("v1") == repo.head("HEAD~1")
    with pytest.raises(RepositoryError, match="'nowhere' is not a commit"):
        opened.resolve_commit("nowhere")


def test_a_partial_clone_says_what_it_lacks(repo: GitRepo, opened: Repository, tmp_path: Path) -> None:
    """An object that was never fetched is not called damage; the message says how to get it."""
    repo.git("config", "uploadpack.allowFilter", "true")
    source = f"file://{repo.path}"
    repo.git("clone", "-q", "--filter=blob:none", "--no-checkout", source, str(tmp_path / "partial"))
    partial = Repository.open(tmp_path / "partial")
    assert (partial.is_partial, opened.is_partial) == (True, False)
    with pytest.raises(GitError, match="the clone is partial"):
        partial.blob_at(repo.tree(), b"a.txt")


# objects and trees


def test_blobs_are_read_and_written(opened: Repository) -> None:
    """Content comes back byte for byte, and its id is git's."""
    blob = opened.write_blob(b"caf\xe9\r\n\0")
    assert opened.read_blob(blob) == b"caf\xe9\r\n\0"
    assert opened.has_object(blob)
    assert not opened.has_object("1" * 40)


def test_a_missing_object_is_a_clear_error(opened: Repository) -> None:
    """A damaged repository is an outside fault which names the object."""
    with pytest.raises(GitError, match="has no blob 1111"):
        opened.read_blob("1" * 40)
    with pytest.raises(GitError, match="is a commit, not a tree"):
        opened.entry_at(opened.resolve_target().commit, b"x")


def test_blobs_are_found_by_an_abbreviated_id(repo: GitRepo, opened: Repository) -> None:
    """The ids of `index` lines are mostly short; a commit's id or nonsense is not a blob."""
    blob = repo.git("rev-parse", "HEAD:a.txt")
    assert opened.blobs_like(blob[:7]) == [blob]
    assert opened.blobs_like(repo.head()[:9]) == []
    assert opened.blobs_like("0123456") == []
    assert opened.blobs_like("zz") == []


def test_an_abbreviated_id_may_mean_several_blobs(opened: Repository) -> None:
    """All of them are found, and none of what is no blob."""
    both = [opened.write_blob(content) for content in (b"x4573", b"x8336")]
    assert both[0][:7] == both[1][:7]
    assert opened.blobs_like(both[0][:7]) == sorted(both)
    assert opened.blobs_like(both[0][:8]) == [both[0]]


def test_paths_are_looked_up(repo: GitRepo, opened: Repository) -> None:
    """Files, directories, and nothing, are told apart."""
    tree = repo.tree()
    blob = opened.blob_at(tree, b"dir/sub/c.txt")
    assert blob is not None
    assert (blob.mode, blob.data) == (FILE, b"c\n")
    directory = opened.entry_at(tree, b"dir")
    assert directory is not None
    assert directory == GitEntry(TREE, repo.git("rev-parse", "HEAD:dir"))
    assert opened.blob_at(tree, b"dir") is None
    assert opened.entry_at(tree, b"a.txt/below") is None
    assert [path for path, _ in opened.list_files(tree)] == [b"a.txt", b"dir/b.txt", b"dir/sub/c.txt"]


def test_splice_changes_exactly_the_given_paths(repo: GitRepo, opened: Repository) -> None:
    """The tree is the one git makes of the same change, emptied directories gone."""
    base = repo.tree()
    blob = GitEntry(FILE, opened.write_blob(b"new\n"))
    changes = {
        b"dir/sub/c.txt": None,
        b"dir/b.txt": blob,
        b"x/y/z": blob,
        b"a.txt": GitEntry(0o100755, blob.id),
    }
    made = opened.splice(base, changes)
    repo.write({"dir/sub/c.txt": None, "dir/b.txt": "new\n", "x/y/z": "new\n", "a.txt": "new\n"})
    (repo.path / "a.txt").chmod(0o755)
    repo.git("add", "-A")
    assert made == repo.git("write-tree")
    assert set(opened.changed_paths(base, made)) == set(changes)


def test_splice_keeps_gits_order_of_names(repo: GitRepo, opened: Repository) -> None:
    """Git sorts directories as if their names ended in a slash: ``a-b`` < ``a/`` < ``a0``."""
    blob = GitEntry(FILE, opened.write_blob(b""))
    names = [b"a-b", b"a/x", b"a0", b"a.b", b"a"]
    made = opened.splice(EMPTY_TREE, dict.fromkeys(names[:-1], blob))
    repo.git("rm", "-rq", ".")
    repo.write({name.decode(): "" for name in names[:-1]})
    repo.git("add", "-A")
    assert made == repo.git("write-tree")


def test_splice_swaps_files_and_directories(opened: Repository) -> None:
    """A file gives way to a directory of its name and the other way round, when both are asked for."""
    blob = GitEntry(FILE, opened.write_blob(b""))
    one = opened.splice(EMPTY_TREE, {b"a": blob, b"d/x": blob})
    made = opened.splice(one, {b"a": None, b"a/b/c": blob, b"d/x": None, b"d": blob})
    assert [path for path, _ in opened.list_files(made)] == [b"a/b/c", b"d"]
    assert opened.splice(made, {b"a/b/c": None, b"d": None}) == EMPTY_TREE


def test_splice_refuses_to_replace_silently(opened: Repository) -> None:
    """A file where a directory is, or below a file, is refused unless the other goes."""
    blob = GitEntry(FILE, opened.write_blob(b""))
    tree = opened.splice(EMPTY_TREE, {b"a": blob, b"d/x": blob})
    with pytest.raises(TreeConflictError):
        opened.splice(tree, {b"a/b": blob})
    with pytest.raises(TreeConflictError):
        opened.splice(tree, {b"d": blob})


def test_names_are_bytes(repo: GitRepo, opened: Repository) -> None:
    """Names that are not UTF-8, and names with spaces, quotes, tabs and newlines, are names like others."""
    blob = GitEntry(FILE, opened.write_blob(b"x"))
    names = [b"caf\xe9/\xff.txt", b"q\"uo'te", b"ta\tb\nnew line", b" lead"]
    made = opened.splice(repo.tree(), dict.fromkeys(names, blob))
    listed = repo.git_bytes("ls-tree", "-r", "-z", "--name-only", made).split(b"\0")
    assert set(names) <= set(listed)
    assert [opened.entry_at(made, name) for name in names] == [blob] * 4
    assert set(opened.changed_paths(repo.tree(), made)) == set(names)
    repo.git("fsck", "--strict")


def test_changes_of_kind_are_seen(opened: Repository) -> None:
    """Between two trees a file that became a directory is one path gone and one that came."""
    blob = GitEntry(FILE, opened.write_blob(b""))
    old = opened.splice(EMPTY_TREE, {b"a": blob, b"same/x": blob})
    new = opened.splice(EMPTY_TREE, {b"a/b": blob, b"same/x": blob})
    assert opened.changed_paths(old, new) == {b"a": (blob, None), b"a/b": (None, blob)}
    assert opened.changed_paths(None, old) == {b"a": (None, blob), b"same/x": (None, blob)}
    assert opened.changed_paths(old, old) == {}


# commits


def test_a_commit_keeps_author_offset_and_message(repo: GitRepo, opened: Repository) -> None:
    """The author is the patch's, the committer Maingate; time zones are kept, trailers end the message."""
    author = Signature.parse("Ada Example <ada@example.org>", "Fri, 02 Jan 2026 03:04:05 -0730")
    made = opened.commit(
        tree=repo.tree(),
        parents=[repo.head()],
        message="subject\n\nbody\n",
        author=author,
        date=WHEN,
        trailers=[("Maingate-Run", "run_1"), ("Maingate-Patch", "patch_1")],
    )
    assert repo.git("show", "-s", "--format=%an <%ae> %ad|%cn <%ce> %cd", "--date=raw", made) == (
        "Ada Example <ada@example.org> 1767350045 -0730|Maingate <maingate@localhost> 1767315845 +0200"
    )
    assert repo.git("show", "-s", "--format=%B", made) == (
        "subject\n\nbody\n\nMaingate-Run: run_1\nMaingate-Patch: patch_1"
    )
    repo.git("fsck", "--strict")


def test_the_same_commit_has_the_same_id(repo: GitRepo, opened: Repository) -> None:
    """Nothing but the arguments goes into a commit, so doing it again after a crash makes no second one."""
    parts = {"tree": repo.tree(), "parents": [repo.head()], "message": "m", "date": WHEN}
    assert opened.commit(**parts) == Repository.open(repo.path).commit(**parts)  # type: ignore[arg-type]


def test_a_message_in_no_encoding_is_kept(repo: GitRepo, opened: Repository) -> None:
    """Bytes that are not UTF-8 come through as they are."""
    made = opened.commit(tree=repo.tree(), parents=[], message=b"caf\xe9", date=WHEN)
    assert opened.read_commit(made).message == b"caf\xe9\n"
    assert opened.read_commit(made).parents == ()


# refs


def test_a_ref_moves_only_from_where_it_is_expected(repo: GitRepo, opened: Repository) -> None:
    """Compare-and-swap: done, or told where the ref was, with nothing changed; the reflog says who did it."""
    old, new = repo.head("HEAD~1"), repo.head()
    assert opened.update_ref("refs/heads/x", old, None, message="make") is None
    assert opened.update_ref("refs/heads/x", new, old, message="land run_1") is None
    assert repo.git("reflog", "-1", "--format=%gs", "x") == "maingate: land run_1"
    moved = opened.update_ref("refs/heads/x", old, old, message="again")
    assert moved == RefMoved(ref="refs/heads/x", expected=old, found=new)
    assert opened.update_ref("refs/heads/x", old, None, message="make") == RefMoved(
        ref="refs/heads/x", expected=None, found=new
    )
    assert opened.ref_value("refs/heads/x") == new
    assert opened.update_ref("refs/heads/x", None, new, message="drop") is None
    assert opened.ref_value("refs/heads/x") is None


def test_several_refs_move_together_or_not_at_all(repo: GitRepo, opened: Repository) -> None:
    """One ref that is elsewhere keeps all of them where they are."""
    old, new = repo.head("HEAD~1"), repo.head()
    fine = RefChange(ref="refs/heads/y", new=new, old=None)
    wrong = RefChange(ref="refs/heads/main", new=old, old=old)
    assert opened.update_refs([fine, wrong], message="m") == RefMoved(
        ref="refs/heads/main", expected=old, found=new
    )
    assert opened.ref_value("refs/heads/y") is None
    assert opened.update_refs([fine], message="m") is None


def test_a_fault_is_not_a_moved_ref(repo: GitRepo, opened: Repository) -> None:
    """When the ref is where it was expected and git fails all the same, that is an error."""
    (repo.path / ".git/refs/heads/main.lock").touch()
    said = r"main\.lock is there: another git is moving refs .* remove it, and try again$"
    with pytest.raises(GitError, match=said):
        opened.update_ref("refs/heads/main", repo.head("HEAD~1"), repo.head(), message="m")


def test_of_racing_movers_exactly_one_wins(repo: GitRepo, opened: Repository) -> None:
    """Threads that move one ref from the same place to different ones: one is done, the others are told."""
    old = repo.head()
    tree = repo.tree()
    commits = [opened.commit(tree=tree, parents=[old], message=str(n), date=WHEN) for n in range(6)]
    results: list[RefMoved | GitError | None] = []

    def move(commit: str) -> None:
        try:
            results.append(opened.update_ref("refs/heads/main", commit, old, message="race"))
        except GitError as error:
            results.append(error)

    threads = [threading.Thread(target=move, args=[commit]) for commit in commits]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert results.count(None) == 1
    assert opened.ref_value("refs/heads/main") in commits


def test_own_refs_keep_commits_alive(repo: GitRepo, opened: Repository) -> None:
    """A commit under refs/maingate/ survives a garbage collection; without its ref, it may go."""
    made = opened.commit(tree=repo.tree(), parents=[], message="only here", date=WHEN)
    lost = opened.commit(tree=repo.tree(), parents=[], message="nowhere", date=WHEN)
    opened.keep("refs/maingate/run_1/parser", made)
    opened.keep("refs/maingate/run_1/parser", made)
    repo.git("gc", "-q", "--prune=now")
    assert (opened.has_object(made), Repository.open(repo.path).has_object(lost)) == (True, False)
    assert opened.refs_under("refs/maingate/run_1/") == {"refs/maingate/run_1/parser": made}
    opened.forget("refs/maingate/run_1/parser")
    opened.forget("refs/maingate/run_1/parser")
    assert opened.refs_under("refs/maingate/") == {}


def test_only_own_refs_are_written_without_a_guard(repo: GitRepo, opened: Repository) -> None:
    """A person's branch can only be moved by compare-and-swap."""
    with pytest.raises(ValueError, match="not one of Maingate's own"):
        opened.keep("refs/heads/main", repo.head())
    with pytest.raises(ValueError, match="not one of Maingate's own"):
        opened.forget("refs/heads/main")


def test_a_repository_that_cannot_be_written_is_an_outside_fault(repo: GitRepo, opened: Repository) -> None:
    """A refusal of the disk is reported as such, and blames no patch."""
    blob = repo.git("hash-object", "--stdin", stdin=b"something new")
    (repo.path / ".git/objects" / blob[:2]).write_text("a file where a directory has to be")
    with pytest.raises(GitError, match="could not write a blob"):
        opened.write_blob(b"something new")


# history


def test_history_is_answered(repo: GitRepo, opened: Repository) -> None:
    """Ancestors, the merge base, and what is between two commits, along first parents or all."""
    base = repo.head()
    repo.git("checkout", "-q", "-b", "side")
    side = repo.commit({"s": "1"}, "side")
    repo.git("checkout", "-q", "main")
    ours = repo.commit({"m": "1"}, "main")
    repo.git("merge", "-q", "--no-ff", "-m", "merge", "side")
    merge = repo.head()
    assert opened.merge_base(side, ours) == base
    assert opened.is_ancestor(side, merge)
    assert opened.is_ancestor(merge, merge)
    assert not opened.is_ancestor(merge, side)
    assert opened.commits_between(base, merge) == [ours, merge]
    assert set(opened.commits_between(base, merge, first_parent=False)) == {ours, side, merge}
    assert opened.merge_base(base, opened.commit(tree=EMPTY_TREE, parents=[], message="x", date=WHEN)) is None


# being used


def test_threads_share_a_repository(opened: Repository) -> None:
    """Every thread may read and write at once: each has handles of its own."""
    tree = opened.tree_of(opened.resolve_target().commit)
    made: list[str] = []

    def work(number: int) -> None:
        for step in range(20):
            blob = GitEntry(FILE, opened.write_blob(f"{number} {step}".encode()))
            made.append(opened.splice(tree, {b"n/%d/%d" % (number, step): blob}))

    threads = [threading.Thread(target=work, args=[number]) for number in range(6)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert len(set(made)) == 120


def test_the_private_directory_goes_away(opened: Repository) -> None:
    """Leaving the repository removes what was temporary; it comes back when needed."""
    with opened:
        first = opened.private_git_dir().path
        assert first.is_dir()
    assert not first.exists()
    second = opened.private_git_dir().path
    assert second.is_dir()
    shutil.rmtree(second)
    assert opened.private_git_dir().path.is_dir()
    opened.close()
    opened.close()


def test_times_are_read_in_every_usual_form() -> None:
    """Mail, ISO 8601 and git's raw form give the same instant with the same offset; junk is refused."""
    for text in (
        "Fri, 2 Jan 2026 03:04:05 -0730",
        "2026-01-02T03:04:05-07:30",
        "1767350045 -0730",
        "@1767350045 -0730",
    ):
        when = Signature.parse("A <a@b>", text).when
        assert str(when) == "1767350045 -0730"
    assert str(Signature.parse("A <a@b>", "2026-01-02 03:04:05").when) == "1767323045 +0000"
    with pytest.raises(ValueError, match="nonsense"):
        Signature.parse("A <a@b>", "nonsense")
    with pytest.raises(ValueError, match="Name <mail"):
        Signature.parse("just a name", WHEN)


def test_a_target_that_only_the_remote_has_is_told(repo: GitRepo, tmp_path: Path) -> None:
    """With the command that makes it a branch here."""
    repo.commit({"f": "1"})
    repo.git("branch", "dev")
    clone = GitRepo(path=tmp_path / "clone")
    subprocess.run(["git", "clone", "-q", str(repo.path), str(clone.path)], check=True)
    with (
        Repository.open(clone.path) as opened,
        pytest.raises(RepositoryError, match=r"origin/dev is there: .* `git branch dev origin/dev`"),
    ):
        opened.resolve_target("dev")


@pytest.mark.parametrize(
    "name", ["refs/heads/\x06", "refs/heads/a\0b", "refs/heads/a..b", "refs/heads/", "\ud83c"]
)
def test_a_name_that_no_ref_can_have_is_that_of_none(repo: GitRepo, name: str) -> None:
    """Such names come from outside, and are no fault of the repository."""
    with Repository.open(repo.path) as opened:
        assert opened.ref_value(name) is None
