"""What goes wrong in a seed: with processes, workers and messages, and by what others do."""

from collections.abc import Sequence
from dataclasses import dataclass, field
from random import Random

from simulation.virtual_world import Fault
from simulation.worker_world import Manners

Faults = dict[int, Fault]
"""What happens to a process, at which of the places that it passes."""


@dataclass(kw_only=True)
class Troubles:
    """What goes wrong.

    Args:
        faults: What happens to each process of each run.
        manners: How workers behave.
        noise: How many events come late or twice.
        deeds: What others do, and when, in virtual seconds.
        changes_outcome: Whether what comes out may be other than without troubles.
        begins: When each run is admitted; those that are not named are there from the beginning.
        rest: How long it takes at most until a run whose process has ended is resumed.
        is_apart: Whether each process has a machine of its own, so that only time says that it is gone.
    """

    faults: Sequence[Sequence[Faults]] = ()
    manners: Manners = field(default_factory=Manners)
    noise: float = 0.0
    deeds: list[tuple[float, str]] = field(default_factory=list)
    changes_outcome: bool = False
    begins: Sequence[float] = ()
    rest: float = 0.2
    is_apart: bool = False

    def does(self, *kinds: str) -> bool:
        """Tell whether anybody does one of these."""
        return any(deed in kinds for _, deed in self.deeds)

    @property
    def has_overtaken(self) -> bool:
        """Tell whether a process is stopped and overtaken."""
        return any("stop" in faults.values() for of_run in self.faults for faults in of_run)

    @property
    def has_crash(self) -> bool:
        """Tell whether a process is killed or fails."""
        return any(faults for of_run in self.faults for faults in of_run)


def make_troubles(random: Random, *, places: int, seconds: float) -> Troubles:
    """Decide what goes wrong, knowing how long the run takes when nothing does."""
    dice = _Dice(random, max(seconds, 0.2))
    troubles = Troubles(noise=random.choice((0.0, 0.0, 0.1, 0.3)))
    count = random.choice((0, 1, 1, 1, 2, 2, 3))
    overtaken = dice.chance(0.1)
    faults: list[Faults] = []
    for number in range(count):
        at = random.randint(1, max(2, int(places * (1.1 if number == 0 else 0.8))))
        kind: Fault = "error" if dice.chance(0.2) else "crash"
        faults.append({at: "stop" if overtaken and number == 0 else kind})
    troubles.faults = [faults]
    if dice.chance(0.4):
        _misbehave(troubles.manners, random, losses=min(2, 3 - count))
    if dice.chance(0.25):
        troubles.deeds += dice.times("push", random.randint(1, 3))
    if count < 3 and dice.chance(0.15):
        troubles.deeds += dice.times("stop", 1)
    if dice.chance(0.1) and not troubles.has_overtaken:
        troubles.deeds += dice.times("jump", random.randint(1, 2))
    if dice.chance(0.4):
        _meddle(troubles, dice)
    return troubles


def make_troubles_of_several(random: Random, *, places: Sequence[int], seconds: Sequence[float]) -> Troubles:
    """Decide what goes wrong with several runs, knowing how long each takes alone when nothing does."""
    longest = max(*seconds, 0.2)
    begins = _arrivals(random, count=len(places), spread=longest * random.choice((0.1, 0.7, 1.5)))
    dice = _Dice(random, max(begins) + longest)
    troubles = Troubles(
        noise=random.choice((0.0, 0.0, 0.1, 0.3)),
        begins=begins,
        rest=random.choice((0.2, 0.2, 2.0, 100.0)),
        is_apart=dice.chance(0.2),
    )
    counts = [random.choice((0, 1, 1, 1, 2, 3)) for _ in places]
    overtaken = random.randrange(len(places)) if dice.chance(0.1) else None
    troubles.faults = [
        [
            {
                random.randint(1, int(most * 1.5)): (
                    "stop" if number == 0 and run == overtaken else "error" if dice.chance(0.15) else "crash"
                )
            }
            for number in range(count)
        ]
        for run, (count, most) in enumerate(zip(counts, places, strict=True))
    ]
    if dice.chance(0.3):
        _misbehave(troubles.manners, random, losses=max(0, min(2, 3 - max(counts))))
    if dice.chance(0.35):
        troubles.deeds += dice.times("push", random.randint(1, 4))
    if dice.chance(0.2):
        troubles.deeds += dice.times("stop", random.randint(1, 2))
    if dice.chance(0.1) and not (troubles.has_overtaken or troubles.is_apart):
        troubles.deeds += dice.times("jump", random.randint(1, 2))
    if dice.chance(0.3):
        _meddle(troubles, dice)
    if dice.chance(0.3):
        _steer(troubles, dice)
    return troubles


@dataclass(frozen=True)
class _Dice:
    """Decides by chance.

    Args:
        seconds: How long it all takes.
    """

    random: Random
    seconds: float

    def chance(self, likely: float) -> bool:
        return self.random.random() < likely

    def times(self, deed: str, count: int) -> list[tuple[float, str]]:
        return [(self.random.random() * self.seconds * 1.2, deed) for _ in range(count)]


def _arrivals(random: Random, *, count: int, spread: float) -> list[float]:
    """Say when runs begin: one at once, the others later, in any order."""
    begins = [0.0, *(random.random() * spread for _ in range(count - 1))]
    random.shuffle(begins)
    return begins


def _misbehave(manners: Manners, random: Random, *, losses: int) -> None:
    """Let workers be lost, so seldom that no work is given up for it."""
    manners.dies, manners.hangs = random.choice(((0.2, 0.0), (0.0, 0.1), (0.1, 0.05)))
    manners.twice, manners.nonsense = random.choice(((0.2, 0.0), (0.1, 0.1)))
    manners.flaky, manners.losses = random.choice((0.0, 0.2)), losses


def _meddle(troubles: Troubles, dice: _Dice) -> None:
    """Let people do what changes the outcome."""
    troubles.changes_outcome = True
    for deed in dice.random.sample(
        ("cancel", "override", "clash", "rewrite", "stop_twice", "obstruct", "timeouts"), 2
    ):
        if deed == "timeouts":
            troubles.manners.timeouts = 0.1
        elif deed == "override":
            troubles.deeds += dice.times(deed, dice.random.randint(2, 5))
        elif not (troubles.has_overtaken and deed in {"cancel", "rewrite", "stop_twice"}):
            troubles.deeds += dice.times(deed, dice.random.randint(1, 2))


def _steer(troubles: Troubles, dice: _Dice) -> None:
    """Let people give orders about the queue; those about places and removals change the outcome."""
    troubles.deeds += [(when * 0.6, deed) for when, deed in dice.times("hold", dice.random.randint(1, 2))]
    if dice.chance(0.4):
        troubles.changes_outcome = True
        troubles.deeds += dice.times("move", dice.random.randint(1, 4))
