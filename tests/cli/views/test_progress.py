"""Watching a run: what becomes a line, what becomes a picture, and that watching never disturbs."""

import io
import threading
from dataclasses import replace

import pytest
from rich.console import Console

from maingate.cli.views.progress import LineWatcher, LiveWatcher, is_worth_telling, watcher
from maingate.cli.views.progress_picture import picture
from maingate.cli.views.run_watcher import ThreadedWatcher
from maingate.ids import RunId
from maingate.orchestrator.progress import GateProgress, News, Progress, Subject, WorkstreamProgress
from maingate.queries.runs.activity import Surroundings
from maingate.reasons import Reason, ReasonCode
from maingate.state.run import RunState
from maingate.state.workstream import WorkstreamState
from support.crashing import PATIENCE


def a_workstream(
    name: str, state: WorkstreamState = WorkstreamState.EXECUTING, note: str = ""
) -> WorkstreamProgress:
    """Arrange a workstream that is half done."""
    return WorkstreamProgress(name=name, state=state, tasks_ended=1, tasks_total=2, note=note)


def a_moment(*workstreams: WorkstreamProgress, gates: tuple[GateProgress, ...] = ()) -> Progress:
    """Arrange where a run stands."""
    return Progress(
        run_id=RunId("run_1"),
        name="speed up",
        state=RunState.RUNNING,
        tasks_ended=3,
        tasks_total=8,
        seconds=64,
        workstreams=workstreams,
        gates=gates,
    )


def a_piece_of_news(entity: Subject, to: str, reason: Reason | None = None, name: str = "ws/a") -> News:
    """Arrange news of a change."""
    return News(entity=entity, name=name, state_from="x", state_to=to, trigger="t", reason=reason)


class StillView:
    """A run that stands still."""

    def __init__(self, moment: Progress) -> None:
        self.moment = moment

    def progress(self) -> Progress:
        """Return the moment it stands in."""
        return self.moment


class LeavingReader(io.StringIO):
    """A pipe whose reader has left."""

    def write(self, _: str) -> int:
        """Fail as the system does."""
        raise BrokenPipeError


def drawn(moment: Progress, **how: object) -> str:
    """Draw a picture without colours, 80 columns wide."""
    out = Console(file=io.StringIO(), width=80, markup=False)
    out.print(picture(moment, **how))  # type: ignore[arg-type]
    assert isinstance(out.file, io.StringIO)
    return out.file.getvalue()


def test_the_picture_has_a_bar_a_line_per_workstream_and_the_gates() -> None:
    """Overall progress, each workstream with what it waits for, each running gate with its time."""
    shown = drawn(
        a_moment(
            a_workstream("parser", WorkstreamState.VALIDATING, note="waiting to land"),
            a_workstream("docs", WorkstreamState.COMPLETED),
            gates=(GateProgress(name="unit", subject="parser/drop-regex", seconds=3.21),),
        ),
        notice="draining: one gate is still running",
    )
    lines = [" ".join(line.split()) for line in shown.splitlines()]
    assert lines[0].startswith("speed up")
    assert lines[0].endswith("3/8 tasks 1m04s")
    assert lines[1:] == [
        "◆ parser 1/2 validating waiting to land",
        "✔ docs 1/2 landed",
        "▸ gate unit parser/drop-regex 3.2s",
        "draining: one gate is still running",
    ]


def test_the_picture_of_a_big_run_shows_what_moves_and_counts_the_rest() -> None:
    """Two hundred workstreams do not become two hundred lines."""
    states = (
        WorkstreamState.COMPLETED,
        WorkstreamState.EXECUTING,
        WorkstreamState.BLOCKED,
        WorkstreamState.FAILED,
    )
    many = [a_workstream(f"w{n}", states[n % 4]) for n in range(200)]
    shown = drawn(a_moment(*many), height=24).splitlines()
    assert len(shown) <= 24 - 6
    assert all("executing" in line for line in shown[1:-1])
    assert " ".join(shown[-1].split()) == "others 50 landed, 50 blocked, 50 failed, 39 executing"


def test_the_picture_keeps_hostile_names_harmless() -> None:
    """Names from a plan cannot move the cursor or colour the screen."""
    shown = drawn(a_moment(a_workstream("a\x1b[2J[red]")))
    assert r"a\x1b[2J[red]" in shown
    assert "\x1b" not in shown


def test_lines_tell_ends_and_troubles_with_their_reasons(capsys: pytest.CaptureFixture[str]) -> None:
    """One line per piece of news that is more than a step on the way."""
    conflict = Reason(code=ReasonCode.CONFLICT, message="in \x1bfile")
    with watcher() as lines:
        assert isinstance(lines.inner, LineWatcher)
        lines.started(StillView(a_moment(a_workstream("ws"))))
        lines.happened(
            [
                a_piece_of_news("task", "queued"),
                a_piece_of_news("task", "completed"),
                a_piece_of_news("patch", "quarantined", conflict),
                a_piece_of_news("workstream", "completed", name="ws"),
            ]
        )
        lines.notice("draining")
    assert capsys.readouterr().out.splitlines() == [
        "run run_1: speed up, 8 tasks in 1 workstream",
        "task ws/a completed",
        r"patch ws/a quarantined: conflict: in \x1bfile",
        "workstream ws landed",
        "draining",
    ]


