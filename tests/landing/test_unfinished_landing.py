"""The outcome of a landing whose process was killed, by the branch itself."""

from dataclasses import replace

import pytest

from maingate.commits import LandingInput, LandingIntent, Tip
from maingate.db.dao.intents import Intent
from maingate.git.repository import Repository
from maingate.ids import WorkstreamId
from maingate.landing.intended_move import HeldTarget
from maingate.landing.unfinished_landing import HasLanded, IsOwed, newest_landed, outcome_of
from support.factories import GitRepo


def _workstream(repository: Repository, commits: tuple[str, str], *, is_open: bool) -> LandingInput:
    old, new = commits
    intent = LandingIntent(id="i", workstream=WorkstreamId("w"), old=old, new=new, commits={})
    tip = Tip(commit=old, tree=repository.tree_of(old))
    return LandingInput(
        workstream=intent.workstream,
        name="w",
        title="",
        base=tip,
        settled=tip,
        commits=(),
        gates=(),
        intents=[intent],
        open_intent=intent.id if is_open else None,
    )


def test_the_newest_intent_in_the_history_has_landed(
    target: HeldTarget, intent: Intent, repo: GitRepo, commits: tuple[str, str]
) -> None:
    """After a crash the branch is the witness, whoever moved it on since, and whatever git has collected."""
    unknown = replace(intent, new="0" * 40)
    assert newest_landed(target.repository, [intent, unknown], head=commits[0]) is None
    repo.git("reset", "-q", "--hard", commits[1])
    later = repo.commit({"b.txt": "theirs\n"}, "theirs")
    assert newest_landed(target.repository, [intent, unknown], head=later) is intent


@pytest.mark.parametrize(
    ("place", "is_open", "expected"),
    [(0, True, IsOwed), (0, False, None), (1, True, HasLanded), (1, False, HasLanded)],
)
def test_the_branch_tells_what_became_of_a_landing(
    target: HeldTarget, commits: tuple[str, str], place: int, *, is_open: bool, expected: type | None
) -> None:
    """A landing whose commit the branch has did happen; one that is open, and begins at the head, is owed."""
    workstream = _workstream(target.repository, commits, is_open=is_open)
    outcome = outcome_of(target.repository, workstream, head=commits[place])
    assert outcome == (None if expected is None else expected(intent=workstream.intents[0]))


def test_an_intent_that_begins_elsewhere_is_void(
    target: HeldTarget, commits: tuple[str, str], repo: GitRepo
) -> None:
    """Somebody moved the branch on before the landing: it is merged anew, and owed no more."""
    workstream = _workstream(target.repository, commits, is_open=True)
    theirs = repo.commit({"b.txt": "theirs\n"}, "theirs")
    assert outcome_of(target.repository, workstream, head=theirs) is None
