"""Run one benchmark and print its figures, for people or as one JSON object."""

import argparse
import importlib
import json
import os
import platform
import sys
from collections.abc import Sequence
from pathlib import Path

from bench.figures import Figure


def main() -> None:
    """Run the benchmark named on the command line."""
    names = sorted(path.stem for path in Path(__file__).parent.glob("*.py") if not path.stem.startswith("_"))
    parser = argparse.ArgumentParser(prog="python -m bench")
    parser.add_argument("name", choices=[name for name in names if name != "figures"])
    parser.add_argument("--json", action="store_true", help="print one JSON object")
    parser.add_argument("--rounds", type=int, default=5, help="alternating runs per case (default 5)")
    asked = parser.parse_args()
    figures = importlib.import_module(f"bench.{asked.name}").measure(rounds=asked.rounds)
    if asked.json:
        system = f"{platform.system()} {platform.machine()}"
        machine = f"{system}, {os.cpu_count()} cores, Python {platform.python_version()}"
        report = {"name": asked.name, "machine": machine, "figures": [figure.as_json() for figure in figures]}
        sys.stdout.write(json.dumps(report, indent=2) + "\n")
    else:
        _print(figures)


def _print(figures: Sequence[Figure]) -> None:
    width = max(len(figure.case) for figure in figures)
    for figure in figures:
        sys.stdout.write(
            f"{figure.case:<{width}}  headgate {figure.headgate:8.1f}  {figure.peer} {figure.other:8.1f} "
            f"{figure.unit}  ratio {figure.ratio:.2f}\n"
        )


if __name__ == "__main__":
    main()
