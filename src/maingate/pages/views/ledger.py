"""The ledger of a run: counts that are filters, refused patches first, and a search."""

from typing import Any, Final

from maingate.ids import RunId
from maingate.pages.page_request import Visit, add_page, page_router
from maingate.queries.details.patch_ledger import LedgerChoice, ledger

Json = dict[str, Any]

router = page_router()

MOST_PATCHES: Final = 100
"""Patches that are shown at once."""


def ledger_view(visit: Visit) -> Json:
    """Return the chosen patches of a run."""
    run_id = visit.part("run_id")
    repo, maingate = visit.of(run_id, "run")
    choice = LedgerChoice(
        state=visit.asked("state"), text=visit.asked("q"), start=visit.number("start"), limit=MOST_PATCHES
    )
    found = ledger(maingate.context, RunId(run_id), choice)
    return found | {"repo": repo, "chosen_state": choice.state, "text": choice.text, "limit": MOST_PATCHES}


add_page(router, "/runs/{run_id}/ledger", "ledger.html", ledger_view)
