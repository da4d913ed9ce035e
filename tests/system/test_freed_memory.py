"""Memory that was freed goes back to the system."""

import platform
import subprocess
import sys

import pytest

PROGRAM = """
import sys, threading
import psutil
from maingate.system.freed_memory import return_freed_memory

if sys.argv[1:]:
    assert return_freed_memory()

def work(kept=[]):
    for _ in range(8):
        large = [bytes(1 << 20) for _ in range(8)]
        kept.append(bytes(2000))  # behind them in memory
        del large
    more.wait()

before, more = psutil.Process().memory_info().rss, threading.Barrier(9)
threads = [threading.Thread(target=work) for _ in range(8)]
for thread in threads:
    thread.start()
more.wait()
print((psutil.Process().memory_info().rss - before) >> 20)
"""


@pytest.mark.skipif(platform.libc_ver()[0] != "glibc", reason="others have no such settings")
def test_blocks_that_many_threads_have_freed_are_no_longer_in_memory() -> None:
    """Without the settings they are, behind small ones that are in use."""
    words = [sys.executable, "-c", PROGRAM]
    kept, returned = (
        int(subprocess.run([*words, *more], capture_output=True, text=True, check=True).stdout)
        for more in ([], ["return"])
    )
    assert returned < 8
    assert kept > 2 * returned
