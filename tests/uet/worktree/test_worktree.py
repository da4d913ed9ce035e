"""A worktree is exactly its commit at the start of every job, whatever the job before did to it."""

import os
import random
import shlex
import shutil
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path

import pytest

from maingate.errors import WorktreeError
from maingate.git.remote_view import read_remote_view
from maingate.system.removal import remove
from maingate.uet.worktree import control_repository, manifest, slot_tree, untouched_paths, wanted_tree
from maingate.uet.worktree.worktree import Worktree
from support.examples import crossed
from support.factories import GitRepo
from support.worktree_files import checked_out, let_the_clock_tick, snapshot

FILES: dict[str, str | bytes | None] = {
    "README": "read me\n",
    "run.sh": "#!/bin/sh\ntrue\n",
    "src/parser/a.py": "a\n",
    "src/parser/deep/b.py": "b\n",
    "src/c.py": "c\n",
    "lonely/only.txt": "only\n",
    "win.txt": "one\r\ntwo\r\n",
    ".gitattributes": "win.txt text eol=crlf\n",
    ".gitignore": "*.log\n__pycache__/\n",
}


@pytest.fixture
def first(repo: GitRepo) -> str:
    """Commit a tree with folders, a symlink, an executable and line endings."""
    repo.write(FILES)
    (repo.path / "run.sh").chmod(0o755)
    (repo.path / "link").symlink_to("src/c.py")
    return repo.commit({}, "first")


@pytest.fixture
def second(repo: GitRepo, first: str) -> str:
    """Commit a change of every kind on top: files become folders and the other way round."""
    assert first
    shutil.rmtree(repo.path / "lonely")
    (repo.path / "README").unlink()
    (repo.path / "link").unlink()
    (repo.path / "run.sh").chmod(0o644)
    files = {"README/now-a-folder": "x\n", "lonely": "now a file\n", "link/file": "y\n", "src/c.py": "c2\n"}
    return repo.commit(dict(files), "second")


@pytest.fixture
def worktree(tmp_path: Path, repo: GitRepo) -> Worktree:
    """Give a slot that borrows from the repository."""
    return Worktree(tmp_path / "slots" / "0", repo.path / ".git")


def seen(worktree: Worktree) -> object:
    """Return what a gate sees, but for the repository."""
    return snapshot(worktree.tree, without=(".git",))


def git(worktree: Worktree, *args: str) -> str:
    """Run git as a gate would."""
    env = {**os.environ, **worktree.environment()}
    done = subprocess.run(["git", *args], cwd=worktree.tree, env=env, capture_output=True, check=True)
    return done.stdout.decode().strip()


def replace_by_link(path: Path, target: Path) -> None:
    """Put a symbolic link in the place of a file or folder."""
    if path.is_dir():
        shutil.rmtree(path)
    else:
        path.unlink()
    path.symlink_to(target)


def make_immutable(tree: Path) -> None:
    """Set the flag that not even root may overlook."""
    flag = ["find", str(tree), "-not", "-type", "l", "-exec", "chattr"]
    done = subprocess.run([*flag, "+i", "{}", "+"], check=False, capture_output=True)
    if done.returncode != 0:
        subprocess.run([*flag, "-i", "{}", "+"], check=False, capture_output=True)
        pytest.skip("this file system or user cannot set the immutable flag")


def make_deep(tree: Path) -> None:
    """Make folders in folders until no path can name them."""
    here = Path.cwd()
    os.chdir(tree)
    for _ in range(1500):
        Path("deep-folder").mkdir()
        os.chdir("deep-folder")
    os.chdir(here)


