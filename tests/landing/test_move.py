"""A branch moves together with its checkouts, or not at all; nothing of a person's is ever overwritten."""

import errno
import os
import subprocess
import threading
from collections.abc import Callable, Mapping
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from maingate.git.repository import GitEntry, RefMoved, Repository
from maingate.landing import ref_locks
from maingate.landing.checkouts import index_hold
from maingate.landing.checkouts.behind import behind
from maingate.landing.checkouts.late_checkouts import catch_up, uncommitted
from maingate.landing.checkouts.working_trees import checkouts_of
from maingate.landing.move import Obstruction, land, obstacle
from maingate.landing.move_values import Behind, Move
from support.factories import GitRepo

MAIN = "refs/heads/main"
AT = datetime(2026, 1, 2, tzinfo=UTC)
Files = Mapping[str, str | bytes | None]
Came = RefMoved | Obstruction | tuple[Behind, ...]


@pytest.fixture(name="opened")
def _opened(repo: GitRepo) -> Repository:
    repo.commit({"a.txt": "1\n", "b.txt": "1\n", "dir/c.txt": "1\n", ".gitignore": "*.ignored\n"}, "first")
    return Repository.open(repo.path)


@pytest.fixture(autouse=True)
def _impatient(monkeypatch: pytest.MonkeyPatch) -> None:
    """Wait for no lock that nobody is going to remove."""
    monkeypatch.setattr(index_hold.take, "__kwdefaults__", {"patience": timedelta(0)})
    monkeypatch.setattr(ref_locks.foreign_lock, "__kwdefaults__", {"patience": 0.0})


def made(repo: GitRepo, files: Files) -> tuple[str, str]:
    """Make a commit of some files without moving the branch or touching its checkout."""
    old = repo.head()
    new = repo.commit(files)
    repo.git("reset", "-q", "--hard", old)
    return old, new


def landed(
    opened: Repository,
    commits: tuple[str, str],
    *,
    before: Callable[[], object] = lambda: None,
    after: Callable[[], object] = lambda: None,
    timeout: timedelta = timedelta(seconds=20),
) -> Came:
    """Land a commit."""
    move = Move(ref=MAIN, old=commits[0], new=commits[1], what="w")

    def first() -> None:
        before()

    def then() -> None:
        after()

    return land(opened, move, before=first, after=then, timeout=timeout)


def leftovers(repo: GitRepo) -> list[str]:
    """List what a landing should not leave in git's directory."""
    git_dir = repo.path / ".git"
    found = [
        *git_dir.rglob("*.lock"),
        *git_dir.rglob("maingate-*"),
        *git_dir.rglob("maingate/landings/*.json"),
    ]
    return [str(path) for path in found]


def is_clean(repo: GitRepo) -> bool:
    """Tell whether the checkout is at its branch, with nothing left over."""
    return repo.git("status", "--porcelain", "-uno") == "" and leftovers(repo) == []


# moving along


def test_a_clean_checkout_moves_along(repo: GitRepo, opened: Repository) -> None:
    """Files and index are at the new commit, untracked files stay, and nothing is left behind."""
    commits = made(repo, {"a.txt": "2\n", "b.txt": None, "new/d.txt": "2\n", "dir/c.txt": None})
    repo.write({"untracked": "mine"})
    assert landed(opened, commits) == ()
    assert repo.head() == commits[1]
    assert is_clean(repo)
    assert (repo.path / "untracked").read_text() == "mine"
    assert (repo.path / "a.txt").read_text() == "2\n"
    assert not (repo.path / "b.txt").exists()
    assert not (repo.path / "dir").exists()


def test_a_checkout_on_another_name_of_the_branch_moves_along(repo: GitRepo, opened: Repository) -> None:
    """HEAD names a symbolic ref that leads to the branch: its files would else show the landing undone."""
    commits = made(repo, {"a.txt": "2\n"})
    repo.git("symbolic-ref", "refs/heads/alias", MAIN)
    repo.git("symbolic-ref", "HEAD", "refs/heads/alias")
    repo.write({"a.txt": "mine\n"})
    came = landed(opened, commits)
    assert isinstance(came, Obstruction)
    assert "a.txt has uncommitted changes" in came.message
    repo.git("checkout", "-q", "a.txt")
    assert landed(opened, commits) == ()
    assert is_clean(repo)
    assert (repo.path / "a.txt").read_text() == "2\n"


