"""`maingate mcp` as an agent has it: the SDK's own client starts it and speaks with it over its pipes.

What the tools that read return is asked of the same server in the process of the test.
"""

import asyncio
import subprocess
import sys
from collections.abc import Awaitable, Callable, Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest

from maingate.bootstrap import Maingate
from support.command_line import Played, a_clean_environment, maingate
from support.crashing import wait_until
from support.factories import GitRepo
from support.landing import one_each, write_plan

if TYPE_CHECKING:
    from mcp.server import MCPServer

    from mcp import Client, StdioServerParameters

Json = dict[str, Any]
Talk = Callable[["Client"], Awaitable[Any]]


def conversation(server: "MCPServer | StdioServerParameters", talk: Talk) -> Any:
    """Have a client speak with a server in this process, or with one that it starts."""
    from mcp import Client

    async def spoken() -> Any:
        async with Client(server, read_timeout_seconds=60) as client:
            return await talk(client)

    return asyncio.run(spoken())


def program(folder: Path, home: Path, *options: str) -> "StdioServerParameters":
    """Return the command line as a server of a folder."""
    from mcp import StdioServerParameters

    return StdioServerParameters(
        command=sys.executable,
        args=["-m", "maingate", "mcp", *options],
        cwd=folder,
        env=a_clean_environment(home),
    )


def server_of(folder: Path, *, may_write: bool = False) -> "MCPServer":
    """Return a server of a folder in this process."""
    from maingate.mcp.server import create_server

    return create_server(folder, operator="ada", may_write=may_write)


async def answer_of(client: "Client", tool: str, **arguments: Any) -> tuple[bool, Any]:
    """Call a tool, and return whether it failed and what it returned."""
    result = await client.call_tool(tool, arguments)
    if result.is_error:
        return True, "".join(getattr(part, "text", "") for part in result.content)
    return False, result.structured_content


def called(folder: Path, tool: str, **arguments: Any) -> tuple[bool, Any]:
    """Call a tool of a server that only reads."""
    answer: tuple[bool, Any] = conversation(
        server_of(folder), lambda client: answer_of(client, tool, **arguments)
    )
    return answer


def returned(played: Played, tool: str, **arguments: Any) -> Json:
    """Return what a tool that succeeds returns in the story's repository."""
    is_error, found = called(played.stage.repository, tool, **arguments)
    assert not is_error, found
    answer: Json = found
    return answer


def refused_patch(played: Played) -> Mapping[str, Any]:
    """Return a task of the story whose gate failed."""
    return next(
        task for task in played.report["tasks"] if task["reason"] and task["reason"]["code"] == "gate_failed"
    )


async def _names(client: "Client") -> dict[str, bool | None]:
    tools = (await client.list_tools()).tools
    assert not any(line.startswith(" ") for tool in tools for line in (tool.description or " ").splitlines())
    return {tool.name: tool.annotations.read_only_hint if tool.annotations else None for tool in tools}


def test_only_reading_tools_are_offered_unless_writing_is_allowed(
    played: Played, hermetic_environment: Path
) -> None:
    """`--allow-write` adds the tools that change something, and they are marked so."""
    folder = played.stage.repository

    async def talk(client: "Client") -> Any:
        return await _names(client), *await answer_of(client, "cancel", what="run", reason="x")

    reading, is_error, said = conversation(program(folder, hermetic_environment), talk)
    assert set(reading) == {
        *("status", "inbox", "queue", "why", "patch_show", "log_tail", "events", "land_dry_run"),
    }
    assert set(reading.values()) == {True}
    assert is_error
    assert "cancel" in said
    assert conversation(server_of(folder), _names) == reading
    writing = conversation(server_of(folder, may_write=True), _names)
    assert {name for name, only_reads in writing.items() if not only_reads} == {
        "land",
        "run_plan",
        "cancel",
        "queue_order",
    }


@pytest.mark.parametrize(
    ("tool", "arguments", "lines"),
    [
        (
            "land",
            {"branch": "x"},
            ["land has no argument 'branch' (known: work, diff, into, title, "],
        ),
        ("status", {"rum": "x"}, ["status has no argument 'rum' (did you mean 'run'?)"]),
        ("inbox", {"run": "x"}, ["inbox has no argument 'run' (it takes none)"]),
        ("status", {"run": 5}, ["status: argument 'run' is 5; the argument takes text: A run id, the"]),
        (
            "land",
            {"work": ["a", 5], "wait_seconds": -1},
            [
                "land: item 2 of argument 'work' is 5; the argument takes a list of texts, at most 1000",
                "land: argument 'wait_seconds' is -1; the argument takes a whole number from 0 to 3600",
            ],
        ),
        (
            "queue_order",
            {"order": "stop", "about": "main"},
            [
                "queue_order: argument 'order' is 'stop'; the argument takes one of pause, drain, resume, ",
                "queue_order: argument 'reason' is missing; it takes text, not empty: The reason, which is",
            ],
        ),
    ],
)
def test_a_call_with_wrong_arguments_is_answered_in_plain_words(
    repo: GitRepo, tool: str, arguments: Json, lines: list[str]
) -> None:
    """It is refused before anything is done; `land` with a misspelt argument would land another branch."""
    repo.commit({"maingate.toml": '[gates.good]\nrun = "true"\n'})
    repo.git("switch", "-q", "-c", "agent")
    head = repo.commit({"a": "1"})
    server = server_of(repo.path, may_write=True)
    is_error, said = conversation(server, lambda client: answer_of(client, tool, **arguments))
    assert is_error
    for line, begins in zip(said.splitlines(), lines, strict=True):
        assert line.startswith(begins)
    assert repo.git("rev-parse", "main") != head


