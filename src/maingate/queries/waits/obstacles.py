"""The words for what one workstream on board waits for another for, for every face. Pure."""

from collections.abc import Mapping
from typing import Final

OBSTACLES: Final[Mapping[str, str]] = {
    "conflict": "conflicts with",
    "same": "has the changes of",
    "order": "lands after",
}
"""By the reason (`maingate.orchestrator.core.queue.queue_view.HeldFor`), to precede the other's name."""
