"""The policy that holds for the patch of a task: of the settings, the plan, its workstream and itself."""

from collections.abc import Callable
from functools import lru_cache

from maingate.commits import LandingInput
from maingate.ids import PatchId
from maingate.orchestrator.core.effect_inputs import RunInput, TaskInput
from maingate.patches.policy.policy import Policy
from maingate.plan.model import TaskPlan
from maingate.settings.policy_layer import PolicyLayer
from maingate.uet.step_values import Order, order_of


class TaskOrders:
    """The orders of the tasks of one run.

    Args:
        run: The run.
        layers: The policy of the settings and of the plan.
    """

    def __init__(self, run: RunInput, layers: Policy) -> None:
        self._plan = run.plan
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
