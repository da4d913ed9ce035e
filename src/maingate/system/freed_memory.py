"""Memory that was freed goes back to the system, where the C library would keep it for later.

By default glibc gives each thread an area of its own and keeps in it all but the largest blocks that were
freed, up to 32 MB each. A server whose threads come and go would grow with each of them for hours.
"""

import ctypes
from typing import Final

_MMAP_THRESHOLD, _ARENA_MAX = -3, -8
"""Numbers of these settings in ``malloc.h``."""

_LARGE: Final = 128 * 1024
"""Bytes from which on a block is returned as soon as it is freed."""

_MOST_AREAS: Final = 2


def return_freed_memory() -> bool:
    """Set that large blocks are returned at once, and that threads share few areas; return whether it is so.

    To be called before threads are started. Another C library than glibc has no such settings.
    """
    setting = getattr(ctypes.CDLL(None), "mallopt", None)
    if setting is None:
        return False
    return all([setting(_MMAP_THRESHOLD, _LARGE), setting(_ARENA_MAX, _MOST_AREAS)])
