"""Instructions for agents on how to land their work, kept in the files that agents read."""

import os
import re
import shutil
import tempfile
from collections.abc import Iterator
from pathlib import Path
from typing import Final

from maingate.errors import OutsideFaultError, UsageError

BEGIN, END = b"<!-- maingate: begin -->", b"<!-- maingate: end -->"
_MARKED: Final = re.compile(re.escape(BEGIN) + rb".*?" + re.escape(END), re.DOTALL)
_ALWAYS, _WHERE_THERE = "AGENTS.md", "CLAUDE.md"


def instructions() -> bytes:
    """Return the text, between its markers."""
    text = Path(__file__).with_name("agents.md").read_bytes()
    return BEGIN + b"\n" + text + END


def write_instructions(root: Path) -> Iterator[Path]:
    """Write the text into `AGENTS.md`, and into `CLAUDE.md` if there is one; yield each changed file.

    A text between the markers is replaced, and all else stays as it is.

    Args:
        root: The top of a work tree.

    Raises:
        UsageError: A file has only one of the markers, or is a link that leads out of the work tree.
        OutsideFaultError: A file cannot be read or written.
    """
    files = {_file_in(root, name): None for name in (_ALWAYS, _WHERE_THERE) if _is_wanted(root, name)}
    texts = {file: _with_instructions(file) for file in files}
    for file, (before, after) in texts.items():
        if before != after:
            _replace(file, after)
            yield file


def _is_wanted(root: Path, name: str) -> bool:
    return name == _ALWAYS or (root / name).exists()


def _file_in(root: Path, name: str) -> Path:
    """Return the file that a name stands for: where `CLAUDE.md` is a link to `AGENTS.md`, they are one."""
    file = (root / name).resolve()
    if not file.is_relative_to(root.resolve()):
        raise UsageError(f"{root / name} is a link to {file}, outside of the work tree; nothing was written")
    return file


def _with_instructions(file: Path) -> tuple[bytes | None, bytes]:
    try:
        before = file.read_bytes() if file.exists() else None
    except OSError as error:
        raise OutsideFaultError(f"{file} cannot be read: {error.strerror}") from error
    if before is None:
        return None, instructions() + b"\n"
    count = before.count(BEGIN), before.count(END)
    if count == (0, 0):
        gap = b"\n\n" if before.strip() else b""
        return before, before.rstrip(b"\n") + gap + instructions() + b"\n"
    if count != (1, 1) or not _MARKED.search(before):
        raise UsageError(
            f"{file} has the markers of Maingate {count[0]} and {count[1]} times, or in the wrong order; "
            f"keep one {BEGIN.decode()} and one {END.decode()} after it, or neither"
        )
    return before, _MARKED.sub(lambda _: instructions(), before)


def _replace(file: Path, content: bytes) -> None:
    """Write a file as a whole, or not at all."""
    try:
        handle, name = tempfile.mkstemp(prefix=f".{file.name}.", dir=file.parent)
        try:
            with os.fdopen(handle, "wb") as out:
                out.write(content)
            if file.exists():
                shutil.copymode(file, name)
            else:
                Path(name).chmod(0o644)
            Path(name).replace(file)
        except OSError:
            Path(name).unlink(missing_ok=True)
            raise
    except OSError as error:
        raise OutsideFaultError(f"{file} could not be written: {error.strerror}") from error
