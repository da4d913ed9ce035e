"""What a patch changes, as one short value: equal for two texts that do the same to the same lines.

As with `git patch-id`, line numbers and the ids on `index` lines do not count, and the context does; unlike
there, white space does. A mail around the diff, a signature or another way of quoting names changes nothing.
"""

from collections.abc import Iterator, Sequence
from hashlib import sha256

from maingate.patches.model import FileChange


def change_key(changes: Sequence[FileChange]) -> str:
    """Return the value for the changes of one patch, whatever their order."""
    parts = sorted(b"".join(map(_counted, _said(change))) for change in changes)
    return sha256(b"".join(map(_counted, parts))).hexdigest()


def _counted(part: bytes) -> bytes:
    """Put the length before a part, so that no two lists of parts read alike."""
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
