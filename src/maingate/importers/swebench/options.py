"""The options of an import of SWE-bench predictions."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Final

from maingate.errors import UsageError
from maingate.importers.swebench.gates import TESTS
from maingate.plan.repository_search import enclosing_root

DEFAULT_TEST_COMMAND: Final = "python -m pytest {tests}"


@dataclass(frozen=True, kw_only=True)
class SwebenchOptions:
    """Options of an import of predictions.

    Args:
        instances: The file of instances; None to import the predictions alone.
        only: ``owner/name``: import the instances of that repository only.
        model: The model whose predictions are imported, where a file has several.
        test_command: The command of the gates; ``{tests}`` is replaced by the quoted test ids.
        repo: The repository to land in; by default the one around the plans or the working directory.
        makes_branches: Whether missing branches to land on are created in `repo`.
        target: The branch to land on, for predictions without instances.
        gates: Further gates, commands by name.
    """

    instances: Path | None = None
    only: str | None = None
    model: str | None = None
    test_command: str = DEFAULT_TEST_COMMAND
    repo: Path | None = None
    makes_branches: bool = False
    target: str | None = None
    gates: Mapping[str, str] = field(default_factory=dict)

    def check(self) -> None:
        """Refuse options that do not go together.

        Raises:
            UsageError: It says which, and what to do.
        """
        if TESTS not in self.test_command:
            raise UsageError(
                f"{self.test_command!r} has no {TESTS}, which is replaced by the tests' ids: "
                f"--test-command {DEFAULT_TEST_COMMAND!r}"
            )
        if self.makes_branches and (self.repo is None or self.instances is None):
            raise UsageError(
                "--branches creates branches at the bases of instances: add --instances and --repo"
            )
        if self.instances is not None and self.target is not None:
            raise UsageError("with --instances each plan lands on a branch of its own: leave out --target")
        if self.repo is not None and not self.repo.is_dir():
            raise UsageError(f"{self.repo} is not a folder; name a repository with --repo")
        if self.repo is not None and enclosing_root([self.repo]) is None:
            raise UsageError(f"{self.repo} is not in a git repository; name one with --repo")
