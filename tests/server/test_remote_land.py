"""`maingate land --server`: work of a clone lands in the repository of a server."""

import base64
import json
import signal
import subprocess
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

from maingate.git.command import run_git
from support.command_line import maingate
from support.crashing import World, wait_until
from support.factories import GitRepo
from support.live_server import Live, problem, served
from support.serving import logged, serve

RULES = '[gates.good]\nrun = "! grep -rq bad . --include=*.txt"\n'
Done = subprocess.CompletedProcess[str]


@dataclass(frozen=True, kw_only=True)
class Away:
    """A clone on another machine, and a server of the repository.

    Args:
        live: The server.
        repo: The server's repository.
        clone: The clone, on a branch `agent`.
        home: The home of the command line.
    """

    live: Live
    repo: GitRepo
    clone: GitRepo
    home: Path

    def land(self, *words: str, cwd: Path | None = None) -> Done:
        """Land from the clone."""
        options = ("--server", self.live.url)
        return maingate("land", *words, *options, cwd=cwd or self.clone.path, home=self.home)

    def landed(self, *words: str, code: int = 0, cwd: Path | None = None) -> dict[str, Any]:
        """Land from the clone, and return the JSON."""
        done = self.land(*words, "--json", cwd=cwd)
        assert done.returncode == code, done.stderr
        return dict(json.loads(done.stdout))


def clone_of(repo: GitRepo, path: Path) -> GitRepo:
    """Clone a repository, and switch to a branch."""
    repo.git("clone", "-q", str(repo.path), str(path))
    clone = GitRepo(path)
    clone.git("switch", "-q", "-c", "agent")
    return clone


@pytest.fixture
def away(tmp_path: Path, hermetic_environment: Path) -> Iterator[Away]:
    """Give a server that takes up runs, and a clone of its repository."""
    repo = GitRepo.create(tmp_path / "web")
    repo.commit({"maingate.toml": RULES, "a.txt": "1\n2\n3\n", "b.txt": "b\n"})
    clone = clone_of(repo, tmp_path / "clone")
    with served([repo.path], is_hosting=True) as live:
        yield Away(live=live, repo=repo, clone=clone, home=hermetic_environment)


def objects(repo: GitRepo) -> set[str]:
    """Return the ids of all objects of a repository."""
    return set(repo.git("cat-file", "--batch-all-objects", "--batch-check=%(objectname)").split())


def test_the_commits_of_a_branch_land_as_they_are(away: Away) -> None:
    """Ids, authors and messages are kept; a second time there is nothing left to do."""
    away.clone.commit({"new.txt": "new\n"}, "add new\n\nwith a body")
    away.clone.commit({"b.txt": "c\n"}, "change b")
    away.clone.git("commit", "-q", "--amend", "--no-edit", "--author", "Ada Away <ada@away.example>")
    tip = away.clone.git("rev-parse", "agent")
    away.clone.write({"draft.txt": "draft\n"})
    report = away.landed()
    assert (report["state"], report["next_action"]["code"]) == ("succeeded", "none")
    [item] = report["items"]
    assert (item["argument"], item["state"], item["own_commits"]) == ("agent", "completed", True)
    assert item["uncommitted"] == ["draft.txt"]
    assert away.repo.git("merge-base", "--is-ancestor", tip, "main") == ""
    assert away.repo.git("log", "-1", "--format=%an|%s", tip) == "Ada Away|change b"
    again = away.landed()
    assert (again["run_id"], again["state"]) == (None, "succeeded")
    assert again["items"][0]["note"] == "already_applied"
    assert "nothing left to do" in away.land().stdout
    assert away.land("--on-applied", "refuse").returncode == 1
    shown = maingate("runs", "--json", cwd=away.repo.path, home=away.home)
    assert len(json.loads(shown.stdout)) == 1


def test_a_stale_clone_sends_what_the_server_lacks(away: Away) -> None:
    """The server's branch has moved on since; with squash the commits are made anew."""
    away.repo.commit({"c.txt": "c\n"}, "meanwhile")
    away.clone.commit({"new.txt": "new\n"}, "add new")
    report = away.landed("--landing", "squash", "--title", "All of it")
    assert report["items"][0]["own_commits"] is False
    assert report["workstreams"][0]["title"] == "All of it"
    assert away.repo.git("log", "--format=%s", "main").split("\n") == ["add new", "meanwhile", "change"]


