"""Filters as in a clone of the person's: gates see what is shown, patches have what is stored."""

import os
import subprocess
import sys
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import pytest

from maingate.errors import FilterError
from maingate.git.filter_drivers import read_drivers
from maingate.system.process_tree import adopt_orphans
from maingate.uet.capture import Capture
from maingate.uet.worktree.worktree import Worktree
from maingate.workers.local.job_execution import execute
from support.factories import GitRepo
from support.pools import artifacts_in, gate_job

ROTATE = "tr a-z n-za-m"
"""A filter for both ways: "secret" is stored as "frperg"."""

PROCESS = r"""
import sys
def packet():
    size = int(sys.stdin.buffer.read(4) or b"0", 16)
    return sys.stdin.buffer.read(size - 4) if size else None
def packets():
    return list(iter(packet, None))
def put(*texts):
    for text in texts:
        sys.stdout.buffer.write(b"%04x" % (len(text) + 4) + text)
    sys.stdout.buffer.write(b"0000")
    sys.stdout.buffer.flush()
packets()
put(b"git-filter-server\n", b"version=2\n")
packets()
put(b"capability=clean\n", b"capability=smudge\n")
while head := packets():
    content = b"".join(packets())
    put(b"status=success\n")
    put(content.swapcase())
    put()
"""
"""A filter that stays for all files (gitattributes, "Long Running Filter Process")."""


@pytest.fixture
def home(hermetic_environment: Path) -> Path:
    """Give the user a filter."""
    configure(hermetic_environment, clean=ROTATE, smudge=ROTATE)
    return hermetic_environment


@pytest.fixture(autouse=True)
def _reaper() -> Iterator[None]:
    """Adopt orphans, as a worker does."""
    adopt_orphans()
    yield
    adopt_orphans(on=False)


def configure(home: Path, **parts: str) -> None:
    """Write the user's configuration."""
    lines = "".join(f'\t{name} = "{value}"\n' for name, value in parts.items())
    (home / ".gitconfig").write_text(f'[filter "crypt"]\n{lines}')


class World:
    """A repository with a file that a filter stores, and a slot of it."""

    def __init__(self, repo: GitRepo, folder: Path) -> None:
        self.repo, self._folder = repo, folder
        self.commit = repo.commit(
            {".gitattributes": "*.secret filter=crypt\n", "a.secret": "frperg\n", "plain": "plain\n"}
        )
        repo.git("update-index", "--cacheinfo", f"100644,{self.blob('frperg')},a.secret")
        repo.git("commit", "-q", "--allow-empty", "-m", "the stored content")
        self.commit = repo.head()
        self.worktree = self.opened()

    def blob(self, content: str) -> str:
        """Store content as it is."""
        return self.repo.git("hash-object", "-w", "--no-filters", "--stdin", stdin=f"{content}\n".encode())

    def opened(self) -> Worktree:
        """Open the slot as a worker does that starts now."""
        drivers = read_drivers(self.repo.path / ".git", self.repo.path)
        return Worktree(self._folder / "slot", self.repo.path / ".git", drivers)

    def tool(self, script: str) -> "Taken":
        """Run a tool in the slot and take its patch."""
        job = replace(gate_job(self.commit, script), capture=Capture(mode="worktree"))
        outcome = execute(job, worktree=self.worktree, artifacts=artifacts_in(self._folder))
        assert outcome.captured is not None, outcome
        path = artifacts_in(self._folder).path_of(job.diff)
        return Taken(path.read_text(), outcome.captured.problem, outcome.captured.fault)

    def gate(self, script: str) -> str:
        """Run a gate; return what it prints."""
        outcome = execute(
            gate_job(self.commit, script), worktree=self.worktree, artifacts=artifacts_in(self._folder)
        )
        return outcome.excerpt if outcome.passed else outcome.message


class Taken:
    """A patch that was taken."""

    def __init__(self, diff: str, problem: str, fault: str) -> None:
        self.diff, self.problem, self.fault = diff, problem, fault
        self.added = sorted(line[1:] for line in diff.splitlines() if line.startswith("+") and line[1] != "+")


