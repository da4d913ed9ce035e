"""Which seeds the simulations play: always the same few in the suite, others in `.ci/run search`."""

import os
from collections.abc import Iterable

FIRST = int(os.environ.get("MAINGATE_SIMULATION_FIRST", "0"))
COUNT = int(os.environ.get("MAINGATE_SIMULATION_SEEDS", "20"))
BLOCK = 10
"""Seeds are played in blocks, so that the test runner can share them out."""

FOUND = (837387228,)
"""Seeds by which a search found a fault: a clock set back, by leases and by the pauses of tools."""

FOUND_OF_SEVERAL = (84, 267, 5121, 5346, 6058, 900123)
"""Seeds of several runs that found one: a worker of a living process, a task that ended while handed over,
a car that had landed when its step was tried again,
an answer that was taken for a later question's, a tool's commit that had landed,
a merge that was put on another commit by one of its parents only."""


def _blocks(found: Iterable[int]) -> list[range]:
    ends = range(FIRST, FIRST + COUNT, BLOCK)
    blocks = [range(first, min(first + BLOCK, FIRST + COUNT)) for first in ends]
    return [*blocks, *(range(seed, seed + 1) for seed in found)]


BLOCKS = _blocks(FOUND)
BLOCKS_OF_SEVERAL = _blocks(FOUND_OF_SEVERAL)

KILLS = range(FIRST, FIRST + max(1, COUNT // 5))
"""The seeds of runs that are killed at any time, each of which costs seconds of processes."""

STUBBORN = range(FIRST, FIRST + max(1, COUNT // 3))
"""The seeds of simulations in which something fails for ever."""
