"""A landing that is killed at any moment: every file is old or new, and whoever comes next ends it.

Each case is a process of its own that lands a commit on a branch that is checked out, and is killed there.
"""

import itertools
import os
import signal
import subprocess
import threading
from pathlib import Path

import pytest

from maingate import faultpoints
from maingate.git.repository import Repository
from maingate.landing import ref_locks
from maingate.landing.checkouts.behind import behind
from maingate.landing.checkouts.checkout_repair import repair
from maingate.landing.move import land
from maingate.landing.move_values import Move
from maingate.system.process_table import process_table
from support.crashing import KILLED, Command, wait_until
from support.factories import GitRepo
from support.forking import start_forked

PLACES = [
    "checkout.held",
    "checkouts.owed",
    "landing.before-ref",
    "landing.after-ref",
    *(f"checkout.file@{number}" for number in range(1, 6)),
    "checkout.files",
    "checkout.index",
    "checkout.installed",
]
BEFORE = {"checkout.held", "checkouts.owed", "landing.before-ref"}
OLD = {"a.txt": "1\n", "b.txt": "1\n", "gone.txt": "1\n", "d/deep.txt": "1\n", "same.txt": "1\n"}
NEW = {"a.txt": "2\n", "b.txt": "2\n", "gone.txt": None, "d/deep.txt": None, "d": "now a file\n"}


@pytest.fixture(name="commits")
def _commits(repo: GitRepo) -> tuple[str, str]:
    old = repo.commit(OLD, "first")
    repo.git("rm", "-q", "gone.txt", "d/deep.txt")
    new = repo.commit({name: content for name, content in NEW.items() if content is not None})
    repo.git("reset", "-q", "--hard", old)
    return old, new


def lander(repo: GitRepo, commits: tuple[str, str], fault: str = "") -> Command:
    """Start a process that lands."""
    out = repo.path.parent / "said"
    process = start_forked(
        (str(repo.path), *commits),
        cwd=repo.path,
        environment={**os.environ, faultpoints.VARIABLE: fault},
        out=out,
        program="support.lander",
    )
    return Command(process=process, out=out)


def files_of(repo: GitRepo) -> dict[str, str]:
    """Read what is in the checkout."""
    paths = (path for path in repo.path.rglob("*") if path.is_file() and ".git" not in path.parts)
    return {str(path.relative_to(repo.path)): path.read_text() for path in paths}


def check_each_is_old_or_new(repo: GitRepo) -> None:
    """No file is cut, empty, or missing that should be there before and after."""
    there = files_of(repo)
    for name in OLD.keys() | NEW.keys():
        if name not in there and (OLD.get(name) is None or NEW.get(name, "stays") is None):
            continue
        if name not in there:
            assert name == "d", f"{name} is missing"
            continue
        assert there[name] in {OLD.get(name), NEW.get(name, OLD.get(name))}, name


def leftovers(repo: GitRepo) -> list[str]:
    """List what is left in git's directory of a landing."""
    git_dir = repo.path / ".git"
    found = [
        *git_dir.rglob("*.lock"),
        *git_dir.rglob("maingate-*"),
        *git_dir.rglob("maingate/landings/*.json"),
    ]
    return [str(path) for path in found]


@pytest.mark.parametrize("place", PLACES)
def test_after_a_kill_anywhere_it_is_put_right(repo: GitRepo, commits: tuple[str, str], place: str) -> None:
    """The branch tells whether it has landed; an edit of another file stays; no lock and no stage is left."""
    repo.write({"untracked.txt": "mine\n"})
    process = lander(repo, commits, place)
    assert process.ended() == KILLED, process.said
    check_each_is_old_or_new(repo)
    repo.write({"same.txt": "mine\n"})
    with Repository.open(repo.path) as opened:
        done = repair(opened)
        assert done.is_in_order
        assert behind(opened) == []
        assert repair(opened).brought == ()
    has_landed = place.partition("@")[0] not in BEFORE
    assert repo.head() == commits[has_landed]
    assert repo.git("status", "--porcelain", "-uno") == "M same.txt"
    assert files_of(repo)["untracked.txt"] == "mine\n"
    assert ("gone.txt" in files_of(repo)) != has_landed
    assert leftovers(repo) == []


