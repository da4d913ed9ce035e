"""Search of the target's history for the patch that turned a gate red, with the gate run on the pool."""

from collections.abc import Callable, Sequence

from maingate.commits import Tip
from maingate.db.dao import patches, runs, verdicts, workstreams
from maingate.errors import UsageError
from maingate.ids import LeaseHolder, RunId, WorkstreamId
from maingate.orchestrator.injected_parts import Dependencies
from maingate.plan.choices import LandingStyle
from maingate.plan.model import Plan
from maingate.reasons import Reason
from maingate.recovery import bisection
from maingate.recovery.bisection import Point, Search, first_bad
from maingate.recovery.landed_workstreams import landed_workstream
from maingate.repository_context import RepositoryContext
from maingate.services.gates_on_commits import Examination
from maingate.services.targets.target_work import TargetWork
from maingate.verdicts.service import VerdictService
from maingate.verdicts.subject import JudgedSubject


class BisectService:
    """Finds the patch with which a gate began to fail.

    Args:
        context: The repository and its record.
        work: Has work done at a held target.
    """

    def __init__(
        self,
        context: RepositoryContext,
        work: TargetWork,
    ) -> None:
        self._context, self._work = context, work

    def bisect(self, run_id: RunId, old: str, new: str, *, gate: str, workers: int | None = None) -> Search:
        """Find the patch with which a gate of a run's plan began to fail on the target.

        Args:
            run_id: The run whose plan has the gate.
            old: A commit on the target at which it passed.
            new: A later one at which it fails.
            gate: Its name.
            workers: How many gates run at once. Defaults to the setting.

        Raises:
            UsageError: The plan has no such gate.
            TargetBusyError: A living process holds the target.
            OutsideFaultError: Something outside failed.
        """
        with self._context.database.read() as conn:
            run = runs.get(conn, run_id)
            streams = workstreams.of_run(conn, run_id)
        plan = Plan.from_json(run.plan)
        if gate not in plan.gates:
            has = ", ".join(plan.gates) or "none"
            raise UsageError(f"the plan of {run_id} has no gate {gate!r}; it has {has}")
        points = bisection.history(self._context.repository, old, new)
        holder = LeaseHolder.new("bisect")
        with self._work.holds.on(run, holder):
            self._work.rescue.clear_up()
            deps = self._work.dependencies(holder, workers, self._context.settings)
            examination = Examination(run_id, plan, deps)
            work = search(
                plan,
                deps,
                examination,
                gate=gate,
                points=points,
                workstream_id=WorkstreamId(streams[0].id),
                look_into=self._inside,
            )
            return self._work.run(holder, examination, work)

    def _inside(self, state: Point) -> Sequence[Point]:
        """List the states within the landing that made a state of the target; none when it is no landing."""
        repository = self._context.repository
        with self._context.database.read() as conn:
            mine = workstreams.landed_as(conn, state.commit)
            if mine is not None:
                stream = landed_workstream(conn, mine.id)
                if stream.landing is not LandingStyle.REBASE:
                    return bisection.inside(repository, stream, state.commit, at=self._context.clock.now())
            by_commit = patches.of_commit(conn, state.commit)
        if len(by_commit) != 1:
            return []
        parent = repository.read_commit(state.commit).parents[0]
        before = Point(commit=parent, tree=repository.tree_of(parent))
        return [before, Point(commit=state.commit, tree=state.tree, patch=by_commit[0].id)]


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
        plan: The plan of the gate.
        deps: The dependencies of its jobs.
        examination: Runs the gate.
        gate: Its name.
        points: States of the target, oldest first; at least one.
        workstream_id: The workstream under which executions are recorded.
        look_into: Returns the states within the landing that made a state, beginning with the one before it;
            none when it cannot be looked into.
    """
    found = Search(gate=gate, points=points)
    keys = deps.parts.jobs(deps, plan).keys
    reasons = dict[str, Reason]()

    async def places(service: VerdictService, states: Sequence[Point]) -> int | None:
        subject = JudgedSubject(label=f"the search with {gate}", workstream_id=workstream_id, is_urgent=True)
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
