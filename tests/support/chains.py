"""Kills in a row: a run is killed at a place, resumed and killed at the next one, and so on, and finished.

One run serves many places. Invariants are checked after each kill, and the end is compared with that of the
story nobody touched. A failure names its kill: where only the end is wrong, the chain is played again, one
kill longer each time, until the end is wrong for the first time.
"""

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from typing import Final

from maingate.db.audit.record_check import verify
from support.crashing import KILLED, End, World, check_each_landed_once, end_of, history
from support.stories import Telling

_MANY: Final = {"MAINGATE_LOST_ATTEMPTS": "99"}
"""The default limit of lost processes is less than some chains have kills."""


def kill_in_a_row(tell: Telling, faults: Sequence[str], style: str = "merge", **environment: str) -> None:
    """Kill a run at one place after the other, finish it, and check that all is as in the story.

    Args:
        tell: Makes the worlds.
        faults: The places as `faultpoints` reads them; ``#2`` after one means that landing 2 is struck.
        style: How the plan lands.
        **environment: More variables for the killed processes.
    """
    world = _killed(tell, faults, style, environment)
    try:
        _finish(tell, world, style)
    except AssertionError as error:
        error.add_note(_guilty(tell, faults, style, environment))
        raise


def _killed(tell: Telling, faults: Sequence[str], style: str, environment: dict[str, str]) -> World:
    """Return a world whose run was killed at all the places."""
    world = tell.world(style)
    world.environment = _MANY
    for number, fault in enumerate(faults):
        with noted(f"kill {number + 1} of {len(faults)}, at {fault}; before it: {' '.join(faults[:number])}"):
            kill_at(world, fault, tell.story(style).end, **environment)
    return world


def kill_at(world: World, fault: str, end: End, **environment: str) -> None:
    """Begin or resume a run, have it killed at a place, and check what it leaves.

    Workstreams that are proven at one moment land together: then a landing that is to be struck has been made
    with the one before it.
    """
    place, _, landing = fault.partition("#")
    if landing and place.startswith("landing.") and _landings_made(world) >= int(landing):
        return
    command = world.go_on(place, **environment)
    assert command.ended() == KILLED, command.said
    check_after_a_kill(world, end)
    if landing:
        [(intended,)] = world.rows("SELECT count(DISTINCT workstream_id) FROM intents")
        assert intended >= int(landing)


def _landings_made(world: World) -> int:
    """Count the workstreams that the branch holds, whether that is on record or not."""
    if not world.has_begun:
        return 0
    made = set(world.repo.git("rev-list", "main").split())
    return len(
        {stream for stream, new in world.rows("SELECT workstream_id, new FROM intents") if new in made}
    )


def check_after_a_kill(world: World, end: End) -> None:
    """The record is whole as far as it goes, and the branch is a beginning of what it is to become."""
    if world.has_begun:
        with world.open() as maingate:
            assert verify(maingate.database).findings == ()
    assert set(history(world.repo)) <= set(end.history)


def _finish(tell: Telling, world: World, style: str) -> None:
    assert end_of(world, world.finish()) == tell.story(style).end
    if style != "rebase":
        check_each_landed_once(world)


def _guilty(tell: Telling, faults: Sequence[str], style: str, environment: dict[str, str]) -> str:
    """Return a sentence that names the kill after which the end is another."""
    for length in range(1, len(faults)):
        try:
            _finish(tell, _killed(tell, faults[:length], style, environment), style)
        except AssertionError:
            return f"the end is another since kill {length}, at {faults[length - 1]}"
    return f"the end is another since the last kill, at {faults[-1]}"


@contextmanager
def noted(note: str) -> Iterator[None]:
    """Add a note to a failed assertion."""
    try:
        yield
    except AssertionError as error:
        error.add_note(note)
        raise
