"""Searching the target's history for the patch that turned a gate red, with gates run on the pool."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass

from maingate.db.dao import verdicts
from maingate.ids import WorkstreamId
from maingate.orchestrator.core.commits import Tip
from maingate.orchestrator.dependencies import Dependencies
from maingate.plan.model import Plan
from maingate.reasons import Reason
from maingate.recovery.bisection import Point, first_bad
from maingate.services.examination import Examination
from maingate.verdicts.service import VerdictService
from maingate.verdicts.subject import Subject


@dataclass(kw_only=True)
class Search:
    """What was looked for, and what was found.

    Args:
        gate: The gate.
        points: The states of the target that were searched, oldest first.
        place: The place of the first red one; 0 when all are red, None when the newest is green.
        patch: The patch that is to blame; None when a commit has several, or is nobody's.
        said: What the gate said about the first red state.
        asked: How often it was run.
        known: Of how many states the verdict was known already.
    """

    gate: str
    points: Sequence[Point]
    place: int | None = None
    patch: str | None = None
    said: Reason | None = None
    asked: int = 0
    known: int = 0


async def search(
    plan: Plan,
    deps: Dependencies,
    examination: Examination,
    *,
    gate: str,
    points: Sequence[Point],
    workstream_id: WorkstreamId,
    look_into: Callable[[Point], Sequence[Point]],
) -> Search:
    """Find the first state at which a gate fails, and in it the patch.

    Args:
        plan: Whose gate it is.
        deps: What it works with.
        examination: Runs the gate.
        gate: Its name.
        points: States of the target, oldest first; at least one.
        workstream_id: What the executions are recorded for.
        look_into: Gives the states within the landing that made a state, beginning with the one before it;
            none when it cannot be looked into.
    """
    found = Search(gate=gate, points=points)
    keys = deps.parts.jobs(deps, plan).keys
    reasons: dict[str, Reason] = {}

    async def places(service: VerdictService, states: Sequence[Point]) -> int | None:
        subject = Subject(label=f"the search with {gate}", workstream_id=workstream_id)
        names = [keys.key(gate, state.commit, state.tree) for state in states]
        with deps.database.read() as conn:
            stored = verdicts.known(conn, names)
        known = {at: stored[key].state == "PASSED" for at, key in enumerate(names) if key in stored}
        found.known += len(known)

        async def ask(place: int) -> bool:
            state = states[place]
            found.asked += 1
            tip = Tip(commit=state.commit, tree=state.tree)
            said = await examination.passes(service, subject, gate, tip)
            if said is not None:
                reasons[state.tree] = said
            return said is None

        return await first_bad(len(states), known, ask)

    async def work(service: VerdictService) -> None:
        found.place = await places(service, points)
        if not found.place:
            return
        red = points[found.place]
        within = look_into(red)
        deeper = await places(service, within) if len(within) > 1 else None
        if deeper:
            red = within[deeper]
        found.patch = red.patch
        found.said = reasons.get(red.tree)

    await examination.work(work)
    return found