VANDALS: dict[str, str | Callable[[Path], None]] = {
    "does nothing": "true",
    "changes a file": "echo changed >> src/c.py",
    "changes a file and hides it": "touch -r src/c.py ../t; printf 'C\n' > src/c.py; touch -r ../t src/c.py",
    "deletes a file": "rm src/c.py",
    "deletes the only file of a folder": "rm lonely/*",
    "deletes a folder": "rm -r src/parser",
    "deletes everything in it": "rm -rf * .[!.]*",
    "deletes the worktree": 'rm -rf "$PWD"',
    "deletes the slot": 'rm -rf "$(dirname "$PWD")"',
    "puts a file in its place": 'rm -rf "$PWD"; echo x > "$PWD"',
    "adds files": "touch new src/new a.log \"$(printf '\\377')\"",
    "adds folders": "mkdir -p build/x/y",
    "adds an ignored folder": "mkdir -p src/__pycache__",
    "adds very deep folders": make_deep,
    "adds a fifo": "mkfifo src/fifo",
    "replaces a file by a fifo": "rm src/c.py; mkfifo src/c.py",
    "adds a nested repository": "git init -q vendor",
    "makes a tracked folder a repository": "git init -q src/parser",
    "adds a .git file in a folder": "echo 'gitdir: /nowhere' > src/.git",
    "replaces a folder by a file": "rm -r src; echo x > src",
    "replaces a file by a folder": "rm -r run.sh; mkdir -p run.sh/x",
    "replaces a folder by a link to itself": 'to=$(mktemp -d -p ..); mv src $to; ln -s "$PWD/$to/src" src',
    "replaces a file by a hard link": "ln -f src/c.py run.sh",
    "changes rights": "chmod 700 src src/c.py .",
    "makes it read-only": "chmod -R a-w .",
    "makes it immutable": make_immutable,
    "takes all rights": "chmod 0 src/parser/deep src/parser src .",
    "commits": "date > w; git add -A; git commit -qm x; git tag t; date > src/c.py; git stash -q",
    "removes .git": "rm -rf .git",
    "makes .git a file": "rm -rf .git; echo x > .git",
    "removes the control directory": "rm -rf ../control",
    "corrupts the control index": "echo DIRC nonsense > ../control/index",
    "leaves an index lock": "touch ../control/index.lock",
    "replaces control by a link": "to=$(mktemp -d -p ..); mv ../control $to; ln -s $to/control ../control",
}


def act(vandal: str | Callable[[Path], None], tree: Path) -> None:
    """Let a vandal loose on a tree."""
    if isinstance(vandal, str):
        subprocess.run(["sh", "-c", vandal], cwd=tree, check=True, capture_output=True)
    else:
        vandal(tree)


@pytest.mark.parametrize(
    ("vandal", "is_same_worker"), crossed(VANDALS, {"same worker": True, "next worker": False})
)
def test_next_job_sees_exactly_its_commit(
    repo: GitRepo, worktree: Worktree, second: str, vandal: str | Callable[[Path], None], is_same_worker: bool
) -> None:
    """Whatever a gate does to its worktree, the next job there sees its commit and nothing else."""
    persons = snapshot(repo.path)
    first = repo.head(f"{second}^")
    expected = [checked_out(repo, commit, repo.path.parent / commit) for commit in (first, second)]
    worktree.move(first)
    act(vandal, worktree.tree)
    if not is_same_worker:
        worktree = Worktree(worktree.slot_dir, repo.path / ".git")

    worktree.move(first)
    assert seen(worktree) == expected[0]
    assert git(worktree, "status", "--porcelain", "--ignored") == ""

    act(vandal, worktree.tree)
    worktree.move(second)
    assert seen(worktree) == expected[1]
    assert git(worktree, "status", "--porcelain", "--ignored") == ""

    worktree.move(first)
    assert seen(worktree) == expected[0]
    left = snapshot(repo.path, without=(".git/worktrees",))
    assert left == {name: what for name, what in persons.items() if name != ".git/worktrees"}
    make_removable(worktree)


def make_removable(worktree: Worktree) -> None:
    """Let pytest remove what a vandal left."""
    remove(os.fsencode(worktree.slot_dir))


