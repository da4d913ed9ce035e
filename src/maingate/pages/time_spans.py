"""The lengths of time that pages offer."""

from collections.abc import Mapping
from datetime import timedelta
from typing import Final

SPANS: Final[Mapping[str, timedelta]] = {
    "1h": timedelta(hours=1),
    "24h": timedelta(days=1),
    "7d": timedelta(days=7),
    "30d": timedelta(days=30),
}
"""Each length by its name in addresses."""
