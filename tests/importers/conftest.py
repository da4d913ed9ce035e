"""A function that imports a series."""

from collections.abc import Callable
from pathlib import Path

import pytest

from maingate.importers.series.series import ImportedPlan, ImportOptions, MailboxOptions, import_series
from support.factories import GitRepo


@pytest.fixture
def do_import(tmp_path: Path, repo: GitRepo) -> Callable[..., ImportedPlan]:
    """Give a function that imports a series into a plan outside the repository."""

    def run(
        source: str | Path, out: str = "plan.yaml", mailbox: MailboxOptions | None = None, **options: object
    ) -> ImportedPlan:
        chosen = ImportOptions(**options)  # type: ignore[arg-type]  # each test names what it needs
        plan = tmp_path / "out" / out
        return import_series(str(source), out=plan, repo=repo.path, options=chosen, mailbox=mailbox)

    return run