INTRUDERS: dict[str, str] = {
    "changes a byte and hides it": (
        "touch -r src/c.py $TMPDIR/t; printf 'C\\n' > src/c.py; touch -r $TMPDIR/t src/c.py; rm $TMPDIR/t"
    ),
    "puts another file in the place of one": "echo C > new; touch -r src/c.py new; mv new src/c.py",
    "puts a link in the place of a folder": 'mv src/parser "$OUT"; ln -s "$OUT/parser" src/parser',
    "lets a script run no more": "chmod -x run.sh",
    "gives a file to everybody": "chmod 666 src/c.py",
    "links a file to another": "ln -f README run.sh",
    "keeps a link to a file, to write to it later": 'ln src/c.py "$OUT/c"; echo more >> "$OUT/c"',
    "has an empty folder": "mkdir src/empty",
    "touches the index": "git update-index --assume-unchanged src/c.py; echo C > src/c.py",
    "adds a hook": "printf '#!/bin/sh\\n' > .git/hooks/post-checkout",
    "adds configuration": "git config core.fileMode false",
    "moves HEAD": "git commit -q --allow-empty -m mine",
    "excludes": "echo '*' > .git/info/exclude",
    "borrows more objects": "echo /nowhere >> .git/objects/info/alternates",
    "opens .git": "chmod 777 .git/objects",
    "configures git for everybody": "git config --global alias.x status",
    "leaves something in scratch": "touch $TMPDIR/left",
    "opens scratch": "chmod 777 $TMPDIR",
    "opens the configuration in scratch": "chmod 666 $TMPDIR/../gitconfig",
    "configures the control directory": "printf '[core]\\n\\tfileMode = false\\n' >> ../control/config",
    "adds a hook to the control directory": (
        "mkdir ../control/hooks; printf '#!/bin/sh\\nexit 1\\n' > ../control/hooks/post-checkout"
    ),
    "has a branch in the control directory": "git rev-parse HEAD > ../control/refs/heads/main",
    "replaces an object in the control directory": (
        "mkdir ../control/refs/replace; cp .git/HEAD ../control/refs/replace/$(git rev-parse HEAD:src)"
    ),
    "moves the control directory's HEAD": "git commit-tree -m x HEAD^{tree} > ../control/HEAD",
}


