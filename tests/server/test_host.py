"""A host runs the runs of several repositories at once, and several on each target."""

import errno
import os
import signal
import subprocess
from datetime import timedelta
from pathlib import Path

import pytest

from maingate.errors import OutsideFaultError, ServerBusyError, UsageError
from maingate.monitoring.hooks import Hooks
from maingate.plan.loader import load_plan
from maingate.server import hosted_run, process_start, run_starts
from maingate.server.host import RunHost
from maingate.server.process_start import start
from maingate.server.served_repositories import Phase, Site
from maingate.services.handover.run_queue import NO_OPTIONS
from maingate.services.runs.run_watch import RunWatch, StandingCode
from support.crashing import wait_until
from support.serving import PATIENCE, TWO_STREAMS, Yard, hosting, report, waiting_for


@pytest.fixture
def yards(tmp_path: Path) -> tuple[Yard, Yard]:
    """Give two repositories, the first with a second branch."""
    return Yard.create(tmp_path / "one", "other"), Yard.create(tmp_path / "two")


def test_targets_go_on_beside_each_other_and_a_faulty_run_stops_no_other(
    yards: tuple[Yard, Yard], tmp_path: Path
) -> None:
    """Three targets in two repositories have a run each; a fourth run cannot even begin."""
    one, two = yards
    faulty = two.plan("bad", gates={"unit": {"run": "true", "versions": ["exit 7"]}})
    with hosting(one.repo.path, two.repo.path) as hosted:
        bad = hosted.submit("repo-2", faulty)
        first = hosted.submit("repo", one.plan("a", gate=waiting_for(tmp_path / "go")))
        second = hosted.submit("repo", one.plan("b", gate=waiting_for(tmp_path / "go-too"), target="other"))
        wait_until(lambda: len(list(tmp_path.glob("go*.begun"))) == 2, "two gates at once")
        assert {(run.repository, run.id) for run in hosted.host.hosted()} >= {
            ("repo", first),
            ("repo", second),
        }
        wait_until(lambda: report(two.repo.path, bad)["stopped"], "the fault of the bad run")
        third = hosted.submit("repo-2", two.plan("c"))
        assert hosted.until_ended("repo-2", third) == "succeeded"
        assert hosted.site.phase is Phase.READY
        (tmp_path / "go").touch()
        (tmp_path / "go-too").touch()
        assert hosted.until_ended("repo", first) == hosted.until_ended("repo", second) == "succeeded"
        wait_until(
            lambda: "exit 7" in str(report(two.repo.path, bad)["stopped"]), "its fault, tried again or not"
        )
    assert (one.names_on("main"), one.names_on("other"), two.names_on("main")) == ({"a"}, {"b"}, {"c"})


def test_runs_on_one_target_are_at_work_at_once_and_land_together(
    yards: tuple[Yard, Yard], tmp_path: Path
) -> None:
    """Each has a process of its own; one that may not begin yet begins when one of them has ended."""
    yard, go = yards[0], tmp_path / "go"
    yard.set_runs_per_target(3)
    with hosting(yard.repo.path) as hosted:
        runs = [hosted.submit("repo", yard.plan(name, gate=waiting_for(go))) for name in "abcd"]
        wait_until(lambda: len(hosted.host.hosted()) == 3, "three processes")
        wait_until(lambda: Path(f"{go}.begun").exists(), "a gate")
        assert {run.id for run in hosted.host.hosted()} == set(runs[:3])
        assert len({run.pid for run in hosted.host.hosted()}) == 3
        standing = RunWatch(hosted.site["repo"].context, runs[3]).look().standing
        assert standing.code is StandingCode.BLOCKED
        assert standing.message.endswith("and `runs_per_target` permits 3 at once")
        go.touch()
        assert [hosted.until_ended("repo", each) for each in runs] == ["succeeded"] * 4
    assert yard.names_on("main") == set("abcd")


def test_one_that_waits_for_its_turn_is_cancelled_at_once(yards: tuple[Yard, Yard], tmp_path: Path) -> None:
    """The process that does so is not counted; that of the run ahead goes on."""
    yard, go = yards[0], tmp_path / "go"
    yard.set_runs_per_target(1)
    with hosting(yard.repo.path) as hosted:
        first, behind = [hosted.submit("repo", yard.plan(name, gate=waiting_for(go))) for name in "ab"]
        wait_until(lambda: Path(f"{go}.begun").exists(), "the gate")
        hosted.site["repo"].operator.cancel(behind, message="no", operator="ada")
        assert hosted.until_ended("repo", behind) == "canceled"
        assert [run.id for run in hosted.host.hosted() if run.id == first] == [first]
        go.touch()
        assert hosted.until_ended("repo", first) == "succeeded"
    assert yard.names_on("main") == {"a"}


