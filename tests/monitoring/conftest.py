"""A repository with a record that tests of monitoring arrange."""

from collections.abc import Iterator

import pytest

from maingate.bootstrap import Maingate
from maingate.clock import ManualClock
from maingate.repository_context import RepositoryContext
from support.factories import GitRepo


@pytest.fixture
def clock() -> ManualClock:
    """Give the clock of the context."""
    return ManualClock()


@pytest.fixture
def context(repo: GitRepo, clock: ManualClock) -> Iterator[RepositoryContext]:
    """Give a repository with one commit on main, and an empty record."""
    repo.commit({"a.txt": "1\n"})
    with Maingate.open(repo.path) as maingate:
        maingate.context.clock = clock
        yield maingate.context
