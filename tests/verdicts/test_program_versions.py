"""Programs are asked for their versions as gates would find them."""

import os
from typing import Any

import pytest

from maingate.errors import ProgramVersionError
from maingate.plan.definitions import GateDefinition
from maingate.verdicts.program_versions import read_versions

ENVIRONMENT = {"PATH": os.environ["PATH"], "SEEN": "yes"}


def gate(*versions: Any, **more: Any) -> GateDefinition:
    """Make a gate that declares versions."""
    return GateDefinition.model_validate({"run": "true", "versions": versions, **more})


def test_what_the_commands_print_is_returned_by_gate() -> None:
    """In the order of the commands, with standard error; gates that declare none are not there."""
    asked = {"a": gate("echo one; echo two >&2", ["echo", "three"]), "b": gate()}
    assert read_versions(asked, ENVIRONMENT) == {"a": ("one\ntwo\n", "three\n")}


def test_they_run_in_the_gates_environment_and_an_empty_folder() -> None:
    """What decides which program a gate finds decides which is asked."""
    asked = {"a": gate('echo "$SEEN $OWN $HOME"; ls -A', env={"OWN": "mine"})}
    assert read_versions(asked, ENVIRONMENT) == {"a": ("yes mine \n",)}


@pytest.mark.parametrize(
    ("command", "said"), [("exit 3", "exited with 3"), ("no-such-program --version", "exited with 127")]
)
def test_one_that_fails_is_told_with_its_gate(command: str, said: str) -> None:
    """Without a version nothing can be known of a verdict."""
    with pytest.raises(ProgramVersionError) as caught:
        read_versions({"a": gate(command)}, ENVIRONMENT)
    assert str(caught.value).startswith(f"gate a: `{command}`, one of its `versions`, {said}")
