"""The train: whatever fails, and in whatever order messages come, it lands what serial landing would."""

from random import Random

from hypothesis import given, settings
from hypothesis import strategies as st

from maingate.orchestrator.train.values import TrainItem, TrainPolicy
from maingate.plan.choices import Proof
from support.train_world import TrainWorld

RISKS = st.sampled_from((0.0, 0.02, 0.1, 0.45, 0.9, 1.0))
POLICIES = st.builds(
    TrainPolicy,
    proof=st.sampled_from(Proof),
    theta=st.sampled_from((0.0, 0.05, 0.3)),
    flake_rate=st.sampled_from((0.0, 0.02, 0.2)),
    scouts=st.booleans(),
)


@st.composite
def worlds(draw: st.DrawFn, *, has_needs: bool = False, has_pairs: bool = False) -> TrainWorld:
    """Return a world with up to nine items."""
    names = [f"item-{number}" for number in range(draw(st.integers(1, 9)))]
    items = [
        TrainItem(
            id=name,
            risk=draw(RISKS),
            seconds=draw(st.sampled_from((1.0, 30.0))),
            needs=frozenset(
                draw(st.sets(st.sampled_from(names[:at]), max_size=2)) if has_needs and at else ()
            ),
            may_land=draw(st.booleans()),
        )
        for at, name in enumerate(names)
    ]
    pairs = st.tuples(st.sampled_from(names), st.sampled_from(names)).filter(lambda pair: pair[0] < pair[1])
    policy = draw(POLICIES)
    return TrainWorld(
        order=items,
        culprits=frozenset() if has_pairs else draw(st.frozensets(st.sampled_from(names))),
        pairs=draw(st.frozensets(pairs, max_size=4)) if has_pairs and len(names) > 1 else frozenset(),
        policy=policy,
        workers=draw(st.integers(1, 6)),
        random=Random(draw(st.integers(0, 2**32))),
        flakes=draw(st.integers(0, policy.confirmations)) if policy.flake_rate else 0,
        faults=draw(st.integers(0, 5)),
        arrived=draw(st.integers(0, len(names))),
    )


def plays_like_serial_landing(world: TrainWorld) -> None:
    """Assert that a world ends as if each item had been tested after the other; each step is checked."""
    world.play()
    assert world.landed == world.serially_landed()
    assert sorted([*world.landed, *world.refused]) == [item.id for item in world.order]


@given(world=worlds())
@settings(max_examples=60)
def test_innocents_land_and_culprits_are_refused(world: TrainWorld) -> None:
    """Flakes, faults, late and repeated messages change neither the landed items nor their order."""
    plays_like_serial_landing(world)


@given(world=worlds(has_pairs=True))
@settings(max_examples=60)
def test_of_a_pair_that_fails_together_the_later_item_is_refused(world: TrainWorld) -> None:
    """Items that pass alone and fail together are found, too."""
    plays_like_serial_landing(world)


@given(world=worlds(has_needs=True))
@settings(max_examples=40)
def test_items_fall_with_those_that_they_need(world: TrainWorld) -> None:
    """An item that needs a culprit is refused with it, and the rest lands."""
    plays_like_serial_landing(world)