@pytest.mark.parametrize("place", ["checkout.held", "landing.after-ref", "checkout.file@2", "checkout.index"])
def test_the_next_landing_goes_on_from_there(repo: GitRepo, commits: tuple[str, str], place: str) -> None:
    """By itself, with nobody repairing anything in between."""
    assert lander(repo, commits, place).ended() == KILLED
    following = commits
    if place != "checkout.held":
        new = repo.git("commit-tree", f"{commits[0]}^{{tree}}", "-p", commits[1], "-m", "back")
        following = commits[1], new
    process = lander(repo, following)
    assert process.ended() == 0, process.said
    assert repo.head() == following[1]
    assert repo.git("status", "--porcelain") == ""
    assert leftovers(repo) == []


def test_a_living_process_is_not_taken_for_a_dead_one(repo: GitRepo, commits: tuple[str, str]) -> None:
    """A landing that is stopped in the middle holds its locks; what it does is not listed as left behind."""
    process = lander(repo, commits, "landing.after-ref:stop")
    try:
        wait_until(lambda: process.is_stopped, "its sleep")
        with Repository.open(repo.path) as opened:
            assert behind(opened) == []
        assert (repo.path / ".git/index.lock").exists()
    finally:
        process.send(signal.SIGCONT)
    assert process.ended() == 0
    assert repo.git("status", "--porcelain") == ""


@pytest.mark.parametrize("lock", ["refs/heads/main.lock", "HEAD.lock"])
@pytest.mark.parametrize("is_own", [True, False])
def test_a_ref_lock_of_the_dead_git_is_removed_and_another_is_named(
    repo: GitRepo, commits: tuple[str, str], lock: str, monkeypatch: pytest.MonkeyPatch, *, is_own: bool
) -> None:
    """Its content, and the record that was written before git was started, say whose it is."""
    monkeypatch.setattr(ref_locks.foreign_lock, "__kwdefaults__", {"patience": 0.2})
    assert lander(repo, commits, "landing.before-ref").ended() == KILLED
    path = repo.path / ".git" / lock
    path.write_text(("" if lock == "HEAD.lock" else commits[1] + "\n") if is_own else "0" * 40)
    with Repository.open(repo.path) as opened:
        done = repair(opened)
    assert path.exists() != is_own
    assert (str(path) in done.removed) == is_own
    assert any(str(path) in said for said in done.locks) != is_own


@pytest.mark.usefixtures("commits")
def test_a_signal_to_the_group_ends_no_git(repo: GitRepo, tmp_path: Path) -> None:
    """Ctrl-C in a terminal reaches the whole group: a filter that is at work is not in it."""
    old = repo.commit({".gitattributes": "*.txt filter=x\n"})
    new = repo.commit({"a.txt": "2\n"})
    repo.git("reset", "-q", "--hard", old)
    told, go, once = tmp_path / "told", tmp_path / "go", tmp_path / "once"
    os.mkfifo(told)
    os.mkfifo(go)
    waits = f"test -e {once} || {{ touch {once}; echo > {told}; read x < {go}; }}; cat"
    repo.git("config", "filter.x.smudge", waits)
    process = lander(repo, (old, new))
    assert told.read_text() == "\n"
    assert _groups_of_git_below(process.pid) == {False}
    go.write_text("\n")
    assert process.ended() == 0


def _groups_of_git_below(pid: int) -> set[bool]:
    """Tell, of each git that a process has started, whether it is in its process group."""
    mine = os.getpgid(pid)
    return {os.getpgid(each.pid) == mine for each in process_table() if each.parent == pid}


def test_a_person_who_asks_for_the_status_again_and_again_disturbs_nothing(repo: GitRepo) -> None:
    """`git status` takes the index for a moment, to note what it found: 45 landings meanwhile all follow."""
    old = repo.commit({f"f{number}.txt": "1\n" for number in range(40)})
    commits = [old]
    for number in range(45):
        commits += [repo.commit({f"f{number % 40}.txt": f"{number}\n"})]
    repo.git("reset", "-q", "--hard", old)
    is_over = threading.Event()

    def ask() -> None:
        while not is_over.is_set():
            for path in repo.path.glob("f*.txt"):
                path.touch()
            subprocess.run(["git", "status", "--porcelain"], cwd=repo.path, capture_output=True, check=False)

    person = threading.Thread(target=ask)
    person.start()
    try:
        with Repository.open(repo.path) as opened:
            came = [_land(opened, *pair) for pair in itertools.pairwise(commits)]
    finally:
        is_over.set()
        person.join()
    assert came == [()] * 45
    assert repo.git("status", "--porcelain") == ""


def _land(opened: Repository, old: str, new: str) -> object:
    move = Move(ref="refs/heads/main", old=old, new=new, what="w")
    return land(opened, move, before=lambda: None, after=lambda: None)
