"""Servers in tests: repositories with plans for them, and a host of runs in this process."""

import json
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from datetime import timedelta
from pathlib import Path
from typing import Any, Final

from maingate.bootstrap import Maingate
from maingate.ids import RunId
from maingate.plan.loader import load_plan
from maingate.server.host import RunHost
from maingate.server.served_repositories import Site
from support.crashing import Command, World, wait_until
from support.factories import GitRepo
from support.forked_server import host_from_a_nursery
from support.landing import write_plan

PATIENCE = 30.0
"""Seconds that anything here may take; it takes a fraction of one."""

TWO_STREAMS: Final = {
    "x": {"tasks": {"t": {"patch": "p"}}},
    "y": {"needs": ["x"], "tasks": {"t": {"command": "true"}}},
}
"""Workstreams of which the second begins when the first has landed."""


@dataclass(frozen=True, kw_only=True)
class Yard:
    """A repository with branches, and plans for it.

    Args:
        folder: Where everything is.
    """

    folder: Path
    _made: list[Path] = field(default_factory=list)

    @classmethod
    def create(cls, folder: Path, *branches: str) -> "Yard":
        """Make a repository of one commit, with branches beside main."""
        yard = cls(folder=folder)
        repo = GitRepo.create(yard.repo.path)
        repo.commit({"base.txt": "base\n"}, "base")
        for branch in branches:
            repo.git("branch", branch)
        return yard

    @property
    def repo(self) -> GitRepo:
        """The repository."""
        return GitRepo(self.folder / "repo")

    def plan(self, name: str, *, gate: str = "true", target: str = "main", **plan: Any) -> Path:
        """Write a plan of one patch that adds a file of that name."""
        patch = self.repo.diff_of({f"{name}.txt": f"{name}\n"})
        described: Mapping[str, Any] = {
            "repo": str(self.repo.path),
            "name": name,
            "target": target,
            "gates": {"unit": {"run": gate}},
            "workstreams": {name: {"tasks": {"t": {"patch": "p"}}}},
            **plan,
        }
        return write_plan(self.folder / f"plan.{name}", described, {"p": patch})

    def set_runs_per_target(self, number: int) -> None:
        """State in the repository's own settings how many runs on a branch a server has at work at once."""
        file = self.repo.path / ".git" / "maingate" / "maingate.toml"
        file.parent.mkdir()
        file.write_text(f"[server]\nruns_per_target = {number}\n")

    def names_on(self, branch: str) -> set[str]:
        """Return the files on a branch, without their endings."""
        names = self.repo.git("ls-tree", "--name-only", branch).split()
        return {name.removesuffix(".txt") for name in names} - {"base"}


@dataclass(frozen=True, kw_only=True)
class Hosting:
    """A host that runs in this process."""

    site: Site
    host: RunHost

    def submit(self, name: str, plan: Path) -> RunId:
        """Admit a plan, and have it taken up."""
        run_id = self.site[name].admission.admit_for_server(load_plan(plan))
        assert run_id is not None
        self.site.wake()
        return run_id

    def state(self, name: str, run_id: RunId) -> str:
        """Return the state of a run."""
        return str(self.site[name].report(run_id)["state"])

    def until_ended(self, name: str, run_id: RunId) -> str:
        """Wait for the end of a run, and return its state."""
        wait_until(lambda: self.state(name, run_id) not in {"pending", "running"}, f"the end of {run_id}")
        return self.state(name, run_id)


@contextmanager
def hosting(*paths: Path, workers: int = 1, drain_time: timedelta = timedelta(0)) -> Iterator[Hosting]:
    """Host the runs of some repositories in this process."""
    host_from_a_nursery()
    with Site.open(list(paths)) as site:
        host = RunHost(site, workers=workers, drain_time=drain_time)
        host.start()
        try:
            yield Hosting(site=site, host=host)
        finally:
            if not host.is_asked_to_end:
                host.drain()
            assert host.join(PATIENCE)


def report(path: Path, run_id: RunId) -> Mapping[str, Any]:
    """Report a run, as another process would."""
    with Maingate.open(path, create=False) as maingate:
        return maingate.report(run_id)


def waiting_for(path: Path) -> str:
    """Return a gate that runs until a file is there."""
    return f"touch {path}.begun; until test -e {path}; do sleep 0.01; done"


def serve(world: World, *options: str, fault: str = "", **environment: str) -> Command:
    """Start a server of a world."""
    return world.start("serve", "--port", "0", "--workers", "1", *options, fault=fault, **environment)


def logged(command: Command, event: str) -> list[dict[str, Any]]:
    """Read the lines of an event in the log of a server."""
    lines = [json.loads(line) for line in whole_lines(command.out) if line.startswith("{")]
    return [line for line in lines if line["event"] == event]


def whole_lines(log: Path) -> list[str]:
    """Read the whole lines of a log that may be written meanwhile; none where there is no log."""
    written = log.read_text() if log.exists() else ""
    return written[: written.rfind("\n") + 1].splitlines()