def test_the_documented_arguments_are_those_of_the_tools() -> None:
    """The table in docs/MCP.md is made from the tools."""
    from maingate.mcp.reference_page import renewed

    page = (Path(__file__).parents[2] / "docs" / "MCP.md").read_text(encoding="utf-8")
    assert page == renewed(page)


def test_status_is_the_report(played: Played) -> None:
    """The same object as `status --json` and the API."""
    assert returned(played, "status") == played.report
    run = played.report["run_id"]
    assert returned(played, "status", run=run[:12])["run_id"] == run


def test_a_refused_patch_is_explained_with_its_log(played: Played) -> None:
    """From the patch to the gate that failed to the last bytes of its output."""
    task = refused_patch(played)
    shown = returned(played, "patch_show", patch=task["name"], with_diff=True)
    assert shown["id"] == task["patch"]["id"]
    assert "diff --git" in str(shown["diff"])
    failed = next(gate for gate in shown["gates"] if gate["state"] == "FAILED")
    tail = returned(played, "log_tail", gate=failed["id"], length=200)
    assert tail["size"] >= len(tail["text"]) > 0
    why = returned(played, "why", what=task["name"])
    assert why["reason"]["code"] == "gate_failed"


def test_events_are_queried_by_the_language_of_the_command_line(played: Played) -> None:
    """Lists and aggregations; a mistake in the query is explained."""
    found = returned(played, "events", query="type:patch state:quarantined", limit=2)
    assert len(found["events"]) == 2
    counted = returned(played, "events", query="type:patch by:state")
    assert counted["rows"]
    is_error, said = called(played.stage.repository, "events", query="colour:red")
    assert is_error
    assert "colour" in said


def test_the_queue_is_read_and_ordered(repo: GitRepo) -> None:
    """Orders are on record with their reason; the queue is that of the command line."""
    repo.commit({"a": "1"})
    with Maingate.open(repo.path):
        pass

    async def talk(client: "Client") -> Any:
        paused = await answer_of(client, "queue_order", order="pause", about="main", reason="release")
        again = await answer_of(client, "queue_order", order="pause", about="main", reason="release")
        seen = await answer_of(client, "queue")
        resumed = await answer_of(client, "queue_order", order="resume", about="main", reason="done")
        unknown = await answer_of(client, "queue_order", order="promote", about="x", reason="hot")
        return paused, again, seen, resumed, unknown

    paused, again, seen, resumed, unknown = conversation(server_of(repo.path, may_write=True), talk)
    assert not paused[0]
    assert [(each["order"], each["reason"]) for each in paused[1]["orders"]] == [("pause", "release")]
    assert again[0]
    assert "is paused already" in again[1]
    assert seen[1]["orders"] == paused[1]["orders"]
    assert (resumed[0], resumed[1]["orders"]) == (False, [])
    assert unknown[0]


def test_errors_say_what_to_do_next(tmp_path: Path, repo: GitRepo) -> None:
    """No repository, no runs, an unknown name: the message of the command line, and no traceback."""
    for folder, expected in ((tmp_path, "repositor"), (repo.path, "maingate run PLAN")):
        is_error, said = called(folder, "status")
        assert is_error
        assert expected in said
        assert "Traceback" not in said


def test_an_agent_runs_a_plan_and_reads_its_result(
    repo: GitRepo, tmp_path: Path, hermetic_environment: Path
) -> None:
    """With `--allow-write` a plan is run to its end; the record then tells the same."""
    repo.commit({"a.txt": "1\n"})
    patches = {"one": repo.diff_of({"b.txt": "1\n"})}
    plan = write_plan(
        tmp_path / "plan",
        {"repo": str(repo.path), "target": "main", "workstreams": one_each(patches)},
        patches,
    )

    async def talk(client: "Client") -> Any:
        return (
            await answer_of(client, "run_plan", plan=str(plan)),
            await answer_of(client, "status"),
            await answer_of(client, "run_plan", plan="no.yaml"),
        )

    (is_error, ran), (_, status), (is_refused, said) = conversation(
        program(repo.path, hermetic_environment, "--allow-write"), talk
    )
    assert not is_error, ran
    assert (ran["is_running"], ran["exit_code"]) == (False, 0)
    assert [note.partition(":")[0] for note in ran["notes"]] == ["warning"]
    assert (status["run_id"], status["state"]) == (ran["run_id"], "succeeded")
    assert is_refused
    assert "no.yaml" in said
    done = maingate("audit", "verify", cwd=repo.path, home=hermetic_environment)
    assert done.returncode == 0


