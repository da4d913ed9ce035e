"""A server that is killed amid a request with an idempotency key: sent again, it has had one effect."""

import signal
from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Any, Final

import httpx
import pytest

from support.crashing import KILLED, Command, World, check_each_landed_once, check_the_record, wait_until
from support.live_server import problem
from support.postgresql import new_database
from support.serving import PATIENCE, logged, serve, waiting_for

BEGUN, DONE, KEPT = "answer.begun", "answer.done", "answer.kept"
"""The places of a kill: the key is taken and nothing done; it is done; the answer is kept and not sent."""

ENDED: Final = {"succeeded", "failed", "canceled"}


@dataclass(kw_only=True)
class Serving:
    """Servers of a world, one after the other.

    Args:
        world: The world.
        server: The present one.
    """

    world: World
    server: Command | None = field(default=None)

    def start(self, fault: str = "") -> None:
        """Start a server, which is killed at a place."""
        assert self.server is None or self.server.ended() == KILLED
        self.server = serve(self.world, fault=fault)
        wait_until(lambda: logged(self.command, "listening"), "the server")

    @property
    def command(self) -> Command:
        """The present server's process."""
        assert self.server is not None
        return self.server

    def get(self, path: str) -> Any:
        """Read something."""
        answer = httpx.get(f"{self._url}{path}", timeout=PATIENCE)
        assert answer.status_code == 200, answer.text
        return answer.json()

    def post(self, path: str, body: Any, **headers: str) -> httpx.Response | None:
        """Send an acting request; return None if the server was killed before it answered."""
        named = {name.replace("_", "-"): value for name, value in headers.items()}
        try:
            return httpx.post(f"{self._url}{path}", json=body, headers=named, timeout=PATIENCE)
        except httpx.TransportError:
            return None

    def through_kills(self, path: str, body: Any, *places: str, **headers: str) -> httpx.Response:
        """Send a request until it is answered; the servers until then are killed at these places in turn."""
        for place in (*places, ""):
            if self.server is not None:
                self.server.send(signal.SIGKILL)
            self.start(place)
            if place:
                assert self.post(path, body, **headers) is None
        answer = self.post(path, body, **headers)
        assert answer is not None
        return answer

    def until_ended(self, run_id: str) -> str:
        """Wait for the end of a run, and return its state."""
        path = f"/api/v1/runs/{run_id}?fields=state"
        wait_until(lambda: self.get(path)["state"] in ENDED, f"the end of {run_id}")
        return str(self.get(path)["state"])

    @property
    def _url(self) -> str:
        return str(logged(self.command, "listening")[0]["url"])


@pytest.fixture
def serving(world: World) -> Iterator[Serving]:
    """Give the servers of a world, of which none is under way yet."""
    made = Serving(world=world)
    yield made
    made.command.send(signal.SIGTERM)
    assert made.command.ended() == 0, made.command.said


def submission(world: World, name: str = "new.txt", **plan: Any) -> dict[str, Any]:
    """Return a plan of one patch, as it is submitted."""
    described = {
        "maingate": 1,
        "name": name,
        "gates": {"unit": {"run": "true"}},
        "workstreams": {"w": {"tasks": {"t": {"patch": "p.patch"}}}},
        **plan,
    }
    return {"plan": described, "files": {"p.patch": world.repo.diff_of({name: "x\n"}).decode()}}


def check_submission(serving: Serving, *places: str) -> str:
    """Submit a plan to servers that are killed; return its only run, which lands once."""
    body, unlike = submission(serving.world), submission(serving.world, "other.txt")
    answer = serving.through_kills("/api/v1/runs", body, *places, Idempotency_Key="k")
    assert (answer.status_code, answer.headers.get("idempotency-replayed")) == (201, "true"), answer.text
    [run] = serving.get("/api/v1/runs")["items"]
    assert answer.json()["id"] == run["id"]
    again = serving.post("/api/v1/runs", body, Idempotency_Key="k")
    assert again is not None
    assert (again.content, again.headers["location"]) == (answer.content, answer.headers["location"])
    other = serving.post("/api/v1/runs", unlike, Idempotency_Key="k")
    assert other is not None
    assert problem(other) == (422, "idempotency_key_reused")
    assert serving.until_ended(run["id"]) == "succeeded"
    assert len(serving.get("/api/v1/runs")["items"]) == 1
    check_each_landed_once(serving.world)
    return str(run["id"])


def test_a_plan_is_submitted_once_and_rolled_back_once_and_tried_again_once(serving: Serving) -> None:
    """Killed before, after and while it answers: each has one effect, and the last server tells it."""
    check_submission(serving, BEGUN, DONE, KEPT)
    [patch] = serving.get("/api/v1/patches")["items"]
    path = f"/api/v1/patches/{patch['id']}"
    undone = serving.through_kills(f"{path}/rollback", {"reason": "slow"}, BEGUN, DONE, Idempotency_Key="r")
    assert undone.status_code == 200, undone.text
    assert [each["state"] for each in undone.json()["patches"]] == ["rolled_back"]
    subjects = serving.world.repo.git("log", "--format=%s", "main").splitlines()
    assert len([line for line in subjects if line.startswith("Revert")]) == 1, subjects
    recovered = serving.through_kills(f"{path}/recover", {}, DONE, Idempotency_Key="r2")
    assert recovered.status_code == 201, recovered.text
    assert serving.until_ended(recovered.json()["id"]) == "succeeded"
    assert len(serving.get("/api/v1/runs")["items"]) == 2
    check_the_record(serving.world)


def test_an_override_is_made_once(serving: Serving) -> None:
    """In the version that was read: the change that it makes itself is no reason to refuse it."""
    path = serving.world.folder / "go"
    serving.start()
    body = submission(serving.world, gates={"unit": {"run": waiting_for(path)}})
    made = serving.post("/api/v1/runs", body)
    assert made is not None
    wait_until(path.with_suffix(".begun").exists, "the gate")
    [task] = serving.get("/api/v1/tasks")["items"]
    tag = f'"{task["version"]}"'
    decision = {"entity": task["id"], "action": "force-fail", "reason": "hopeless"}
    answer = serving.through_kills(
        "/api/v1/overrides", decision, BEGUN, DONE, KEPT, If_Match=tag, Idempotency_Key="o"
    )
    assert (answer.status_code, answer.json()["state"]) == (200, "failed"), answer.text
    assert len(serving.get("/api/v1/overrides")["items"]) == 1
    fresh = serving.post("/api/v1/overrides", decision, If_Match=tag, Idempotency_Key="another")
    assert fresh is not None
    assert problem(fresh) == (412, "version_mismatch")
    path.touch()
    assert serving.until_ended(made.json()["id"]) == "failed"


def test_a_plan_is_submitted_once_on_postgresql(
    serving: Serving, monkeypatch: pytest.MonkeyPatch, postgresql_server: Any
) -> None:
    """The effect and its note are one transaction there, too."""
    monkeypatch.setenv("MAINGATE_DATABASE_URL", new_database(postgresql_server))
    check_submission(serving, DONE)
