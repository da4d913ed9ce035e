"""Answers to requests that make or continue runs."""

from dataclasses import replace
from typing import TypeVar

from maingate.api.actions.idempotent_requests import Done
from maingate.api.answers.problems import RETRY_SECONDS, HttpProblemError
from maingate.bootstrap import Maingate
from maingate.queries.details.listing import Selection, runs_page
from maingate.services.runs.plan_notes import notes_on_admitted

Found = TypeVar("Found")


def hosted(found: Found | None) -> Found:
    """Return what a server took over.

    Raises:
        HttpProblemError: This server does not host runs, because it starts or is about to end.
    """
    if found is None:
        raise HttpProblemError(
            503,
            "not_hosting",
            "this server takes up no runs now: it starts, stands by, or is about to end; nothing was done",
            headers={"Retry-After": RETRY_SECONDS},
        )
    return found


def submitted_done(name: str, maingate: Maingate, run_id: str) -> Done:
    """Return a run as the result of the submission of its plan, with the notes about that."""
    done = run_done(name, maingate, run_id, status=201)
    return replace(done, value=done.value | {"notes": notes_on_admitted(maingate.context, run_id)})


def run_done(name: str, maingate: Maingate, run_id: str, *, status: int) -> Done:
    """Return a run as the result of a request."""
    [item] = runs_page(maingate.context, Selection(among={"id": [run_id]}, limit=1))
    return Done(value=item | {"repo": name}, status=status, location=f"/api/v1/runs/{run_id}")
