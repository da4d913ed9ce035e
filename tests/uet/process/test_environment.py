"""Gates see the variables that are allowed, and none that leads git to another repository."""

import subprocess
from pathlib import Path

from maingate.settings import Settings
from maingate.uet.process.environment import allowed_environment


def test_only_allowed_variables_are_handed_on() -> None:
    """Names are exact, or beginnings with a star."""
    environ = {"PATH": "p", "LC_ALL": "C", "LC": "x", "AWS_SECRET": "s", "GIT_DIR": "g"}

    assert allowed_environment(environ) == {"PATH": "p", "LC_ALL": "C"}
    assert allowed_environment(environ, ["AWS_*"]) == {"AWS_SECRET": "s"}


def test_one_list_says_what_is_allowed_unless_settings_say_otherwise() -> None:
    """Gates see the same whoever starts them: the default of the setting is the default of the function."""
    environ = {name.replace("*", "X"): "v" for name in Settings().env_allow} | {"AWS_SECRET": "s"}
    assert allowed_environment(environ) == allowed_environment(environ, Settings().env_allow)
    assert len(allowed_environment(environ)) == len(environ) - 1


def test_no_gate_is_led_to_the_repository_of_a_hook(tmp_path: Path) -> None:
    """Whatever is allowed, all that git itself calls local to a repository stays out, but configuration."""
    said = subprocess.run(
        ["git", "rev-parse", "--local-env-vars"], check=True, capture_output=True, text=True
    )
    local = set(said.stdout.split()) - {"GIT_CONFIG_COUNT", "GIT_NO_REPLACE_OBJECTS"}
    assert "GIT_DIR" in local
    environ = dict.fromkeys([*local, "GIT_SSH_COMMAND"], str(tmp_path))
    assert allowed_environment(environ, ["*", "GIT_DIR"]) == {"GIT_SSH_COMMAND": str(tmp_path)}
