"""`run` and `status --watch` on a real terminal (a pty) and in a pipe, with real runs."""

import fcntl
import os
import select
import signal
import struct
import subprocess
import sys
import termios
import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
from rich.console import Console

from maingate.cli.views.activity import PacedReader, surroundings_lines
from maingate.cli.views.progress_picture import picture, seconds_left
from maingate.errors import DatabaseError
from maingate.ids import RunId
from maingate.orchestrator.progress import Progress, WorkstreamProgress
from maingate.queries.runs.activity import SharedWait, Surroundings, WorkerJob
from maingate.state.run import RunState
from maingate.state.workstream import WorkstreamState
from support.command_line import PATIENCE, a_clean_environment, start_maingate
from support.crashing import wait_until
from support.factories import GitRepo
from support.forking import start_forked
from support.landing import one_each, write_plan

NOW = datetime(2026, 11, 29, 12, tzinfo=UTC)
SHOW_CURSOR, HIDE_CURSOR = b"\x1b[?25h", b"\x1b[?25l"


class Terminal:
    """A program on a terminal of its own.

    Args:
        words: Its arguments after ``maingate``.
        cwd: Its working directory.
        env: Its environment.
        size: Rows and columns.
    """

    def __init__(
        self, *words: str, cwd: Path, env: Mapping[str, str], size: tuple[int, int] = (30, 100)
    ) -> None:
        self._leader, follower = os.openpty()
        self.resize(*size)
        self.process = subprocess.Popen(
            [sys.executable, "-m", "maingate", *words],
            cwd=cwd,
            env={**env, "TERM": "xterm-256color"},
            stdin=follower,
            stdout=follower,
            stderr=follower,
            start_new_session=True,
        )
        os.close(follower)
        self.shown = b""

    def resize(self, rows: int, columns: int) -> None:
        """Change the size of the terminal."""
        fcntl.ioctl(self._leader, termios.TIOCSWINSZ, struct.pack("HHHH", rows, columns, 0, 0))

    def wait_for(self, text: bytes) -> None:
        """Read the screen until a text has come after what was read before."""
        place, deadline = len(self.shown), time.monotonic() + PATIENCE
        while text not in self.shown[place:]:
            assert time.monotonic() < deadline, self.shown
            assert self._read(), self.shown

    def end(self) -> int:
        """Read the screen until the program has ended, and return its exit code."""
        while self._read():
            pass
        os.close(self._leader)
        return self.process.wait(PATIENCE)

    def _read(self) -> bool:
        if not select.select([self._leader], [], [], PATIENCE)[0]:
            return False
        try:
            read = os.read(self._leader, 65536)
        except OSError:  # the last program has left the terminal
            return False
        self.shown += read
        return bool(read)


def a_waiting_plan(repo: GitRepo, folder: Path, *, streams: int = 3) -> Path:
    """Write a plan whose gate runs until the file `go` is in the folder."""
    repo.commit({"a.txt": "1\n"})
    patches = {f"w{number}": repo.diff_of({f"f{number}.txt": "1\n"}) for number in range(streams)}
    gate = f"touch {folder / 'begun'}; while ! test -e {folder / 'go'}; do read -t 0.05 <> <(:) || :; done"
    plan = {
        "repo": str(repo.path),
        "target": "main",
        "gates": {"slow": {"run": ["bash", "-c", gate]}},
        "workstreams": one_each(patches),
    }
    return write_plan(folder / "plan", plan, patches)


@contextmanager
def a_run_under_way(plan: Path, repo: GitRepo, env: Mapping[str, str]) -> Iterator[None]:
    """Run a waiting plan without a terminal, and check at the end that it ended well."""
    nowhere = Path(os.devnull)
    process = start_forked(("run", str(plan)), cwd=repo.path, environment=env, out=nowhere)
    try:
        wait_until((plan.parent.parent / "begun").exists, "the gate")
        yield
        process.join(PATIENCE)
        assert process.exitcode == 0
    finally:
        process.kill()


def test_a_run_shows_its_workers_and_waits_and_restores_the_terminal(
    repo: GitRepo, tmp_path: Path, hermetic_environment: Path
) -> None:
    """The picture has each worker's job with its time, and the queue; at the end the cursor is back."""
    plan = a_waiting_plan(repo, tmp_path)
    env = a_clean_environment(hermetic_environment)
    screen = Terminal("run", str(plan), "--workers", "1", cwd=repo.path, env=env)
    screen.wait_for("▸".encode())
    screen.wait_for(b"gate slow on w")
    screen.wait_for(b"is at place 1 of 3")
    (tmp_path / "go").touch()
    assert screen.end() == 0
    assert HIDE_CURSOR in screen.shown
    assert screen.shown.rindex(SHOW_CURSOR) > screen.shown.rindex(HIDE_CURSOR)
    assert b"workstream w0 landed" in screen.shown


def test_status_watch_follows_on_narrow_resized_terminals_and_ctrl_c_ends_only_the_watching(
    repo: GitRepo, tmp_path: Path, hermetic_environment: Path
) -> None:
    """NO_COLOR has no colours, a narrow terminal no wrapped lines; Ctrl-C restores the terminal."""
    plan = a_waiting_plan(repo, tmp_path)
    env = a_clean_environment(hermetic_environment)
    with a_run_under_way(plan, repo, env):
        quiet = {**env, "NO_COLOR": "1"}
        watching = Terminal("status", "--watch", cwd=repo.path, env=quiet, size=(12, 36))
        watching.wait_for("▸".encode())
        watching.resize(30, 120)
        watching.wait_for(b"gate slow on w")
        watching.process.send_signal(signal.SIGINT)
        assert watching.end() == 3
        (tmp_path / "go").touch()
    assert watching.shown.rindex(SHOW_CURSOR) > watching.shown.rindex(HIDE_CURSOR)
    assert b"\x1b[3" not in watching.shown