def test_modes_and_links_move_along(repo: GitRepo, opened: Repository) -> None:
    """An executable bit, a link in place of a file and a file in place of a link."""
    (repo.path / "link").symlink_to("a.txt")
    repo.commit({})
    old = repo.head()
    (repo.path / "a.txt").chmod(0o755)
    (repo.path / "b.txt").unlink()
    (repo.path / "b.txt").symlink_to("a.txt")
    (repo.path / "link").unlink()
    new = repo.commit({"link": "now a file\n"})
    repo.git("reset", "-q", "--hard", old)
    assert landed(opened, (old, new)) == ()
    assert is_clean(repo)
    assert (repo.path / "b.txt").is_symlink()
    assert not (repo.path / "link").is_symlink()


@pytest.mark.parametrize(
    ("first", "second"),
    [
        ({"dir/c.txt": None, "dir": "file\n"}, {}),
        ({"a.txt": None, "a.txt/x/y": "deep\n"}, {"a.txt/x/y": None}),
    ],
    ids=["a folder becomes a file", "a file becomes a folder, and goes"],
)
def test_files_and_folders_give_way_to_each_other(
    repo: GitRepo, opened: Repository, first: Files, second: Files
) -> None:
    """What is tracked is not mistaken for something of the person's in the way."""
    for files in (first, second):
        old = repo.head()
        for name, content in files.items():
            if content is None:
                repo.git("rm", "-q", name)
        new = repo.commit({name: content for name, content in files.items() if content is not None})
        repo.git("reset", "-q", "--hard", old)
        assert landed(opened, (old, new)) == ()
        assert is_clean(repo)


def test_a_touched_file_does_not_block(repo: GitRepo, opened: Repository) -> None:
    """A file with a new time stamp and the old content is not a change."""
    commits = made(repo, {"a.txt": "2\n"})
    (repo.path / "a.txt").write_text("1\n")
    assert landed(opened, commits) == ()
    assert is_clean(repo)


def test_unrelated_changes_survive(repo: GitRepo, opened: Repository) -> None:
    """Edits of files that do not move stay, staged as they were."""
    commits = made(repo, {"a.txt": "2\n"})
    repo.write({"b.txt": "mine\n", "dir/c.txt": "staged\n"})
    repo.git("add", "dir/c.txt")
    assert landed(opened, commits) == ()
    assert repo.git("status", "--porcelain") == "M b.txt\nM  dir/c.txt"


def test_every_checkout_of_the_branch_moves_along(repo: GitRepo, opened: Repository, tmp_path: Path) -> None:
    """Also a linked one, and two at once where somebody has forced that."""
    linked = tmp_path / "linked"
    commits = made(repo, {"a.txt": "2\n"})
    repo.git("worktree", "add", "-q", "-f", str(linked), "main")
    assert landed(opened, commits) == ()
    assert (linked / "a.txt").read_text() == "2\n"
    assert GitRepo(linked).git("status", "--porcelain") == ""
    assert is_clean(repo)


def test_a_branch_that_is_not_checked_out_moves_alone(repo: GitRepo, opened: Repository) -> None:
    """Another branch's files are nobody's business, edits and locks included."""
    commits = made(repo, {"a.txt": "2\n"})
    repo.git("checkout", "-q", "-b", "mine")
    repo.write({"a.txt": "mine\n"})
    (repo.path / ".git/index.lock").touch()
    assert landed(opened, commits) == ()
    assert (repo.path / "a.txt").read_text() == "mine\n"
    assert repo.head("main") == commits[1]


def test_a_branch_that_was_moved_by_others_stays_there(repo: GitRepo, opened: Repository) -> None:
    """Compare and swap: whoever came first wins, and nothing is changed."""
    commits = made(repo, {"a.txt": "2\n"})
    other = repo.commit({"b.txt": "other\n"})
    assert landed(opened, commits) == RefMoved(ref=MAIN, expected=commits[0], found=other)
    assert is_clean(repo)


# what blocks


