"""A function that imports a series."""

from collections.abc import Callable
from pathlib import Path

import pytest

from maingate.importers.series.series import ImportedPlan, ImportOptions, import_series
from support.factories import GitRepo


@pytest.fixture
def do_import(tmp_path: Path, repo: GitRepo) -> Callable[..., ImportedPlan]:
    """Give a function that imports a series into a plan outside the repository."""

    def run(source: str | Path, out: str = "plan.yaml", **options: object) -> ImportedPlan:
        chosen = ImportOptions(**options)  # type: ignore[arg-type]  # each test names what it needs
        return import_series(str(source), out=tmp_path / "out" / out, repo=repo.path, options=chosen)

    return run