@pytest.fixture
def world(repo: GitRepo, home: Path, tmp_path: Path) -> World:
    """Give the world of a user with a filter."""
    assert home
    return World(repo, tmp_path)


def test_gates_see_what_a_clone_shows(world: World) -> None:
    """Their own git has the filter too: nothing looks changed, and what they add is stored right."""
    assert world.gate("cat a.secret && git status --porcelain") == "secret\n"
    stored = "echo other > b.secret && git add b.secret && git cat-file blob :b.secret"
    assert world.gate(stored) == "bgure\n"


def test_what_a_tool_leaves_is_stored_by_the_filter(world: World) -> None:
    """A changed file, a new one, and one of an attribute that the tool itself adds."""
    taken = world.tool(
        "echo changed > a.secret; mkdir d; echo added > d/b.secret; echo x > plain;"
        " echo '*.key filter=crypt' >> .gitattributes; echo key > c.key"
    )
    assert (taken.problem, taken.fault) == ("", "")
    assert taken.added == sorted(["*.key filter=crypt", "punatrq", "nqqrq", "x", "xrl"])


def test_a_long_running_filter_serves_both_ways(world: World, home: Path, tmp_path: Path) -> None:
    """One process of the filter writes all files."""
    (tmp_path / "filter.py").write_text(PROCESS)
    configure(home, process=f"{sys.executable} {tmp_path / 'filter.py'}")
    world.worktree = world.opened()
    assert world.gate("cat a.secret") == "FRPERG\n"
    assert world.tool("echo One > a.secret; echo Two > b.secret").added == ["oNE", "tWO"]


def test_no_driver_of_a_tool_is_run(world: World, tmp_path: Path) -> None:
    """Not from its repository, its configuration, its attributes, or a script that it left in the tree."""
    ran = tmp_path / "ran"
    taken = world.tool(
        f"git config filter.crypt.clean 'touch {ran}; cat'; git config filter.evil.clean 'touch {ran}; cat';"
        f" git config --global filter.evil.clean 'touch {ran}; cat';"
        " echo 'plain filter=evil' >> .gitattributes; echo x > plain; echo changed > a.secret"
    )
    assert not ran.exists()
    assert taken.fault == "filter_failed"
    assert "punatrq" in taken.added
    assert "x" not in taken.added


def test_a_script_that_is_a_driver_is_the_persons(world: World, home: Path, tmp_path: Path) -> None:
    """A tool that changes the script in its tree changes no filter."""
    script = "#!/bin/sh\ntr a-z A-Z\n"
    (world.repo.path / "up.sh").write_text(script)
    (world.repo.path / "up.sh").chmod(0o755)
    configure(home, clean="./up.sh", smudge="cat")
    world.worktree = world.opened()
    ran = tmp_path / "ran"
    taken = world.tool(
        f"printf '#!/bin/sh\\ntouch {ran}; cat\\n' > up.sh; chmod +x up.sh; echo changed > a.secret"
    )
    assert not ran.exists()
    assert "CHANGED" in taken.added


@pytest.mark.parametrize("required", ["true", "false"])
def test_content_that_a_filter_refuses_is_not_taken_raw(world: World, home: Path, required: str) -> None:
    """No raw content is in the patch; the rest of the work is saved."""
    configure(home, clean="grep -v forbidden", smudge="cat", required=required)
    world.worktree = world.opened()
    taken = world.tool("echo forbidden > a.secret; echo x > plain")
    assert taken.fault == "filter_failed"
    assert "clean filter 'crypt' failed" in taken.problem
    assert "external filter 'grep -v forbidden' failed" in taken.problem
    assert taken.added == ["x"]


def test_a_filter_that_is_not_configured_is_told(repo: GitRepo, tmp_path: Path) -> None:
    """Git would store raw content; a file that the tool did not touch needs no filter."""
    world = World(repo, tmp_path)
    assert world.gate("cat a.secret") == "frperg\n"
    assert world.tool("echo x > plain").problem == ""
    taken = world.tool("echo raw > a.secret; echo new > b.secret; echo x > plain")
    assert taken.fault == "filter_failed"
    assert taken.problem == (
        "git's configuration has no filter crypt, which .gitattributes asks for: a.secret, b.secret"
    )
    assert taken.added == ["x"]