def test_a_workstream_that_is_passed_over_is_not_told_as_landed(capsys: pytest.CaptureFixture[str]) -> None:
    """Its reason is told once, with its patch, and it landed nothing all the same."""
    there = Reason(code=ReasonCode.ALREADY_APPLIED, message="ws would change nothing")
    with watcher() as lines:
        lines.happened(
            [
                a_piece_of_news("patch", "dropped", there),
                a_piece_of_news("workstream", "completed", there, name="ws"),
            ]
        )
    assert capsys.readouterr().out.splitlines() == [
        "patch ws/a dropped: already_applied: ws would change nothing",
        "workstream ws completed",
    ]


def test_the_place_in_the_queue_gets_a_line_when_it_is_another() -> None:
    """Not as time goes by; a run without a place gets none."""
    member = {"place": 2, "id": "ws_1", "name": "ws", "run_id": "run_1", "state": "testing"}
    queue = {
        "orders": [],
        "kept_waiting": [],
        "run_id": "run_1",
        "tests": [],
        "on_board": [{**member, "held_by": None, "tests": [], "expected_seconds": {"p50": 9.0, "p90": 12.0}}],
    }
    seen = [{**queue, "on_board": []}, queue, queue]
    out = io.StringIO()
    lines = LineWatcher(Console(file=out), lambda: Surroundings(queue=seen.pop(0)))
    lines.passed()
    assert len(seen) == 3, "nothing is looked at before the run has begun"
    lines.started(StillView(a_moment(a_workstream("ws"))))
    for _ in range(3):
        lines.passed()
    assert out.getvalue().splitlines()[1:] == ["ws is at place 2 of 1, testing, lands in 9.0s - 12.0s"]


@pytest.mark.parametrize(
    ("entity", "state", "is_told"),
    [
        ("task", "pending", False),
        ("task", "running", True),
        ("task", "failed", True),
        ("patch", "applied", False),
        ("patch", "committed", False),
        ("patch", "quarantined", True),
        ("workstream", "ready", False),
        ("workstream", "executing", True),
        ("run", "succeeded", True),
    ],
)
def test_only_what_a_person_wants_to_hear_is_told(entity: Subject, state: str, is_told: bool) -> None:
    """States that pass within moments are no line of their own."""
    assert is_worth_telling(a_piece_of_news(entity, state)) is is_told


def test_a_reader_who_leaves_does_not_disturb_the_run() -> None:
    """When the pipe is closed the view falls silent instead of raising into the run."""
    lines = LineWatcher(Console(file=LeavingReader()))
    lines.notice("one")
    lines.notice("two")


class StoppedScreen(io.StringIO):
    """A terminal whose output is stopped: it takes nothing until it is let go on."""

    def __init__(self) -> None:
        super().__init__()
        self.goes_on = threading.Event()

    def write(self, text: str, /) -> int:
        """Wait, then write."""
        assert self.goes_on.wait(PATIENCE)
        return super().write(text)


def test_a_screen_that_takes_nothing_holds_up_nothing_and_misses_nothing() -> None:
    """A stopped terminal, or a reader that sleeps: the run goes on, and all is shown later, in order."""
    screen = StoppedScreen()
    with ThreadedWatcher(LineWatcher(Console(file=screen))) as view:
        view.started(StillView(a_moment(a_workstream("ws"))))
        view.happened([a_piece_of_news("task", "running")])
        view.notice("draining")
        assert screen.getvalue() == "", "and yet the run is here"
        screen.goes_on.set()
    assert screen.getvalue().splitlines() == [
        "run run_1: speed up, 8 tasks in 1 workstream",
        "task ws/a running",
        "draining",
    ]


def test_a_failure_of_the_view_is_raised_after_the_run() -> None:
    """It stops no run, and is not swallowed."""
    ended = []

    def run() -> None:
        with ThreadedWatcher(LineWatcher(Console(file=io.StringIO()))) as view:
            view.started(BrokenView())
            view.notice("and the run goes on")
            ended.append(True)

    with pytest.raises(ZeroDivisionError):
        run()
    assert ended


class BrokenView:
    """A view of a run that fails when it is looked at."""

    def progress(self) -> Progress:
        """Fail."""
        raise ZeroDivisionError


def test_the_live_picture_lets_what_ended_scroll_by() -> None:
    """On a terminal, landed and failed workstreams stay as lines above the picture."""
    screen = io.StringIO()
    live = LiveWatcher(
        Console(file=screen, force_terminal=True, width=60, height=30, markup=False, color_system=None)
    )
    moment = a_moment(a_workstream("ws"))
    long = Reason(code=ReasonCode.GATE_FAILED, message="x" * 100)
    with live:
        live.started(StillView(moment))
        live.happened(
            [a_piece_of_news("workstream", "failed", long, name="ws"), a_piece_of_news("task", "failed")]
        )
        live.notice("draining")
    shown = screen.getvalue()
    assert "✘ workstream ws failed: gate_failed: xxx" in shown
    assert "task" not in shown.replace("tasks", "")
    assert replace(moment, name="speed up").name in shown


def test_a_live_view_that_was_never_started_ends_quietly() -> None:
    """A run refused before it began leaves nothing on the screen."""
    screen = io.StringIO()
    with LiveWatcher(Console(file=screen, force_terminal=True)):
        pass
    assert screen.getvalue() == ""
