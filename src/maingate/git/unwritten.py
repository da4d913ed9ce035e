"""The objects that a thread has not written yet, and must have written before it starts a git process.

Standard library only: a UET worker process imports this with the git command.
"""

import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager


class _OfThread(threading.local):
    def __init__(self) -> None:
        self.writers: list[Callable[[], None]] = []


_OF_THREAD = _OfThread()


@contextmanager
def written_before_git(write: Callable[[], None]) -> Iterator[None]:
    """Call a function before each git process that this thread starts within the block.

    Args:
        write: Writes what the process may read; called also when there is nothing.
    """
    _OF_THREAD.writers.append(write)
    try:
        yield
    finally:
        _OF_THREAD.writers.remove(write)


def write_all() -> None:
    """Write all that this thread has not written yet."""
    for write in tuple(_OF_THREAD.writers):
        write()
