"""A lane applies patches in order, ahead of their judgement, and starts again from what is settled."""

from dataclasses import dataclass

import pytest

from maingate.commits import Tip
from maingate.orchestrator.core.lane_order import Lane

BASE = Tip(commit="base", tree="base")


@dataclass(eq=False)
class Item:
    """A task of the lane."""

    name: str
    is_ready_to_apply: bool = True
    has_ended: bool = False


def tip(name: str) -> Tip:
    """Return the commit of an item."""
    return Tip(commit=name, tree=name)


def lane_of(*items: Item) -> Lane[Item]:
    """Return a lane in which nothing is applied yet."""
    return Lane(order=items, settled=BASE)


def apply_next(lane: Lane[Item], window: int = 4) -> str:
    """Apply all that may be applied now; return the names."""
    batch = lane.next_batch(window=window)
    if batch is None:
        return ""
    items, onto = batch
    assert lane.arrived(items, onto)
    for item in items:
        lane.append(item, tip(item.name), "exact")
    return "".join(item.name for item in items)


@pytest.mark.parametrize(
    ("ready", "ended", "window", "expected"),
    [
        ("abc", "", 4, "abc"),
        ("abc", "", 2, "ab"),
        ("ac", "", 4, "a"),
        ("bc", "", 4, ""),
        ("bc", "a", 4, "bc"),
        ("ac", "b", 4, "ac"),
        ("", "abc", 4, ""),
    ],
)
def test_a_batch_is_the_longest_run_of_ready_patches(
    ready: str, ended: str, window: int, expected: str
) -> None:
    """It stops at the first that is not ready and at the window; items that ended are passed over."""
    lane = lane_of(*(Item(name, name in ready, name in ended) for name in "abc"))
    assert apply_next(lane, window) == expected


@pytest.mark.parametrize(("chain", "expected"), [(1, "bcd"), (2, "cd"), (3, "")])
def test_a_batch_waits_until_half_the_window_is_free(chain: int, expected: str) -> None:
    """Several patches in one go cost little more than one."""
    items = [Item(name, is_ready_to_apply=place < chain) for place, name in enumerate("abcd")]
    lane = lane_of(*items)
    apply_next(lane)
    for item in items:
        item.is_ready_to_apply = True
    assert apply_next(lane) == expected


def test_only_the_last_batch_is_answered() -> None:
    """An answer about other patches, on another commit, or a second one is ignored."""
    lane = lane_of(Item("a"), Item("b"))
    batch = lane.next_batch(window=2)
    assert batch is not None
    items, onto = batch
    assert lane.next_batch(window=2) is None
    assert not lane.arrived(items[:1], onto)
    assert not lane.arrived(items, tip("x"))
    assert lane.arrived(items, onto)
    assert not lane.arrived(items, onto)


def test_each_patch_is_applied_to_the_one_before_it_and_settled_in_order() -> None:
    """The front is the oldest of the chain; what is settled moves with it."""
    lane = lane_of(Item("a"), Item("b"))
    apply_next(lane)
    assert [car.onto for car in lane.chain] == [BASE, tip("a")]
    assert lane.settle().tip == lane.settled == tip("a")
    assert lane.front is lane.chain[0] is lane.car_of("b")
    assert lane.car_of("a") is None


def test_a_failed_front_takes_all_behind_it_off_the_chain() -> None:
    """Its item keeps its place until it ends: its tool may produce another patch."""
    items = [Item("a"), Item("b"), Item("c")]
    lane = lane_of(*items)
    apply_next(lane)
    lane.settle()
    front, behind = lane.fail_head()
    assert (front.item.name, [car.item.name for car in behind]) == ("b", ["c"])
    assert (lane.tip, lane.next_place) == (tip("a"), 1)
    items[1].is_ready_to_apply = False
    assert apply_next(lane) == ""
    items[1].has_ended = True
    assert apply_next(lane) == "c"
    assert lane.chain[0].onto == tip("a")


def test_a_refusal_is_final_on_what_is_settled_only() -> None:
    """A patch that does not apply to a guess waits until the guess is decided."""
    items = [Item("a"), Item("b", is_ready_to_apply=False)]
    lane = lane_of(*items)
    apply_next(lane)
    items[1].is_ready_to_apply = True
    batch = lane.next_batch(window=4)
    assert batch is not None
    assert lane.arrived(*batch)
    assert not lane.refuse(items[1])
    assert lane.next_batch(window=4) is None
    lane.settle()
    assert lane.next_batch(window=4) == ([items[1]], tip("a"))
    assert lane.refuse(items[1])


@pytest.mark.parametrize(("name", "removed", "left"), [("a", "abc", ""), ("b", "bc", "a"), ("c", "c", "ab")])
def test_a_removed_item_takes_the_cars_built_on_it_along(name: str, removed: str, left: str) -> None:
    """Those before it stay; those behind it are applied anew, without it."""
    items = {each: Item(each) for each in "abc"}
    lane = lane_of(*items.values())
    apply_next(lane)
    gone = lane.remove(items[name])
    assert "".join(car.item.name for car in gone) == removed
    assert "".join(car.item.name for car in lane.chain) == left
    items[name].has_ended = True
    assert apply_next(lane, window=6) == removed.replace(name, "")


def test_an_item_that_is_being_applied_can_be_removed() -> None:
    """The answer about its batch is then ignored."""
    items = [Item("a"), Item("b")]
    lane = lane_of(*items)
    batch = lane.next_batch(window=2)
    assert batch is not None
    assert lane.remove(items[1]) == []
    assert not lane.arrived(*batch)


def test_what_is_kept_is_proven_and_not_settled() -> None:
    """What comes next is put on it; it is settled before all that is behind it."""
    items = [Item("a"), Item("b"), Item("c", is_ready_to_apply=False)]
    lane = lane_of(*items)
    assert lane.is_bare(BASE)
    apply_next(lane)
    lane.keep()
    assert (lane.settled, lane.proven, lane.tip) == (BASE, tip("a"), tip("b"))
    assert lane.keeps(items[0])
    assert not lane.keeps(items[1])
    assert (lane.first, lane.front) == (items[1], lane.chain[0])
    lane.keep()
    assert not lane.is_bare(BASE)
    assert lane.refuse(items[2])
    assert lane.settle().tip == lane.settled == tip("a")
    assert lane.proven == tip("b")


def test_a_kept_item_that_is_removed_takes_all_behind_it_along() -> None:
    """Those before it stay kept; its place is the next one."""
    items = [Item(name) for name in "abcd"]
    lane = lane_of(*items)
    apply_next(lane)
    for _ in "abc":
        lane.keep()
    assert [car.item.name for car in lane.remove(items[1])] == ["b", "c", "d"]
    assert [car.item.name for car in lane.kept] == ["a"]
    assert (lane.chain, lane.next_place, lane.tip) == ([], 1, tip("a"))
