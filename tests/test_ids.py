"""Identifiers made in numbers."""

from itertools import pairwise

import pytest
from ulid import ULID

from maingate.ids import HolderKind, LeaseHolder, new_id, new_ids


@pytest.mark.parametrize("wanted", [0, 1, 2, 33, 1025, 2**20 + 2])
def test_many_identifiers_are_different_ulids(wanted: int) -> None:
    """They are of now, as many as wanted, and ascend as long as their counted part does not overflow."""
    before = ULID().milliseconds
    made = new_ids("evt", wanted)
    assert len(set(made)) == len(made) == wanted
    assert all(one < other for one, other in pairwise(made[: 2**20]))
    for name in (*made[:40], *made[-3:]):
        assert name[:4] == "evt_"
        assert before <= ULID.from_str(name[4:]).milliseconds <= ULID().milliseconds


def test_identifiers_made_at_once_do_not_meet_others() -> None:
    """Neither those of another batch nor those made one by one in the same millisecond."""
    batches = [new_ids("evt", 100), [new_id("evt") for _ in range(100)], new_ids("evt", 100)]
    assert len(set().union(*batches)) == 300


def test_the_holder_of_a_lease_is_of_the_kind_that_its_identifier_says() -> None:
    """A run that holds its target is told from other work that holds it for a while."""
    assert LeaseHolder(new_id("run")).kind is HolderKind.RUN
    assert LeaseHolder.new("rollback").kind is HolderKind.ROLLBACK
    assert str(LeaseHolder("bisect_1")) == "bisect_1"


def test_nothing_but_known_work_holds_a_target() -> None:
    """An identifier of something else is refused where it is made."""
    with pytest.raises(ValueError, match="task"):
        LeaseHolder(new_id("task"))
