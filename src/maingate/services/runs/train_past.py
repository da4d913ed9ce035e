"""The past that a train is told of: the work on record as the values that its planner has."""

from maingate.monitoring.recorded_work import GATE, recorded_work
from maingate.orchestrator.train.record import GatePast, TrainRecord
from maingate.repository_context import RepositoryContext


def train_record(context: RepositoryContext) -> TrainRecord:
    """Return the past of a repository, as far as a train expects the same again."""
    work = recorded_work(context)
    times = {name: histogram for (kind, name), histogram in work.times.items() if kind == GATE}
    return TrainRecord(
        refused=work.refused,
        landed=work.ended - work.failed,
        gates={
            name: GatePast(
                seconds=times[name].quantile(0.5) if name in times else 0.0,
                slow=times[name].quantile(0.9) if name in times else 0.0,
                passes=work.passes.get(name, 0),
                flakes=work.flakes.get(name, 0),
                failures=work.failures.get(name, 0),
            )
            for name in {*times, *work.passes}
        },
    )
