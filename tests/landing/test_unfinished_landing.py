"""The outcome of a landing whose process was killed, by the branch itself."""

from dataclasses import replace

from maingate.db.dao.intents import Intent
from maingate.landing.intended_move import HeldTarget
from maingate.landing.unfinished_landing import newest_landed
from support.factories import GitRepo


def test_the_newest_intent_in_the_history_has_landed(
    target: HeldTarget, intent: Intent, repo: GitRepo, commits: tuple[str, str]
) -> None:
    """After a crash the branch is the witness, whoever moved it on since, and whatever git has collected."""
    unknown = replace(intent, new="0" * 40)
    assert newest_landed(target.repository, [intent, unknown], head=commits[0]) is None
    repo.git("reset", "-q", "--hard", commits[1])
    later = repo.commit({"b.txt": "theirs\n"}, "theirs")
    assert newest_landed(target.repository, [intent, unknown], head=later) is intent
