"""Making the very commit again that is on record and gone from the repository.

Everything in a commit follows from what is on record, but for the second in which it was made. An id is a
hash of it all, so trying the seconds in question finds the one, and what is found is certain.
"""

from collections.abc import Callable, Sequence
from datetime import UTC, datetime
from hashlib import sha1

from maingate.git.commits import Signature, commit_content, message_with_trailers
from maingate.git.repository import MAINGATE_MAIL, MAINGATE_NAME, Repository

MOST_SECONDS = 1_000_000
"""How many are tried: eleven days, in some seconds."""

SLACK = 2
"""Seconds by which clocks and roundings may differ."""


def commit_again(
    repository: Repository,
    *,
    commit: str,
    tree: str,
    parents: Sequence[str],
    message: str,
    trailers: Sequence[tuple[str, str]],
    author_at: Callable[[datetime], Signature | None],
    since: datetime,
    until: datetime,
) -> bool:
    """Write a commit again as it was; False when nothing that could have been it has its id.

    Args:
        repository: Where to.
        commit: Its id.
        tree: Its tree.
        parents: Its parents.
        message: Its message.
        trailers: What its message ends with.
        author_at: Gives its author, had it been made at that time; None for Maingate itself.
        since: When it was made at the earliest.
        until: When it was made at the latest.
    """
    text = message_with_trailers(message, trailers)
    first, last = int(since.timestamp()) - SLACK, int(until.timestamp()) + SLACK
    for second in range(first, min(last, first + MOST_SECONDS) + 1):
        at = datetime.fromtimestamp(second, UTC)
        committer = Signature(MAINGATE_NAME, MAINGATE_MAIL, at)
        content = commit_content(
            tree=tree,
            parents=parents,
            message=text,
            author=(author_at(at) or committer).as_bytes(),
            committer=committer.as_bytes(),
        )
        if _id_of(content) == commit:
            repository.write_commit(content)
            return True
    return False


def _id_of(content: bytes) -> str:
    return sha1(b"commit %d\0" % len(content) + content, usedforsecurity=False).hexdigest()
