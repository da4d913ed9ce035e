"""Runs that are ended from outside, and what must be true when they were resumed: as if nothing had been.

A world is a small repository with a plan for it. The command line works on it as a process of its own, that
can be killed and continued.
"""

import contextlib
import json
import os
import re
import shutil
import signal
import sqlite3
import time
from collections.abc import Callable, Iterable, Mapping
from contextlib import closing
from dataclasses import dataclass, field
from functools import cached_property
from hashlib import sha256
from multiprocessing.context import ForkServerProcess
from pathlib import Path
from typing import Any, Final

from maingate import faultpoints
from maingate.bootstrap import Maingate
from maingate.db.audit.record_check import verify
from maingate.db.dao import leases, runs
from maingate.landing.lease import is_held, key_of, run_key
from support.factories import GitRepo
from support.forking import start_forked
from support.landing import write_plan
from support.pools import processes_of

KILLED: Final = -signal.SIGKILL
"""The exit code of a process that was killed."""

PATIENCE: Final = 30.0
"""Seconds that anything here may take; it takes a fraction of one."""

_ID: Final = re.compile(r"\b(run|ws|task|patch|gate|intent|uet|worker)_[0-9A-Z]{26}\b")
_ANCHOR: Final = re.compile(r"^Maingate-(Record|Ledger): .*\n?", re.MULTILINE)
"""Where a landing stands in its own record: how often a run was killed shows there, and only there."""
_COMMIT: Final = re.compile(r"\b[0-9a-f]{40}\b")
_TIMING: Final = ("seconds", "created_at", "started_at", "completed_at", "repository", "gates")
"""What of a report may differ: times, the place, and how often gates ran, which a crash may repeat."""

_LEFT_OPEN: Final = {
    "intents": "state = 'pending'",
    "gates": "state IN ('PENDING', 'RUNNING')",
    "workers": "state <> 'shutdown'",
    "uet_workers": "state <> 'TERMINATED'",
    "requests": "answer IS NULL",
    "holds": "run_id IN (SELECT id FROM runs WHERE completed_at IS NOT NULL)",
    "queue_items": "1 = 1",
}
"""What of each table nobody sees to any more when no process is at work."""


@dataclass(kw_only=True)
class Command:
    """One command line, as a process."""

    process: ForkServerProcess
    out: Path

    @property
    def pid(self) -> int:
        """Its process id."""
        if self.process.pid is None:
            raise AssertionError("the process was not started")
        return self.process.pid

    @property
    def is_running(self) -> bool:
        """Tell whether it has not ended."""
        return self.process.is_alive()

    def send(self, number: signal.Signals) -> None:
        """Send it a signal, unless it has ended."""
        if self.process.is_alive():
            os.kill(self.pid, number)

    def ended(self) -> int:
        """Wait for its end; return its exit code, negative for the signal that ended it."""
        self.process.join(2 * PATIENCE)
        if self.process.exitcode is None:
            os.kill(self.pid, signal.SIGKILL)
            raise AssertionError(f"it did not end; it said: {self.said}")
        return self.process.exitcode

    @property
    def is_stopped(self) -> bool:
        """Tell whether it was stopped, and not continued."""
        return Path(f"/proc/{self.pid}/stat").read_text().rpartition(") ")[2][0] == "T"

    @property
    def said(self) -> str:
        """What it printed, on standard output and standard error, as one line."""
        return " ".join(self.out.read_text(errors="replace").split())


