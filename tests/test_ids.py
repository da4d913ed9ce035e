"""Identifiers made in numbers."""

from itertools import count, pairwise
from unittest import mock

from hypothesis import example, given
from hypothesis import strategies as st
from ulid import ULID

from headgate import ids

ROOM = 2**20
"""How many are counted up before the random part is drawn again."""


@given(first=st.integers(0, 2**127), wanted=st.integers(0, 3000))
@example(first=ROOM - 3, wanted=5)
@example(first=0, wanted=1)
def test_many_identifiers_are_ulids_in_ascending_order(first: int, wanted: int) -> None:
    """Each is written as ``ULID`` itself writes it; where the counted part is full, another is drawn."""
    drawn = (ULID.from_bytes((first + step * ROOM * 2).to_bytes(16)) for step in count())
    with mock.patch.object(ids, "ULID", lambda: next(drawn)):
        made = ids.new_ids("evt", wanted)
    assert len(made) == wanted
    numbers = [int(ULID.from_str(name.removeprefix("evt_"))) for name in made]
    assert all(before < after for before, after in pairwise(numbers))
    room = ROOM - first % ROOM
    assert numbers[:room] == [first + step for step in range(min(room, wanted))]


def test_identifiers_made_at_once_do_not_meet_those_made_before() -> None:
    """Two batches have nothing in common."""
    assert not set(ids.new_ids("evt", 1000)) & set(ids.new_ids("evt", 1000))
