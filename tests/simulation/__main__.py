"""Replay one seed, and print what happens.

``PYTHONPATH=tests python -m simulation SEED`` plays one run, ``… SEED several`` several on one target.
"""

import sys

from simulation.examine import examine

if __name__ == "__main__":
    for problem in (problems := examine(int(sys.argv[1]), several=sys.argv[2:] == ["several"], traces=True)):
        print(f"WRONG: {problem}")  # noqa: T201
    sys.exit(bool(problems))
