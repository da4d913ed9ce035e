"""Land real history repeatedly while processes are killed and signalled at random, and check the result.

    uv run python tests/soak/kills.py --repo PATH [--minutes 30] [--seed N] [--folder DIR]

The history of any repository serves: its first-parent commits are cut into windows, and each becomes a plan
(workstreams of a few patches, each needing the one before, with gates on every patch and on every merged
result), which is run with the target checked out. While it runs, at random times, this is done to it:
SIGKILL to the control process, the fork server, a worker, a git child or the whole process group; SIGINT or
SIGTERM to the group. After each end the branch is compared with upstream's trees, and then the run is
resumed. At the end of a window the audit, the checkout, the locks and the processes are checked. The first
thing that is wrong ends the program with exit code 1 and keeps the folder.
"""

import argparse
import contextlib
import json
import os
import random
import signal
import subprocess
import sys
import tempfile
import time
from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Final

import psutil

ATTACKS: Final = (
    "kill control",
    "kill fork server",
    "kill worker",
    "kill git",
    "kill group",
    "interrupt group",
    "terminate group",
)
WINDOW: Final = 12
"""Commits in one plan."""
IN_WORKSTREAM: Final = 3
MOST_ATTACKS: Final = 8
"""Attacks in one window; after these it is resumed until it is over."""
PATIENCE: Final = 240.0
"""Seconds that one command may take."""
RESUMABLE: Final = frozenset({3, 4})
MAINGATE: Final = (sys.executable, "-m", "maingate")


class SoakError(Exception):
    """Something was lost, done twice or left behind."""


@dataclass(kw_only=True)
class Tally:
    """Count what was done and what came of it."""

    attacks: Counter[str] = field(default_factory=Counter)
    exits: Counter[str] = field(default_factory=Counter)
    windows: int = 0
    landed: int = 0


@dataclass(kw_only=True)
class Window:
    """A stretch of history to land: commits, and the tree after each, the first one being where it starts."""

    commits: Sequence[str]
    trees: Sequence[str]
    reached: int = 0


