"""Acting: plans are submitted and land; decisions are made once, with a role, a reason and a version."""

import base64
import json
import threading
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import httpx
import pytest
from typer.testing import CliRunner

from maingate.api.answers.problems import HttpProblemError
from maingate.api.simulation_process import simulated
from maingate.bootstrap import Maingate
from maingate.cli.command_tree import app as cli
from maingate.db.dao import runs
from maingate.ids import RunId
from maingate.queries.events.history import EventQuery
from maingate.queries.runs.standing import run_standing
from maingate.roles import Role
from maingate.server import process_start
from maingate.server.process_start import run as run_interpreter
from maingate.services.runs.plan_loading import load_plan
from support.crashing import wait_until
from support.factories import GitRepo
from support.landing import write_plan
from support.live_server import Live, problem, served
from support.postgresql import ON_BOTH

TRACEPARENT = f"00-{0xABC:032x}-{0xDEF:016x}-01"
PLAN: dict[str, Any] = {
    "maingate": 1,
    "name": "remote",
    "gates": {"unit": {"run": "true"}},
    "workstreams": {"w": {"tasks": {"t": {"patch": "p/a.patch"}}}},
}


@pytest.fixture
def repo(tmp_path: Path) -> GitRepo:
    """Give a repository with one commit."""
    made = GitRepo.create(tmp_path / "web")
    made.commit({"a.txt": "1\n"})
    return made


@pytest.fixture
def live(repo: GitRepo, record: str) -> Iterator[Live]:  # noqa: ARG001 - it chooses the database
    """Give a server that takes up runs."""
    with served([repo.path], is_hosting=True) as server:
        yield server


@pytest.fixture
def client(live: Live) -> Iterator[httpx.Client]:
    """Give a client of the local user."""
    with live.client() as made:
        yield made


@pytest.fixture(scope="module")
def idle_repo(tmp_path_factory: pytest.TempPathFactory) -> GitRepo:
    """Give a repository with one commit, for tests of requests that are refused before anything is done."""
    made = GitRepo.create(tmp_path_factory.mktemp("idle") / "web")
    made.commit({"a.txt": "1\n"})
    return made


@pytest.fixture(scope="module")
def refused(idle_repo: GitRepo) -> Iterator[httpx.Client]:
    """Give a client of a server of that repository that takes up runs, and is given none."""
    with served([idle_repo.path], is_hosting=True) as server, server.client() as made:
        yield made
        assert made.get("/api/v1/runs").json()["items"] == []


def submission(repo: GitRepo, *, adds: str = "b.txt", **plan: Any) -> dict[str, Any]:
    """Return a plan of one patch, as it is submitted."""
    return {"plan": {**PLAN, **plan}, "files": {"p/a.patch": repo.diff_of({adds: "x\n"}).decode()}}


def submit(client: httpx.Client, body: dict[str, Any], **headers: str) -> dict[str, Any]:
    """Submit a plan, and return its run."""
    answer = client.post("/api/v1/runs", json=body, headers=headers)
    assert answer.status_code == 201, answer.text
    assert answer.headers["location"] == f"/api/v1/runs/{answer.json()['id']}"
    made: dict[str, Any] = answer.json()
    return made


def state(client: httpx.Client, run_id: str) -> str:
    """Return the state of a run."""
    return str(client.get(f"/api/v1/runs/{run_id}?fields=state").json()["state"])


def until_ended(client: httpx.Client, run_id: str) -> str:
    """Wait for the end of a run, and return its state."""
    wait_until(lambda: state(client, run_id) not in {"pending", "running"}, f"the end of {run_id}")
    return state(client, run_id)


def waiting_for(path: Path) -> str:
    """Return a gate that runs until a file is there."""
    return f"touch {path}.begun; until test -e {path}; do sleep 0.01; done"


# -- plans ---------------------------------------------------------------------------------------------------


