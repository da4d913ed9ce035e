"""The checkouts that have not followed their branch. Every report asks for them, and seldom there are any.

So all that is needed to look at one is loaded only when a move of a branch is on record as unfinished.
"""

from maingate.git.repository import Repository
from maingate.landing.move_values import Behind
from maingate.landing.owed_checkouts import unfinished_moves


def behind(repository: Repository, ref: str | None = None) -> list[Behind]:
    """List the checkouts that have not followed their branch and that no living process is updating.

    Reads only. A checkout that the person has put right is not listed any more.
    """
    unfinished = [
        record
        for record, is_alive in unfinished_moves(repository)
        if ref in {None, record.ref} and not is_alive
    ]
    if not unfinished:
        return []
    from maingate.landing.checkouts.late_checkouts import left_behind  # noqa: PLC0415 - seldom needed

    return [each for record in unfinished for each in left_behind(repository, record)]
