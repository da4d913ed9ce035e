"""The simulation of a plan: expected time and runs of gates, by workers and order of landing; nothing runs.

Times and the rate of failures are those on record. Where there are none, they are assumed, and the answer
says so: it is never shown as measured.
"""

from collections.abc import Callable, Mapping, Sequence
from typing import Any, Final

from maingate.db.schema.rollup_kinds import EMPTY
from maingate.monitoring.recorded_work import COMMAND, GATE, TOOL, RecordedWork
from maingate.orchestrator.train.virtual_run import (
    LOOK_AHEAD,
    ONE_AT_A_TIME,
    RunEffort,
    RunLoad,
    TaskLoad,
    TimeSpread,
    WorkstreamLoad,
    play,
    shape,
)
from maingate.plan.choices import TaskKind
from maingate.plan.loader import LoadedPlan
from maingate.plan.model import Plan
from maingate.plan.paths.overlapping_scopes import TaskName, earlier_rivals
from maingate.queries.trends import percentile

WORKERS: Final = (1, 2, 4, 8)
"""Numbers of workers that are shown beside the setting, unless others are asked for."""

_ASSUMED: Final[Mapping[str, float]] = {GATE: 60.0, TOOL: 300.0, COMMAND: 60.0}
"""Seconds where the record has none."""

_ASSUMED_RATE: Final = 0.05
_MOST_PLAYS: Final = 100
_LEAST_PLAYS: Final = 3
_EFFORT: Final = 40_000
"""Plays times jobs times workers: about the effort of some seconds."""

_ORDERS: Final = {"one_at_a_time": ONE_AT_A_TIME, "train": LOOK_AHEAD}
_TODAY: Final = "train"

_NOTE: Final = (
    "Runs use the train, which proves several workstreams together; one at a time shows what it saves. A",
    "task is its tool or command and then its gates, a landing its gates one after the other, each on one",
    "worker; workstreams that fail do so at their landing gates.",
    "Left out: reused verdicts, retries, asking the base, approvals, prepare, exclusive, max_concurrent,",
    "merges, and scopes that overlap with those of other workstreams.",
)
"""The limits of the simulation, for people."""

Json = dict[str, Any]


def simulation(
    loaded: LoadedPlan,
    recorded: RecordedWork,
    *,
    workers: Sequence[int] = (),
    failure_rate: float | None = None,
    seed: int = 0,
) -> Json:
    """Return the simulation of a plan, in the public JSON form.

    Args:
        loaded: The plan.
        recorded: The work on record.
        workers: The numbers of workers; default: `WORKERS` and the setting.
        failure_rate: The share of workstreams that fail; default: that on record.
        seed: The seed of failures and times: the same seed gives the same answer.
    """
    plan = loaded.plan
    inputs = _Inputs(recorded)
    rate, rate_json = _rate(recorded, failure_rate)
    load = _load_of(plan, inputs, rate)
    numbers = sorted(set(workers or (*WORKERS, loaded.settings.workers)))
    plays = _plays(load, numbers[-1])
    found = shape(load)
    return {
        "name": plan.name,
        "workstreams": len(load.workstreams),
        "tasks": sum(len(each.tasks) for each in load.workstreams),
        "times": list(inputs.told.values()),
        "failure_rate": rate_json,
        "critical_path": {"seconds": _rounded(found.seconds), "workstreams": list(found.path)},
        "parallelism": {
            "work_seconds": _rounded(found.work),
            "average": _rounded(found.work / found.seconds) if found.seconds else 0.0,
            "most": found.most,
        },
        "estimates": [
            {
                "workers": number,
                "order": order,
                "is_today": order == _TODAY,
                **_figures([play(load, workers=number, window=window, seed=f"{seed} {n}") for n in plays]),
            }
            for number in numbers
            for order, window in _ORDERS.items()
        ],
        "plays": len(plays),
        "seed": seed,
        "look_ahead": LOOK_AHEAD,
        "note": " ".join(_NOTE),
    }


