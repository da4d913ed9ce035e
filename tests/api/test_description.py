"""The interface does what its description says: schemathesis tries good and bad values."""

import subprocess
import sys
from pathlib import Path
from typing import Final

import pytest

from support.live_server import Live

CONFIG: Final = Path(__file__).parent / "schemathesis.toml"
FEW: Final = ("/plan/check", "/runs", "/runs/{run_id}", "/overrides")
"""Operations that the suite tries: one that reads a body, one that acts, a list and an object."""


@pytest.mark.schemathesis
@pytest.mark.parametrize(
    "options",
    [
        pytest.param(
            (
                *("--max-examples", "1", "--phases", "examples,fuzzing"),
                *(word for path in FEW for word in ("--include-path", f"/api/v1{path}")),
            ),
            id="a few operations",
        ),
        pytest.param(
            (
                *("--max-examples", "10", "--phases", "examples,coverage,fuzzing"),
                *("--exclude-path", "/api/v1/events/stream"),  # it does not end
            ),
            id="all operations, and each limit in the description",
            marks=pytest.mark.thorough,
        ),
    ],
)
def test_schemathesis_finds_nothing(hosting: Live, tmp_path: Path, options: tuple[str, ...]) -> None:
    """No answer fails, differs from its schema, or accepts what the description forbids."""
    command = [
        *(sys.executable, "-m", "schemathesis.cli", "--config-file", str(CONFIG)),
        *("run", f"{hosting.url}/api/v1/openapi.json"),
        *("--generation-deterministic", "--no-color", "--no-shrink", "--warnings", "off"),
        *options,
    ]
    done = subprocess.run(command, capture_output=True, text=True, check=False, cwd=tmp_path)
    assert done.returncode == 0, done.stdout[-20_000:] + done.stderr[-2000:]
