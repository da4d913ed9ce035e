"""How Maingate was started decides nothing for a gate, and a signal to its group is one drain."""

import os
import signal
import subprocess
import sys
from pathlib import Path

import pytest

from support.crashing import wait_until
from support.examples import thorough
from support.factories import GitRepo
from support.landing import one_each, write_plan


def ignoring(*numbers: signal.Signals) -> None:
    """Begin as `nohup` and a shell's ``&`` let a program begin."""
    for number in numbers:
        signal.signal(number, signal.SIG_IGN)
    signal.pthread_sigmask(signal.SIG_BLOCK, {signal.SIGUSR1})


@pytest.mark.parametrize("ignored", [(signal.SIGINT, signal.SIGHUP, signal.SIGQUIT), thorough(())])
def test_gates_begin_with_every_signal_as_the_system_has_it(
    repo: GitRepo, tmp_path: Path, ignored: tuple[signal.Signals, ...]
) -> None:
    """A gate that tests how a program is interrupted says the same under `nohup` and in a terminal."""
    repo.commit({"a.txt": "1\n"})
    seen = tmp_path / "seen"
    plan = {
        "repo": str(repo.path),
        "gates": {"look": {"run": f"grep -E '^Sig(Ign|Blk)' /proc/self/status > {seen}"}},
        "workstreams": one_each({"p": b""}),
    }
    file = write_plan(tmp_path / "plan", plan, {"p": repo.diff_of({"a.txt": "2\n"})})
    done = subprocess.run(
        [sys.executable, "-m", "maingate", "run", str(file)],
        cwd=repo.path,
        env=dict(os.environ),
        preexec_fn=lambda: ignoring(*ignored),
        capture_output=True,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    masks = dict(line.split(":\t") for line in seen.read_text().splitlines())
    assert int(masks["SigIgn"], 16) == 0
    assert int(masks["SigBlk"], 16) == 0
    assert repo.git("status", "--porcelain") == ""


@pytest.mark.parametrize(
    ("sent", "code"),
    [
        pytest.param(signal.SIGINT, 0, id="INT"),
        pytest.param(signal.SIGTERM, 3, id="TERM"),
        thorough(signal.SIGHUP, 0, id="HUP"),
    ],
)
def test_a_signal_of_the_terminal_that_was_to_be_ignored_stops_nothing(
    repo: GitRepo, tmp_path: Path, sent: signal.Signals, code: int
) -> None:
    """`trap '' INT` and `nohup` are heeded; SIGTERM is meant for the very process and stops it."""
    repo.commit({"a.txt": "1\n"})
    started, go = tmp_path / "started", tmp_path / "go"
    gate = f"touch {started}; until test -e {go}; do sleep 0.05; done"
    plan = {"repo": str(repo.path), "gates": {"wait": {"run": gate}}, "workstreams": one_each({"p": b""})}
    file = write_plan(tmp_path / "plan", plan, {"p": repo.diff_of({"a.txt": "2\n"})})
    with subprocess.Popen(
        [sys.executable, "-m", "maingate", "run", str(file)],
        cwd=repo.path,
        preexec_fn=lambda: ignoring(sent),  # noqa: PLW1509 - no thread of the tests holds anything
        stdout=subprocess.DEVNULL,
        stderr=subprocess.PIPE,
    ) as run:
        wait_until(started.exists, "the gate")
        run.send_signal(sent)
        go.touch()
        _, said = run.communicate()
    assert run.returncode == code, said
    assert (b"was interrupted" in said) == (code != 0)
