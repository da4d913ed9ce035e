"""`maingate serve` is a process that goes on after any end of it, and refuses to start with what to do."""

import os
import signal
import socket
from pathlib import Path

import httpx
import pytest

from maingate.db.audit.record_check import verify
from support.crashing import (
    World,
    check_each_landed_once,
    check_the_checkout,
    check_the_record,
    kill_all,
    landings,
    wait_until,
)
from support.factories import GitRepo
from support.postgresql import new_database
from support.serving import logged, serve, waiting_for

AMID_LANDING = "landing.after-ref:stop"
"""The place between the move of the branch and its record; the process stops there and can be continued."""


@pytest.mark.parametrize(
    ("dialect", "is_killed"),
    [("sqlite", True), ("sqlite", False), ("postgresql", True)],
    ids=["killed with its run", "its run goes on", "killed with its run, PostgreSQL"],
)
def test_a_server_that_is_killed_amid_a_landing_is_continued_by_the_next(
    world: World,
    request: pytest.FixtureRequest,
    monkeypatch: pytest.MonkeyPatch,
    dialect: str,
    *,
    is_killed: bool,
) -> None:
    """The branch has moved, and the record does not say so yet: it lands once, and the command sees it."""
    if dialect == "postgresql":
        server = request.getfixturevalue("postgresql_server")
        monkeypatch.setenv("MAINGATE_DATABASE_URL", new_database(server))
    first = serve(world, fault=AMID_LANDING)
    wait_until(lambda: logged(first, "listening"), "the server")
    following = world.run()
    wait_until(lambda: logged(first, "process_started"), "the run")
    pid = int(logged(first, "process_started")[0]["pid"])
    wait_until(lambda: _state_of(pid) == "T", "the landing")
    first.send(signal.SIGKILL)
    assert first.ended() == -signal.SIGKILL
    second = serve(world)
    wait_until(lambda: logged(second, "listening"), "the second server")
    assert following.is_running
    os.kill(pid, signal.SIGKILL if is_killed else signal.SIGCONT)
    assert following.ended() == 0, following.said
    second.send(signal.SIGTERM)
    assert second.ended() == 0, second.said
    check_each_landed_once(world)
    if dialect == "sqlite":
        check_the_record(world)
    with world.open() as maingate:
        assert verify(maingate.database, log=maingate.paths.transitions).findings == ()
    check_the_checkout(world)


def test_a_server_says_when_it_is_ready_answers_and_ends(world: World, tmp_path: Path) -> None:
    """A second server, a taken port, and an address that others reach without a token are refused.

    A repository that is not there holds up nothing, and is in the log.
    """
    with (
        socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as line,
        socket.create_server(("127.0.0.1", 0)) as other,
    ):
        line.bind(str(tmp_path / "notify"))
        line.settimeout(30)
        repositories = ("--repo", str(tmp_path / "gone"), "--repo", str(world.repo.path))
        server = serve(world, *repositories, NOTIFY_SOCKET=str(tmp_path / "notify"))
        assert line.recv(64) == b"READY=1"
        wait_until(lambda: logged(server, "listening"), "the log, which is written by a thread of its own")
        (absent,) = logged(server, "repository_absent")
        assert f"{tmp_path}/gone does not exist" in absent["reason"]
        (listening,) = logged(server, "listening")
        assert httpx.get(f"{listening['url']}/api/v1/runs").json()["items"] == []
        refused_plan = httpx.post(f"{listening['url']}/api/v1/runs", json={"plan": {"maingate": 1}})
        assert refused_plan.status_code == 403  # the absent one may have tokens
        assert "you may only read while gone cannot be served" in refused_plan.json()["detail"]
        port = listening["url"].rpartition(":")[2]
        taken = str(other.getsockname()[1])
        elsewhere = GitRepo.create(tmp_path / "elsewhere").path
        refused = {
            "taken": world.start("serve", "--port", taken, "--repo", str(elsewhere)),
            "standby": world.start("serve", "--port", port, "--standby"),
            "again": world.start("serve", "--port", port),
            "second": world.start("serve", "--port", "0"),
            "open": world.start("serve", "--port", "0", "--host", "0.0.0.0"),  # noqa: S104 - it is refused
        }
        codes = {name: command.ended() for name, command in refused.items()}
        assert codes == {"taken": 2, "standby": 2, "again": 4, "second": 4, "open": 2}
        for name, number in (("taken", taken), ("standby", port)):
            assert f"port {number} is in use by another program" in refused[name].said
        for name in ("again", "second"):
            assert f"process {server.pid}) since" in refused[name].said
        assert "maingate token create" in refused["open"].said
        server.send(signal.SIGTERM)
        assert server.ended() == 0
        said = b""
        while said != b"STOPPING=1":
            said = line.recv(64)
    assert logged(server, "ended")


def _state_of(pid: int) -> str:
    """Return the state of a process, as a letter."""
    return Path(f"/proc/{pid}/stat").read_text().rpartition(") ")[2][0]


def test_a_server_that_is_killed_amid_several_runs_is_continued_by_the_next(tmp_path: Path) -> None:
    """Their processes stop with it, and the commands say so; the next one goes on with all of them."""
    world, go = World.create(tmp_path / "world", {"a.txt": "a\n"}), tmp_path / "go"
    patches = {name: world.repo.diff_of({f"{name}.txt": f"{name}\n"}) for name in "xyz"}
    first = serve(world)
    try:
        wait_until(lambda: logged(first, "listening"), "the server")
        following = []
        for number, name in enumerate("xyz", start=1):
            world.write_plan(
                patches, gates={"unit": {"run": waiting_for(go)}}, workstreams={name: _lands(name)}
            )
            following.append(world.run())
            wait_until(lambda number=number: len(logged(first, "process_started")) == number, "its process")  # type: ignore[misc]
        wait_until(Path(f"{go}.begun").exists, "a gate")
        first.send(signal.SIGKILL)
        assert first.ended() == -signal.SIGKILL
        second = serve(world)
        wait_until(lambda: logged(second, "listening"), "the second server")
        go.touch()
        ends = {command.ended() for command in following}  # one whose run went on soon enough saw its end
        assert ends <= {0, 3}, [each.said for each in following]
        runs = "SELECT state FROM runs"
        wait_until(lambda: world.rows(runs) == [("succeeded",)] * 3, "the ends of the runs")
        second.send(signal.SIGTERM)
        assert second.ended() == 0, second.said
    finally:
        kill_all(world.commands)
    landed = world.rows("SELECT name, state FROM workstreams ORDER BY name")
    assert landed == [(name, "completed") for name in "xyz"]
    assert sorted(landings(world.repo)) == sorted(row[0] for row in world.rows("SELECT id FROM workstreams"))
    check_the_record(world)
    check_the_checkout(world)


def _lands(name: str) -> dict[str, object]:
    return {"tasks": {"t": {"patch": name}}}