def test_ranges_files_and_standard_input_land_with_their_authors(away: Away, tmp_path: Path) -> None:
    """They are sent as patches; a file needs no repository around it."""
    author = ("--amend", "--no-edit", "--author", "Ben Range <ben@away.example>")
    away.clone.commit({"one.txt": "1\n"}, "add one")
    away.clone.git("commit", "-q", *author)
    assert away.landed("main..agent")["state"] == "succeeded"
    assert away.repo.git("log", "--format=%an|%s", "-1", "main^2") == "Ben Range|add one"
    away.clone.commit({"two.txt": "2\n"}, "add two\n\nbody é")
    away.clone.git("commit", "-q", *author)
    folder = tmp_path / "mails"
    folder.mkdir()
    (folder / "p.patch").write_bytes(away.clone.git_bytes("format-patch", "-1", "--stdout", "agent"))
    assert away.landed("p.patch", cwd=folder)["state"] == "succeeded"
    assert away.repo.git("log", "--format=%an|%b", "-1", "main^2").startswith("Ben Range|body é")
    none = away.land("agent", cwd=folder)
    assert (none.returncode, "repository" in none.stderr) == (2, True)


def test_a_refusal_has_its_reason_and_the_way_to_it(away: Away) -> None:
    """What is right lands all the same; the exit code is that of a landing here."""
    away.clone.commit({"x.txt": "bad\n"}, "wrong")
    away.clone.git("switch", "-q", "-c", "right", "main")
    away.clone.commit({"y.txt": "y\n"})
    done = away.land("agent", "right", "--gate", "says=echo this is why; ! test -e x.txt")
    assert done.returncode == 1, done.stderr
    assert ("gate_failed" in done.stdout, f"{away.live.url}/runs/run_" in done.stdout) == (True, True)
    assert away.repo.git("show", "main:y.txt") == "y"
    for words, said in (
        (("nowhere",), "nowhere"),
        (("agent", "--into", "nowhere"), "nowhere"),
        (("agent", "--no-gate"), "requires good"),
        (("agent", "--repo", "none"), "none"),
    ):
        wrong = away.land(*words)
        assert (wrong.returncode, said in wrong.stderr) == (2, True), wrong.stderr


def test_a_corrected_branch_takes_the_place_of_its_refusal_in_the_inbox(away: Away) -> None:
    """It is known by its sender and its name, however it was named; the server's own branch is other work."""

    def commands() -> list[str]:
        shown = maingate("inbox", "--json", cwd=away.repo.path, home=away.home)
        return [item["command"] for item in json.loads(shown.stdout)]

    away.clone.commit({"x.txt": "bad\n"}, "wrong")
    away.landed("main..agent", code=1)
    [recovery] = commands()
    assert recovery.startswith("maingate patch recover patch_")
    away.repo.git("switch", "-q", "-c", "agent")
    away.repo.commit({"y.txt": "bad\n"}, "wrong")
    assert maingate("land", cwd=away.repo.path, home=away.home).returncode == 1
    assert sorted(commands()) == ["maingate land agent --into main", recovery]
    away.clone.write({"x.txt": "good\n"})
    away.clone.git("commit", "-q", "-a", "--amend", "--no-edit")
    away.landed()
    assert commands() == ["maingate land agent --into main"]


def test_a_trial_leaves_nothing_behind(away: Away) -> None:
    """It says what conflicts; not even an object comes into the repository."""
    away.clone.commit({"a.txt": "1\n2\n4\n"}, "mine")
    before = objects(away.repo)
    told = away.landed("--dry-run")
    assert (told["trial"]["ok"], told["items"][0]["workstream"]) == (True, "agent")
    assert objects(away.repo) == before
    away.repo.commit({"a.txt": "1\n2\n5\n"}, "theirs")
    before = objects(away.repo)
    told = away.landed("--dry-run", code=1)
    assert told["trial"]["items"][0]["reason"]["code"] == "conflict"
    assert objects(away.repo) == before
    assert json.loads(maingate("runs", "--json", cwd=away.repo.path, home=away.home).stdout) == []


