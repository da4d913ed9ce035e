"""The interface does what its description says: schemathesis tries good and bad values."""

import os
import subprocess
import sys
from pathlib import Path
from typing import Final

from support.live_server import Live

CONFIG: Final = Path(__file__).parent / "schemathesis.toml"
EXAMPLES: Final = int(os.environ.get("MAINGATE_API_EXAMPLES", "1"))
"""Random examples of each operation besides those that the description leads to; `.ci/run api` has more."""


def test_schemathesis_finds_nothing(hosting: Live, tmp_path: Path) -> None:
    """No answer fails, differs from its schema, or accepts what the description forbids."""
    command = [
        *(
            sys.executable,
            "-m",
            "schemathesis.cli",
            "--config-file",
            str(CONFIG),
            "run",
            f"{hosting.url}/api/v1/openapi.json",
        ),
        *("--max-examples", str(EXAMPLES), "--generation-deterministic", "--no-color"),
        *("--phases", "examples,coverage,fuzzing", "--no-shrink", "--warnings", "off"),
        *("--exclude-path", "/api/v1/events/stream"),  # it does not end
    ]
    done = subprocess.run(command, capture_output=True, text=True, check=False, cwd=tmp_path)
    assert done.returncode == 0, done.stdout[-20_000:] + done.stderr[-2000:]
