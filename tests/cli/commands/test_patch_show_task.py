"""`maingate patch show` of a task that has no patch: its attempts, what it printed, and what to do next."""

import json
import shutil
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from maingate.bootstrap import Maingate
from maingate.db.dao import tasks, workers
from maingate.db.dao.tasks import TaskRow
from maingate.db.transitions import write
from maingate.ids import new_id
from maingate.plan.loader import load_plan
from maingate.queries.details.task import SHOWN_BYTES
from maingate.reasons import Reason, ReasonCode
from maingate.state.steps import tasks as task_steps
from maingate.state.steps.step import Step
from support.command_line import Invoke, maingate
from support.factories import GitRepo

NOISY = "echo attempt $MAINGATE_ATTEMPT; echo work > new.txt; printf 'a\\033[2Jb\\n'; exit 3"
"""A tool that leaves something, tries to clear the screen, and fails."""
TALKATIVE = "for n in $(seq 1 40); do echo line $n; done; exit 4"

PLAN: dict[str, Any] = {
    "maingate": 1,
    "name": "failing",
    "repo": "repo",
    "tools": {"noisy": {"run": NOISY}, "idle": {"run": "true"}},
    "workstreams": {
        "bad": {"critical": False, "tasks": {"tool": {"tool": "noisy", "prompt": "do", "max_retries": 1}}},
        "none": {"critical": False, "tasks": {"nothing": {"tool": "idle", "prompt": "do", "max_retries": 0}}},
        "cmd": {
            "critical": False,
            "tasks": {
                "deploy": {"command": TALKATIVE, "max_retries": 0},
                "after": {"command": "true", "needs": ["deploy"]},
            },
        },
    },
}


