"""The processors of this machine, and how many of them have nothing to do."""

import psutil


def idle_processors() -> float:
    """Return how many processors were idle since the last call of this thread, on average; 0 at the first."""
    return float(psutil.cpu_times_percent().idle) / 100 * (psutil.cpu_count() or 1)
