"""Commands that are told what came of a rollback or a run: they have their time, and leave nothing behind."""

import ctypes
import os
import signal
import sys
from functools import partial
from pathlib import Path

import pytest

from maingate.services.notifications import notify_commands
from maingate.services.notifications.notify_commands import Message, notify
from maingate.system.process_table import started
from maingate.uet.process.command import CommandSpec
from support.pools import processes_of

MESSAGE = Message(event="run_ended", run_id="run_1", state="failed", message='it\'s "out"; $(touch x)\0')
_PR_GET_CHILD_SUBREAPER = 37
ENVIRONMENT = {"PATH": os.environ["PATH"]}


def test_what_a_message_says_is_a_value_and_never_run(tmp_path: Path) -> None:
    """Whatever is in it; there is nothing else in the environment than what is allowed."""
    command = 'printf "%s" "$MAINGATE_MESSAGE" > said; env > env'
    assert notify([command], MESSAGE, root=tmp_path, environment=ENVIRONMENT) == []
    assert (tmp_path / "said").read_text() == 'it\'s "out"; $(touch x)'
    assert not (tmp_path / "x").exists()
    seen = {line.partition("=")[0] for line in (tmp_path / "env").read_text().splitlines()}
    assert {name for name in seen if name.startswith("MAINGATE_")} == {
        "MAINGATE_EVENT",
        "MAINGATE_RUN",
        "MAINGATE_STATE",
        "MAINGATE_MESSAGE",
        "MAINGATE_GATE",
    }


@pytest.mark.parametrize("end", ["sleep 600", "exit 0"])
def test_nothing_that_a_command_started_is_left(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, end: str
) -> None:
    """Neither when its time is up nor when it ends well: not what left its session, nor what ignores TERM."""
    monkeypatch.setattr(notify_commands, "CommandSpec", partial(CommandSpec, grace=0.3))
    stubborn = "trap '' TERM; echo $$ > pid; while :; do sleep 0.1; done"
    command = f'setsid env -i sh -c "{stubborn}" & while [ ! -s pid ]; do sleep 0.01; done; {end}'
    command = command.replace("$$", "\\$\\$")
    timeout = 30 if end == "exit 0" else 2
    said = notify([command], MESSAGE, root=tmp_path, environment=ENVIRONMENT, timeout=timeout)
    assert said == ([] if end == "exit 0" else ["notify 1 did not end within 2 s and was ended"])
    assert started(int((tmp_path / "pid").read_text())) == ""
    assert processes_of(tmp_path) == []


def test_each_is_run_whatever_came_of_those_before(tmp_path: Path) -> None:
    """One that cannot be started is a failure like any other."""
    commands: list[str | tuple[str, ...]] = [("no-such-program",), "echo one >&2; exit 1", ("touch", "three")]
    said = notify(commands, MESSAGE, root=tmp_path, environment=ENVIRONMENT)
    assert [each.partition(" ")[0] for each in said] == ["notify", "notify"]
    assert "no-such-program was not found" in said[0]
    assert said[1] == "notify 2 exited with 1: one"
    assert (tmp_path / "three").exists()


def test_a_person_may_interrupt_it(tmp_path: Path) -> None:
    """The one that runs is ended, and none follows; it is no error of the command line's."""
    interrupt = f"kill -{signal.SIGINT.value} {os.getpid()}; sleep 600"
    said = notify([interrupt, "touch second"], MESSAGE, root=tmp_path, environment=ENVIRONMENT)
    assert said == ["notify 1 was interrupted"]
    assert not (tmp_path / "second").exists()
    assert processes_of(tmp_path) == []


@pytest.mark.skipif(not sys.platform.startswith("linux"), reason="there is no reaper of orphans elsewhere")
def test_this_process_is_as_it_was(tmp_path: Path) -> None:
    """Orphans of later children are not this process's any more."""
    notify(["true"], MESSAGE, root=tmp_path, environment=ENVIRONMENT)
    is_reaper = ctypes.c_int(-1)
    assert ctypes.CDLL(None).prctl(_PR_GET_CHILD_SUBREAPER, ctypes.byref(is_reaper), 0, 0, 0) == 0
    assert is_reaper.value == 0