@pytest.fixture
def gated(repo: GitRepo) -> GitRepo:
    """Give a repository with a gate, with a branch that passes it and one that does not."""
    repo.commit({"maingate.toml": '[gates.good]\nrun = "! grep -rq bad . --include=*.txt"\n', "a.txt": "1\n"})
    for name, content in (("right", "good\n"), ("wrong", "bad\n")):
        repo.git("switch", "-q", "-c", name, "main")
        repo.commit({f"{name}.txt": content})
    repo.git("switch", "-q", "main")
    return repo


def test_an_agent_lands_branches_and_learns_the_next_step(gated: GitRepo, hermetic_environment: Path) -> None:
    """Each item has its outcome; a second time there is nothing left to do."""

    async def talk(client: "Client") -> Any:
        return (
            await answer_of(client, "land_dry_run", work=["right", "wrong"]),
            await answer_of(client, "land", work=["right", "wrong"]),
            await answer_of(client, "land", work=["right"]),
            await answer_of(client, "land", work=["nowhere"]),
            await answer_of(client, "land", work=["right"], diff="x"),
        )

    tried, landed, again, unknown, both = conversation(
        program(gated.path, hermetic_environment, "--allow-write"), talk
    )
    assert (tried[0], tried[1]["trial"]["ok"], tried[1]["exit_code"]) == (False, True, 0)
    found = landed[1]
    assert [item["state"] for item in found["items"]] == ["completed", "failed"]
    assert (found["exit_code"], found["is_running"]) == (1, False)
    assert found["run_id"].startswith("run_")
    assert found["next_action"]["code"] == "fix_gate"
    assert gated.git("show", "main:right.txt") == "good"
    assert (again[1]["run_id"], again[1]["items"][0]["note"]) == (None, "already_applied")
    assert (unknown[0], "nowhere" in unknown[1]) == (True, True)
    assert (both[0], "not both" in both[1]) == (True, True)


def test_an_agent_lands_a_diff_and_need_not_wait(gated: GitRepo, hermetic_environment: Path) -> None:
    """A conflict is told without a run; a run that goes on is named with the command that follows it."""
    diff = gated.diff_of({"new.txt": "new\n"}).decode()
    wrong = gated.diff_of({"a.txt": "2\n"}).decode().replace("-1", "-7")
    hold = gated.path.parent / "go"
    rule = f'run = "until test -e {hold}; do sleep 0.01; done"'
    gated.commit({"maingate.toml": f"[gates.good]\n{rule}\n"})
    reading = conversation(
        program(gated.path, hermetic_environment),
        lambda client: answer_of(client, "land_dry_run", diff=wrong),
    )
    assert (reading[1]["exit_code"], reading[1]["trial"]["ok"]) == (1, False)

    async def talk(client: "Client") -> Any:
        begun = await answer_of(client, "land", diff=diff, wait_seconds=0)
        hold.touch()
        return begun

    _, begun = conversation(program(gated.path, hermetic_environment, "--allow-write"), talk)
    assert (begun["is_running"], begun["next_action"]["code"]) == (True, "wait")
    wait_until(lambda: "new.txt" in gated.git("ls-tree", "--name-only", "main"), "the landing")


def test_nothing_but_the_protocol_is_on_standard_output(played: Played, hermetic_environment: Path) -> None:
    """What is no request is answered by the protocol or ignored, and the end of the input ends the server."""
    done = subprocess.run(
        [sys.executable, "-m", "maingate", "mcp"],
        cwd=played.stage.repository,
        env=a_clean_environment(hermetic_environment),
        input="this is no message\n",
        capture_output=True,
        text=True,
        check=False,
        timeout=60,
    )
    assert all(line.startswith("{") for line in done.stdout.splitlines())
    assert "Traceback" not in done.stderr
    assert done.returncode == 0


@pytest.mark.parametrize("package", ["mcp"])
def test_without_the_extra_the_command_says_how_to_install_it(package: str) -> None:
    """Exit code 2 and a sentence, no traceback."""
    code = (
        f"import sys; sys.modules[{package!r}] = None; sys.argv = ['maingate', 'mcp'];"
        "from maingate.cli.main import main; main()"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=False)
    assert done.returncode == 2
    assert "the extra `mcp` adds them" in done.stderr
