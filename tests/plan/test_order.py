"""Orders of names that need each other."""

from maingate.plan.order import stable_order


def test_the_listed_order_is_kept_where_needs_allow() -> None:
    """Names move only as far as needs demand."""
    assert stable_order({"c": [], "a": ["b"], "b": [], "d": []}) == ["c", "b", "a", "d"]
    assert stable_order({"c": [], "a": [], "b": []}) == ["c", "a", "b"]


def test_a_rank_goes_before_the_listed_order() -> None:
    """Among the names that could come next, the smallest rank is first."""
    ranks = {"a": 1, "b": 0, "c": 0}
    assert stable_order({"a": [], "b": [], "c": ["a"]}, rank=lambda name: (ranks[name],)) == ["b", "a", "c"]
