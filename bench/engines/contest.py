"""What is common to those who take part: the shape of the work, and how it is asked for and told."""

import json
import random
import sqlite3
import sys
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

LAYERS = 10
NEEDS = 2
WORKERS = 4
SEED = 20260101

Contender = Callable[[Path, str, int], Mapping[str, float]]
"""Does a number of tasks in an empty folder at a level of durability, and tells at least the ``seconds``."""


def needs_by_layer(count: int) -> Sequence[Sequence[Sequence[int]]]:
    """Return layers of tasks, each task as the numbers of those it needs, all in the layer before."""
    chance = random.Random(SEED)  # noqa: S311 - the same graph every time
    width = count // LAYERS
    return [
        [
            sorted(chance.sample(range((layer - 1) * width, layer * width), NEEDS)) if layer else []
            for _ in range(width)
        ]
        for layer in range(LAYERS)
    ]


def connection_of(level: str) -> type[sqlite3.Connection]:
    """Return connections with a write-ahead log at a level of durability."""

    class Durable(sqlite3.Connection):
        def __init__(self, *words: Any, **options: Any) -> None:
            super().__init__(*words, **options)
            self.execute("PRAGMA journal_mode = WAL")
            self.execute(f"PRAGMA synchronous = {level}")

    return Durable


def compete(contenders: Mapping[str, Contender]) -> None:
    """Do the case named on the command line and print what it took."""
    case, level, folder, count = sys.argv[1:]
    sys.stdout.write(json.dumps(contenders[case](Path(folder), level, int(count))) + "\n")