@pytest.mark.parametrize(
    ("mine", "files", "named"),
    [
        ({"a.txt": "mine\n"}, {"a.txt": "2\n"}, "a.txt has uncommitted changes"),
        ({"a.txt": None}, {"a.txt": "2\n"}, "a.txt has uncommitted changes"),
        ({"new.txt": "mine\n"}, {"new.txt": "2\n"}, "new.txt is not tracked"),
        ({"x.ignored": "mine\n"}, {"x.ignored": "2\n", ".gitignore": ""}, "x.ignored is not tracked"),
        ({"p.ignored": "mine\n"}, {"p.ignored/below": "2\n", ".gitignore": ""}, "p.ignored is not tracked"),
        ({"d/x.ignored": "mine\n"}, {"d": "now a file\n"}, "d/x.ignored is not tracked"),
    ],
    ids=["changed", "deleted", "untracked", "ignored", "ignored-above", "ignored-below"],
)
def test_nothing_of_the_persons_is_overwritten(
    repo: GitRepo, opened: Repository, mine: Files, files: Files, named: str
) -> None:
    """Changed, untracked and even ignored files keep the branch from moving; all stays as it was."""
    commits = made(repo, files)
    repo.write(mine)
    before = (repo.path / ".git/index").read_bytes()
    came = landed(opened, commits)
    assert isinstance(came, Obstruction)
    assert named in came.message
    assert obstacle(opened, Move(ref=MAIN, old=commits[0], new=commits[1], what="w")) == came.message
    assert repo.head() == commits[0]
    assert (repo.path / ".git/index").read_bytes() == before
    assert leftovers(repo) == []
    for name, content in mine.items():
        assert (repo.path / name).exists() == (content is not None)


@pytest.mark.parametrize("flag", ["--assume-unchanged", "--skip-worktree"])
def test_an_edit_that_git_was_told_to_overlook_is_seen(repo: GitRepo, opened: Repository, flag: str) -> None:
    """People keep local settings that way; `git status` shows nothing of it, so the command is told."""
    commits = made(repo, {"a.txt": "2\n"})
    repo.git("update-index", flag, "a.txt")
    repo.write({"a.txt": "my own\n"})
    came = landed(opened, commits)
    assert isinstance(came, Obstruction)
    mark = flag.removeprefix("--")
    assert (
        f"a.txt has uncommitted changes that `git status` does not show, since it is marked {mark} "
        f"(`git update-index --no-{mark} a.txt`); commit, stash or move that away first"
    ) in came.message
    assert (repo.path / "a.txt").read_text() == "my own\n"
    repo.git("update-index", f"--no-{mark}", "a.txt")
    assert repo.git("status", "--porcelain") == "M a.txt"


@pytest.mark.parametrize("how", ["staged", "intent-to-add", "conflict"])
def test_an_index_that_cannot_follow_blocks(repo: GitRepo, opened: Repository, how: str) -> None:
    """Whatever the index holds that the landing would have to throw away."""
    commits = made(repo, {"a.txt": "2\n", "new.txt": "2\n"})
    if how == "staged":
        repo.write({"a.txt": "mine\n"})
        repo.git("add", "a.txt")
        repo.write({"a.txt": "1\n"})
    elif how == "intent-to-add":
        repo.write({"new.txt": "mine\n"})
        repo.git("add", "-N", "new.txt")
    else:
        blob = repo.git("rev-parse", "HEAD:a.txt")
        lines = [f"100644 {blob} {stage}\ta.txt\n" for stage in (1, 2, 3)]
        repo.git("update-index", "--index-info", stdin=f"0 {'0' * 40}\ta.txt\n{''.join(lines)}".encode())
    assert isinstance(landed(opened, commits), Obstruction)
    assert repo.head() == commits[0]
    assert leftovers(repo) == []


def test_a_pipe_in_place_of_the_lock_is_not_waited_for(repo: GitRepo, opened: Repository) -> None:
    """It is in the way like any file that is not Maingate's; reading it would hold up the run for ever."""
    commits = made(repo, {"a.txt": "2\n"})
    os.mkfifo(repo.path / ".git" / "index.lock")
    said = landed(opened, commits)
    assert isinstance(said, Obstruction)
    assert "index.lock exists" in said.message


