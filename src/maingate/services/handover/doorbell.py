"""The bell of a server: another process rings it when it has handed a run over.

It is a named pipe in the state folder. Ringing is a hint that saves a server's next look a second; a server
on another machine does not hear it, and looks by itself.
"""

import os
from contextlib import suppress
from pathlib import Path
from typing import Final, Self

from maingate.errors import OutsideFaultError
from maingate.state_folder import StatePaths

_NAME: Final = "server.bell"
_LENGTH: Final = 4096


def ring(paths: StatePaths) -> None:
    """Ring the bell of the server of a repository, if there is one on this machine."""
    with suppress(OSError):  # no bell, or no server that listens: it looks by itself
        bell = os.open(paths.root / _NAME, os.O_WRONLY | os.O_NONBLOCK | os.O_CLOEXEC)
        try:
            os.write(bell, b"!")
        finally:
            os.close(bell)


class Doorbell:
    """The bell that this process listens to.

    Args:
        path: The named pipe.
        fd: Its descriptor, readable when it was rung.
    """

    def __init__(self, path: Path, fd: int) -> None:
        self._path, self.fd = path, fd

    @classmethod
    def hang_up(cls, paths: StatePaths) -> Self:
        """Make the bell and listen to it.

        Raises:
            OutsideFaultError: The state folder does not allow it.
        """
        path = paths.root / _NAME
        try:
            path.unlink(missing_ok=True)
            os.mkfifo(path, 0o600)
            # also open for writing, so that it does not count as closed when the last who rang has gone
            return cls(path, os.open(path, os.O_RDWR | os.O_NONBLOCK | os.O_CLOEXEC))
        except OSError as error:
            raise OutsideFaultError(f"the server's bell {path} cannot be made: {error}") from error

    def silence(self) -> None:
        """Forget who has rung."""
        with suppress(BlockingIOError):
            while os.read(self.fd, _LENGTH):
                pass

    def take_down(self) -> None:
        """Stop listening, and remove the bell."""
        os.close(self.fd)
        with suppress(OSError):  # a pipe without a reader is no bell, and its folder may be gone
            self._path.unlink()
