"""The digest of a patch's changes, equal for two texts that make the same changes to the same lines.

As with `git patch-id`, line numbers and the ids on `index` lines do not count, and the context does; unlike
there, white space does. A mail around the diff, a signature or another way of quoting names changes nothing.
"""

from collections.abc import Iterator, Sequence
from hashlib import sha256

from maingate.patches.model import FileChange


def change_key(changes: Sequence[FileChange]) -> str:
    """Return the digest of the changes of one patch, independent of their order."""
    parts = sorted(b"".join(map(_counted, _said(change))) for change in changes)
    return sha256(b"".join(map(_counted, parts))).hexdigest()


def _counted(part: bytes) -> bytes:
    """Return a part with its length before it, so that no two lists of parts are equal as bytes."""
    return b"%d:%s" % (len(part), part)


def _said(change: FileChange) -> Iterator[bytes]:
    yield change.kind.encode()
    yield change.old_path or b""
    yield change.new_path or b""
    yield b"%o" % change.new_mode if change.new_mode not in {None, change.old_mode} else b""
    if change.binary is not None:
        yield change.binary.forward.kind.encode() + change.binary.forward.data
    for hunk in change.hunks:
        yield b"".join(hunk.lines)