def test_a_branch_need_not_be_waited_for(away: Away) -> None:
    """The run is named, and the server lands it."""
    away.clone.commit({"new.txt": "new\n"})
    report = away.landed("--no-wait")
    assert report["run_id"].startswith("run_")
    with away.live.client() as client:
        path = f"/api/v1/runs/{report['run_id']}?fields=state"
        wait_until(lambda: client.get(path).json()["state"] == "succeeded", "the landing")


def test_commits_on_what_the_server_lacks_are_refused(away: Away) -> None:
    """The clone's own main has moved on, and was never pushed; the message says what to do."""
    away.clone.git("switch", "-q", "main")
    away.clone.commit({"m.txt": "m\n"})
    away.clone.git("update-ref", "-d", "refs/remotes/origin/main")
    away.clone.git("switch", "-q", "-c", "late")
    away.clone.commit({"n.txt": "n\n"})
    away.repo.commit({"o.txt": "o\n"})
    refused = away.land("late")
    assert (refused.returncode, "lacks commits" in refused.stderr) == (2, True), refused.stderr


# -- the interface -------------------------------------------------------------------------------------------


def request_of(clone: GitRepo, **more: Any) -> dict[str, Any]:
    """Return a request to land the branch of a clone."""
    tip = clone.git("rev-parse", "agent")
    revs = f"{tip}\n^{clone.git('rev-parse', 'origin/main')}\n".encode()
    pack = run_git("pack-objects", "--revs", "--thin", "--stdout", git_dir=clone.path / ".git", input=revs)
    work = {"argument": "agent", "branch": "refs/heads/agent", "commit": tip}
    return {"work": [work], "pack": {"base64": base64.b64encode(pack.stdout).decode()}, **more}


def test_a_landing_sent_again_under_its_key_is_one_run(away: Away) -> None:
    """The second answer is the first one, and says so."""
    away.clone.commit({"new.txt": "new\n"})
    body, key = request_of(away.clone), {"Idempotency-Key": "k"}
    with away.live.client() as client:
        first = client.post("/api/v1/land", json=body, headers=key)
        again = client.post("/api/v1/land", json=body, headers=key)
        assert (first.status_code, again.json()) == (200, first.json())
        assert again.headers["idempotency-replayed"] == "true"
        assert len(client.get("/api/v1/runs").json()["items"]) == 1
        assert problem(client.post("/api/v1/land", json=body | {"priority": 1}, headers=key)) == (
            422,
            "idempotency_key_reused",
        )


Spoil = Callable[[dict[str, Any], GitRepo], dict[str, Any]]


def _no_pack(body: dict[str, Any], _clone: GitRepo) -> dict[str, Any]:
    return body | {"pack": None}


def _cut_pack(body: dict[str, Any], _clone: GitRepo) -> dict[str, Any]:
    raw = base64.b64decode(body["pack"]["base64"])
    return body | {"pack": {"base64": base64.b64encode(raw[:-30]).decode()}}


def _evil_tree(_body: dict[str, Any], clone: GitRepo) -> dict[str, Any]:
    """Return a request whose commit has a tree with the entry ``.git``, which no git would make."""
    blob = clone.git("hash-object", "-w", "--stdin", stdin=b"[core]\n")
    raw = b"100644 .git\0" + bytes.fromhex(blob)
    tree = clone.git("hash-object", "-w", "--literally", "-t", "tree", "--stdin", stdin=raw)
    commit = clone.git("commit-tree", tree, "-p", "origin/main", "-m", "evil")
    clone.git("update-ref", "refs/heads/agent", commit)
    return request_of(clone)


@pytest.mark.parametrize("spoil", [_no_pack, _cut_pack, _evil_tree])
def test_objects_that_are_damaged_missing_or_unusual_are_refused(away: Away, spoil: Spoil) -> None:
    """Nothing of them comes into the repository."""
    away.clone.commit({"new.txt": "new\n"})
    body = spoil(request_of(away.clone), away.clone)
    before = objects(away.repo)
    with away.live.client() as client:
        answer = client.post("/api/v1/land", json=body)
    assert problem(answer) == (409, "refused")
    assert objects(away.repo) == before