def assumptions(told: Json) -> list[str]:
    """Return sentences on all that a simulation assumes because the record has nothing of it."""
    lines = [
        f"no record of {' '.join(filter(None, (each['kind'], each['name'])))} yet: {each['p50']:g} s assumed"
        for each in told["times"]
        if each["is_assumed"]
    ]
    rate = told["failure_rate"]
    if rate["source"] == "assumed":
        lines.append(f"no record of workstreams yet: {rate['rate']:.0%} assumed to fail")
    return lines


class _Inputs:
    """The times that a plan uses, each from the record or assumed."""

    def __init__(self, recorded: RecordedWork) -> None:
        self._recorded = recorded
        self._spreads: dict[tuple[str, str], TimeSpread] = {}
        self.told: dict[tuple[str, str], Json] = {}

    def spread(self, kind: str, name: str = "") -> TimeSpread:
        """Return the time of a gate, a tool or a command."""
        key = kind, name
        if key not in self._spreads:
            known = self._recorded.times.get(key, EMPTY)
            p50, p90 = (known.quantile(part) if known.count else _ASSUMED[kind] for part in (0.5, 0.9))
            self._spreads[key] = TimeSpread(p50=p50, p90=p90)
            self.told[key] = {
                "kind": kind,
                "name": name,
                "p50": _rounded(p50),
                "p90": _rounded(p90),
                "count": known.count,
                "is_assumed": not known.count,
            }
        return self._spreads[key]


def _rate(recorded: RecordedWork, asked: float | None) -> tuple[float, Json]:
    """Return the share of workstreams that fail, and its JSON form."""
    told = {"failed": recorded.failed, "ended": recorded.ended}
    if asked is not None:
        return asked, {"rate": asked, "source": "option", **told}
    if not recorded.ended:
        return _ASSUMED_RATE, {"rate": _ASSUMED_RATE, "source": "assumed", **told}
    rate = recorded.failed / recorded.ended
    return rate, {"rate": round(rate, 4), "source": "record", **told}


def _load_of(plan: Plan, inputs: _Inputs, rate: float) -> RunLoad:
    workstreams = []
    rivals = earlier_rivals(plan)
    for name in plan.workstream_order():
        workstream = plan.workstreams[name]
        tasks = [_task(plan, name, task, inputs, rivals) for task in workstream.task_order()]
        gates = tuple(plan.landing_gates(name))
        workstreams.append(WorkstreamLoad(id=name, needs=workstream.needs, tasks=tuple(tasks), gates=gates))
    used = {gate for each in workstreams for gate in each.gates}
    used.update(gate for each in workstreams for task in each.tasks for gate in task.gates)
    times = {gate: inputs.spread(GATE, gate) for gate in plan.gates if gate in used}
    return RunLoad(workstreams=tuple(workstreams), gate_times=times, failure_rate=rate)


def _task(
    plan: Plan, workstream: str, name: str, inputs: _Inputs, rivals: Mapping[TaskName, Sequence[TaskName]]
) -> TaskLoad:
    task = plan.workstreams[workstream].tasks[name]
    work = None
    if task.tool is not None:
        work = inputs.spread(TOOL, task.tool)
    elif task.kind is TaskKind.COMMAND:
        work = inputs.spread(COMMAND)
    first = dict.fromkeys([*task.needs, *(rival for _, rival in rivals.get((workstream, name), ()))])
    needs = tuple(f"{workstream}/{need}" for need in first)
    gates = tuple(plan.task_gates(workstream, name))
    return TaskLoad(id=f"{workstream}/{name}", needs=needs, work=work, gates=gates)


def _plays(load: RunLoad, workers: int) -> range:
    """Return the plays: fewer of a large plan or with many workers, so that the whole takes seconds."""
    jobs = sum(1 + len(each.tasks) for each in load.workstreams)
    return range(max(_LEAST_PLAYS, min(_MOST_PLAYS, _EFFORT // (jobs * workers))))


def _figures(efforts: Sequence[RunEffort]) -> Json:
    def both(value: Callable[[RunEffort], float]) -> Json:
        values = [value(effort) for effort in efforts]
        return {f"p{part}": _rounded(percentile(values, part / 100) or 0.0) for part in (50, 90)}

    return {
        "seconds": both(lambda effort: effort.seconds),
        "gate_runs": both(lambda effort: effort.gate_runs),
        "landed": both(lambda effort: effort.landed),
    }


def _rounded(value: float) -> float:
    return round(value, 3)
