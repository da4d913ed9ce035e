"""The paths that a ``.gitmodules`` file names. Standard library only: a worker process imports this."""

import re
from typing import Final

_PATH: Final = re.compile(rb'^[ \t]*path[ \t]*=[ \t]*(?:"([^"\n]+)"|([^"\n]+?))[ \t\r]*$', re.MULTILINE)


def configured_paths(content: bytes) -> tuple[bytes, ...]:
    """Return the paths of submodules that a file configures, each once, in the file's order."""
    return tuple(dict.fromkeys(quoted or plain for quoted, plain in _PATH.findall(content)))
