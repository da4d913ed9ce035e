"""What tests of the pool share."""

import pytest

from maingate.workers.local import fork_server
from support.forked_server import start_interpreter


@pytest.fixture(autouse=True)
def _as_maingate_does(monkeypatch: pytest.MonkeyPatch) -> None:
    """Have fork servers started as Maingate starts them: their start is what these tests are about."""
    monkeypatch.setattr(fork_server, "start_process", start_interpreter)
