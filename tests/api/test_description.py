"""The interface does what its description says: schemathesis tries good and bad values."""

import os
import subprocess
import sys
from pathlib import Path
from typing import Final

from support.live_server import Live

CONFIG: Final = Path(__file__).parent / "schemathesis.toml"
EXAMPLES: Final = os.environ.get("MAINGATE_API_EXAMPLES", "")
"""The number of random examples of each operation; with one stated, each limit in the description is
tried too, as `.ci/run api` has it. The suite has one."""
PHASES: Final = "examples,coverage,fuzzing" if EXAMPLES else "examples,fuzzing"


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
        *("--max-examples", EXAMPLES or "1", "--generation-deterministic", "--no-color"),
        *("--phases", PHASES, "--no-shrink", "--warnings", "off"),
        *("--exclude-path", "/api/v1/events/stream"),  # it does not end
    ]
    done = subprocess.run(command, capture_output=True, text=True, check=False, cwd=tmp_path)
    assert done.returncode == 0, done.stdout[-20_000:] + done.stderr[-2000:]
