"""A run drains for one of three causes, and says which."""

from maingate.orchestrator.core.drain import Drain
from orchestrator.core.test_core import picture_of, plan_of


def test_a_budget_that_is_not_spent_starts_no_drain_and_ends_none() -> None:
    """The budget is checked after each attempt; a drain lasts as long as the process."""
    drain = Drain()
    drain.check_budget(None)
    assert (drain.is_on, drain.reason) == (False, "")
    drain.start()
    drain.check_budget(None)
    assert (drain.is_on, drain.reason) == (True, "")


def test_a_spent_budget_and_an_obstacle_are_reasons() -> None:
    """The budget is told first; the workstream that cannot land is named beside its obstacle."""
    workstream = picture_of(plan_of({"a": {"tasks": {"t1": {"patch": "x"}}}})).order[0]
    drain = Drain()
    drain.obstruct(workstream.id, workstream.name, "x.py has edits")
    assert (drain.is_on, drain.obstructed) == (True, workstream.id)
    assert drain.reason == f"{workstream.name} cannot land: x.py has edits"
    drain.check_budget("the run has cost enough")
    assert drain.reason == "the run has cost enough"
