"""What tests of whole runs share."""

from collections.abc import Iterator
from pathlib import Path

import pytest

from support.stories import Telling


@pytest.fixture
def tell(tmp_path: Path, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Telling]:
    """Give fresh worlds with the story in them, and end what is left running in them."""
    telling = Telling(tmp_path, tmp_path_factory)
    yield telling
    telling.close()
