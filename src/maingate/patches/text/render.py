"""The canonical text of a change, in git's form, so that git reads exactly the parsed change."""

from collections.abc import Iterator

from maingate.patches.model import REGULAR, ChangeKind, FileChange, Hunk
from maingate.patches.text.quoting import quote_path


def render_change(change: FileChange) -> bytes:
    """Return one file's part of a diff.

    Raises:
        ValueError: It has doubts that ``locate`` has not resolved.
    """
    if change.needs_base:
        raise ValueError(f"the change of {change.path!r} was not located on a base yet")
    return b"".join(_parts(change))


def _parts(change: FileChange) -> Iterator[bytes]:
    old, new = change.old_path, change.new_path
    yield b"diff --git %s %s\n" % (_named(b"a/", change.paths[0]), _named(b"b/", change.paths[-1]))
    yield from _extended(change)
    if change.binary is not None:
        yield b"GIT binary patch\n" + change.binary.forward.text
        if change.binary.reverse is not None:
            yield change.binary.reverse.text
    elif change.hunks:
        yield b"--- %s\n" % (b"/dev/null" if old is None else _with_tab(_named(b"a/", old)))
        yield b"+++ %s\n" % (b"/dev/null" if new is None else _with_tab(_named(b"b/", new)))
        for hunk in change.hunks:
            yield _hunk_header(hunk)
            yield from hunk.lines


def _named(prefix: bytes, path: bytes) -> bytes:
    return quote_path(prefix + path)


def _with_tab(name: bytes) -> bytes:
    """Return a name with spaces ended by a tab, as by git: else its end could be read as a time stamp."""
    return name + b"\t" if b" " in name and not name.startswith(b'"') else name


def _extended(change: FileChange) -> Iterator[bytes]:
    old_mode, new_mode = change.old_mode, change.new_mode
    if change.kind is ChangeKind.ADD:
        yield b"new file mode %06o\n" % (new_mode or REGULAR)
    elif change.kind is ChangeKind.DELETE:
        yield b"deleted file mode %06o\n" % (old_mode or REGULAR)
    elif old_mode is not None and new_mode is not None and old_mode != new_mode:
        yield b"old mode %06o\nnew mode %06o\n" % (old_mode, new_mode)
    if change.similarity is not None:
        yield b"similarity index %d%%\n" % change.similarity
    if change.dissimilarity is not None:
        yield b"dissimilarity index %d%%\n" % change.dissimilarity
    if change.kind in (ChangeKind.RENAME, ChangeKind.COPY) and change.old_path and change.new_path:
        verb = b"rename" if change.kind is ChangeKind.RENAME else b"copy"
        yield b"%s from %s\n" % (verb, quote_path(change.old_path))
        yield b"%s to %s\n" % (verb, quote_path(change.new_path))
    if change.old_blob is not None or change.new_blob is not None:
        yield _index(change)


def _index(change: FileChange) -> bytes:
    old, new = change.old_blob, change.new_blob
    width = len(old or new or "")
    mode = change.old_mode if change.old_mode == change.new_mode else None
    suffix = b"" if mode is None else b" %06o" % mode
    return b"index %s..%s%s\n" % ((old or "0" * width).encode(), (new or "0" * width).encode(), suffix)


def _hunk_header(hunk: Hunk) -> bytes:
    old = _range(hunk.old_start, hunk.old_count)
    return b"@@ -%s +%s @@%s\n" % (old, _range(hunk.new_start, hunk.new_count), hunk.section)


def _range(start: int | None, count: int) -> bytes:
    return b"%d" % (start or 0) if count == 1 else b"%d,%d" % (start or 0, count)
