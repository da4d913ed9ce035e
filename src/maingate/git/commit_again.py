"""Recreation of a commit that is on record and gone from the repository.

Every part of an unsigned commit but the second of its creation follows from the record and the rules of
commits. Its id is a hash of all parts, so trying the possible seconds finds it, with certainty.
"""

from collections.abc import Callable, Sequence
from datetime import UTC, datetime
from hashlib import sha1

from maingate.git.commits import Signature, commit_content, message_with_trailers, tidied
from maingate.git.repository import Repository

MOST_SECONDS = 1_000_000
"""Seconds that are tried at most: eleven days, which takes some seconds."""

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
    """Write a commit again; False when none of the possible commits has its id.

    Args:
        repository: The repository.
        commit: Its id.
        tree: Its tree.
        parents: Its parents.
        message: Its message.
        trailers: The trailers of its message.
        author_at: Returns its author for a time of creation; None for the committer.
        since: The earliest time of its creation.
        until: The latest time of its creation.
    """
    texts = dict.fromkeys(message_with_trailers(each, trailers) for each in (message, tidied(message)))
    first, last = int(since.timestamp()) - SLACK, int(until.timestamp()) + SLACK
    for second in range(first, min(last, first + MOST_SECONDS) + 1):
        at = datetime.fromtimestamp(second, UTC)
        committer = repository.commit_rules.committer(at)
        for text in texts:
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
