"""The bytes of patches, stored beside the ledger with their checksum."""

from collections.abc import Mapping
from hashlib import sha256

from sqlalchemy import Connection

from maingate.db.ledger.facts import insert_bound
from maingate.db.schema.tables import patch_artifacts
from maingate.db.sql.statements import row_of
from maingate.errors import DatabaseError, UnknownEntityError


def store(connection: Connection, patch_id: str, diff: bytes) -> str:
    """Store a patch's diff and return its SHA-256.

    Raises:
        InvariantError: There is no such patch, or its diff is stored already.
    """
    return store_many(connection, {patch_id: diff})[patch_id]


def store_many(connection: Connection, diffs: Mapping[str, bytes]) -> dict[str, str]:
    """Store the diffs of patches, by patch, bind them into the ledger, and return their SHA-256.

    Raises:
        InvariantError: One of the patches does not exist, or its diff is stored already.
    """
    sums = {patch_id: sha256(diff).hexdigest() for patch_id, diff in diffs.items()}
    rows = [(patch_id, sums[patch_id], diff) for patch_id, diff in diffs.items()]
    insert_bound(connection, patch_artifacts, rows)
    return sums


def diff_of(connection: Connection, patch_id: str) -> bytes:
    """Return a patch's diff.

    Raises:
        UnknownEntityError: No diff is stored for that patch.
        DatabaseError: The stored bytes do not match their checksum.
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