@dataclass(kw_only=True)
class World:
    """A repository, a plan for it, and all that the command line needs, in one folder.

    Args:
        folder: Where everything is; processes that belong here can be told by it.
        environment: Variables for every command.
    """

    folder: Path
    environment: Mapping[str, str] = field(default_factory=dict)
    commands: list[Command] = field(default_factory=list)

    @cached_property
    def repo(self) -> GitRepo:
        """The repository."""
        return GitRepo(self.folder / "repo")

    @property
    def plan(self) -> Path:
        """The plan's file."""
        return self.folder / "plan" / "plan.yaml"

    @classmethod
    def create(cls, folder: Path, files: Mapping[str, str | bytes | None]) -> "World":
        """Make a world with a repository of one commit."""
        GitRepo.create(folder / "repo").commit(files, "base")
        return cls(folder=folder)

    def copy(self, folder: Path) -> "World":
        """Copy a world that nothing has run in yet."""
        shutil.copytree(self.folder, folder, symlinks=True)
        return World(folder=folder, environment=dict(self.environment))

    def write_plan(self, patches: Mapping[str, bytes], **plan: Any) -> None:
        """Write the plan and its patches."""
        write_plan(self.plan.parent, {"repo": "../repo", "target": "main", **plan}, patches)

    def rewrite(self, commands: Mapping[str, str]) -> None:
        """Put other commands in place of some of the plan's."""
        text = self.plan.read_text()
        for old, new in commands.items():
            assert json.dumps(old) in text
            text = text.replace(json.dumps(old), json.dumps(new))
        self.plan.write_text(text)

    # -- commands --------------------------------------------------------------------------------------------

    def start(self, *words: str, fault: str = "", **environment: str) -> Command:
        """Start a command line.

        Args:
            *words: The command.
            fault: The place at which it is killed.
            **environment: More variables.
        """
        out = self.folder / f"said.{len(self.commands)}"
        own = {**os.environ, **self.environment, "XDG_CACHE_HOME": str(self.folder / "cache"), **environment}
        if fault:
            own[faultpoints.VARIABLE] = fault
        process = start_forked(words, cwd=self.repo.path, environment=own, out=out)
        self.commands.append(Command(process=process, out=out))
        return self.commands[-1]

    def run(self, *options: str, fault: str = "", **environment: str) -> Command:
        """Start ``maingate run``."""
        return self.start("run", str(self.plan), "--workers", "2", *options, fault=fault, **environment)

    def resume(self, *options: str, fault: str = "", **environment: str) -> Command:
        """Start ``maingate resume``."""
        return self.start("resume", "--workers", "2", *options, fault=fault, **environment)

    def go_on(self, fault: str = "", **environment: str) -> Command:
        """Start whatever a person would after a crash: resume the run, or begin it when there is none."""
        return (self.resume if self.has_begun else self.run)(fault=fault, **environment)

    @property
    def has_begun(self) -> bool:
        """Tell whether there is a run."""
        return self._count("runs", "1 = 1") > 0

    @property
    def is_over(self) -> bool:
        """Tell whether there is a run, and it has ended."""
        return self._count("runs", "state NOT IN ('pending', 'running')") > 0

    @property
    def is_locked(self) -> bool:
        """Tell whether somebody is writing to the database."""
        with closing(sqlite3.connect(self._database, isolation_level=None, timeout=0)) as conn:
            try:
                conn.execute("BEGIN IMMEDIATE")
            except sqlite3.OperationalError:
                return True
            return False

    def finish(self) -> int:
        """Let the run come to its end without any more faults; return the last exit code."""
        return self.go_on().ended()

    def unlock_by_hand(self) -> None:
        """Remove the lock on the index that a killed landing has left, as git tells a person to."""
        (self.repo.path / ".git" / "index.lock").unlink()

    # -- what is there ---------------------------------------------------------------------------------------

    def open(self) -> Maingate:
        """Open Maingate on it in this process."""
        return Maingate.open(self.repo.path, create=False)

    def open_new(self) -> Maingate:
        """Open Maingate on it in this process, whether it was there before or not."""
        return Maingate.open(self.repo.path)

    def rows(self, sql: str) -> list[tuple[Any, ...]]:
        """Ask the database, which costs a hundredth of opening Maingate on it."""
        with closing(
            sqlite3.connect(f"{self._database.as_uri()}?mode=rw", uri=True, timeout=PATIENCE)
        ) as conn:
            return conn.execute(sql).fetchall()

    def report(self) -> dict[str, Any]:
        """Read the newest run's report."""
        with self.open() as maingate:
            return maingate.report()

    def processes(self) -> list[int]:
        """List the workers and gates that are running here."""
        return processes_of(self.folder)

    @property
    def _database(self) -> Path:
        return self.repo.path / ".git" / "maingate" / "maingate.db"

    def _count(self, table: str, condition: str) -> int:
        if not self._database.exists() or not self.rows(
            f"SELECT 1 FROM sqlite_master WHERE name = '{table}'"
        ):
            return 0
        return int(self.rows(f"SELECT count(*) FROM {table} WHERE {condition}")[0][0])


def wait_until(holds: Callable[[], object], what: str) -> None:
    """Wait for something that another process does; a look that costs much is not taken as often."""
    deadline = time.monotonic() + PATIENCE
    began = time.thread_time()
    while not holds():
        if time.monotonic() > deadline:
            raise AssertionError(f"never came: {what}")
        time.sleep(max(0.005, 3 * (time.thread_time() - began)))
        began = time.thread_time()


def wait_for(command: Command, holds: Callable[[], object]) -> None:
    """Wait for something that a command does before it ends."""

    def does() -> object:
        assert command.is_running, command.said
        return holds()

    wait_until(does, "what a command does")


def tidy(world: World) -> None:
    """Do what the next start does first: after a kill past the end of a run there is nothing to resume."""
    with world.open() as maingate:
        maingate.rescue.clear_up()


# -- what must be true ---------------------------------------------------------------------------------------


