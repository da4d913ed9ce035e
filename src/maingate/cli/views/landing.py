"""Views of a landing: the work and the target, and what became of it with the commands that help."""

from collections.abc import Mapping, Sequence
from shlex import quote
from typing import TYPE_CHECKING, Any, Final

from maingate.cli.tables import print_commands
from maingate.cli.text import count, safe
from maingate.cli.views.patch import print_excerpt
from maingate.queries.after_refusal import ADVICE
from maingate.wording import listed

if TYPE_CHECKING:
    from rich.console import Console

_SHOWN: Final = 5
_LAST_LINES: Final = 20
"""Lines of the output of a failed gate that are shown."""

_ADVICE: Final = {
    **ADVICE,
    "approve": "a person has to approve it",
    "resume": "its process is gone; this goes on with it",
    "wait": "follow it",
    "repair_checkout": "a checkout has not followed the target",
}


def print_work(out: "Console", target: str, items: Sequence[Mapping[str, Any]]) -> None:
    """Print what lands on which branch, what is there already, and what is not committed."""
    branch = safe(target.removeprefix("refs/heads/"))
    for item in items:
        name = safe(item["title"])
        if not item["patches"]:
            out.print(f"{name}: {branch} has all of it already", soft_wrap=True)
        else:
            out.print(
                f"landing {name} into {branch}: {count(item['patches'], 'patch', 'patches')}",
                soft_wrap=True,
            )
        if item["merged"]:
            out.print("  it has merged its target, so it lands as one patch", style="dim", soft_wrap=True)
        if item["patches"] and item["applied"]:
            told = listed([safe(each) for each in item["applied"]], _SHOWN)
            out.print(f"  there already: {told}", style="dim", soft_wrap=True)
        for note in item["notes"][:_SHOWN]:
            out.print(f"  note: {safe(note)}", style="dim", soft_wrap=True)
        if item["uncommitted"]:
            told = listed([safe(each) for each in item["uncommitted"]], _SHOWN)
            out.print(f"  not committed, so it does not land: {told}", style="yellow", soft_wrap=True)


def print_landing(out: "Console", report: Mapping[str, Any], *, page: str | None = None) -> None:
    """Print the result: the report, the last lines of each failed gate, the next step, and its page."""
    if report["run_id"] is None:
        if report["state"] == "succeeded":
            out.print("nothing left to do")
        else:
            out.print("refused: the target has some of it already (--on-applied refuse)")
        return
    from maingate.cli.views.report import print_report
    from maingate.queries.runs.next_action import refusals

    print_report(out, report)
    for name, reason in refusals(report):
        output = str((reason["detail"] or {}).get("output") or "").rstrip().splitlines()[-_LAST_LINES:]
        if output:
            out.print()
            out.print(f"  the last lines for {safe(name)}:", style="bold")
            print_excerpt(out, "\n".join(output))
    if page is None:
        _print_next(out, report)
    else:  # the commands of the next step are for the server's machine
        out.print()
        out.print(f"  {page}", soft_wrap=True)


def _print_next(out: "Console", report: Mapping[str, Any]) -> None:
    action = report["next_action"]
    if action["code"] == "none":
        return
    out.print()
    if action["code"] != "rebase":
        print_commands(out, [(safe(action["command"]), _ADVICE[action["code"]])])
        return
    if (rebase := _rebase(report, action["about"])) is not None:
        print_commands(
            out, [(rebase, _ADVICE["rebase"]), (safe(action["command"]), "what it conflicts with")]
        )
    else:
        print_commands(out, [(safe(action["command"]), "make it again on the target, and land that")])


def _rebase(report: Mapping[str, Any], about: str) -> str | None:
    """Return the command that rebases the branch of a refused task or workstream; None if it is no branch."""
    name = about.partition("/")[0]
    branch = next((item["branch"] for item in report["items"] if item["workstream"] == name), None)
    if branch is None:
        return None
    target, work = (safe(quote(ref.removeprefix("refs/heads/"))) for ref in (report["target"]["ref"], branch))
    return f"git rebase {target} {work}"
