"""The policy that holds for the patch of a task: of the settings, the plan, its workstream and itself."""

from collections.abc import Callable
from functools import lru_cache

from maingate.commits import LandingInput
from maingate.db.dao import runs
from maingate.db.engine import Database
from maingate.ids import PatchId, RunId
from maingate.orchestrator.core.effect_inputs import RunInput, TaskInput
from maingate.patches.policy.policy import Policy
from maingate.plan.model import Plan, TaskPlan
from maingate.settings.policy_layer import PolicyLayer
from maingate.uet.step_values import Order, order_of


class TaskOrders:
    """The orders of the tasks of one run.

    Args:
        plan: The plan of the run.
        layers: The policy of the settings and of the plan.
    """

    def __init__(self, plan: Plan, layers: Policy) -> None:
        self._plan = plan
        self._policy_of = lru_cache(maxsize=256)(
            lambda workstream, task: layers.tightened(workstream).tightened(task)
        )

    def of(self, task: TaskInput) -> Order:
        """Return the order of a task."""
        return self._order(task.plan, task.label, task.policy)

    def of_landing(self, landing: LandingInput) -> Callable[[str], Order]:
        """Return a function that returns the order of each patch of a workstream, by the patch's id."""
        stream = self._plan.workstreams[landing.name]

        def of_patch(patch: str) -> Order:
            name = landing.tasks[PatchId(patch)]
            return self._order(stream.tasks[name], f"{landing.name}/{name}", stream.policy)

        return of_patch

    def _order(self, task: TaskPlan, label: str, policy: PolicyLayer) -> Order:
        policies = self._policy_of(policy, task.policy)
        return order_of(self._plan, task, label=label, policy=policies)


class RunOrders:
    """The orders of the tasks of a run, and of other runs whose workstreams this process lands.

    Those land here only where the settings have the same policy (`maingate.orchestrator.shared_queue`).

    Args:
        run: The run.
        settings: The policy of the settings.
        database: The database, which has the plans of other runs.
    """

    def __init__(self, run: RunInput, settings: Policy, database: Database) -> None:
        self._settings, self._database = settings, database
        self.own = self._orders(run.plan)
        self._of = {run.id: self.own}

    def of_run(self, run_id: RunId) -> TaskOrders:
        """Return the orders of a run. Blocks for one of another run."""
        if run_id not in self._of:
            with self._database.read() as conn:
                plan = Plan.from_json(runs.get(conn, run_id).plan)
            self._of[run_id] = self._orders(plan)
        return self._of[run_id]

    def _orders(self, plan: Plan) -> TaskOrders:
        return TaskOrders(plan, self._settings.tightened(plan.policy))