@pytest.mark.parametrize(("intruder", "is_old"), crossed(INTRUDERS, {"old": True, "young": False}))
def test_what_touches_a_slot_that_was_proven_is_noticed(  # noqa: PLR0917 - fixtures and cases
    tmp_path: Path,
    worktree: Worktree,
    first: str,
    intruder: str,
    is_old: bool,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """The next job finds tree, repository, control directory and scratch as the first job did."""
    (tmp_path / "out").mkdir()
    worktree.move(first)
    expected = whole(worktree)
    worktree.move(first)
    assert whole(worktree) == expected
    if is_old:
        monkeypatch.setattr(untouched_paths, "_youth", lambda _: lambda _: False)
        worktree.move(first)
    let_the_clock_tick(tmp_path)

    env = {**os.environ, **worktree.environment(), "OUT": str(tmp_path / "out")}
    subprocess.run(["sh", "-ec", intruder], cwd=worktree.tree, env=env, check=True, capture_output=True)
    assert whole(worktree) != expected
    worktree.move(first)

    assert whole(worktree) == expected
    assert git(worktree, "ls-files", "-v", "src/c.py") == "H src/c.py"
    assert git(worktree, "status", "--porcelain", "--ignored") == ""


def test_what_a_job_leaves_between_slots_is_gone(tmp_path: Path, repo: GitRepo, first: str) -> None:
    """Programs look for their files in the folders above; other slots, and all locks, stay."""
    slots = tmp_path / "slots"
    worktree = Worktree(slots / "0", repo.path / ".git", is_among_slots=True)
    worktree.move(first)
    (slots / "1").mkdir()
    (slots / "1.lock").touch()
    subprocess.run(
        ["sh", "-ec", "echo {} > ../../package.json; git init -q ../..; mkdir -p ../../node_modules/x"],
        cwd=worktree.tree,
        check=True,
    )
    worktree.move(first)
    assert sorted(path.name for path in slots.iterdir()) == ["0", "1", "1.lock"]


def whole(worktree: Worktree) -> object:
    """Return what is in the slot, but for the indexes, which hold times."""
    return snapshot(worktree.slot_dir, without=("tree/.git/index", "control/index"))


@pytest.mark.parametrize("files", [1, 300])
def test_a_slot_that_nobody_touched_costs_no_process(
    worktree: Worktree, repo: GitRepo, files: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Gates that change nothing but what is kept follow each other without git being asked."""
    commit = repo.commit({f"src/{number}": "x\n" for number in range(files)})
    worktree.move(commit, keep=["cache"], shared=True)
    (worktree.tree / "cache").mkdir()
    monkeypatch.setattr(untouched_paths, "_YOUNG_NS", 0)
    for _ in range(3):
        let_the_clock_tick(worktree.slot_dir)
        worktree.move(commit, keep=["cache"], shared=True)
    for module in (control_repository, wanted_tree):
        monkeypatch.setattr(module, "run_git", lambda *_, **__: pytest.fail("git was asked"))

    for _ in range(3):
        (worktree.tree / "cache" / "more").write_text("x")
        worktree.sweep()
        worktree.move(commit, keep=["cache"], shared=True)


def test_a_large_tree_that_gates_touch_is_not_surveyed(
    worktree: Worktree, repo: GitRepo, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Where every gate leaves something, git would be asked anyway, and a survey would come on top."""
    commit = repo.commit({f"src/{number}": "x\n" for number in range(300)})
    monkeypatch.setattr(slot_tree, "UntouchedPaths", lambda *_, **__: pytest.fail("it was surveyed"))

    for _ in range(3):
        worktree.move(commit)
        (worktree.tree / "left").touch()


def test_what_is_tracked_among_what_is_kept_is_restored(worktree: Worktree, repo: GitRepo) -> None:
    """Only what git does not track is kept, so what it tracks there is seen to before each job."""
    commit = repo.commit({"cache/seed": "seed\n", "a": "a\n"})
    for keep in (["cache"], ["*eed"]):
        for _ in range(3):
            worktree.move(commit, keep=keep, shared=True)
            assert (worktree.tree / "cache/seed").read_text() == "seed\n"
            (worktree.tree / "cache/seed").write_text("tampered\n")


def test_history_that_was_deepened_is_seen(tmp_path: Path, repo: GitRepo, second: str) -> None:
    """Where the person's history ends is asked before every job."""
    clone = tmp_path / "shallow"
    repo.git("clone", "-q", "--depth", "1", f"file://{repo.path}", str(clone))
    worktree = Worktree(tmp_path / "slots" / "0", clone / ".git")
    worktree.move(second)
    GitRepo(clone).git("fetch", "-q", "--unshallow")

    worktree.move(second)

    assert git(worktree, "log", "--format=%s") == "second\nfirst"


def vandalise(tree: Path, rng: random.Random) -> None:
    """Do something random to something random in the tree, as far as it can be done."""
    paths = [path for path in tree.rglob("*") if path.relative_to(tree).parts[0] != ".git"] or [tree / "x"]
    names = [shlex.quote(str(path)) for path in rng.choices(paths, k=2)]
    script = rng.choice(
        [
            "rm -rf {0}",
            "rm -rf {0}; echo x > {0}",
            "rm -rf {0}; printf 'a\\n' > {0}",
            "rm -rf {0}; mkdir {0}; touch {0}/.git {0}/b",
            "rm -rf {0}; ln -s {1} {0}",
            "rm -rf {0}; ln -s ../outside {0}",
            "test -L {0} || chmod 500 {0}",
            "test -L {0} || chmod 777 {0}",
            "mkdir {0}/.git {0}/new",
            "mv -f -T {0} {1}",
            "cp -a {0} {1}",
            "ln -f {0} {1}",
        ]
    )
    subprocess.run(["sh", "-c", script.format(*names)], cwd=tree, check=False, capture_output=True)


@pytest.mark.parametrize("seed", range(4))
def test_random_vandals_leave_nothing(tmp_path: Path, repo: GitRepo, worktree: Worktree, seed: int) -> None:
    """After any sequence of damages and moves, the tree is what git itself would check out."""
    rng = random.Random(seed)
    inner = GitRepo.create(tmp_path / "inner")
    inner.commit({"in": "inner\n"})
    commits = []
    for _ in range(5):
        for old in repo.path.iterdir():
            if old.name != ".git":
                remove(os.fsencode(old))
        names = rng.sample(["a/b/c", "a/b/d", "a/e", "f", "g/h/i/j", "g/k", "l.py"], 5)
        names = [name if rng.random() < 0.7 else name.rpartition("/")[0] or name for name in names]
        for name in sorted(set(names)):
            if not any(other.startswith(name + "/") for other in names):
                repo.write({name: rng.choice(["a\n", "b\n"])})
        (repo.path / "sym").symlink_to(rng.choice(["a", "f", "/etc/passwd"]))
        if rng.random() < 0.6:
            repo.git(
                "-c", "protocol.file.allow=always", "clone", "-q", str(inner.path), str(repo.path / "sub")
            )
        commits.append(repo.commit({}, "step"))
    expected = {commit: checked_out(repo, commit, tmp_path / commit) for commit in commits}
    outside = tmp_path / "slots" / "0" / "outside"
    for _ in range(15):
        commit = rng.choice(commits)
        worktree.move(commit)
        assert seen(worktree) == expected[commit]
        assert git(worktree, "status", "--porcelain", "--ignored") == ""
        outside.mkdir(exist_ok=True)
        (outside / "precious").write_text("p")
        for _ in range(rng.randrange(4)):
            vandalise(worktree.tree, rng)
        if rng.random() < 0.2:
            worktree = Worktree(worktree.slot_dir, repo.path / ".git")


def test_a_gate_can_use_git_as_in_any_clone(worktree: Worktree, repo: GitRepo, second: str) -> None:
    """History, index, commits, branches, tags, stash and configuration work, and reach nobody."""
    before = snapshot(repo.path)
    worktree.move(second)

    assert git(worktree, "rev-parse", "HEAD") == second
    assert git(worktree, "log", "--format=%s") == "second\nfirst"
    assert git(worktree, "ls-files", "src/c.py") == "src/c.py"
    (worktree.tree / "src/c.py").write_text("stash me\n")
    git(worktree, "stash")
    assert git(worktree, "stash", "list") != ""
    git(worktree, "config", "user.name", "Gate")
    git(worktree, "config", "--global", "alias.x", "status")
    git(worktree, "switch", "-q", "-c", "topic")
    git(worktree, "commit", "-q", "--allow-empty", "-m", "mine")
    git(worktree, "tag", "-a", "-m", "tag", "v1")

    assert snapshot(repo.path) == before
    worktree.move(second)
    assert git(worktree, "rev-parse", "HEAD") == second
    assert git(worktree, "branch", "--all", "--format=%(refname)").count("refs/") == 0
    assert git(worktree, "tag") == git(worktree, "stash", "list") == ""


def test_a_gate_sees_the_tags_and_remotes_of_the_run(tmp_path: Path, repo: GitRepo, first: str) -> None:
    """They are as when the run began; what a gate does to them reaches no other, nor the person."""
    repo.git("tag", "-a", "-m", "one", "v1", first)
    repo.git("tag", "light", first)
    second = repo.commit({"new": "x\n"})
    view = repo.git("hash-object", "-w", "--stdin", stdin=read_remote_view(repo.path / ".git").to_bytes())
    worktree = Worktree(tmp_path / "viewed", repo.path / ".git", remotes=view)
    repo.git("tag", "later")
    before = snapshot(repo.path)

    worktree.move(second)
    assert git(worktree, "describe") == f"v1-1-g{second[:7]}"
    assert git(worktree, "tag") == "light\nv1"
    assert git(worktree, "merge-base", "origin/main", "HEAD") == second
    git(worktree, "tag", "-d", "v1")
    git(worktree, "tag", "-f", "light", second)
    git(worktree, "update-ref", "refs/remotes/origin/main", first)
    git(worktree, "remote", "set-url", "--push", "origin", "elsewhere")

    worktree.move(second)
    assert git(worktree, "describe", "--exact-match", first) == "v1"
    assert git(worktree, "rev-parse", "origin/main") == second
    with pytest.raises(subprocess.CalledProcessError):
        git(worktree, "push", "-q", "origin", "HEAD:refs/heads/pushed")
    assert snapshot(repo.path) == before


def test_a_link_in_place_of_git_does_not_reach_the_person(
    worktree: Worktree, repo: GitRepo, first: str
) -> None:
    """A `.git` that became a link to the person's repository is unlinked, not followed."""
    worktree.move(first)
    before = snapshot(repo.path)
    replace_by_link(worktree.tree / ".git", repo.path / ".git")

    worktree.move(first)

    assert snapshot(repo.path) == before
    assert not (worktree.tree / ".git").is_symlink()


def test_a_slot_that_became_a_link_is_not_followed(
    tmp_path: Path, worktree: Worktree, repo: GitRepo, first: str
) -> None:
    """Clean-up never goes through a link, wherever in the slot it is."""
    worktree.move(first)
    precious = tmp_path / "precious"
    shutil.copytree(repo.path, precious)
    before = snapshot(precious)
    for place in (worktree.tree, worktree.tree / "src", worktree.slot_dir / "scratch", worktree.slot_dir):
        replace_by_link(place, precious)
        worktree.move(first)
        assert snapshot(precious) == before


def test_filters_and_hooks_of_a_tree_do_not_run(
    tmp_path: Path, worktree: Worktree, repo: GitRepo, hermetic_environment: Path
) -> None:
    """A filter that attributes ask for runs only if configuration defines it, and ours defines none."""
    commit = repo.commit({".gitattributes": "* filter=evil\n", "file": "x\n"})
    (hermetic_environment / ".gitconfig").write_text(
        f'[filter "evil"]\n\tsmudge = touch {tmp_path}/ran; cat\n\trequired = true\n'
        f"[core]\n\thooksPath = {tmp_path}/hooks\n"
    )
    (tmp_path / "hooks").mkdir()
    (tmp_path / "hooks/post-checkout").write_text(f"#!/bin/sh\ntouch {tmp_path}/ran\n")
    (tmp_path / "hooks/post-checkout").chmod(0o755)

    worktree.move(commit)

    assert (worktree.tree / "file").read_text() == "x\n"
    assert not (tmp_path / "ran").exists()


def test_what_is_to_be_kept_is_kept_and_nothing_else(worktree: Worktree, first: str, second: str) -> None:
    """Kept names survive in any tracked folder, kept paths where they are, and git does not show them."""
    keep = [".venv", "node_modules", "build/cache", "*.egg-info"]
    worktree.move(first, keep=keep, shared=True)
    kept = [".venv/bin/x", "src/node_modules/m/.git", "build/cache/c", "src/p.egg-info/x"]
    gone = ["build/other/o", "venv/x", "new/node_modules/m", "src/cache/c"]
    for name in kept + gone:
        (worktree.tree / name).parent.mkdir(parents=True)
        (worktree.tree / name).write_text("x")

    for commit in (second, first):
        worktree.move(commit, keep=keep, shared=True)
        assert all((worktree.tree / name).exists() for name in kept)
        assert not any(os.path.lexists(worktree.tree / Path(name).parent) for name in gone)
        assert git(worktree, "status", "--porcelain") == ""

    worktree.move(first)
    assert not any(os.path.lexists(worktree.tree / Path(name).parent) for name in kept + gone)


def test_prepared_is_known_until_the_slot_or_what_is_kept_is_gone(worktree: Worktree, first: str) -> None:
    """Where jobs share what is kept, a slot that lost it, or was prepared for something else, is none."""

    def is_prepared_for(key: str) -> bool:
        worktree.move(first, keep=["venv", "not-there"], shared=True, prepared_for=key)
        return worktree.is_prepared()

    assert not is_prepared_for("key")
    (worktree.tree / "venv").mkdir()
    worktree.mark_prepared()

    assert is_prepared_for("key")
    assert not is_prepared_for("other key")
    assert is_prepared_for("key")

    (worktree.tree / "venv").rmdir()
    assert not is_prepared_for("key")

    (worktree.tree / "venv").mkdir()
    worktree.destroy()
    assert not is_prepared_for("key")


def test_an_unknown_commit_is_an_error_and_costs_nothing(worktree: Worktree, first: str) -> None:
    """A commit that the source does not have is an outside fault; the slot stays as it is."""
    worktree.move(first, keep=["venv"], shared=True)
    (worktree.tree / "venv").mkdir()

    with pytest.raises(WorktreeError, match="cannot be moved to " + "0" * 39 + "1"):
        worktree.move("0" * 39 + "1", keep=["venv"], shared=True)

    worktree.move(first, keep=["venv"], shared=True)
    assert (worktree.tree / "venv").is_dir()


def test_a_slot_that_cannot_be_made_is_an_error(tmp_path: Path, repo: GitRepo, first: str) -> None:
    """A place where nothing can be made is an outside fault with a clear message."""
    (tmp_path / "file").write_text("x")

    with pytest.raises(WorktreeError, match="cannot be moved"):
        Worktree(tmp_path / "file" / "0", repo.path / ".git").move(first)


def test_scratch_is_fresh_for_every_job(worktree: Worktree, first: str) -> None:
    """Temporary files of one job are not there for the next."""
    worktree.move(first)
    temporary = Path(worktree.environment()["TMPDIR"])
    (temporary / "left").mkdir()

    worktree.sweep()
    assert not temporary.exists()

    worktree.move(first)
    assert list(temporary.iterdir()) == []


def test_shallow_history_ends_where_it_ends(tmp_path: Path, repo: GitRepo, second: str) -> None:
    """The worktree of a shallow clone has the same history as the clone, and no errors."""
    clone = tmp_path / "shallow"
    repo.git("clone", "-q", "--depth", "1", f"file://{repo.path}", str(clone))
    worktree = Worktree(tmp_path / "slots" / "0", clone / ".git")

    worktree.move(second)

    assert git(worktree, "log", "--format=%s") == "second"


@pytest.mark.skipif(sys.platform == "darwin", reason="names on that system are always UTF-8")
def test_names_that_are_not_text_are_restored(tmp_path: Path, repo: GitRepo, worktree: Worktree) -> None:
    """Names are bytes: whatever git can hold comes out as it is."""
    name = os.fsdecode(b"caf\xe9 \t\n\"'")
    commit = repo.commit({f"{name}/{name}": "x\n"})
    worktree.move(commit)
    (worktree.tree / name / name).unlink()
    (worktree.tree / name / "more").write_text("x")

    worktree.move(commit)

    assert seen(worktree) == checked_out(repo, commit, tmp_path / "there")


ATTRIBUTES: tuple[dict[str, str | bytes | None], ...] = (
    {},
    {".gitattributes": "* text eol=crlf\n"},
    {".gitattributes": "*.py text eol=crlf\n*.txt ident\n"},
    {"src/.gitattributes": "c.py text ident eol=crlf working-tree-encoding=ISO-8859-1\n"},
    {".gitattributes": "[attr]odd text eol=crlf\n", "src/.gitattributes": "*.py odd\n"},
    {"src/parser/.gitattributes": "* eol=crlf text\n", "win.txt": None},
)


@pytest.mark.parametrize("before", range(len(ATTRIBUTES)))
@pytest.mark.parametrize("after", range(len(ATTRIBUTES)))
def test_attributes_that_change_change_files_whose_blob_does_not(
    repo: GitRepo, worktree: Worktree, tmp_path: Path, before: int, after: int
) -> None:
    """A slot that comes from a commit with other `.gitattributes` has the bytes that a new checkout has."""
    files: dict[str, str | bytes | None] = {
        **FILES,
        "id.txt": "$Id$\n",
        ".gitattributes": "win.txt text eol=crlf\n",
    }
    commits = []
    for number in (before, after):
        repo.git("rm", "-rq", "--ignore-unmatch", ".")
        wanted: dict[str, str | bytes | None] = {**files, **ATTRIBUTES[number]}
        commits.append(repo.commit({name: text for name, text in wanted.items() if text is not None}))
    for commit in commits:
        worktree.move(commit)
    assert seen(worktree) == checked_out(repo, commits[1], tmp_path / "fresh")


TOUCHES: dict[str, str] = {
    "sets its time back": "touch -d 1999-01-01 src/c.py",
    "sets its time forth": "touch -d 2040-01-01 src/c.py",
    "writes the same": "cp src/c.py $TMPDIR/c; cat $TMPDIR/c > src/c.py",
    "links to it": 'ln src/c.py "$OUT/c"',
    "gives it an attribute": 'python3 -c \'import os; os.setxattr("src/c.py", "user.x", b"1")\'',
}


@pytest.mark.parametrize("touch", TOUCHES.values(), ids=TOUCHES)
@pytest.mark.parametrize("is_moved", [True, False], ids=["another commit", "the same commit"])
def test_a_file_that_a_gate_touched_is_written_anew(  # noqa: PLR0917 - fixtures and cases
    tmp_path: Path, repo: GitRepo, worktree: Worktree, first: str, touch: str, is_moved: bool
) -> None:
    """Times, links and attributes of a file are those of a checkout, though its content never changed."""
    second = repo.commit({"README": "another\n"})
    (tmp_path / "out").mkdir()
    worktree.move(first)
    before = time.time_ns()
    worktree.move(second)
    worktree.move(first)
    env = {**os.environ, **worktree.environment(), "OUT": str(tmp_path / "out")}
    done = subprocess.run(["sh", "-ec", touch], cwd=worktree.tree, env=env, check=False)
    if done.returncode:
        pytest.skip("this file system has no extended attributes")

    worktree.move(second if is_moved else first)

    info = (worktree.tree / "src/c.py").stat()
    assert (info.st_nlink, os.listxattr(worktree.tree / "src/c.py")) == (1, [])
    assert before - 10**10 < info.st_mtime_ns < before + 10**12


@pytest.mark.parametrize("date", ["1999-01-01", "2040-01-01"])
@pytest.mark.parametrize("is_moved", [True, False], ids=["another commit", "the same commit"])
def test_a_file_that_was_touched_long_after_its_checkout_is_written_anew(  # noqa: PLR0917 - as above
    repo: GitRepo, worktree: Worktree, first: str, date: str, is_moved: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Where the manifest has no reason to look at a file, git finds by its index that it was touched."""
    second = repo.commit({"README": "another\n"})
    monkeypatch.setattr(manifest, "_FRESH_NS", -(10**18))
    worktree.move(second)
    worktree.move(first)
    before = (worktree.tree / "src/c.py").stat()
    subprocess.run(["touch", "-d", date, "src/c.py"], cwd=worktree.tree, check=True)

    worktree.move(second if is_moved else first)

    after = (worktree.tree / "src/c.py").stat()
    assert abs(after.st_mtime - before.st_mtime) < 10**4
    assert git(worktree, "status", "--porcelain") == ""
