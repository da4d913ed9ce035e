"""Plans run on a server that is on another machine, and its runs are shown, as if they were here."""

import json
import signal
from pathlib import Path

import pytest

from maingate.bootstrap import Maingate
from maingate.cli.remote_runs import client_of
from maingate.errors import UsageError
from maingate.roles import Role
from support.command_line import maingate, start_maingate
from support.crashing import World, wait_until
from support.landing import write_plan
from support.serving import logged, serve, waiting_for


def test_a_plan_runs_on_a_server_from_elsewhere(world: World, tmp_path: Path) -> None:
    """The plan and its patches are sent; report and exit code are those of a run in the foreground."""
    away = tmp_path / "away"
    streams = {"w": {"tasks": {"t": {"patch": "p"}}}}
    plan = write_plan(
        away, {"name": "sent", "workstreams": streams}, {"p": (world.plan.parent / "p").read_bytes()}
    )
    broken = write_plan(tmp_path / "broken", {"workstreams": {"w": {"tasks": {"t": {"patch": "gone"}}}}}, {})
    server = serve(world)
    wait_until(lambda: logged(server, "listening"), "the server")
    url = logged(server, "listening")[0]["url"]
    done = maingate("run", str(plan), "--server", url, "--json", cwd=away, home=tmp_path)
    report = json.loads(done.stdout)
    assert (done.returncode, report["state"], report["name"]) == (0, "succeeded", "sent"), done.stderr
    assert "workstream w landed" in done.stderr.splitlines()
    assert done.stderr.startswith("warning: NO GATES")
    shown = maingate("status", "--server", url, "--json", cwd=away, home=tmp_path)
    assert json.loads(shown.stdout)["run_id"] == report["run_id"]
    begun = maingate("status", report["run_id"][:12], "--server", url, cwd=away, home=tmp_path)
    assert (begun.returncode, f"{url}/runs/{report['run_id']}" in begun.stdout) == (0, True), begun.stderr
    unknown = maingate("status", "run_9", "--server", url, cwd=away, home=tmp_path)
    assert (unknown.returncode, "begins with 'run_9'" in unknown.stderr) == (2, True)
    with Maingate.open(world.repo.path) as opened:
        opened.tokens.create("ci", Role.VIEWER, operator="ada")
    without = maingate("status", "--server", url, cwd=away, home=tmp_path)
    assert (without.returncode, "--token-file" in without.stderr) == (2, True)
    refused = maingate("run", str(broken), "--server", url, cwd=away, home=tmp_path)
    assert (refused.returncode, "gone" in refused.stderr) == (2, True)
    server.send(signal.SIGTERM)
    assert server.ended() == 0
    unreachable = maingate("status", "--server", url, cwd=away, home=tmp_path)
    assert (unreachable.returncode, f"maingate: {url}: " in unreachable.stderr) == (4, True)
    assert world.repo.git("show", "main:b.txt") == "b"


def test_a_run_that_waits_for_its_turn_says_so_from_elsewhere(world: World, tmp_path: Path) -> None:
    """The place in the line of the server is told once, and the run goes on when its turn comes."""
    settings = world.repo.path / ".git" / "maingate" / "maingate.toml"
    settings.parent.mkdir(exist_ok=True)
    settings.write_text("[server]\nruns_per_target = 1\n")
    go, streams = tmp_path / "go", {"w": {"tasks": {"t": {"patch": "p"}}}}
    gates = {"unit": {"run": waiting_for(go)}}
    patches = {"p": (world.plan.parent / "p").read_bytes()}
    first = write_plan(tmp_path / "first", {"gates": gates, "name": "first", "workstreams": streams}, patches)
    idle = {"w": {"tasks": {"t": {"noop": True}}}}
    second = write_plan(tmp_path / "second", {"name": "second", "workstreams": idle}, {})
    server = serve(world)
    wait_until(lambda: logged(server, "listening"), "the server")
    url = logged(server, "listening")[0]["url"]
    at_work = start_maingate("run", str(first), "--server", url, cwd=tmp_path, home=tmp_path)
    wait_until(lambda: Path(f"{go}.begun").exists(), "the gate")
    waits = start_maingate("run", str(second), "--server", url, "--no-gate", cwd=tmp_path, home=tmp_path)
    lines = [waits.stdout.readline(), waits.stdout.readline()]
    assert lines[1] == (
        "waiting for its turn on main, at place 1 of the line: first has its own, and "
        "`runs_per_target` permits 1 at once\n"
    ), lines
    go.touch()
    ends = [command.communicate() for command in (at_work, waits)]
    assert (at_work.returncode, waits.returncode) == (0, 0), ends
    assert "waiting for its turn" not in ends[1][0]


@pytest.mark.parametrize(
    ("name", "value"), [("ALL_PROXY", "socks5://127.0.0.1:9"), ("SSL_CERT_FILE", "/nowhere")]
)
def test_an_environment_that_no_request_can_be_sent_with_is_told(
    monkeypatch: pytest.MonkeyPatch, name: str, value: str
) -> None:
    """It is none of Maingate's, and no bug of it."""
    for proxy in ("NO_PROXY", "no_proxy"):
        monkeypatch.delenv(proxy, raising=False)
    monkeypatch.setenv(name, value)
    with pytest.raises(UsageError, match=name), client_of("https://host", None):
        pass


@pytest.mark.parametrize("options", [("--repo", "x"), ("--token-file", "x"), ("--server", "host:8470")])
def test_options_about_a_server_need_its_address(
    world: World, tmp_path: Path, options: tuple[str, str]
) -> None:
    """They are refused and not ignored."""
    done = maingate("status", *options, cwd=world.repo.path, home=tmp_path)
    assert (done.returncode, "--server" in done.stderr) == (2, True)
