"""The check, before a run goes on, that the commits of its record are still in the repository."""

from collections.abc import Sequence

from maingate.orchestrator.core import recorded_commits
from maingate.orchestrator.core.events import WorkstreamBroken
from maingate.orchestrator.core.snapshot import RunNode
from maingate.orchestrator.run_assembly import RunParts
from maingate.orchestrator.shell.given_up_items import reason_of


async def repair(run: RunNode, parts: RunParts, *, is_quiet: bool) -> Sequence[WorkstreamBroken]:
    """Repair what git has removed of a run; return the workstreams of which a commit is gone for good.

    Args:
        run: The run as it was loaded; its nodes get the commits that were made again.
        parts: The parts of the run, which make commits again and find out whether something else is at fault.
        is_quiet: Whether broken workstreams are left to the process that goes on with the run.

    Raises:
        OutsideFaultError: Something fails that every workstream needs.
    """
    chains = recorded_commits.chains_of(run)
    repaired = await parts.in_thread(lambda: parts.dispatcher.repair(chains))
    for workstream in run.order:
        if workstream.id in repaired.broken:
            recorded_commits.forget(workstream)
        else:
            recorded_commits.correct(workstream, repaired.tips.get(workstream.id, {}))
    if is_quiet:
        return ()
    for error in repaired.broken.values():
        await parts.attendant.raise_if_outside(error)
    return [
        WorkstreamBroken(workstream=workstream, reason=reason_of("a commit that it needs is gone", error))
        for workstream, error in repaired.broken.items()
    ]
