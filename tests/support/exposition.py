"""The metrics of a repository as a scraper gets them, for `promtool check metrics`: `exposition.py PATH`."""

import sys
from pathlib import Path

from maingate.bootstrap import Maingate
from maingate.monitoring.metrics import metrics_text, registry_of


def main(path: str) -> None:
    """Print them as Prometheus text."""
    with Maingate.open(Path(path), create=False) as maingate:
        text, _ = metrics_text(registry_of({"trial": maingate.context}))
    sys.stdout.buffer.write(text)


if __name__ == "__main__":
    main(sys.argv[1])