@ON_BOTH
def test_a_submitted_plan_lands(live: Live, client: httpx.Client, repo: GitRepo) -> None:
    """With the patch that came along; the plan's own files and the span of the caller are on record."""
    run = submit(client, submission(repo), traceparent=TRACEPARENT)
    assert run["state"] in {"pending", "running", "succeeded"}
    assert until_ended(client, run["id"]) == "succeeded"
    assert repo.git("show", "main:b.txt") == "x"
    with live.site["web"].database.read() as conn:
        assert runs.get(conn, run["id"]).traceparent == TRACEPARENT


def test_a_submission_is_answered_with_what_may_not_be_meant(live: Live, repo: GitRepo) -> None:
    """No gates, and all that `maingate run` would note: again under its key, and at a check."""
    repo.commit({".gitattributes": "*.bin filter=rare\n"}, "attributes")
    body = submission(repo, gates={})
    with live.client() as client:
        first, again = (submit(client, body, **{"Idempotency-Key": "notes"}) for _ in range(2))
        checked = client.post("/api/v1/plan/check", json=body).json()
    assert [first["notes"][0].partition(":")[0], len(first["notes"])] == ["NO GATES", 2]
    assert "filter rare" in first["notes"][1]
    assert again == first
    assert checked["plan"]["notes"] == first["notes"]


def test_the_operator_of_a_submission_is_on_record(live: Live, repo: GitRepo) -> None:
    """The name of the token stands in the event of the hand-over."""
    token = live.site["web"].tokens.create("ci", Role.SUBMITTER, operator="ada").text
    with live.client(token) as client:
        run = submit(client, submission(repo))
        until_ended(client, run["id"])
    told = EventQuery(context=live.site["web"].context, type="handed_over").newest(0)
    assert [(event.run_id, event.operator) for event in told] == [(run["id"], "ci")]


def test_a_plan_may_come_as_yaml_with_bytes_or_as_a_form(client: httpx.Client, repo: GitRepo) -> None:
    """The forms are the same plan: text with a file in base64, and parts of a form."""
    patch = repo.diff_of({"b.txt": b"caf\xe9\n"})
    text = "maingate: 1\nworkstreams: {w: {tasks: {t: {patch: p/a.patch}}}}\n"
    coded = {"base64": base64.b64encode(patch).decode()}
    checked = client.post("/api/v1/plan/check", json={"plan": text, "files": {"p/a.patch": coded}})
    assert checked.status_code == 200, checked.text
    parts = {"plan": ("plan.yaml", text.encode()), "p/a.patch": ("a.patch", patch)}
    form = client.post("/api/v1/plan/check", files=parts)
    assert form.json() == checked.json()
    assert (form.json()["ok"], form.json()["trial"]["items"][0]["state"]) == (True, "clear")
    run = client.post("/api/v1/runs", files=parts)
    assert run.status_code == 201, run.text
    assert until_ended(client, run.json()["id"]) == "succeeded"
    assert repo.git_bytes("show", "main:b.txt") == b"caf\xe9\n"


def test_all_problems_of_a_plan_come_at_once_and_nothing_is_made(
    client: httpx.Client, live: Live, repo: GitRepo
) -> None:
    """Checked or submitted, each has its place and its hint, and nothing is left behind."""
    body = submission(
        repo, workstreams={"w": {"needs": ["v"], "tasks": {"t": {"patch": "no.patch"}, "u": {}}}}
    )
    for path in ("plan/check", "plan/simulate", "runs"):
        answer = client.post(f"/api/v1/{path}", json=body)
        assert problem(answer) == (422, "plan_invalid")
        found = answer.json()["problems"]
        assert len(found) == 3
        assert all(each["file"] == "plan.yaml" for each in found)
        assert str(repo.path) not in answer.text
    assert client.get("/api/v1/runs").json()["items"] == []
    assert list(live.site["web"].context.paths.uploads.glob("*")) == []


@pytest.mark.parametrize(
    "name", ["../evil", "/etc/cron.d/evil", "a/../../evil", "plan.yaml", "a\x00b", "\ud800"]
)
def test_files_cannot_be_written_elsewhere(refused: httpx.Client, idle_repo: GitRepo, name: str) -> None:
    """A name that leads out of the plan's folder refuses the whole plan."""
    body = submission(idle_repo)
    body["files"][name] = "x"
    content = json.dumps(body).encode()
    answer = refused.post("/api/v1/runs", content=content, headers={"Content-Type": "application/json"})
    assert problem(answer) in {(422, "plan_invalid"), (422, "invalid_request")}
    assert not list(idle_repo.path.rglob("evil"))