def test_watching_in_a_pipe_prints_a_line_for_each_transition(
    repo: GitRepo, tmp_path: Path, hermetic_environment: Path
) -> None:
    """Without a terminal there are plain lines, and the report once at the end."""
    plan = a_waiting_plan(repo, tmp_path)
    env = a_clean_environment(hermetic_environment)
    with a_run_under_way(plan, repo, env):
        watching = start_maingate("status", "--watch", cwd=repo.path, home=hermetic_environment)
        first = watching.stdout.readline()
        (tmp_path / "go").touch()
        lines = watching.communicate()[0].splitlines()
    assert first.startswith("run run_")
    assert "\x1b" not in first + "".join(lines)
    assert {f"workstream w{number} landed" for number in range(3)} <= set(lines)


def a_moment(*, ended: int, total: int, seconds: float = 60) -> Progress:
    """Arrange the progress of a run of one-task workstreams."""
    states = [WorkstreamState.COMPLETED] * ended + [WorkstreamState.EXECUTING] * (total - ended)
    return Progress(
        run_id=RunId("run_1"),
        name="a run with a rather long name",
        state=RunState.RUNNING,
        tasks_ended=ended,
        tasks_total=total,
        seconds=seconds,
        workstreams=tuple(
            WorkstreamProgress(name=f"w{n}", state=state, tasks_ended=0, tasks_total=1)
            for n, state in enumerate(states)
        ),
        gates=(),
    )


def a_wait(noun: str = "task", number: int = 7) -> SharedWait:
    """Arrange a wait for a worker."""
    return SharedWait(
        noun=noun,
        number=number,
        first="w1/a",
        thing="a free worker",
        until="a job ends",
        since=NOW - timedelta(seconds=90),
    )


def a_job(name: str = "unit", attempt: int = 1) -> WorkerJob:
    """Arrange a gate at work for five seconds."""
    return WorkerJob(
        worker="worker-1",
        kind="gate",
        name=name,
        of="w0/a",
        since=NOW - timedelta(seconds=5),
        attempt=attempt,
    )


def test_the_lines_say_who_works_on_what_and_what_waits_why() -> None:
    """Worker, job, subject, attempt and time; the number of those that wait alike, for what, until what."""
    around = Surroundings(jobs=[a_job(attempt=2)], waits=[a_wait(), a_wait(number=1)], retries=1)
    assert [line.plain for line in surroundings_lines(around, rows=9, now=NOW)] == [
        "  ▸ worker-1  gate unit on w0/a, attempt 2  5.0s",
        "  … 7 tasks wait for a free worker; until a job ends  1m30s",
        "  … w1/a waits for a free worker; until a job ends  1m30s",
    ]


def test_what_does_not_fit_is_counted_and_names_are_harmless() -> None:
    """Two hundred workers do not become two hundred lines, and a gate's name cannot move the cursor."""
    around = Surroundings(jobs=[a_job("a\x1b[2J")] * 200, waits=[a_wait()])
    shown = [line.plain for line in surroundings_lines(around, rows=20, now=NOW)]
    assert "    194 more at work" in shown
    assert "\x1b" not in "".join(shown)
    assert len(list(surroundings_lines(around, rows=3, now=NOW))) == 3


@pytest.mark.parametrize("width", [20, 36, 69, 70, 200])
@pytest.mark.parametrize("height", [8, 24, 60])
def test_the_picture_fits_each_terminal(width: int, height: int, capsys: pytest.CaptureFixture[str]) -> None:
    """No line is wider than the terminal, and the picture is not higher than it."""
    around = Surroundings(jobs=[a_job()] * 20, waits=[a_wait()] * 9, retries=3)
    out = Console(width=width, markup=False)
    out.print(picture(a_moment(ended=30, total=90), height=height, width=width, around=around))
    lines = capsys.readouterr().out.splitlines()
    assert len(lines) <= max(height, 7)
    assert max(map(len, lines)) <= width


def test_the_time_left_is_estimated_from_the_pace_once_it_is_known() -> None:
    """After a few tasks the rest is expected to take as long each; before and at the end nothing is said."""
    assert seconds_left(a_moment(ended=30, total=90)) == pytest.approx(120)
    assert seconds_left(a_moment(ended=2, total=90)) is None
    assert seconds_left(a_moment(ended=90, total=90)) is None


def test_reading_takes_a_bounded_share_of_the_time_and_survives_a_fault() -> None:
    """A reading that took a second is repeated after twenty; one that fails leaves the last one."""
    now, readings = [0.0], []

    def read() -> Surroundings:
        readings.append(now[0])
        now[0] += 1.0
        if len(readings) == 2:
            raise DatabaseError("gone")
        return Surroundings(retries=len(readings))

    reader = PacedReader(read, clock=lambda: now[0])
    seen = []
    for moment in (0.0, 5.0, 20.0, 21.5, 45.0):
        now[0] = moment
        seen.append(reader().retries)
    assert readings == [0.0, 21.5, 45.0]
    assert seen == [1, 1, 1, 1, 3]
