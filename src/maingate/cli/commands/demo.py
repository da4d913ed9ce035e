"""``maingate demo``: run good and bad patches on a real repository and explain the result of each."""

import os
import tempfile
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, Final

import typer

from maingate.cli.exit_codes import ExitCode
from maingate.cli.output import console, fail
from maingate.cli.text import count, duration, safe
from maingate.demo.check import differences, marks_left, patch_outcome, task_of
from maingate.errors import UsageError

if TYPE_CHECKING:
    from rich.console import Console

    from maingate.demo.stage import DemoPaths
    from maingate.demo.story import Scene

WIDTH: Final = 80
_INDENT: Final = 17


def demo(
    keep: Annotated[
        Path | None,
        typer.Option(
            "--keep", metavar="DIR", help="Make the demo in DIR, a new or empty folder, and keep it."
        ),
    ] = None,
) -> None:
    """Run Maingate on a small real repository with good, broken, conflicting, corrupt and hostile patches."""
    import time

    began = time.monotonic()
    with _folder(keep) as root, _own_world():
        unlike_the_story = _play(root)
    out = _console()
    if unlike_the_story:
        fail("the demo did not end as expected; this is a bug in Maingate:\n" + "\n".join(unlike_the_story))
        raise typer.Exit(ExitCode.UNEXPECTED)
    out.print()
    _print_end(out, keep, seconds=time.monotonic() - began)


def _play(root: Path) -> list[str]:
    """Set the stage, run the plan and print the outcome; return the differences from the story."""
    from maingate.bootstrap import Maingate
    from maingate.cli.commands.run import run_plan
    from maingate.demo.stage import set_stage
    from maingate.demo.story import SCENES
    from maingate.queries.audit import verify_record
    from maingate.services.runs.plan_loading import load_plan

    out = _console()
    _print_opening(out, SCENES)
    stage = set_stage(root)
    config = (stage.repository / ".git" / "config").read_bytes()
    with Maingate.open(stage.repository) as maingate:
        outcome = run_plan(maingate, load_plan(stage.plan), workers=None, progress_on_stderr=False)
        if outcome.interruption is not None:
            raise outcome.interruption
        report = outcome.report
        record = verify_record(maingate.context)
    _print_outcomes(out, SCENES, report)
    _print_branch(out, stage)
    found = [*differences(SCENES, report), *marks_left(stage, config, report)]
    if not record.is_intact:
        found.append("`maingate audit verify` reports a damaged record")
    if not found:
        _print_proofs(out, report, rows=record.rows)
    return found


@contextmanager
def _folder(keep: Path | None) -> Iterator[Path]:
    """Return an empty folder: the one to keep, or one that is removed afterwards."""
    if keep is None:
        with tempfile.TemporaryDirectory(prefix="maingate-demo-", ignore_cleanup_errors=True) as made:
            yield Path(made).resolve()
        return
    if keep.exists() and (not keep.is_dir() or any(keep.iterdir())):
        raise UsageError(
            f"{keep} is not an empty folder; name a new one, as in `maingate demo --keep tally-demo`"
        )
    keep.mkdir(parents=True, exist_ok=True)
    yield keep.resolve()


@contextmanager
def _own_world() -> Iterator[None]:
    """Hide the user's Maingate settings (above all a shared database) and use a temporary cache."""
    before = {name: os.environ.pop(name) for name in list(os.environ) if name.startswith("MAINGATE_")}
    with tempfile.TemporaryDirectory(prefix="maingate-demo-cache-", ignore_cleanup_errors=True) as cache:
        os.environ["MAINGATE_CACHE_DIR"] = cache
        try:
            yield
        finally:
            del os.environ["MAINGATE_CACHE_DIR"]
            os.environ.update(before)


def _console() -> "Console":
    out = console()
    out.width = min(out.width, WIDTH)
    return out


