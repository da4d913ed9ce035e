"""The seal on a landing: trailers with the position of the record when its commit was made.

A candidate is judged first and sealed then, so that its verdicts are before the head that it carries.
Trailers of the same name in the message of a patch are older and stand before it: the seal is the last line.
"""

import re
from collections.abc import Sequence
from typing import Final

from maingate.git.commits import commit_content, message_with_trailers
from maingate.git.repository import Repository
from maingate.plan.model import Plan

RECORD: Final = "Maingate-Record"
"""The trailer that names the record: another clone may have another."""

LEDGER: Final = "Maingate-Ledger"
"""The trailer with the number of the record's last row and the head of its ledger."""

_SEAL: Final = re.compile(rb"\nMaingate-Ledger: ([0-9]{1,18}):([0-9a-f]{64})\n?\Z")


def is_judged_sealed(plan: Plan, gates: Sequence[str]) -> bool:
    """Return whether a commit gets its seal before it is judged: a gate looks at it, or no gate judges it."""
    return not gates or any(plan.gates[gate].needs_commit for gate in gates)


def seal(repository: Repository, commit: str, *, record: str, position: str) -> str:
    """Make a commit again with the seal at the end of its message, all else alike, and return its id.

    Args:
        repository: Where it is.
        commit: A commit that Maingate has made.
        record: The id of the record.
        position: How far its ledger has got.
    """
    old = repository.read_commit(commit)
    message = message_with_trailers(old.message, [(RECORD, record), (LEDGER, position)])
    return repository.finish_commit(
        commit_content(
            tree=old.tree, parents=old.parents, message=message, author=old.author, committer=old.committer
        )
    )


def seal_of(message: bytes) -> tuple[int, str] | None:
    """Read the seal of a commit: a number and a head; None when its message does not end with one."""
    found = _SEAL.search(message)
    return None if found is None else (int(found[1]), found[2].decode())


def trailers(message: bytes, key: str) -> list[str]:
    """Return the values of trailers of a name in the last paragraph of a message, in order."""
    start = f"{key}: ".encode()
    lines = message.rstrip(b"\n").rsplit(b"\n\n", 1)[-1].split(b"\n")
    return [line[len(start) :].decode(errors="replace") for line in lines if line.startswith(start)]
