"""Workstreams as they would land, made of commits."""

from collections.abc import Sequence

from maingate.commits import LandingInput, Tip
from maingate.git.repository import Repository
from maingate.ids import PatchId, RunId, WorkstreamId


def tip_of(repository: Repository, commit: str) -> Tip:
    """Return a commit with its tree."""
    return Tip(commit=commit, tree=repository.tree_of(commit))


def input_of(repository: Repository, commits: Sequence[str]) -> LandingInput:
    """Return a workstream of some commits in a row, each the patch of a task."""
    patches = [PatchId(f"patch_{number}") for number, _ in enumerate(commits)]
    [base] = repository.read_commit(commits[0]).parents
    return LandingInput(
        run=RunId("run_1"),
        workstream=WorkstreamId("ws_1"),
        name="edit",
        title="",
        base=tip_of(repository, base),
        settled=tip_of(repository, commits[-1]),
        commits=list(zip(patches, commits, strict=True)),
        tasks={patch: f"task{number}" for number, patch in enumerate(patches)},
        gates=(),
        patch_gates={},
        intents=(),
        open_intent=None,
    )