@pytest.mark.parametrize(
    "wrong",
    [
        {"work": []},
        {"work": [{"argument": "a", "branch": "refs/heads/a"}]},
        {"work": [{"argument": "a", "commit": "0" * 40}]},
        {"work": [{"argument": "a"}, {"argument": "a"}]},
        {"work": [{"argument": "a", "patches": [{"diff": "x", "origin": "p", "date": "soon"}]}]},
        {"work": [{"argument": "a", "patches": [{"diff": {"base64": "?"}, "origin": "p"}]}]},
        {"work": [{"argument": "a"}], "gates": {"g": "true"}, "no_gate": True},
        {"work": [{"argument": "a\nb"}]},
    ],
)
def test_requests_that_say_nothing_or_two_things_are_refused(away: Away, wrong: dict[str, Any]) -> None:
    """With the place of the mistake."""
    with away.live.client() as client:
        assert problem(client.post("/api/v1/land", json=wrong)) == (422, "invalid_request")
        assert problem(client.post("/api/v1/land", content=b"x")) == (415, "unsupported_media_type")


def test_a_server_that_hosts_nothing_lands_nothing(tmp_path: Path) -> None:
    """It says so, and that it may be tried again."""
    other = GitRepo.create(tmp_path / "other")
    other.commit({"maingate.toml": RULES, "a.txt": "a\n"})
    clone = clone_of(other, tmp_path / "other-clone")
    clone.commit({"new.txt": "new\n"})
    with served([other.path]) as live, live.client() as client:
        answer = client.post("/api/v1/land", json=request_of(clone))
        assert problem(answer) == (503, "not_hosting")
        assert answer.headers["retry-after"]


# -- troubles ------------------------------------------------------------------------------------------------


def test_interrupted_or_without_its_server_the_command_says_how_to_follow(
    world: World, tmp_path: Path
) -> None:
    """Ctrl-C leaves the run to the server; a server that is gone goes on with it when it is back."""
    hold = tmp_path / "go"
    rule = f'run = "until test -e {hold}; do sleep 0.01; done"'
    world.repo.commit({"maingate.toml": f"[gates.good]\n{rule}\n"})
    clone = clone_of(world.repo, tmp_path / "clone")
    clone.commit({"new.txt": "new\n"})
    server = serve(world)
    wait_until(lambda: logged(server, "listening"), "the server")
    url = logged(server, "listening")[0]["url"]
    first = world.start("-C", str(clone.path), "land", "--server", url)
    wait_until(lambda: first.out.exists() and "run run_" in first.said, "the run")
    first.send(signal.SIGINT)
    assert first.ended() == 3
    assert f"maingate status --server {url} --watch run_" in first.said
    follower = world.start("-C", str(clone.path), "land", "--server", url, "--title", "again")
    wait_until(lambda: follower.out.exists() and "run run_" in follower.said, "the second run")
    server.send(signal.SIGKILL)
    server.ended()
    assert follower.ended() == 4
    assert f"maingate status --server {url} --watch run_" in follower.said
    hold.touch()
    next_server = serve(world)
    wait_until(lambda: "new.txt" in world.repo.git("ls-tree", "--name-only", "main"), "the landing")
    next_server.send(signal.SIGTERM)
    assert next_server.ended() == 0


def test_an_unreachable_server_is_told_before_anything_is_sent(
    hermetic_environment: Path, repo: GitRepo
) -> None:
    """With exit code 4; options about a server need its address."""
    repo.commit({"a.txt": "a\n"})
    done = maingate("land", "--server", "http://127.0.0.1:9", cwd=repo.path, home=hermetic_environment)
    assert (done.returncode, "cannot be reached" in done.stderr) == (4, True), done.stderr
    without = maingate("land", "--repo", "x", cwd=repo.path, home=hermetic_environment)
    assert (without.returncode, "--server URL" in without.stderr) == (2, True)