@dataclass(frozen=True, kw_only=True)
class End:
    """All that a finished run has left, without what tells one run from another: identifiers and times."""

    report: Mapping[str, Any]
    history: tuple[str, ...]
    files: Mapping[str, str]
    code: int


def end_of(world: World, code: int) -> End:
    """Describe how a run has ended, having checked that nothing is left half done."""
    check_nothing_is_left(world)
    check_the_record(world)
    check_the_checkout(world)
    return End(
        report=anonymous({key: value for key, value in world.report().items() if key not in _TIMING}),
        history=history(world.repo),
        files=dict(line.split("\t")[::-1] for line in world.repo.git("ls-tree", "-r", "main").splitlines()),
        code=code,
    )


def check_nothing_is_left(world: World) -> None:
    """No process, no lock, no row that waits for somebody."""
    wait_until(lambda: not world.processes(), "the end of all processes")
    git_dir = world.repo.path / ".git"
    own = git_dir / "maingate"  # the locks of slots stay; they are held or not
    assert [str(path) for path in git_dir.rglob("*.lock") if own not in path.parents] == []
    with world.open() as maingate, maingate.database.read() as conn:
        left = {
            table: conn.exec_driver_sql(f"SELECT * FROM {table} WHERE {condition}").mappings().all()
            for table, condition in _LEFT_OPEN.items()
        }
        row = runs.newest(conn)
        keys = [] if row is None else [key_of(row.repository_id, row.target_ref), run_key(row.id)]
        held = [leases.of_key(conn, key) for key in keys]
        assert not [lease for lease in held if lease and is_held(lease, maingate.context.clock.now())]
    assert [f"{table}: {dict(row)}" for table, rows in left.items() for row in rows] == []


def check_the_record(world: World) -> None:
    """The record is whole, and every row of the ledger is in the file, once and in order."""
    with world.open() as maingate:
        assert verify(maingate.database, log=maingate.paths.transitions).findings == ()
        lines = maingate.paths.transitions.read_bytes().splitlines()
    ledger = " UNION ALL ".join(
        f"SELECT seq, event_id FROM {table}" for table in ("state_transitions", "events", "facts")
    )
    rows = world.rows(f"SELECT event_id FROM ({ledger}) ledger ORDER BY seq")
    assert [json.loads(line)["event_id"] for line in lines] == [row[0] for row in rows]


def check_the_checkout(world: World) -> None:
    """The person's checkout is clean and at the target; the repository is sound."""
    assert world.repo.git("symbolic-ref", "HEAD") == "refs/heads/main"
    assert world.repo.git("status", "--porcelain") == ""
    world.repo.git("fsck", "--strict", "--no-dangling")


def check_each_landed_once(world: World) -> None:
    """Of every workstream that completed with patches, exactly one landing is on the target."""
    landed = [ws["id"] for ws in world.report()["workstreams"] if ws["landed"] is not None]
    assert sorted(landings(world.repo)) == sorted(landed)


def landings(repo: GitRepo) -> list[str]:
    """List the workstreams that landed, by their trailers, oldest first; not for the style rebase."""
    said = repo.git(
        "log", "--first-parent", "--reverse", "--format=%(trailers:key=Maingate-Workstream,valueonly)", "main"
    )
    return said.split()


def history(repo: GitRepo, ref: str = "main") -> tuple[str, ...]:
    """Describe every commit of a branch, parents before children: tree, message, author, whose child."""
    said = repo.git("log", "--topo-order", "--reverse", "--format=%H%x00%P%x00%T%x00%an%x00%B%x01", ref)
    digests: dict[str, str] = {}
    lines = []
    for entry in said.split("\x01"):
        if entry.strip():
            commit, parents, tree, author, message = entry.strip("\n").split("\0")
            above = " ".join(digests[parent] for parent in parents.split())
            told = _ID.sub("<id>", _ANCHOR.sub("", message).strip())
            lines.append(f"{tree} {author} [{above}] {told}")
            digests[commit] = sha256(lines[-1].encode()).hexdigest()[:8]
    return tuple(sorted(lines))


def anonymous(value: Any) -> Any:
    """Take identifiers and commits out of a report; that there is one stays."""
    if isinstance(value, Mapping):
        return {key: anonymous(inner) for key, inner in value.items()}
    if isinstance(value, list):
        return [anonymous(inner) for inner in value]
    return _COMMIT.sub("<commit>", _ID.sub("<id>", value)) if isinstance(value, str) else value


def kill_all(commands: Iterable[Command]) -> None:
    """End what is still running of a test."""
    for command in commands:
        with contextlib.suppress(ProcessLookupError):
            os.kill(command.pid, signal.SIGKILL)
        command.process.join()
