"""What is installed: it starts light, and says who it is."""

import subprocess
import sys
from importlib.metadata import version

import pytest

HEAVY = {"alembic", "opentelemetry", "pydantic", "pygit2", "sqlalchemy", "structlog", "yaml"}
"""What costs a noticeable part of a second to import, and is not needed to answer a small question."""

LISTING = "\nimport sys; print(*{name.partition('.')[0] for name in sys.modules}, sep='\\n', file=sys.stderr)"


def loaded_by(code: str) -> set[str]:
    """Run code in a fresh interpreter and return the top-level names of all modules it loaded."""
    done = subprocess.run([sys.executable, "-c", code + LISTING], capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    return set(done.stderr.splitlines())


@pytest.mark.parametrize("option", ["--version", "-V"])
def test_version_answers_without_loading_anything_heavy(option: str) -> None:
    """`maingate --version` prints name and version and imports neither database, git nor command tree."""
    call = f"import sys; sys.argv = ['maingate', {option!r}]; from maingate.cli.main import main; main()"
    assert loaded_by(call) & (HEAVY | {"typer", "rich"}) == set()
    done = subprocess.run(
        [sys.executable, "-m", "maingate", option], capture_output=True, text=True, check=True
    )
    assert done.stdout == f"maingate {version('maingate')}\n"


def test_a_gate_process_loads_the_standard_library_and_maingate_only() -> None:
    """A worker process must start at once: of what was installed it imports Maingate and at most psutil."""
    extra = loaded_by("import maingate.workers.local.uet_process") - loaded_by("") - sys.stdlib_module_names
    assert extra <= {"maingate", "psutil"}


def test_the_state_machines_load_nothing_that_was_installed() -> None:
    """The machines are pure data: what builds on them decides what else is loaded."""
    extra = loaded_by("import maingate.state.machines, maingate.state.run_outcome") - loaded_by("")
    assert extra - sys.stdlib_module_names == {"maingate"}
