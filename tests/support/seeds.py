"""Which seeds the simulations play: always the same few in the suite, others in `.ci/run search`."""

import os

FIRST = int(os.environ.get("MAINGATE_SIMULATION_FIRST", "0"))
COUNT = int(os.environ.get("MAINGATE_SIMULATION_SEEDS", "20"))
BLOCK = 10
"""Seeds are played in blocks, so that the test runner can share them out."""

FOUND = (837387228,)
"""Seeds by which a search found a fault: a clock set back, by leases and by the pauses of tools."""

BLOCKS = [
    *(range(first, min(first + BLOCK, FIRST + COUNT)) for first in range(FIRST, FIRST + COUNT, BLOCK)),
    *(range(seed, seed + 1) for seed in FOUND),
]

KILLS = range(FIRST, FIRST + max(1, COUNT // 5))
"""The seeds of runs that are killed at any time, each of which costs seconds of processes."""

STUBBORN = range(FIRST, FIRST + max(1, COUNT // 3))
"""The seeds of simulations in which something fails for ever."""
