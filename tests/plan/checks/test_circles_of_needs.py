"""Circles of names that need each other."""

from hypothesis import given
from hypothesis import strategies as st

from maingate.plan.checks.circles_of_needs import circles
from maingate.plan.order import stable_order


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
