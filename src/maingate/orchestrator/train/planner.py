"""The next steps of a train: positions to land, the item to blame, runs to start and to cancel."""

from collections import defaultdict
from collections.abc import Mapping, Sequence

from maingate.orchestrator.train.branches import QueueBranch
from maingate.orchestrator.train.chains import CandidateChain
from maingate.orchestrator.train.facts import TrainState
from maingate.orchestrator.train.risks import QueueRisks
from maingate.orchestrator.train.scouts import Scouting
from maingate.orchestrator.train.search import STICKY, TrainSearch, answers_of_base, rank
from maingate.orchestrator.train.values import (
    TrainItem,
    TrainPause,
    TrainPlan,
    TrainPolicy,
    WantedRun,
)
from maingate.plan.choices import Proof


def plan_train(state: TrainState) -> TrainPlan:
    """Return the next steps of a train; they follow from its state alone."""
    hold = _held(state.items)
    items = [item for item in state.items if item.id not in hold] if hold else state.items
    root = state.facts.root
    land = _landing(root, items, state.policy.proof)
    risks = QueueRisks(items, state.facts, flake_rate=state.policy.flake_rate)
    search = TrainSearch(running=state.running.values(), policy=state.policy, workers=state.workers)
    branch = QueueBranch(risks, root=root, running=search.running)
    proven, suspected, has_failed = branch.narrow(0, branch.end, proof=state.policy.proof)
    blame, pause = (None, None) if proven else _suspicion(root, items, state.policy)
    if pause is not None:
        return TrainPlan(hold=hold, pause=pause, cancel=tuple(state.running))
    wanted = search.runs(branch)
    if state.policy.scouts:
        reach = max(search.reach, suspected) if has_failed else search.reach
        wanted += Scouting(state, risks, reach=reach).runs(wanted)
        wanted.sort(key=rank)
    start, keep, cancel = _allocate(wanted, state)
    return TrainPlan(land=land, blame=blame, hold=hold, start=start, keep=keep, cancel=cancel)


def _held(items: Sequence[TrainItem]) -> Mapping[str, str]:
    """Return the items that cannot be merged with one ahead of them, or need such an item, with that one."""
    if not any(item.conflicts for item in items):
        return {}
    places = {item.id: place for place, item in enumerate(items)}
    held: dict[str, str] = {}
    for item in items:
        ahead = [other for other in item.conflicts if places.get(other, len(items)) < places[item.id]]
        obstacles = [other for other in ahead if other not in held]
        obstacles += [held[other] for other in item.needs if other in held]
        if obstacles:
            held[item.id] = min(obstacles, key=lambda other: places[other])
    return held


def _landing(root: CandidateChain, items: Sequence[TrainItem], proof: Proof) -> tuple[CandidateChain, ...]:
    """Return the positions to move to: the longest proven prefix, in the steps that the proof allows."""
    positions: list[CandidateChain] = []
    proven = 0
    chain = root
    for item in items:
        found = chain.find(item.id)
        if found is None or not item.may_land:
            break
        chain = found
        if proof is Proof.COMMIT and not chain.passes:
            break
        positions.append(chain)
        if chain.passes:
            proven = len(positions)
    if proof is Proof.REF:
        return tuple(positions[proven - 1 : proven]) if proven else ()
    return tuple(each for each in positions[:proven] if not each.has_failed)


def _suspicion(
    root: CandidateChain, items: Sequence[TrainItem], policy: TrainPolicy
) -> tuple[str | None, TrainPause | None]:
    """Return the first item if it is proven to be a culprit, or the reason why no item can be blamed."""
    suspect = root.find(items[0].id) if items else None
    if suspect is None or not suspect.has_failed:
        return None, None
    passed, failed = answers_of_base(suspect, items[0], policy)
    if not passed and failed > policy.confirmations:
        return None, TrainPause.ENVIRONMENT_CHANGED if root.passes else TrainPause.BASE_RED
    is_proven = passed and suspect.failures > policy.confirmations
    return (items[0].id if is_proven else None), None


def _allocate(
    wanted: Sequence[WantedRun], state: TrainState
) -> tuple[tuple[WantedRun, ...], Mapping[str, WantedRun], tuple[str, ...]]:
    """Return the runs to start, to keep and to cancel, with as few changes as are worth it."""
    under_way: defaultdict[CandidateChain, list[str]] = defaultdict(list)
    for run_id, running in state.running.items():
        under_way[running.chain].append(run_id)
    keep: dict[str, WantedRun] = {}
    waiting: list[WantedRun] = []
    for run in wanted:
        if under_way.get(run.chain):
            keep[under_way[run.chain].pop()] = run
        elif run.chance >= state.policy.theta:
            waiting.append(run)
    free = max(state.workers - len(keep), 0)
    start, waiting = waiting[:free], waiting[free:]
    weakest = sorted(keep, key=lambda run_id: keep[run_id].chance)
    for run, run_id in zip(waiting, weakest, strict=False):
        if run.chance * STICKY <= keep[run_id].chance:
            break
        start.append(run)
        del keep[run_id]
    return tuple(start), keep, tuple(run_id for run_id in state.running if run_id not in keep)