def test_a_folder_that_became_a_link_is_not_written_through(
    repo: GitRepo, opened: Repository, tmp_path: Path
) -> None:
    """The person's link leads elsewhere; a file of the same name lies there."""
    commits = made(repo, {"dir/c.txt": "2\n"})
    (repo.path / "dir").rename(tmp_path / "outside")
    (repo.path / "dir").symlink_to(tmp_path / "outside")
    assert isinstance(landed(opened, commits), Obstruction)
    assert (tmp_path / "outside/c.txt").read_text() == "1\n"


def test_a_merge_in_progress_blocks(repo: GitRepo, opened: Repository) -> None:
    """The person is in the middle of something."""
    commits = made(repo, {"a.txt": "2\n"})
    (repo.path / ".git/MERGE_HEAD").write_text(commits[0])
    came = landed(opened, commits)
    assert isinstance(came, Obstruction)
    assert "a merge is in progress" in came.message


def test_one_that_is_away_keeps_the_branch_where_it_is(
    repo: GitRepo, opened: Repository, tmp_path: Path
) -> None:
    """When its disk is back it must not hold the undoing of what landed; the command that helps is named."""
    commits = made(repo, {"a.txt": "2\n"})
    repo.git("checkout", "-q", "--detach")
    repo.git("worktree", "add", "-q", str(tmp_path / "linked"), "main")
    repo.git("worktree", "lock", str(tmp_path / "linked"))
    (tmp_path / "linked").rename(tmp_path / "away")
    came = landed(opened, commits)
    assert isinstance(came, Obstruction)
    assert "git worktree unlock" in came.message
    assert repo.head("main") == commits[0]


# locks of others


@pytest.mark.parametrize("name", ["index.lock", "HEAD.lock", "refs/heads/main.lock"])
def test_a_lock_of_anothers_is_found_before_the_branch_moves(
    repo: GitRepo, opened: Repository, name: str
) -> None:
    """It is named, with how to see whether a git is at work, and never removed."""
    commits = made(repo, {"a.txt": "2\n"})
    lock = repo.path / ".git" / name
    lock.touch()
    came = landed(opened, commits)
    assert isinstance(came, Obstruction)
    assert str(lock) in came.message
    assert "pgrep -a git" in came.message
    assert lock.exists()
    assert repo.head() == commits[0]
    lock.unlink()
    assert landed(opened, commits) == ()
    assert is_clean(repo)