@pytest.fixture(scope="module")
def failed(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Give a repository after a run in which no task gave a patch; do not change it."""
    folder = tmp_path_factory.mktemp("failed")
    repo = GitRepo.create(folder / "repo")
    repo.commit({"a.txt": "1\n"})
    (folder / "plan.yaml").write_text(json.dumps(PLAN))
    env = {"MAINGATE_RETRY_DELAY": "0.01"}
    done = maingate("run", "plan.yaml", cwd=folder, home=tmp_path_factory.mktemp("home"), env=env)
    assert done.returncode == 0, done.stderr
    return repo.path


def shown(invoke: Invoke, repository: Path, task: str) -> Any:
    """Show a task and return its JSON."""
    result = invoke("patch", "show", task, "--json", cwd=repository)
    assert (result.exit_code, result.stderr) == (0, "")
    return json.loads(result.stdout)


def test_each_attempt_of_a_tool_is_told(invoke: Invoke, failed: Path) -> None:
    """How it ended, where its output is and what it left, and why the task is where it is."""
    found = shown(invoke, failed, "bad/tool")
    assert (found["id"], found["task"], found["state"]) == (None, "bad/tool", "failed")
    assert found["task_id"].startswith("task_")
    assert found["run_id"].startswith("run_")
    assert found["reason"]["code"] == "tool_failed"
    assert (found["kind"], found["tool"]) == ("tool", "noisy")
    ends = [(one["attempt"], one["outcome"], one["exit_code"]) for one in found["attempts"]]
    assert ends == [(1, "failed", 3), (2, "failed", 3)]
    for one in found["attempts"]:
        assert f"attempt {one['attempt']}\n" in Path(one["log"]).read_text()
        assert "+work" in Path(one["diff"]).read_text()
        assert one["message"] == "bad/tool exited with 3"
        assert one["seconds"] >= 0
    assert found["output"].startswith("attempt 2\n")
    changes = [step["to"] for step in found["history"]]
    assert changes == ["pending", "queued", "running", "retrying", "queued", "running", "failed"]


def test_a_tool_that_left_nothing_has_no_diff(invoke: Invoke, failed: Path) -> None:
    """An empty file is nothing to look at, and neither is an empty output."""
    [attempt] = shown(invoke, failed, "none/nothing")["attempts"]
    assert (attempt["diff"], attempt["message"]) == (None, "the tool changed nothing")
    text = invoke("patch", "show", "none/nothing", cwd=failed).stdout
    assert "attempt 1 printed nothing." in text
    assert "plan import" not in text


def test_a_command_is_told_from_its_history(invoke: Invoke, failed: Path) -> None:
    """No tool run is on record for it; of what it printed the end is shown."""
    found = shown(invoke, failed, "cmd/deploy")
    [attempt] = found["attempts"]
    assert (found["command"], attempt["outcome"], attempt["exit_code"]) == (TALKATIVE, "failed", 4)
    assert found["output"].splitlines() == [f"line {number}" for number in range(21, 41)]


def test_what_was_printed_is_told_when_its_log_is_gone(invoke: Invoke, failed: Path, tmp_path: Path) -> None:
    """The record has the end of it, too."""
    copy = shutil.copytree(failed, tmp_path / "repo")
    shutil.rmtree(copy / ".git" / "maingate" / "logs")
    found = shown(invoke, copy, "cmd/deploy")
    assert found["attempts"][0]["log"] is None
    assert found["output"].splitlines()[-1] == "line 40"


def test_people_see_it_with_what_to_do_next(invoke: Invoke, failed: Path, tmp_path: Path) -> None:
    """Control characters are shown as escapes; the last lines are commands, and they work."""
    text = invoke("patch", "show", "bad/tool", cwd=failed).stdout
    assert text.startswith("bad/tool  failed  no patch\n\ntool_failed: bad/tool: bad/tool exited with 3\n")
    assert "attempt 2: failed, exit 3, " in text
    assert "│ a\\x1b[2Jb" in text
    assert "\x1b" not in text
    commands = [line.split() for line in text.splitlines() if line.startswith("  maingate ")]
    planned, tried, listed = (" ".join(words[:5]) for words in commands)
    diff = shown(invoke, failed, "bad/tool")["attempts"][1]["diff"]
    assert planned == f"maingate plan import series {diff}"
    assert tried.startswith("maingate tools test noisy --plan")
    assert listed.startswith("maingate events --entity task_")
    made = tmp_path / "left.yaml"
    assert invoke("plan", "import", "series", diff, "-o", made, cwd=failed).exit_code == 0
    assert "1 workstream, 1 task," in invoke("plan", "check", made, cwd=failed).stdout


def test_a_task_that_was_never_tried_is_an_error(invoke: Invoke, failed: Path) -> None:
    """There is nothing to show, and where it has ended, there never will be."""
    result = invoke("patch", "show", "cmd/after", cwd=failed)
    assert (result.exit_code, result.stdout) == (2, "")
    said = " ".join(result.stderr.split())
    assert "task cmd/after has no patch: it is cancelled and never ran: dependency_failed: " in said


@pytest.mark.parametrize("command", ["diff", "recover", "approve"])
def test_what_needs_a_patch_points_to_show(invoke: Invoke, failed: Path, command: str) -> None:
    """A task that was tried in vain has nothing to decide about, but something to read."""
    result = invoke("patch", command, "bad/tool", cwd=failed)
    assert (result.exit_code, result.stdout) == (2, "")
    assert "task tool has no patch; `maingate patch show task_" in " ".join(result.stderr.split())


def test_the_summary_points_to_it(invoke: Invoke, failed: Path) -> None:
    """`status` names the first task whose tool or command gave nothing."""
    assert "maingate patch show bad/tool" in invoke("status", cwd=failed).stdout


# -- attempts of which only the changes of state are on record -----------------------------------------------

LOST = Reason(code=ReasonCode.WORKER_LOST, message="w/t: its worker was lost", detail={"attempt": 1})
BY_HAND = Reason(code=ReasonCode.REJECTED, message="not today")


def changed(repo: GitRepo, steps: Callable[[TaskRow, str], list[Step]]) -> str:
    """Arrange a run of one command, with these changes of state, that its process did not end."""
    repo.commit({"a.txt": "1\n"})
    plan = repo.path.parent / "plan.yaml"
    plan.write_text(json.dumps({"maingate": 1, "workstreams": {"w": {"tasks": {"t": {"command": "true"}}}}}))
    with Maingate.open(repo.path) as crashed:
        run_id = crashed.admission.admit(load_plan(plan))
        with crashed.database.write() as conn:
            (task,) = tasks.of_run(conn, run_id)
            worker = workers.WorkerRow(id=new_id("wrk"), name="local")
            workers.insert_many(conn, [worker], at=task.created_at)
            write(conn, {task.id: task.head}, steps(task, worker.id), at=task.created_at)
    return task.id


def begun(task: TaskRow, worker: str) -> list[Step]:
    """Begin a first attempt."""
    return [task_steps.queue(task), task_steps.start(task, worker_id=worker, attempt=1)]


def lost(task: TaskRow, worker: str) -> list[Step]:
    """Lose the first attempt with its worker."""
    return [*begun(task, worker), task_steps.retry(task, LOST, trigger="worker_lost", lost_count=1)]


def again(task: TaskRow, worker: str) -> list[Step]:
    """Begin another attempt after that."""
    return [
        *lost(task, worker),
        task_steps.requeue(task),
        task_steps.start(task, worker_id=worker, attempt=2),
    ]


def forced(task: TaskRow, worker: str) -> list[Step]:
    """Let somebody fail the task by hand, while it waits for another attempt."""
    way = [
        task_steps.requeue(task),
        task_steps.start(task, worker_id=worker),
        task_steps.produced(task),
        task_steps.fail(task, BY_HAND, trigger="validation_failed"),
    ]
    return [*lost(task, worker), *(replace(step, operator="ada") for step in way)]


@pytest.mark.parametrize(
    ("steps", "outcomes"),
    [
        (begun, ["running"]),
        (lost, ["lost"]),
        (again, ["lost", "running"]),
        (
            lambda task, worker: [*again(task, worker), task_steps.cancel(task, BY_HAND)],
            ["lost", "cancelled"],
        ),
        (lambda task, worker: [*begun(task, worker), task_steps.produced(task)], ["done"]),
        (forced, ["lost"]),
    ],
)
def test_attempts_are_read_off_the_changes_of_state(
    invoke: Invoke, repo: GitRepo, steps: Callable[[TaskRow, str], list[Step]], outcomes: list[str]
) -> None:
    """Each that was begun by the program counts; what a person decides by hand is no attempt."""
    task = changed(repo, steps)
    assert [one["outcome"] for one in shown(invoke, repo.path, task)["attempts"]] == outcomes


def test_an_attempt_under_way_shows_what_it_has_printed_so_far(invoke: Invoke, repo: GitRepo) -> None:
    """It has no end yet, and what it leaves is not complete."""
    logs = repo.path / ".git" / "maingate" / "logs"
    task = changed(repo, again)
    (logs / f"{task}.2.log").write_text("é" * SHOWN_BYTES + "\nhalf")
    (logs / f"{task}.2.diff").write_text("+half")
    found = shown(invoke, repo.path, "w/t")
    first, last = found["attempts"]
    assert (first["message"], first["log"]) == ("its worker was lost", None)
    assert (last["ended_at"], last["seconds"], last["diff"]) == (None, None, None)
    assert found["output"] == "é" * (SHOWN_BYTES // 2 - 3) + "\nhalf"
    text = invoke("patch", "show", "w/t", cwd=repo.path).stdout
    assert "attempt 2: running\n" in text
    assert f"maingate status {found['run_id']}" in text
