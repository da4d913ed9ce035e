"""How Maingate was started decides nothing for a gate, and a signal to its group is one drain."""

import os
import signal
import subprocess
import sys
from pathlib import Path

import pytest

from factories import GitRepo
from landing import one_each, write_plan


def ignoring(*numbers: signal.Signals) -> None:
    """Begin as `nohup` and a shell's ``&`` let a program begin."""
    for number in numbers:
        signal.signal(number, signal.SIG_IGN)
    signal.pthread_sigmask(signal.SIG_BLOCK, {signal.SIGUSR1})


@pytest.mark.parametrize("ignored", [(), (signal.SIGINT, signal.SIGHUP, signal.SIGQUIT)])
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
