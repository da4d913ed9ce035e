"""Orders and circles of names that need each other."""

from hypothesis import given
from hypothesis import strategies as st

from maingate.plan.order import circles, stable_order


def test_the_listed_order_is_kept_where_needs_allow() -> None:
    """Names move only as far as needs demand."""
    assert stable_order({"c": [], "a": ["b"], "b": [], "d": []}) == ["c", "b", "a", "d"]
    assert stable_order({"c": [], "a": [], "b": []}) == ["c", "a", "b"]


def test_a_rank_goes_before_the_listed_order() -> None:
    """Among the names that could come next, the smallest rank is first."""
    ranks = {"a": 1, "b": 0, "c": 0}
    assert stable_order({"a": [], "b": [], "c": ["a"]}, rank=lambda name: (ranks[name],)) == ["b", "a", "c"]


def test_circles_are_found_once_each() -> None:
    """Each circle is reported once, from its first listed name, without names that only wait for it."""
    needs = {"x": ["a"], "a": ["b"], "b": ["a"], "self": ["self"], "free": []}
    assert circles(needs) == [["a", "b", "a"], ["self", "self"]]
    assert circles({"a": [], "b": ["a"]}) == []


@given(
    st.dictionaries(st.sampled_from("abcdef"), st.lists(st.sampled_from("abcdef"), max_size=3), max_size=6)
)
def test_an_order_and_circles_exclude_each_other(needs: dict[str, list[str]]) -> None:
    """Either all names are ordered, each after its needs, or there is a real circle."""
    order, found = stable_order(needs), circles(needs)
    assert (set(order) == set(needs)) == (not found)
    for name in order:
        assert all(order.index(need) < order.index(name) for need in needs[name] if need in needs)
    for circle in found:
        assert circle[0] == circle[-1]
        assert all(circle[at + 1] in needs[circle[at]] for at in range(len(circle) - 1))
