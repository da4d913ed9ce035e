"""Errors and run states become the exit codes of the public face."""

import pytest

from maingate.cli.exit_codes import ExitCode, code_of_error, code_of_run, is_expected
from maingate.errors import (
    DatabaseError,
    GitError,
    InterruptedRunError,
    MaingateError,
    PlanError,
    RepositoryError,
    SettingsError,
    StaleTransitionError,
    TargetBusyError,
    UnknownEntityError,
    UsageError,
    WorkerError,
)
from maingate.state.run import RunState


@pytest.mark.parametrize(
    ("error", "code"),
    [
        (UsageError(), 2),
        (PlanError([]), 2),
        (SettingsError([]), 2),
        (RepositoryError(), 2),
        (UnknownEntityError("x"), 2),
        (InterruptedRunError(), 3),
        (KeyboardInterrupt(), 3),
        (GitError(), 4),
        (DatabaseError(), 4),
        (TargetBusyError(), 4),
        (WorkerError(), 4),
        (OSError(28, "No space left on device"), 4),
        (StaleTransitionError(entity_ids=["task_1"]), 5),
        (MaingateError(), 5),
        (KeyError("x"), 5),
    ],
)
def test_every_kind_of_error_has_its_code(error: BaseException, code: int) -> None:
    """2 the user's to mend, 3 interrupted, 4 the outside's fault, 5 a bug."""
    assert code_of_error(error) == code
    assert is_expected(error) == (isinstance(error, MaingateError) and code != ExitCode.UNEXPECTED)


@pytest.mark.parametrize("state", list(RunState))
def test_every_run_state_has_its_code(state: RunState) -> None:
    """A run that succeeded is 0, one that failed 1, one that stopped before its end 3."""
    expected = {"succeeded": 0, "failed": 1}.get(str(state), 3)
    assert code_of_run(state) == expected