class Soak:
    """One clone with the target checked out, and the history that is landed on it.

    Args:
        folder: Where everything is.
        source: The repository whose history is used.
        chance: The source of all that is random.
    """

    def __init__(self, folder: Path, source: Path, chance: random.Random) -> None:
        self.folder, self.source, self.chance = folder, source, chance
        self.repo, self.plans, self.tally = folder / "repo", folder / "plans", Tally()
        self.target = "main"
        self.env = {name: value for name, value in os.environ.items() if not name.startswith("GIT_")} | {
            "XDG_CACHE_HOME": str(folder / "cache"),
            "MAINGATE_KILL_GRACE": "1s",
            "GIT_CONFIG_GLOBAL": str(folder / "gitconfig"),
            "GIT_CONFIG_NOSYSTEM": "1",
        }
        self.plans.mkdir(parents=True)
        (folder / "gitconfig").write_text("[user]\n\tname = Soak\n\temail = soak@example.org\n")

    def prepare(self) -> list[str]:
        """Clone the source and return its first-parent commits, oldest first."""
        self._git("clone", "-q", "--no-tags", str(self.source), str(self.repo), cwd=self.folder)
        commits = self._git("rev-list", "--first-parent", "--reverse", "HEAD").split()
        self._git("checkout", "-q", "-B", "main", commits[0])
        return commits

    def land(self, commits: Sequence[str]) -> None:
        """Land one window under attack, and check all that is left."""
        window = self._window(commits)
        # Each window has a branch of its own: the audit rightly calls one that is set back rewritten.
        self.target = f"window-{self.tally.windows}"
        self._git("checkout", "-q", "-b", self.target, commits[0])
        plan = self._plan(window)
        words: tuple[str, ...] = ("run", str(plan), "--workers", "2", "--json")
        before = len(self._runs())
        for attack in range(10 * MOST_ATTACKS):
            under_attack = attack < self.chance.randint(2, MOST_ATTACKS)
            code = self._command(words, attacked=under_attack)
            self._check_branch(window)
            runs = self._runs()
            if len(runs) == before:
                continue  # it was ended before there was a run
            if all(state not in {"pending", "running"} for state in runs):
                break
            if code not in RESUMABLE and code >= 0:
                raise SoakError(f"`{' '.join(words)}` exited with {code} and the run is not over")
            words = ("resume", "--workers", "2", "--json")
        else:
            raise SoakError("the run was resumed again and again and does not end")
        self._check_end(window)
        self.tally.windows += 1
        self.tally.landed += len(window.commits)

    # -- one command, one attack -----------------------------------------------------------------------------

    def _command(self, words: Sequence[str], *, attacked: bool) -> int:
        out = self.folder / "last.txt"
        with out.open("wb") as file:
            process = subprocess.Popen(
                [*MAINGATE, *words],
                cwd=self.repo,
                env=self.env,
                stdin=subprocess.DEVNULL,
                stdout=file,
                stderr=subprocess.STDOUT,
                start_new_session=True,
            )
        if attacked:
            self._attack(process)
        try:
            code = process.wait(PATIENCE)
        except subprocess.TimeoutExpired:
            os.killpg(process.pid, signal.SIGKILL)
            raise SoakError(f"`{' '.join(words)}` did not end within {PATIENCE:.0f} s") from None
        self.tally.exits[f"exit {code}"] += 1
        if code in {2, 5} or "Traceback" in out.read_text(errors="replace"):
            raise SoakError(
                f"`{' '.join(words)}` exited with {code}: {out.read_text(errors='replace')[-2000:]}"
            )
        return code

    def _attack(self, process: "subprocess.Popen[bytes]") -> None:
        kind = self.chance.choice(ATTACKS)
        with contextlib.suppress(subprocess.TimeoutExpired):
            process.wait(self.chance.choice((0.3, 0.9, 2.0, 5.0)) * self.chance.random() + 0.2)
            return
        with contextlib.suppress(psutil.NoSuchProcess, ProcessLookupError):
            self.tally.attacks[kind] += self._strike(kind, process)

    def _strike(self, kind: str, process: "subprocess.Popen[bytes]") -> bool:
        match kind:
            case "kill control":
                process.kill()
            case "kill group":
                os.killpg(process.pid, signal.SIGKILL)
            case "interrupt group":
                os.killpg(process.pid, signal.SIGINT)
            case "terminate group":
                os.killpg(process.pid, signal.SIGTERM)
            case _:
                victim = self._victim(kind, psutil.Process(process.pid))
                if victim is None:
                    return False
                victim.kill()
        return True

    def _victim(self, kind: str, control: psutil.Process) -> psutil.Process | None:
        """Find a git child, a worker or the fork server; git children live for milliseconds."""
        deadline = time.monotonic() + 1.5
        while time.monotonic() < deadline:
            found = list(control.children(recursive=kind == "kill worker"))
            if kind == "kill git":
                found = [process for process in found if _name(process) == "git"]
            else:
                found = [process for process in found if _name(process).startswith("python")]
                direct = set(control.children())
                found = [process for process in found if (process in direct) == (kind == "kill fork server")]
            if found:
                return self.chance.choice(found)
            if not control.is_running():
                return None
        return None

    # -- what must be true -----------------------------------------------------------------------------------

    def _check_branch(self, window: Window) -> None:
        """The branch is at a tree of upstream's, at the end of a workstream, and never goes back."""
        tree = self._git("rev-parse", f"{self.target}^{{tree}}")
        places = [at for at, known in enumerate(window.trees) if known == tree and at >= window.reached]
        if not places:
            raise SoakError(f"{self.target} has the tree {tree}, which is none of those that may follow")
        if not any(at % IN_WORKSTREAM == 0 or at == len(window.commits) for at in places):
            raise SoakError(
                f"{self.target} is amid a workstream: after {places} of {len(window.commits)} commits"
            )
        window.reached = places[0]

    def _check_end(self, window: Window) -> None:
        if self._git("rev-parse", f"{self.target}^{{tree}}") != window.trees[-1]:
            raise SoakError("the run is over and something is lost: the final tree is not upstream's")
        landed = self._git(
            "log",
            "--first-parent",
            "--format=%(trailers:key=Maingate-Workstream,valueonly)",
            f"{window.commits[0]}~1..{self.target}",
        ).split()
        expected = -(-len(window.commits) // IN_WORKSTREAM)
        if len(landed) != expected or len(set(landed)) != expected:
            raise SoakError(f"{expected} workstreams, but landed: {landed}")
        if dirt := self._git("status", "--porcelain"):
            raise SoakError(f"the checkout is not clean: {dirt}")
        git_dir = self.repo / ".git"
        if locks := [str(path) for path in git_dir.rglob("*.lock") if "maingate" not in path.parts]:
            raise SoakError(f"locks are left: {locks}")
        for words in (("audit", "verify"), ("audit", "verify", "--against", self.target)):
            self._ask(*words)
        self._git("fsck", "--no-dangling", "--connectivity-only")
        deadline = time.monotonic() + 30
        while (left := list(self._processes())) and time.monotonic() < deadline:
            time.sleep(0.1)
        if left:
            raise SoakError(f"processes are left: {left}")

    def _processes(self) -> Iterator[str]:
        """List processes that work in this folder, other than this one."""
        for process in psutil.process_iter():
            with contextlib.suppress(psutil.Error):
                if process.pid != os.getpid() and str(self.folder) in " ".join(
                    [process.cwd(), *process.cmdline()]
                ):
                    yield f"{process.pid} {process.cmdline()}"

    def _runs(self) -> list[str]:
        """Return the states of all runs on record."""
        found = json.loads(self._ask("runs", "--limit", "100000", "--json") or "[]")
        return [run["state"] for run in (found if isinstance(found, list) else found["runs"])]

    def _ask(self, *words: str) -> str:
        done = subprocess.run(
            [*MAINGATE, *words], cwd=self.repo, env=self.env, capture_output=True, text=True, check=False
        )
        if done.returncode and words[0] != "runs":
            raise SoakError(f"`{' '.join(words)}` exited with {done.returncode}: {done.stdout}{done.stderr}")
        return done.stdout

    # -- the material ----------------------------------------------------------------------------------------

    def _window(self, commits: Sequence[str]) -> Window:
        trees = [self._git("rev-parse", f"{commit}^{{tree}}") for commit in commits]
        return Window(commits=commits[1:], trees=trees)

    def _plan(self, window: Window) -> Path:
        folder = Path(tempfile.mkdtemp(prefix="window-", dir=self.plans))
        workstreams: dict[str, object] = {}
        for start in range(0, len(window.commits), IN_WORKSTREAM):
            tasks = {}
            for number, commit in enumerate(window.commits[start : start + IN_WORKSTREAM], start):
                patch = folder / f"{number}.patch"
                patch.write_bytes(self._diff(commit))
                tasks[f"c{number}"] = {"patch": patch.name}
            before = [f"w{start - IN_WORKSTREAM}"] if start else []
            workstreams[f"w{start}"] = {"needs": before, "tasks": tasks}
        plan = {
            "maingate": 1,
            "name": folder.name,
            "repo": str(self.repo),
            "target": self.target,
            "landing": self.chance.choice(("merge", "merge", "squash")),
            "policy": {"binary": True, "submodules": True},
            "gates": {
                "sound": {"run": "git ls-files | wc -l && sleep 0.2"},
                "slow": {"run": "sleep 0.5", "on": ["landing"]},
            },
            "workstreams": workstreams,
        }
        path = folder / "plan.json"
        path.write_text(json.dumps(plan, indent=1))
        return path

    def _diff(self, commit: str) -> bytes:
        words = ["git", "diff", "--binary", "--full-index", f"{commit}^1", commit]
        return subprocess.run(words, cwd=self.repo, env=self.env, capture_output=True, check=True).stdout

    def _git(self, *words: str, cwd: Path | None = None) -> str:
        done = subprocess.run(
            ["git", *words], cwd=cwd or self.repo, env=self.env, capture_output=True, text=True, check=False
        )
        if done.returncode:
            raise SoakError(f"git {' '.join(words)} failed: {done.stderr}")
        return done.stdout.strip()


def _name(process: psutil.Process) -> str:
    with contextlib.suppress(psutil.Error):
        return str(process.name())
    return ""


def _with_change(soak: Soak, commits: Sequence[str]) -> list[str]:
    """Leave out commits that change nothing: they give no patch."""
    kept = commits[:1]
    for commit in commits[1:]:
        if soak._diff(commit):
            kept = [*kept, commit]
    return list(kept)


def main() -> int:
    """Soak until the time is over; print what was done."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--repo", type=Path, required=True)
    parser.add_argument("--minutes", type=float, default=30)
    parser.add_argument("--seed", type=int, default=int(time.time()))
    parser.add_argument("--folder", type=Path)
    asked = parser.parse_args()
    folder = Path(tempfile.mkdtemp(prefix="maingate-soak-", dir=asked.folder)).resolve()
    print(f"seed {asked.seed}, in {folder}", flush=True)
    chance = random.Random(asked.seed)
    soak = Soak(folder, asked.repo.resolve(), chance)
    end = time.monotonic() + 60 * asked.minutes
    try:
        commits = soak.prepare()
        while time.monotonic() < end:
            first = chance.randrange(len(commits) - WINDOW - 1)
            window = commits[first : first + chance.randint(4, WINDOW) + 1]
            if any(not soak._diff(commit) for commit in window[1:]):
                continue
            soak.land(window)
            print(
                f"{soak.tally.windows} windows, {soak.tally.landed} patches landed, "
                f"{sum(soak.tally.attacks.values())} attacks",
                flush=True,
            )
    except SoakError as error:
        print(f"BROKEN: {error}\nkept in {folder}")
        return 1
    print(f"attacks: {dict(soak.tally.attacks)}; ends: {dict(soak.tally.exits)}")
    return 0


if __name__ == "__main__":
    sys.exit(main())