def test_a_held_index_is_waited_for(
    repo: GitRepo, opened: Repository, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Another git that holds the index for a moment fails nothing."""
    monkeypatch.setattr(index_hold.take, "__kwdefaults__", {"patience": timedelta(seconds=20)})
    commits = made(repo, {"a.txt": "2\n"})
    lock = repo.path / ".git/index.lock"
    lock.touch()
    release = threading.Timer(0.2, lock.unlink)
    release.start()
    assert landed(opened, commits) == ()
    release.join()
    assert is_clean(repo)


def test_no_git_of_the_persons_comes_in_between(repo: GitRepo, opened: Repository) -> None:
    """From the last look until the checkout has followed, `git add` and `git checkout` are refused."""
    commits = made(repo, {"a.txt": "2\n"})
    refused = []

    def try_it() -> None:
        for words in (["add", "b.txt"], ["checkout", "-q", "--detach"]):
            done = subprocess.run(["git", *words], cwd=repo.path, capture_output=True, check=False)
            refused.append(b"index.lock" in done.stderr)

    repo.write({"b.txt": "mine\n"})
    assert landed(opened, commits, before=try_it, after=try_it) == ()
    assert refused == [True] * 4
    assert repo.git("status", "--porcelain") == "M b.txt"


def test_a_checkout_that_leaves_the_branch_at_the_last_moment_stays(
    repo: GitRepo, opened: Repository
) -> None:
    """`git symbolic-ref` needs no index; the files are those of the branch that HEAD went to."""
    commits = made(repo, {"a.txt": "2\n"})
    repo.git("branch", "mine")
    leave = lambda: repo.git("symbolic-ref", "HEAD", "refs/heads/mine")  # noqa: E731
    assert landed(opened, commits, before=leave) == ()
    assert repo.head("main") == commits[1]
    assert is_clean(repo)


def test_a_checkout_that_comes_to_the_branch_at_the_last_moment_follows(
    repo: GitRepo, opened: Repository
) -> None:
    """It came with the files of the old commit."""
    commits = made(repo, {"a.txt": "2\n"})
    repo.git("checkout", "-q", "-b", "mine")
    come = lambda: repo.git("symbolic-ref", "HEAD", MAIN)  # noqa: E731
    assert landed(opened, commits, before=come) == ()
    assert is_clean(repo)
    assert (repo.path / "a.txt").read_text() == "2\n"


# filters, encodings, odd configurations


def set_filter(repo: GitRepo, smudge: str, clean: str = "cat", *, required: bool = True) -> None:
    """Let a filter of the person's be in force for files called `*.f`."""
    repo.git("config", "filter.x.smudge", smudge)
    repo.git("config", "filter.x.clean", clean)
    repo.git("config", "filter.x.required", str(required).lower())


def test_filters_make_the_files_as_a_checkout_would(repo: GitRepo, opened: Repository) -> None:
    """Also those that are named relative to the checkout, and with attributes that land with the file."""
    repo.commit({"tool.sh": "tr a-z A-Z\n"})
    set_filter(repo, "sh ./tool.sh", "tr A-Z a-z")
    old = repo.head()
    repo.commit({".gitattributes": "*.f filter=x\n", "y.f": "big\n"})
    new = repo.head()
    repo.git("reset", "-q", "--hard", old)
    assert landed(opened, (old, new)) == ()
    assert (repo.path / "y.f").read_text() == "BIG\n"
    assert is_clean(repo)


@pytest.mark.parametrize(
    ("smudge", "said"), [("exit 1", "filter"), ("sleep 600", "did not end")], ids=["fails", "hangs"]
)
def test_a_filter_that_fails_or_hangs_keeps_the_branch_where_it_is(
    repo: GitRepo, opened: Repository, smudge: str, said: str
) -> None:
    """It is known before the branch moves."""
    repo.commit({".gitattributes": "*.f filter=x\n"})
    set_filter(repo, "cat")
    commits = made(repo, {"y.f": "new\n"})
    set_filter(repo, smudge)
    came = landed(opened, commits, timeout=timedelta(seconds=0.3 if "sleep" in smudge else 20))
    assert isinstance(came, Obstruction)
    assert said in came.message
    assert repo.head() == commits[0]
    assert is_clean(repo)


@pytest.mark.parametrize("value", ["input", "true"])
def test_the_persons_line_endings_are_followed(
    repo: GitRepo, opened: Repository, hermetic_environment: Path, value: str
) -> None:
    """With core.autocrlf in the user's own configuration."""
    (hermetic_environment / ".gitconfig").write_text(f"[core]\n\tautocrlf = {value}\n")
    commits = made(repo, {"a.txt": "2\n", "n.txt": "3\n"})
    assert landed(opened, commits) == ()
    assert (repo.path / "n.txt").read_bytes() == (b"3\r\n" if value == "true" else b"3\n")
    assert is_clean(repo)


def test_a_file_that_only_its_encoding_makes_dirty_follows(repo: GitRepo, opened: Repository) -> None:
    """Nobody has edited it, so there is nothing to keep."""
    repo.commit({"x.txt": b"1\r\n"})
    old = repo.commit({".gitattributes": "*.txt text eol=crlf\n"})
    new = opened.commit(
        tree=opened.splice(repo.tree(), {b"x.txt": GitEntry(0o100644, opened.write_blob(b"1\r\n2\r\n"))}),
        parents=[old],
        message="m",
        date=AT,
    )
    (repo.path / "x.txt").write_bytes(b"1\r\n")
    assert landed(opened, (old, new)) == ()
    assert (repo.path / "x.txt").read_bytes() == b"1\r\n2\r\n"
    assert leftovers(repo) == []
    assert uncommitted(opened, MAIN, checkouts_of(opened, MAIN)[0]) == ()


@pytest.mark.parametrize(
    "settings",
    [
        {"core.splitIndex": "true"},
        {"core.untrackedCache": "true"},
        {"index.version": "4"},
        {"core.fsmonitor": "/does/not/exist"},
        {"feature.manyFiles": "true"},
        {"core.preloadIndex": "true", "index.threads": "4"},
        {"core.ignoreStat": "true"},
        {"core.checkStat": "minimal"},
        {"core.trustctime": "false"},
        {"core.fileMode": "false"},
        {"diff.noprefix": "true", "diff.relative": "true", "color.ui": "always"},
        {"submodule.recurse": "true"},
    ],
    ids=lambda settings: next(iter(settings)),
)
def test_the_persons_index_settings_are_honoured(
    repo: GitRepo, opened: Repository, settings: Mapping[str, str]
) -> None:
    """Whatever form the index has, it follows and stays readable; edits are seen."""
    commits = made(repo, {"a.txt": "2\n", "n.txt": "3\n"})
    for name, value in settings.items():
        repo.git("config", name, value)
    repo.git("update-index", "--refresh")
    repo.git("update-index", "--force-write-index")
    assert landed(opened, commits) == ()
    assert is_clean(repo)
    repo.write({"a.txt": "mine\n"})
    assert isinstance(landed(opened, (commits[1], commits[0])), Obstruction)


def test_a_sparse_checkout_stays_sparse(repo: GitRepo, opened: Repository) -> None:
    """Files outside of it land without appearing; those inside follow."""
    repo.git("sparse-checkout", "set", "--cone", "dir")
    assert not (repo.path / "out").exists()
    old = repo.head()
    entry = GitEntry(0o100644, opened.write_blob(b"2\n"))
    new = opened.commit(
        tree=opened.splice(repo.tree(), {b"out/x.txt": entry, b"dir/c.txt": entry}),
        parents=[old],
        message="m",
        date=AT,
    )
    assert landed(opened, (old, new)) == ()
    assert (repo.path / "dir/c.txt").read_text() == "2\n"
    assert not (repo.path / "out").exists()
    assert is_clean(repo)
    assert repo.git("ls-files", "-t", "out/x.txt") == "S out/x.txt"


def test_submodules_are_left_to_the_person(repo: GitRepo, opened: Repository, tmp_path: Path) -> None:
    """As with `git checkout`: the commit is noted, the files in it stay, a new one is an empty folder."""
    other = GitRepo.create(tmp_path / "other")
    first = other.commit({"s.txt": "1\n"})
    repo.git("-c", "protocol.file.allow=always", "submodule", "add", "-q", str(other.path), "sub")
    old = repo.commit({})
    second = other.commit({"s.txt": "2\n"})
    repo.git("update-index", "--cacheinfo", f"160000,{second},sub")
    repo.git("update-index", "--add", "--cacheinfo", f"160000,{first},fresh")
    repo.git("commit", "-q", "-m", "bump")
    new = repo.head()
    repo.git("reset", "-q", "--hard", old)
    assert landed(opened, (old, new)) == ()
    assert (repo.path / "sub/s.txt").read_text() == "1\n"
    assert (repo.path / "fresh").is_dir()
    assert uncommitted(opened, MAIN, checkouts_of(opened, MAIN)[0]) == ()
    assert leftovers(repo) == []
    assert repo.git("diff", "--cached") == ""


# catching up


def test_what_was_left_behind_is_listed_and_brought_along(repo: GitRepo, opened: Repository) -> None:
    """After a kill when the branch had moved: nothing is lost, and looking again changes nothing."""
    commits = made(repo, {"a.txt": "2\n", "b.txt": None, "n.txt": "2\n"})
    killed(opened, commits)
    repo.write({"dir/c.txt": "mine\n"})
    (left,) = behind(opened, MAIN)
    assert (left.top, left.old, left.new, left.kept) == (str(repo.path), *commits, ())
    assert "maingate checkout repair" in str(left)
    assert catch_up(opened, MAIN) == ()
    assert behind(opened) == []
    assert repo.git("status", "--porcelain") == "M dir/c.txt"
    assert leftovers(repo) == []


def test_what_a_filter_makes_differently_each_time_is_no_edit(repo: GitRepo, opened: Repository) -> None:
    """A smudge filter that writes the time, killed when a file was in place: it is new, nobody's edit."""
    repo.commit({".gitattributes": "*.f filter=x\n", "y.f": "old\n"})
    set_filter(repo, 'sed "s/$/ $(date +%N)/"', 'sed "s/ .*//"')
    commits = made(repo, {"y.f": "new\n"})
    killed(opened, commits)
    repo.write({"y.f": "new 1\n"})
    assert catch_up(opened, MAIN) == ()
    assert (repo.path / "y.f").read_text() == "new 1\n"
    assert is_clean(repo)


def test_an_edit_on_what_a_file_was_before_is_kept_and_named(repo: GitRepo, opened: Repository) -> None:
    """The others follow; the edit is not staged away, and the commands that are named bring it over."""
    repo.commit({"a.txt": "".join(f"{n}\n" for n in range(20))})
    content = (repo.path / "a.txt").read_text()
    commits = made(repo, {"a.txt": content.replace("\n3\n", "\nthree\n"), "b.txt": "2\n"})
    killed(opened, commits)
    repo.write({"a.txt": content + "mine\n"})
    (left,) = catch_up(opened, MAIN)
    assert left.kept == ("a.txt",)
    assert (repo.path / "b.txt").read_text() == "2\n"
    assert (repo.path / "a.txt").read_text() == content + "mine\n"
    assert repo.git("diff", "--cached") == ""
    assert len(behind(opened)) == 1
    commands = [part for part in left.how().split("`")[1::2] if part.startswith("git")]
    for command in commands:
        subprocess.run(["sh", "-c", command], cwd=repo.path, check=True)
    assert (repo.path / "a.txt").read_text() == content.replace("\n3\n", "\nthree\n") + "mine\n"
    assert behind(opened) == []
    assert catch_up(opened, MAIN) == ()


def test_a_file_that_could_not_be_written_is_written_later(
    repo: GitRepo, opened: Repository, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The disk failed for one file when the branch had moved: the others follow, it is not lost."""
    commits = made(repo, {"a.txt": "2\n", "b.txt": "2\n"})
    rename = os.rename

    def failing(source: bytes, there: bytes) -> None:
        if there.endswith(b"a.txt"):
            raise OSError(errno.EIO, "no luck today")
        rename(source, there)

    with monkeypatch.context() as patched:
        patched.setattr("maingate.landing.checkouts.follower.os.rename", failing)
        (left,) = landed(opened, commits)  # type: ignore[misc]
    assert "a.txt could not be changed" in str(left)
    assert [(repo.path / name).read_text() for name in ("a.txt", "b.txt")] == ["1\n", "2\n"]
    assert [each.top for each in behind(opened)] == [str(repo.path)]
    assert catch_up(opened, MAIN) == ()
    assert is_clean(repo)


def test_what_the_person_has_put_right_is_not_listed_any_more(repo: GitRepo, opened: Repository) -> None:
    """`git reset --hard` does it too."""
    commits = made(repo, {"a.txt": "2\n"})
    killed(opened, commits)
    repo.git("reset", "-q", "--hard")
    assert behind(opened) == []
    assert catch_up(opened, MAIN) == ()
    assert leftovers(repo) == []


def test_a_file_put_in_the_way_meanwhile_is_kept(repo: GitRepo, opened: Repository) -> None:
    """It is named until it is gone."""
    commits = made(repo, {"n.txt": "2\n"})
    killed(opened, commits)
    repo.write({"n.txt": "mine\n"})
    (left,) = catch_up(opened, MAIN)
    assert left.kept == ("n.txt",)
    assert (repo.path / "n.txt").read_text() == "mine\n"
    assert repo.git("diff", "--cached") == ""


def test_what_is_staged_since_stays_staged(repo: GitRepo, opened: Repository) -> None:
    """Neither old nor new in the index: it is the person's."""
    commits = made(repo, {"a.txt": "2\n", "b.txt": "2\n"})
    killed(opened, commits)
    repo.write({"a.txt": "mine\n"})
    repo.git("add", "a.txt")
    catch_up(opened, MAIN)
    assert repo.git("show", ":a.txt") == "mine"
    assert (repo.path / "b.txt").read_text() == "2\n"


def test_a_look_at_what_is_just_following_names_no_change(repo: GitRepo, opened: Repository) -> None:
    """What looks changed there is a landing on its way."""
    commits = made(repo, {"a.txt": "2\n"})
    (checkout,) = checkouts_of(opened, MAIN)
    killed(opened, commits)
    assert uncommitted(opened, MAIN, checkout) == ()
    assert is_clean(repo)


def killed(opened: Repository, commits: tuple[str, str]) -> None:
    """Move the branch, and go as a killed process goes: without bringing the checkout along."""

    class Killed(BaseException):
        pass

    def go() -> None:
        raise Killed

    with pytest.raises(Killed):
        landed(opened, commits, after=go)
    assert opened.ref_value(MAIN) == commits[1]
