"""Secrets of an agent that are in the patch which it leaves: they are blotted out, and the patch is refused.

Standard library and few modules of ``uet`` only: a UET worker process imports this.
"""

from collections.abc import Iterable
from pathlib import Path
from typing import Final

from maingate.uet.process.redaction import Redactor

_CHUNK: Final = 1024 * 1024


def blot_leaked(patch: Path, secrets: Iterable[str]) -> bool:
    """Blot the values of secrets out of the file of a patch; return whether there were any."""
    redactor = Redactor(secrets)
    clean = patch.with_name(patch.name + ".clean")
    with patch.open("rb") as source, clean.open("wb") as target:
        while data := source.read(_CHUNK):
            target.write(redactor.feed(data))
        target.write(redactor.flush())
    if redactor.has_found:
        clean.replace(patch)
    else:
        clean.unlink()
    return redactor.has_found
