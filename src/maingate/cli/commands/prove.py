"""``maingate prove``: show the gates that prove a commit, or the position of the branch that brought it."""

from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from maingate.cli.exit_codes import ExitCode
from maingate.cli.output import console, print_json
from maingate.cli.record_reading import AsJson, opened_for_reading

if TYPE_CHECKING:
    from maingate.bootstrap import Maingate


def prove(
    commit: Annotated[str, typer.Argument(metavar="COMMIT", help="A commit, as git names it.")] = "HEAD",
    as_json: AsJson = False,
) -> None:
    """Show which executions of gates prove a commit, or the position of its branch that brought it.

    Exit codes: 0 it is proven, 1 it is not: Maingate did not land it, or a gate has not passed; 2 there is no
    such commit.
    """
    maingate = opened_for_reading()
    if maingate is None:
        told = _unrecorded(commit)
    else:
        with maingate:
            told = _recorded(maingate, commit)
    if as_json:
        print_json(told)
    else:
        from maingate.cli.views.proof import print_proof

        print_proof(console(), told)
    if told["proof"] == "none":
        raise typer.Exit(ExitCode.REFUSED)


def _recorded(maingate: "Maingate", commit: str) -> dict[str, Any]:
    from maingate.queries.proof import proof_of

    return proof_of(maingate.context, maingate.repository.resolve_commit(commit))


def _unrecorded(commit: str) -> dict[str, Any]:
    """Return the proof of a commit in a repository in which Maingate has not run."""
    from maingate.git.repository import Repository
    from maingate.queries.proof import unlanded

    with Repository.open(Path.cwd()) as repository:
        return unlanded(repository, repository.resolve_commit(commit))
