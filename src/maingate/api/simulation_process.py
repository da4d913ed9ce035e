"""Simulations of submitted plans, each in a process of its own, so that none takes the server's time."""

import json
import subprocess
from collections.abc import Sequence
from pathlib import Path
from typing import Any, Final

from maingate.api.answers.problems import HttpProblemError
from maingate.errors import OutsideFaultError
from maingate.plan.loader import LoadedPlan
from maingate.system.own_program import own_program

MOST_AT_ONCE: Final = 1
"""Simulations that are under way at once; others wait."""

TIMEOUT: Final = 30.0
"""Seconds that a simulation may take; that of a plan of usual size takes about one."""

_SAID: Final = 1000


def simulated(
    loaded: LoadedPlan,
    *,
    root: Path,
    workers: Sequence[int],
    failure_rate: float | None,
    seed: int,
    timeout: float = TIMEOUT,
) -> dict[str, Any]:
    """Return the simulation of a stored plan, as `maingate plan simulate --json` prints it.

    Args:
        loaded: The plan, in its file.
        root: The repository.
        workers: The numbers of workers; none for the usual ones.
        failure_rate: The share of workstreams that fail; None for that on record.
        seed: The seed of failures and times.
        timeout: Seconds after which it is ended.

    Raises:
        HttpProblemError: It takes too long.
        OutsideFaultError: Its process failed.
    """
    options = [f"--seed={seed}", *(f"--workers={each}" for each in workers)]
    if failure_rate is not None:
        options.append(f"--failure-rate={failure_rate!r}")
    words = own_program("maingate", "plan", "simulate", "--json", *options, "--", str(loaded.path))
    try:
        done = subprocess.run(
            words, cwd=root, stdin=subprocess.DEVNULL, capture_output=True, timeout=timeout, check=False
        )
    except subprocess.TimeoutExpired as error:
        raise HttpProblemError(
            422,
            "simulation_too_long",
            f"the simulation did not end within {timeout:g} s and was ended: ask for fewer and smaller "
            "numbers of `workers`, or run `maingate plan simulate` on the plan's file",
        ) from error
    except OSError as error:
        raise OutsideFaultError(f"the simulation could not be started: {error}") from error
    if done.returncode != 0:
        said = done.stderr.decode(errors="replace").strip()[-_SAID:]
        raise OutsideFaultError(f"the simulation ended with exit code {done.returncode}: {said}")
    found: dict[str, Any] = json.loads(done.stdout)
    del found["file"]  # the place in the state folder, which is the server's own
    return found
