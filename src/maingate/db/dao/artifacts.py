"""The bytes of patches, kept beside the ledger with their checksum."""

from collections.abc import Mapping
from hashlib import sha256
from typing import Final

from sqlalchemy import Connection

from maingate.db.statements import change_many, insertion, row_of
from maingate.errors import DatabaseError, UnknownEntityError

_STORE: Final = insertion("patch_artifacts", ("patch_id", "sha256", "diff"))


def store(connection: Connection, patch_id: str, diff: bytes) -> str:
    """Keep a patch's diff and return its SHA-256.

    Raises:
        InvariantError: There is no such patch, or its diff is kept already.
    """
    return store_many(connection, {patch_id: diff})[patch_id]


def store_many(connection: Connection, diffs: Mapping[str, bytes]) -> dict[str, str]:
    """Keep the diffs of patches, by patch, and return their SHA-256.

    Raises:
        InvariantError: One of the patches does not exist, or its diff is kept already.
    """
    sums = {patch_id: sha256(diff).hexdigest() for patch_id, diff in diffs.items()}
    change_many(connection, _STORE, [(patch_id, sums[patch_id], diff) for patch_id, diff in diffs.items()])
    return sums


def diff_of(connection: Connection, patch_id: str) -> bytes:
    """Return a patch's diff.

    Raises:
        UnknownEntityError: No diff is kept for that patch.
        DatabaseError: What is kept is not what was stored.
    """
    sql = "SELECT sha256, diff FROM patch_artifacts WHERE patch_id = ?"
    found = row_of(connection, sql, (patch_id,))
    if found is None:
        raise UnknownEntityError(
            patch_id, f"no diff is kept for {patch_id!r}; `maingate patch list` lists what there is"
        )
    diff = bytes(found[1])
    if sha256(diff).hexdigest() != found[0]:
        raise DatabaseError(
            f"the diff of {patch_id} is damaged: its checksum is not the stored one; restore a copy"
        )
    return diff
