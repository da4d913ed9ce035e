"""A process tree ends as a whole, however its members try to get away."""

import os
import signal
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from maingate.system.process_table import descendants, process_table, started
from maingate.system.process_tree import ProcessTree, adopt_orphans, bystanders
from maingate.workers.local.stray_processes import end_strays

pytestmark = pytest.mark.skipif(not sys.platform.startswith("linux"), reason="needs PR_SET_CHILD_SUBREAPER")


@pytest.fixture(autouse=True)
def _orphans_come_to_us() -> Iterator[None]:
    adopt_orphans()
    yield
    adopt_orphans(on=False)


def start(script: str, **variables: str) -> "subprocess.Popen[bytes]":
    """Start a shell script as a gate is started."""
    return subprocess.Popen(
        ["/bin/sh", "-c", script],
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        start_new_session=True,
        env={**os.environ, **variables},
    )


def pids_said(process: "subprocess.Popen[bytes]", count: int) -> list[int]:
    """Read process ids that a script prints, one per line."""
    assert process.stdout is not None
    return [int(process.stdout.readline()) for _ in range(count)]


def is_alive(pid: int) -> bool:
    """Return whether a process runs."""
    return any(info.pid == pid and not info.is_zombie for info in process_table())


def close(process: "subprocess.Popen[bytes]") -> None:
    """Reap a process and close its pipe."""
    process.wait()
    assert process.stdout is not None
    process.stdout.close()


DETACHED = {
    "background": "sleep 300 & echo $!",
    "nohup": "nohup sleep 300 >/dev/null 2>&1 & echo $!",
    "own session": "setsid sh -c 'echo $$; exec sleep 300' &",
    "double fork": "(setsid sh -c '(echo $$; exec sleep 300) & ' &) &",
    "deaf to TERM": "sh -c 'trap \"\" TERM; echo $$; while :; do sleep 1; done' &",
    "empty environment": "env -i setsid sh -c 'echo $$; exec sleep 300' &",
}


@pytest.mark.parametrize("script", DETACHED.values(), ids=DETACHED)
def test_what_a_leader_leaves_is_ended(script: str) -> None:
    """Every process that a gate leaves, detached in any way, is found, ended and counted."""
    before = bystanders()
    process = start(f"{script}\nwait_for_nothing=1")
    pids = pids_said(process, 1)
    process.wait()

    ended = ProcessTree(leader=process.pid, bystanders=before).end_leftovers(grace=0.3)

    assert ended >= 1
    assert not [pid for pid in pids if is_alive(pid)]
    assert bystanders() == before
    close(process)


def test_nothing_left_is_nothing_ended() -> None:
    """A gate that ends with all its children costs no search and counts nothing."""
    before = bystanders()
    process = start("true")
    close(process)

    assert ProcessTree(leader=process.pid, bystanders=before).end_leftovers(grace=1.0) == 0


def test_other_children_are_left_alone() -> None:
    """Children that this process had before are not the gate's and survive."""
    other = start("echo $$; exec sleep 300")
    pids_said(other, 1)
    before = bystanders()
    process = start("sleep 300 & echo $!")
    pids_said(process, 1)
    process.wait()

    ProcessTree(leader=process.pid, bystanders=before).end_leftovers(grace=0.3)

    assert other.poll() is None
    other.kill()
    close(other)
    close(process)


def test_processes_of_other_threads_are_left_alone() -> None:
    """With a mark, a child that comes meanwhile without it is neither killed nor reaped."""
    process = start("setsid sh -c 'echo $$; exec sleep 300' &", MARK="one")
    (pid,) = pids_said(process, 1)
    process.wait()
    other, ended_other = start("echo $$; exec sleep 300"), start("exit 7")
    pids_said(other, 1)
    os.waitid(os.P_PID, ended_other.pid, os.WEXITED | os.WNOWAIT)

    ended = ProcessTree(leader=process.pid, bystanders=frozenset(), mark=b"MARK=one").end_leftovers(grace=0.3)

    assert (ended, is_alive(pid), other.poll(), ended_other.wait()) == (1, False, None, 7)
    other.kill()
    close(other)
    close(ended_other)
    close(process)


def test_processes_that_fork_on_are_caught() -> None:
    """A tree that keeps making processes is stopped before it is killed, so none gets away."""
    before = bystanders()
    process = start("(while :; do sleep 30 & echo $!; done) &")
    pids_said(process, 3)
    process.wait()

    ended = ProcessTree(leader=process.pid, bystanders=before).end_leftovers(grace=-1.0)

    assert ended > 1
    assert bystanders() == before
    close(process)


def test_strays_of_a_slot_are_found_by_their_environment(tmp_path: Path) -> None:
    """Processes of a killed worker's gate are found by their slot, in any session; others are not."""
    mine = start(
        "setsid sh -c 'echo $$; exec sleep 300' & echo $$; exec sleep 300", MAINGATE_SLOT=str(tmp_path)
    )
    other = start("echo $$; exec sleep 300", MAINGATE_SLOT=str(tmp_path) + "1")
    pids = pids_said(mine, 2)
    pids_said(other, 1)

    assert end_strays(str(tmp_path)) == 2

    assert not [pid for pid in pids if is_alive(pid)]
    assert other.poll() is None
    other.kill()
    for pid in pids:
        if pid != mine.pid:
            os.waitpid(pid, 0)
    close(mine)
    close(other)


def test_a_process_is_known_by_its_number_and_its_start() -> None:
    """The same process has the same identity, another has another, a zombie has none."""
    process = start("echo $$; exec sleep 300")
    pids_said(process, 1)
    identity = started(process.pid)

    assert identity == started(process.pid) != started(os.getpid())
    assert identity
    process.kill()
    os.waitid(os.P_PID, process.pid, os.WEXITED | os.WNOWAIT)
    assert started(process.pid) == ""
    close(process)
    assert started(process.pid) == ""


def test_descendants_are_all_generations() -> None:
    """Children of children belong to the tree, this process and strangers do not."""
    before = bystanders()
    process = start("sh -c 'sleep 300 & echo $!; wait' & echo $!; wait")
    pids = pids_said(process, 2)

    found = {info.pid for info in descendants(os.getpid())}

    assert {process.pid, *pids} <= found
    assert not {1, os.getpid()} & found
    ProcessTree(leader=process.pid, bystanders=before).send(signal.SIGKILL)
    process.wait()
    ProcessTree(leader=process.pid, bystanders=before).end_leftovers(grace=-1.0)
    close(process)
