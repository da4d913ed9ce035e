"""Limits of what the processes of a command may use, and the count of processes killed for want of memory."""

import resource
import sys
from collections.abc import Callable
from dataclasses import dataclass


@dataclass(frozen=True, kw_only=True)
class ProcessLimits:
    """Upper bounds for the processes of a command; None sets no limit.

    Args:
        cpu_seconds: CPU time of one process; beyond it the command has timed out.
        memory_bytes: Address space of one process.
        processes: Processes of the user (the system counts all of them, and none for root).
        file_bytes: Size of one file.
    """

    cpu_seconds: int | None = None
    memory_bytes: int | None = None
    processes: int | None = None
    file_bytes: int | None = None


def limiter(limits: ProcessLimits) -> Callable[[], None] | None:
    """Return the function that sets the limits in the child; None when there are none to set."""
    wanted = {
        resource.RLIMIT_CPU: limits.cpu_seconds,
        resource.RLIMIT_AS: limits.memory_bytes,
        resource.RLIMIT_NPROC: limits.processes,
        resource.RLIMIT_FSIZE: limits.file_bytes,
    }
    settings = [(kind, *_within(kind, value)) for kind, value in wanted.items() if value is not None]
    if not settings:
        return None

    def limit() -> None:
        for kind, soft, hard in settings:
            resource.setrlimit(kind, (soft, hard))

    return limit


def _within(kind: int, value: int) -> tuple[int, int]:
    """Return soft and hard limit, no higher than what this process is allowed itself."""
    _, ceiling = resource.getrlimit(kind)
    hard = value + 1 if kind == resource.RLIMIT_CPU else value
    if ceiling == resource.RLIM_INFINITY:
        return value, hard
    return min(value, ceiling), min(hard, ceiling)


def memory_kills() -> int:
    """Count the processes that this machine killed for want of memory; 0 where the system does not tell."""
    if not sys.platform.startswith("linux"):
        return 0
    try:
        with open("/proc/vmstat", "rb", buffering=0) as file:  # noqa: PTH123 - pathlib doubles the cost
            text = file.read()
    except OSError:
        return 0
    _, found, rest = text.partition(b"\noom_kill ")
    return int(rest.split(b"\n", 1)[0]) if found else 0
