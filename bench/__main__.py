"""Run one benchmark and print its figures, for people or as one JSON object."""

import argparse
import importlib
import json
import os
import platform
import sys
import tempfile
from pathlib import Path

import psutil

BENCHMARKS = (
    "api",
    "conflicts",
    "engine",
    "events",
    "land",
    "large",
    "machinery",
    "page",
    "queue",
    "startup",
    "train",
)


def main() -> None:
    """Run the benchmark named on the command line."""
    parser = argparse.ArgumentParser(prog="python -m bench")
    parser.add_argument("name", choices=BENCHMARKS)
    parser.add_argument("--json", action="store_true", help="print one JSON object")
    parser.add_argument("--rounds", type=int, default=5, help="alternating runs per case (default 5)")
    parser.add_argument("--only", metavar="CASE", action="append", help="only this case (may be repeated)")
    parser.add_argument("--folder", type=Path, help="where to work, on a disk (default: for temporary files)")
    parser.add_argument("--minutes", type=float, help="how long `api` watches the memory (default 10)")
    parser.add_argument("--seeds", type=int, help="random queues for each cell of `train` (default 150)")
    asked = parser.parse_args()
    benchmark = importlib.import_module(f"bench.{asked.name}")
    cases = asked.only or benchmark.CASES
    if unknown := set(cases) - set(benchmark.CASES):
        parser.error(f"{', '.join(sorted(unknown))}: the cases are {', '.join(benchmark.CASES)}")
    with tempfile.TemporaryDirectory(prefix="maingate-bench-", dir=asked.folder) as name:
        folder = Path(name).resolve()
        if _file_system(folder) in {"tmpfs", "ramfs"}:
            parser.error(f"{folder.parent} is memory, not a disk; name a folder with --folder")
        options = {"minutes": asked.minutes, "seeds": asked.seeds}
        more = {name: value for name, value in options.items() if value is not None}
        figures = benchmark.measure(cases, folder=folder, rounds=asked.rounds, **more)
    if asked.json:
        system = f"{platform.system()} {platform.machine()}"
        machine = f"{system}, {os.cpu_count()} cores, Python {platform.python_version()}"
        report = {"name": asked.name, "machine": machine, "figures": [figure.as_json() for figure in figures]}
        sys.stdout.write(json.dumps(report, indent=2) + "\n")
    else:
        width = max(len(figure.case) for figure in figures)
        sys.stdout.write("".join(figure.line(width) + "\n" for figure in figures))


def _file_system(folder: Path) -> str:
    """Return the kind of file system that a folder is on."""
    mounts = {Path(part.mountpoint): part.fstype for part in psutil.disk_partitions(all=True)}
    return next((mounts[place] for place in (folder, *folder.parents) if place in mounts), "")


if __name__ == "__main__":
    main()