def test_a_tree_that_a_filter_cannot_write_is_no_verdict(world: World, home: Path) -> None:
    """The gate does not run on raw content, though the filter is not required."""
    configure(home, clean="cat", smudge="echo the store is away >&2; false")
    world.worktree = world.opened()
    with pytest.raises(FilterError) as told:
        world.worktree.move(world.commit)
    assert str(told.value) == (
        "a filter of git's configuration failed: the store is away; external filter 'echo the store is away "
        ">&2; false' failed 1; external filter 'echo the store is away >&2; false' failed; a.secret: smudge "
        "filter crypt failed"
    )
    folder = world.worktree.slot_dir.parent
    outcome = execute(gate_job(world.commit), worktree=world.worktree, artifacts=artifacts_in(folder))
    assert (outcome.passed, outcome.fault) == (False, "filter_failed")


def test_a_filter_that_hangs_ends(world: World, home: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Its time is up, and its processes are gone."""
    monkeypatch.setattr("maingate.uet.worktree.control_repository.FILTER_TIMEOUT", 0.5)
    configure(home, clean="cat", smudge="sleep 600")
    world.worktree = world.opened()
    with pytest.raises(FilterError, match=r"did not end within 0.5 s"):
        world.worktree.move(world.commit)


def test_a_file_that_was_not_touched_does_not_go_through_its_filter(world: World, home: Path) -> None:
    """A filter that never writes the same twice changes nothing; large files cost nothing."""
    count = world.repo.path / ".git" / "count"
    configure(home, clean=f"echo x >> {count}; date +%N", smudge="cat")
    world.worktree = world.opened()
    assert world.tool("echo x > plain").added == ["x"]
    assert not count.exists()


def test_content_that_is_large_until_it_is_filtered_is_taken(world: World, home: Path) -> None:
    """The limit is about the patch."""
    configure(home, clean="wc -c", smudge="cat")
    world.worktree = world.opened()
    job = replace(
        gate_job(world.commit, "head -c 300000 /dev/zero > a.secret"),
        capture=Capture(mode="worktree", max_bytes=100_000),
    )
    folder = world.worktree.slot_dir.parent
    outcome = execute(job, worktree=world.worktree, artifacts=artifacts_in(folder))
    assert outcome.captured is not None
    assert outcome.captured.problem == ""
    assert "+300000\n" in artifacts_in(folder).path_of(job.diff).read_text()


def test_a_slot_of_other_filters_is_made_anew(world: World, home: Path) -> None:
    """Its files were written by the filters of that time, also where a worker has left a note."""
    keep = {"keep": ("kept",), "keep_shared": True}
    folder = world.worktree.slot_dir.parent
    job = replace(gate_job(world.commit, "cat a.secret"), **keep)  # type: ignore[arg-type]
    assert execute(job, worktree=world.worktree, artifacts=artifacts_in(folder)).excerpt == "secret\n"
    world.worktree.leave()
    configure(home, clean="cat", smudge="cat")
    later = world.opened()
    assert execute(job, worktree=later, artifacts=artifacts_in(folder)).excerpt == "frperg\n"


def test_the_patch_lands_as_a_clone_would_commit_it(world: World, home: Path, tmp_path: Path) -> None:
    """The same edit in a clone of the person's gives the same blobs."""
    edit = "echo changed > a.secret; echo added > b.secret"
    taken = world.tool(edit)
    env = {**os.environ, "HOME": str(home)}
    clone = tmp_path / "clone"
    for words in (
        ["git", "clone", "-q", str(world.repo.path), str(clone)],
        ["sh", "-c", f"cd {clone} && {edit} && git add -A"],
    ):
        subprocess.run(words, env=env, check=True)
    said = subprocess.run(
        ["git", "diff", "--cached", "--full-index", "--binary", "--no-renames"],
        cwd=clone,
        env=env,
        check=True,
        capture_output=True,
        text=True,
    ).stdout
    assert taken.diff == said