def _print_opening(out: "Console", scenes: Sequence["Scene"]) -> None:
    good = sum(scene.lands for scene in scenes)
    out.print()
    out.print("Maingate demo", style="bold")
    out.print(
        "A small Python project with tests, and a plan of "
        f"{_word(len(scenes))} workstreams that want to change its main branch: {_word(good)} good ones, and "
        f"{_word(len(scenes) - good)} of the kinds that break a main branch. All of it is real: the "
        "repository, the patches, the tests.",
    )
    out.print()


def _print_outcomes(out: "Console", scenes: Sequence["Scene"], report: Mapping[str, Any]) -> None:
    out.print()
    landed = [scene for scene in scenes if scene.lands]
    refused = [scene for scene in scenes if not scene.lands]
    _print_rule(out, f"What landed: {len(landed)}")
    for scene in landed:
        _print_scene(out, scene, report)
    _print_rule(out, f"What was kept out: {len(refused)}")
    for scene in refused:
        _print_scene(out, scene, report)


def _print_scene(out: "Console", scene: "Scene", report: Mapping[str, Any]) -> None:
    from rich.table import Table
    from rich.text import Text

    state, code = patch_outcome(task_of(report, f"{scene.name}/{scene.patches[-1].task}")["patch"])
    has_landed = state == "committed"
    style = "green" if has_landed else "red"
    grid = Table.grid(padding=(0, 1, 0, 0))
    grid.add_column(width=1)
    grid.add_column(width=_INDENT - 3, no_wrap=True)
    grid.add_column()
    heading = Text(scene.title, style="bold")
    if code:
        heading.append(f"  {code}", style="not bold red")
    grid.add_row(Text("✔" if has_landed else "✘", style=style), Text(scene.name, style=style), heading)
    grid.add_row("", "", scene.told)
    if not has_landed:
        grid.add_row(
            "", "", Text(f"$ maingate patch show {scene.name}/{scene.patches[-1].task}", style="cyan")
        )
    out.print(grid)
    out.print()


def _print_branch(out: "Console", stage: "DemoPaths") -> None:
    from maingate.git.command import run_git

    _print_rule(out, "main, as git shows it")
    log = run_git("log", "--graph", "--format=%h %s", "main", cwd=stage.repository).stdout
    for line in safe(log, keep_newlines=True).rstrip().splitlines():
        out.print(f"  {line}", no_wrap=True, overflow="ellipsis")
    out.print()


def _print_proofs(out: "Console", report: Mapping[str, Any], *, rows: int) -> None:
    from rich.text import Text

    gates = report["gates"]
    proofs = [
        "main's own tests pass; its checkout is clean and up to date.",
        ".git/config is as it was; nothing was written outside the repository.",
        f"Every step is on record: {rows} changes of state, chained by hash, verified.",
        f"{count(gates['run'], 'gate')} run, {count(gates['reused'], 'verdict')} reused: one test per tree.",
    ]
    _print_rule(out, "Checked on the disk just now")
    for proof in proofs:
        out.print(Text.assemble(("✔ ", "green"), proof))


def _print_end(out: "Console", keep: Path | None, *, seconds: float) -> None:
    took = duration(seconds)
    if keep is None:
        out.print(f"That took {took}. The folder has been removed. To try the commands, keep it:")
        _print_commands(out, ["maingate demo --keep tally-demo"])
        return
    out.print(f"That took {took}. Look around:")
    _print_commands(
        out,
        [
            f"cd {safe(str(keep / 'tally'))}",
            "maingate status",
            "maingate quarantine",
            "maingate patch diff shortcut/link",
            "maingate events --entity daily-report",
            "maingate audit verify",
        ],
    )


def _print_commands(out: "Console", commands: Sequence[str]) -> None:
    for command in commands:
        out.print(f"  $ {command}", style="cyan", soft_wrap=True)
    out.print()
    out.print("On your own repository: maingate init, then maingate run maingate-plan.yaml")


def _print_rule(out: "Console", title: str) -> None:
    from rich.rule import Rule
    from rich.text import Text

    out.print(Rule(Text(title, style="bold"), align="left", style="dim"))


def _word(number: int) -> str:
    words = ("no", "one", "two", "three", "four", "five", "six", "seven", "eight", "nine", "ten")
    return words[number] if number < len(words) else str(number)