def test_with_one_run_at_a_time_they_follow_each_other_oldest_first(
    yards: tuple[Yard, Yard], tmp_path: Path
) -> None:
    """Each begins on what the one before it has landed."""
    yards[0].set_runs_per_target(1)
    yard, order = yards[0], tmp_path / "order"
    plans = [yard.plan(name, gate=f"ls *.txt | tr '\\n' ' ' >> {order}; echo >> {order}") for name in "bac"]
    with hosting(yard.repo.path) as hosted:
        runs = [hosted.submit("repo", plan) for plan in plans]
        assert [hosted.until_ended("repo", each) for each in runs] == ["succeeded"] * 3
        targets = [report(yard.repo.path, each)["target"] for each in runs]
    assert [each["old"] for each in targets[1:]] == [each["new"] for each in targets[:-1]]
    assert list(dict.fromkeys(order.read_text().splitlines())) == [
        "b.txt base.txt ",
        "a.txt b.txt base.txt ",
        "a.txt b.txt base.txt c.txt ",
    ]


def test_a_server_that_ends_waits_for_gates_and_the_next_one_goes_on(
    yards: tuple[Yard, Yard], tmp_path: Path
) -> None:
    """The gate that runs is not lost; the run says how it goes on, and the run behind it is taken up too."""
    yard, go = yards[0], tmp_path / "go"
    yard.set_runs_per_target(1)
    with hosting(yard.repo.path, drain_time=timedelta(seconds=PATIENCE)) as hosted:
        first = hosted.submit("repo", yard.plan("a", gate=waiting_for(go), workstreams=TWO_STREAMS))
        behind = hosted.submit("repo", yard.plan("b"))
        wait_until(lambda: Path(f"{go}.begun").exists(), "the gate")
        hosted.host.drain()
        wait_until(lambda: hosted.site.phase is Phase.DRAINING, "the end to begin")
        assert hosted.site["repo"].admission.admit_for_server(load_plan(yard.plan("c"))) is None
        assert not hosted.host.join(0)
        go.touch()
    stopped = report(yard.repo.path, first)
    assert (stopped["state"], report(yard.repo.path, behind)["state"]) == ("running", "pending")
    assert f"maingate resume {first}" in stopped["stopped"]["message"]
    assert (stopped["gates"]["passed"], stopped["gates"]["failed"]) == (1, 0)
    with hosting(yard.repo.path) as hosted:
        assert [hosted.until_ended("repo", each) for each in (first, behind)] == ["succeeded"] * 2
    assert yard.names_on("main") == {"a", "b"}


