"""Orders of names that need each other."""

from maingate.plan.order import landing_order, stable_order


def test_the_listed_order_is_kept_where_needs_allow() -> None:
    """Names move only as far as needs demand."""
    assert stable_order({"c": [], "a": ["b"], "b": [], "d": []}) == ["c", "b", "a", "d"]
    assert stable_order({"c": [], "a": [], "b": []}) == ["c", "a", "b"]


def test_a_rank_goes_before_the_listed_order() -> None:
    """Among the names that could come next, the smallest rank is first."""
    ranks = {"a": 1, "b": 0, "c": 0}
    assert stable_order({"a": [], "b": [], "c": ["a"]}, rank=lambda name: (ranks[name],)) == ["b", "a", "c"]


def test_one_that_needs_others_lands_behind_all_that_could_land_when_these_had() -> None:
    """None has to wait for one whose needs are on their way, and none overtakes it."""
    needs: dict[str, list[str]] = {"a": [], "a2": ["a"], "b": [], "b2": ["b"], "b3": ["b2", "a"], "c": []}
    assert landing_order(needs, lambda _: 0) == ["a", "b", "c", "a2", "b2", "b3"]


def test_of_two_that_wait_for_others_the_one_whose_need_lands_first_is_first() -> None:
    """As listed, `x` would be ahead of `y`, which can land before `x` can begin."""
    assert landing_order({"x": ["b"], "y": ["a"], "a": [], "b": []}, lambda _: 0) == ["a", "b", "y", "x"]


def test_a_higher_priority_lands_first_as_soon_as_its_needs_have() -> None:
    """It passes those that are there already."""
    priorities = {"a2": 1}
    order = landing_order({"a": [], "b": [], "a2": ["a"]}, lambda name: priorities.get(name, 0))
    assert order == ["a", "a2", "b"]