@pytest.mark.parametrize(
    ("content", "kind", "expected"),
    [
        (b"{", "application/json", (422, "invalid_request")),
        (b"[]", "application/json", (422, "invalid_request")),
        (b'{"plan": 1}', "application/json", (422, "invalid_request")),
        (b'{"plan": "- a"}', "application/json", (422, "plan_invalid")),
        (b'{"plan": "\\ud800"}', "application/json", (422, "invalid_request")),
        (b'{"plan": {"maingate": 1e999}}', "application/json", (422, "plan_invalid")),
        (b'{"plan": {}, "files": {"a": {"base64": "*"}}}', "application/json", (422, "invalid_request")),
        (b"x", "text/plain", (415, "unsupported_media_type")),
        (b"x", "multipart/form-data", (400, "bad_request")),
        (b"x", "multipart/form-data; boundary=y", (400, "bad_request")),
    ],
)
def test_what_is_no_plan_is_refused(
    refused: httpx.Client, content: bytes, kind: str, expected: tuple[int, str]
) -> None:
    """Each with a problem document."""
    answer = refused.post("/api/v1/plan/check", content=content, headers={"Content-Type": kind})
    assert problem(answer) == expected


def test_a_plan_is_simulated_as_on_the_command_line(
    refused: httpx.Client, idle_repo: GitRepo, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The same object for the same seed; numbers of workers have limits, and nothing is kept."""
    body = submission(idle_repo)
    folder = tmp_path / "plan"
    (folder / "p").mkdir(parents=True)
    write_plan(
        folder, {**PLAN, "repo": str(idle_repo.path)}, {"p/a.patch": body["files"]["p/a.patch"].encode()}
    )
    monkeypatch.chdir(folder)
    said = CliRunner().invoke(
        cli, ["plan", "simulate", "plan.yaml", "--json", "-w", "2", "-w", "1", "--failure-rate", "0.25"]
    )
    here = json.loads(said.stdout)
    assert here.pop("file") == "plan.yaml"
    path = "/api/v1/plan/simulate"
    query: dict[str, Any] = {"workers": [2, 1], "failure_rate": 0.25}
    assert refused.post(path, json=body, params=query).json() == here
    told = refused.post(path, json={**body, "workers": 3}).json()
    assert {each["workers"] for each in told["estimates"]} == {3}
    for wrong in ({"workers": 0}, {"workers": [1] * 9}, {"failure_rate": 2}, {"seed": -1}):
        assert problem(refused.post(path, json=body, params=wrong)) == (422, "invalid_request")


def test_a_simulation_that_takes_too_long_is_ended(repo: GitRepo, tmp_path: Path) -> None:
    """It is refused with the way to have it made, and its process is gone."""
    (tmp_path / "plan" / "p").mkdir(parents=True)
    plan = write_plan(tmp_path / "plan", {**PLAN, "repo": str(repo.path)}, {"p/a.patch": b"x"})
    with pytest.raises(HttpProblemError, match="maingate plan simulate"):
        simulated(load_plan(plan), root=repo.path, workers=[1], failure_rate=None, seed=0, timeout=0.001)


def test_a_viewer_submits_nothing(live: Live, repo: GitRepo) -> None:
    """Neither a run nor a check, which reads the server's settings."""
    token = live.site["web"].tokens.create("eve", Role.VIEWER, operator="ada").text
    with live.client(token) as eve:
        for path in ("runs", "plan/check", "plan/simulate"):
            assert problem(eve.post(f"/api/v1/{path}", json=submission(repo))) == (403, "forbidden")


def test_a_server_that_hosts_nothing_takes_no_plan(repo: GitRepo) -> None:
    """It says so, and makes no run that nothing would take up."""
    with served([repo.path]) as live, live.client() as client:
        answer = client.post("/api/v1/runs", json=submission(repo))
        assert problem(answer) == (503, "not_hosting")
        assert answer.headers["retry-after"]
        assert client.get("/api/v1/runs").json()["items"] == []
        assert list(live.site["web"].context.paths.uploads.glob("*")) == []


# -- once ----------------------------------------------------------------------------------------------------


@ON_BOTH
def test_a_plan_sent_again_under_its_key_is_one_run(client: httpx.Client, repo: GitRepo) -> None:
    """The second answer is the first one, and says so; another plan under the key is refused."""
    body = submission(repo)
    first = client.post("/api/v1/runs", json=body, headers={"Idempotency-Key": "k"})
    again = client.post("/api/v1/runs", json=body, headers={"Idempotency-Key": "k"})
    assert (again.status_code, again.json()) == (201, first.json())
    assert again.headers["location"] == first.headers["location"]
    assert (first.headers.get("idempotency-replayed"), again.headers["idempotency-replayed"]) == (
        None,
        "true",
    )
    other = client.post("/api/v1/runs", json=submission(repo, adds="c"), headers={"Idempotency-Key": "k"})
    assert problem(other) == (422, "idempotency_key_reused")
    assert len(client.get("/api/v1/runs").json()["items"]) == 1
    until_ended(client, first.json()["id"])


@ON_BOTH
def test_of_many_at_once_under_one_key_one_is_carried_out(live: Live, repo: GitRepo) -> None:
    """The others get its answer, or are told that it is under way."""
    body, answers = submission(repo), list[httpx.Response]()

    def send() -> None:
        with live.client() as client:
            answers.append(client.post("/api/v1/runs", json=body, headers={"Idempotency-Key": "k"}))

    threads = [threading.Thread(target=send) for _ in range(6)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    made = {answer.json()["id"] for answer in answers if answer.status_code == 201}
    assert len(made) == 1
    busy = [answer for answer in answers if answer.status_code != 201]
    assert {problem(answer) for answer in busy} <= {(409, "idempotency_key_busy")}
    with live.client() as client:
        assert [run["id"] for run in client.get("/api/v1/runs").json()["items"]] == list(made)
        until_ended(client, made.pop())


@pytest.mark.parametrize("key", ["", "a b", "é", "x" * 201])
def test_a_key_that_is_none_is_refused(refused: httpx.Client, idle_repo: GitRepo, key: str) -> None:
    """Before anything is done."""
    answer = refused.post(
        "/api/v1/runs", json=submission(idle_repo), headers={b"Idempotency-Key": key.encode()}
    )
    assert problem(answer) == (422, "invalid_request")


# -- runs under way ------------------------------------------------------------------------------------------


def test_a_run_is_cancelled_with_a_reason(client: httpx.Client, repo: GitRepo, tmp_path: Path) -> None:
    """The process at work on it does it; a second cancel has nothing to do."""
    gate = waiting_for(tmp_path / "go")
    run = submit(client, submission(repo, gates={"unit": {"run": gate}}))
    wait_until((tmp_path / "go.begun").exists, "the gate")
    assert problem(client.post(f"/api/v1/runs/{run['id']}/cancel", json={})) == (422, "invalid_request")
    assert problem(client.post(f"/api/v1/runs/{run['id']}/cancel", json={"reason": " "})) == (
        422,
        "invalid_request",
    )
    done = client.post(f"/api/v1/runs/{run['id']}/cancel", json={"reason": "wrong branch"})
    assert done.status_code == 200, done.text
    assert until_ended(client, run["id"]) == "canceled"
    assert problem(client.post(f"/api/v1/runs/{run['id']}/cancel", json={"reason": "x"})) == (409, "refused")
    assert problem(client.post(f"/api/v1/runs/{run['id']}/resume", json={})) == (409, "refused")


@ON_BOTH
def test_of_two_who_override_one_version_the_first_counts(
    client: httpx.Client, live: Live, repo: GitRepo, tmp_path: Path
) -> None:
    """The second is told that what it decided about has changed; without a version nothing is decided."""
    gate = waiting_for(tmp_path / "go")
    run = submit(client, submission(repo, gates={"unit": {"run": gate}}))
    wait_until((tmp_path / "go.begun").exists, "the gate")
    [task] = client.get(f"/api/v1/tasks?run={run['id']}").json()["items"]
    tag = client.get(f"/api/v1/tasks/{task['id']}").headers["etag"]
    body = {"entity": task["id"], "action": "force-fail", "reason": "hopeless"}
    assert problem(client.post("/api/v1/overrides", json=body)) == (428, "precondition_required")
    for wrong, expected in (('"999"', (412, "version_mismatch")), ("nonsense", (400, "bad_request"))):
        answer = client.post("/api/v1/overrides", json=body, headers={"If-Match": wrong})
        assert problem(answer) == expected
    answers = list[httpx.Response]()

    def decide() -> None:
        with live.client() as other:
            answers.append(other.post("/api/v1/overrides", json=body, headers={"If-Match": tag}))

    threads = [threading.Thread(target=decide) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert sorted(answer.status_code for answer in answers) == [200, 412, 412, 412]
    [won] = [answer.json() for answer in answers if answer.status_code == 200]
    assert (won["state"], won["operator"], won["reason"]["message"]) == ("failed", "ada", "ada: hopeless")
    told = EventQuery(context=live.site["web"].context, type="manual_override").newest(0)
    assert len(told) == 1
    assert until_ended(client, run["id"]) == "failed"


def test_an_override_is_of_its_kind_of_entity(client: httpx.Client, repo: GitRepo) -> None:
    """A task is not failed as a workstream is, nor the other way round."""
    run = submit(client, submission(repo))
    until_ended(client, run["id"])
    wrong = {"workstream": ["force-fail"], "task": ["fail", "explode"], "run": ["fail"]}
    for entity, action in ((entity, action) for entity, actions in wrong.items() for action in actions):
        found = client.get(f"/api/v1/{entity}s").json()["items"][0]["id"]
        body = {"entity": found, "action": action, "reason": "x"}
        answer = client.post("/api/v1/overrides", json=body, headers={"If-Match": "*"})
        assert problem(answer)[0] in {404, 422}, (entity, action)


# -- patches -------------------------------------------------------------------------------------------------


def test_a_patch_is_rolled_back_and_a_refused_one_dropped(
    client: httpx.Client, repo: GitRepo, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Each once; a rollback runs in a process of its own and is on the branch when it is answered."""
    monkeypatch.setattr(process_start, "run", run_interpreter)
    run = submit(client, submission(repo))
    until_ended(client, run["id"])
    [patch] = client.get("/api/v1/patches").json()["items"]
    path = f"/api/v1/patches/{patch['id']}"
    assert problem(client.post(f"{path}/drop", json={"reason": "x"})) == (409, "refused")
    done = client.post(f"{path}/rollback", json={"reason": "slow", "x": 1})
    assert done.status_code == 200, done.text
    assert done.json()["patches"][0]["state"] == "rolled_back"
    assert "b.txt" not in repo.git("ls-tree", "--name-only", "main")
    with Maingate.open(repo.path) as maingate:
        standing = run_standing(maingate.context, RunId(run["id"]))
    assert (standing["patches_landed"], standing["patches_rolled_back"]) == (0, 1)
    assert problem(client.post(f"{path}/rollback", json={"reason": "slow"})) == (409, "refused")
    red = submit(client, submission(repo, adds="c.txt", gates={"unit": {"run": "! test -e c.txt"}}))
    until_ended(client, red["id"])
    [refused] = client.get("/api/v1/patches?state=quarantined").json()["items"]
    dropped = client.post(f"/api/v1/patches/{refused['id']}/drop", json={"reason": "wrong"})
    assert (dropped.status_code, dropped.json()["state"]) == (200, "dropped")


@pytest.mark.parametrize("kind", ["task", "workstream", "run"])
def test_a_task_a_workstream_and_a_run_are_rolled_back_once(
    client: httpx.Client, repo: GitRepo, kind: str
) -> None:
    """In the version that was read, once under an idempotency key, and on the branch when it is answered."""
    run = submit(client, submission(repo))
    until_ended(client, run["id"])
    plural = f"/api/v1/{kind}s"
    found = client.get(plural).json()["items"][0]["id"]
    tag = client.get(f"{plural}/{found}").headers["etag"]
    body = {"entity": found, "reason": "slow"}
    assert problem(client.post("/api/v1/rollbacks", json=body))[0] == 428
    stale = client.post("/api/v1/rollbacks", json=body, headers={"If-Match": '"999"'})
    assert problem(stale) == (412, "version_mismatch")
    assert "b.txt" in repo.git("ls-tree", "--name-only", "main")
    headers = {"If-Match": tag, "Idempotency-Key": "once"}
    done = client.post("/api/v1/rollbacks", json=body, headers=headers)
    assert (done.status_code, done.json()["id"]) == (200, found), done.text
    assert [patch["state"] for patch in done.json()["patches"]] == ["rolled_back"]
    assert "b.txt" not in repo.git("ls-tree", "--name-only", "main")
    again = client.post("/api/v1/rollbacks", json=body, headers=headers)
    assert (again.json(), again.headers["idempotency-replayed"]) == (done.json(), "true")
    fresh = client.post("/api/v1/rollbacks", json=body, headers={"If-Match": "*"})
    assert problem(fresh) == (409, "refused")


def test_a_refused_patch_is_tried_again_with_another_diff(client: httpx.Client, repo: GitRepo) -> None:
    """In a run of its own; the refused patch is the one that it replaces."""
    red = submit(client, submission(repo, adds="bad.txt", gates={"unit": {"run": "! test -e bad.txt"}}))
    assert until_ended(client, red["id"]) == "failed"
    [refused] = client.get("/api/v1/patches?state=quarantined").json()["items"]
    path = f"/api/v1/patches/{refused['id']}/recover"
    assert problem(client.post(path, json={"diff": "x", "tool": "y"})) == (400, "bad_request")
    made = client.post(path, json={"diff": repo.diff_of({"good.txt": "x\n"}).decode()})
    assert made.status_code == 201, made.text
    assert until_ended(client, made.json()["id"]) == "succeeded"
    assert made.json()["retry_of"] == red["id"]
    assert repo.git("show", "main:good.txt") == "x"


def test_a_patch_waits_for_its_reviewers(client: httpx.Client, repo: GitRepo, live: Live) -> None:
    """An approval counts once for each caller; then the patch lands."""
    run = submit(client, submission(repo, policy={"reviewers": 1}))
    wait_until(
        lambda: client.get("/api/v1/patches?state=validated").json()["items"],
        "the patch to wait for approval",
    )
    [patch] = client.get("/api/v1/patches").json()["items"]
    assert live.site["web"].repository.root == repo.path
    given = client.post(f"/api/v1/patches/{patch['id']}/approve", json={"message": "good"})
    assert given.status_code == 200, given.text
    assert [each["operator"] for each in given.json()["approvals"]] == ["ada"]
    assert until_ended(client, run["id"]) == "succeeded"


# -- logs and hostile content --------------------------------------------------------------------------------


def test_hostile_content_is_data_everywhere(client: httpx.Client, live: Live, repo: GitRepo) -> None:
    """Markup, escapes, direction marks, NUL and huge lines in names, patches and logs take no effect."""
    evil = "<script>alert(1)</script>\x1b[2J\u202e'\"&"
    gate = "printf '\\033[2J<b>\\000\\377\\n'; head -c 300000 /dev/zero | tr '\\0' x; echo; false"
    plan = {"name": evil, "gates": {"unit": {"run": gate}}}
    run = submit(client, submission(repo, adds="<img src=x>.txt", **plan))
    assert until_ended(client, run["id"]) == "failed"
    for path in ("runs", "tasks", "patches", "gates", f"runs/{run['id']}"):
        answer = client.get(f"/api/v1/{path}")
        assert answer.status_code == 200
        assert answer.content.isascii()
        assert b"\x1b" not in answer.content
        assert answer.headers["content-type"] == "application/json"
    assert client.get(f"/api/v1/runs/{run['id']}").json()["name"] == evil
    [patch] = client.get("/api/v1/patches").json()["items"]
    diff = client.get(f"/api/v1/patches/{patch['id']}/diff")
    assert diff.headers["content-type"] == "text/plain; charset=utf-8"
    assert diff.headers["x-content-type-options"] == "nosniff"
    assert b"<img src=x>.txt" in diff.content
    part = client.get(f"/api/v1/patches/{patch['id']}/diff?start=5&length=7")
    assert part.content == diff.content[5:12]
    assert int(part.headers["x-total-bytes"]) == len(diff.content)
    check_log(client, live)


def check_log(client: httpx.Client, live: Live) -> None:
    """Read the log of a failed gate whole and in parts."""
    gate = next(each for each in client.get("/api/v1/gates").json()["items"] if each["has_log"])
    path = f"/api/v1/gates/{gate['id']}/log"
    whole = client.get(path)
    assert whole.status_code == 200
    assert whole.content.startswith(b"\x1b[2J<b>\x00\xff\n")
    assert whole.headers["content-type"] == "text/plain; charset=utf-8"
    size = len(whole.content)
    for headers, query, piece in (
        ({"Range": "bytes=3-9"}, "", whole.content[3:10]),
        ({"Range": f"bytes={size - 4}-"}, "", whole.content[-4:]),
        ({"Range": "bytes=-6"}, "", whole.content[-6:]),
        ({}, "?tail=8", whole.content[-8:]),
    ):
        part = client.get(f"{path}{query}", headers=headers)
        assert (part.status_code, part.content) == (206, piece)
        assert part.headers["content-range"].endswith(f"/{size}")
    assert problem(client.get(path, headers={"Range": f"bytes={size}-"})) == (416, "range_not_satisfiable")
    log = live.site["web"].context.paths.logs
    for each in log.iterdir():
        each.unlink()
    assert problem(client.get(path)) == (404, "not_found")


def test_the_log_of_a_running_gate_can_be_read(client: httpx.Client, repo: GitRepo, tmp_path: Path) -> None:
    """What it printed so far."""
    gate = f"echo begun; {waiting_for(tmp_path / 'go')}"
    run = submit(client, submission(repo, gates={"unit": {"run": gate, "on": ["task", "landing"]}}))
    running_gates = "/api/v1/gates?state=RUNNING"
    wait_until(lambda: client.get(running_gates).json()["items"], "the gate on record")  # it may begin before
    [running] = client.get(running_gates).json()["items"]
    for entity in (running["id"], running["patch_id"], running["workstream_id"], run["id"]):
        found = client.get(f"/api/v1/why/{entity}").json()
        assert (found["id"], found["run_id"]) == (entity, run["id"])
        assert found["waiting"]["for"]
    by_name = client.get("/api/v1/why/parser").json()
    assert (by_name["status"], "no id of a run" in by_name["detail"]) == (404, True)
    log = f"/api/v1/gates/{running['id']}/log"
    wait_until(lambda: client.get(log).content == b"begun\n", "the log, which its worker writes")
    (tmp_path / "go").touch()
    assert until_ended(client, run["id"]) == "succeeded"
    assert client.get(f"/api/v1/why/{running['id']}").json()["waiting"] is None


def test_a_plan_that_conflicts_with_its_target_is_not_ok(client: httpx.Client, repo: GitRepo) -> None:
    """It is valid, so it is no problem document; the conflict is told as by `plan check`."""
    patch = repo.diff_of({"a": "patched\n"}).decode()
    repo.commit({"a": "moved on\n"}, "moved on")
    plan = "maingate: 1\nworkstreams: {w: {tasks: {t: {patch: a.patch}}}}\n"
    told = client.post("/api/v1/plan/check", json={"plan": plan, "files": {"a.patch": patch}}).json()
    assert (told["ok"], told["trial"]["items"][0]["reason"]["code"]) == (False, "conflict")