def test_a_run_whose_process_is_killed_goes_on(
    yards: tuple[Yard, Yard], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The host finds the process dead, and starts another one: both as Maingate does, from the program."""
    yard, go = yards[0], tmp_path / "go"
    with hosting(yard.repo.path) as hosted:
        monkeypatch.setattr(process_start, "start", start)
        run = hosted.submit("repo", yard.plan("a", gate=waiting_for(go)))
        wait_until(lambda: Path(f"{go}.begun").exists(), "the gate")
        (before,) = hosted.host.hosted()
        os.kill(before.pid, signal.SIGKILL)
        go.touch()
        assert hosted.until_ended("repo", run) == "succeeded"
    assert yard.names_on("main") == {"a"}


def test_a_run_that_was_stopped_waits_until_it_is_resumed(yards: tuple[Yard, Yard], tmp_path: Path) -> None:
    """Another run of its target goes on meanwhile; a part of it can be cancelled without its going on."""
    yard, go = yards[0], tmp_path / "go"
    with hosting(yard.repo.path) as hosted:
        operator, queue = hosted.site["repo"].operator, hosted.site["repo"].queue
        run = hosted.submit("repo", yard.plan("a", gate=waiting_for(go), workstreams=TWO_STREAMS))
        wait_until(lambda: Path(f"{go}.begun").exists(), "the gate")
        assert hosted.host.interrupt(run)
        go.touch()
        wait_until(lambda: report(yard.repo.path, run)["stopped"], "the stop")
        other = hosted.submit("repo", yard.plan("b"))
        assert hosted.until_ended("repo", other) == "succeeded"
        assert not hosted.host.interrupt(run)
        stopped = report(yard.repo.path, run)
        assert (stopped["alive"], stopped["stopped"] is None) == (False, False)
        task = stopped["tasks"][1]
        operator.cancel(task["id"], message="no", operator="ada")
        wait_until(lambda: not hosted.host.hosted(), "the process that answered")
        stopped = report(yard.repo.path, run)
        assert (stopped["tasks"][1]["state"], stopped["stopped"] is None) == ("cancelled", False)
        assert queue.hand_over(run, NO_OPTIONS) is not None
        hosted.site.wake()
        assert hosted.until_ended("repo", run) == "failed"


def test_a_second_server_refuses_or_stands_by(yards: tuple[Yard, Yard]) -> None:
    """It names the first one, and takes over when that has ended. Each sweeps when it takes over."""
    yard = yards[0]

    def an_orphan_upload() -> Path:
        orphan = yard.repo.path / ".git" / "maingate" / "uploads" / "01M83MW5AJYSB94XESG8MA29TK"
        orphan.mkdir(parents=True)
        os.utime(orphan, (0, 0))
        return orphan

    orphan = an_orphan_upload()
    with hosting(yard.repo.path) as hosted, Site.open([yard.repo.path]) as site:
        with pytest.raises(ServerBusyError, match=rf"repo is served by .*process {os.getpid()}\).*--standby"):
            RunHost(site).start()
        standby = RunHost(site, workers=1)
        standby.start(is_standby=True)
        wait_until(lambda: site.phase is Phase.STARTING, "a look")
        assert not orphan.exists()
        an_orphan_upload()
        run = hosted.submit("repo", yard.plan("a"))
        assert hosted.until_ended("repo", run) == "succeeded"
        hosted.host.drain()
        wait_until(lambda: site.phase is Phase.READY, "the second to take over")
        assert not orphan.exists()
        standby.drain()
        assert standby.join(PATIENCE)


def test_a_repository_of_another_server_holds_up_no_other(yards: tuple[Yard, Yard]) -> None:
    """The rest is served; it is taken as soon as the other server has ended. None at all is a refusal."""
    one, two = yards
    paths = [one.repo.path, two.repo.path]
    with hosting(one.repo.path) as first, hosting(*paths) as second:
        wait_until(lambda: second.site.phase is Phase.READY, "the second server")
        [busy] = second.site.unserved()
        assert (busy.name, busy.is_open) == ("repo", True)
        assert f"process {os.getpid()}" in str(busy.error)
        with Site.open([*paths, one.folder / "gone"]) as third:
            refusing = RunHost(third)
            with pytest.raises(UsageError, match=r"(?s)none of the.*gone does not.*process \d.*process \d"):
                refusing.start()
        first.host.drain()
        wait_until(lambda: not second.site.unserved(), "the second server to take over")


def test_a_server_ends_although_its_state_folder_is_gone(yards: tuple[Yard, Yard]) -> None:
    """A place that cannot be left holds up neither the end nor the other repositories."""
    one, two = yards
    state, away = one.repo.path / ".git/maingate", one.folder / "away"
    with hosting(one.repo.path, two.repo.path) as hosted:
        wait_until(lambda: hosted.site.phase is Phase.READY, "the host")
        state.rename(away)
        state.touch()  # a file in the way of the folder: nothing below it can be removed
    assert "server.bell" not in {path.name for path in (two.repo.path / ".git/maingate").iterdir()}


def test_a_repository_that_can_be_taken_in_part_only_is_not_taken(
    yards: tuple[Yard, Yard], monkeypatch: pytest.MonkeyPatch
) -> None:
    """The next look takes the whole of it, with the followers of its ledger."""
    yard, begun = yards[0], list[bool]()

    def fail_once(*_: object) -> Hooks:
        begun.append(True)
        if len(begun) == 1:
            raise OutsideFaultError("no")
        return Hooks([], warn=print)

    monkeypatch.setattr(run_starts, "server_hooks", fail_once)
    with Site.open([yard.repo.path]) as site:
        post = run_starts.Post("repo", site["repo"])
        with pytest.raises(OutsideFaultError):
            post.take()
        assert (post.is_taken, list(post.fds())) == (False, [])
        post.look()
        assert (post.is_taken, len(begun), len(list(post.fds()))) == (True, 2, 1)
        post.leave()
        post.end_hooks()


def test_the_end_of_a_run_is_seen_without_a_descriptor_for_it(monkeypatch: pytest.MonkeyPatch) -> None:
    """A process that was started is known, whatever the system lacks after that."""

    def refused(_pid: int) -> int:
        raise OSError(errno.EMFILE, "Too many open files")

    monkeypatch.setattr(os, "pidfd_open", refused)
    process = hosted_run.RunProcess(subprocess.Popen(["true"]))
    assert process.exit_fd is None
    wait_until(lambda: process.exit_code() == 0, "its end")
    process.close()
