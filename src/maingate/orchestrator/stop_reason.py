"""Why a run stops before its end, and how it goes on, for people."""

from maingate.errors import InterruptedRunError, MaingateError, OutsideFaultError
from maingate.ids import RunId
from maingate.orchestrator.core.core import Core


def how_to_go_on(run_id: RunId) -> str:
    """Return the command that continues a run."""
    return f"`maingate resume {run_id}` continues it"


def reason_to_stop(core: Core) -> MaingateError:
    """Return the error of a run that was asked to stop, or that cannot go on without a person.

    Args:
        core: The core, when nothing is under way any more and the run has not ended.
    """
    run_id = core.run.id
    drain = core.drain
    if drain.obstacle is not None:
        return OutsideFaultError(
            f"{drain.obstacle}. Once that is fixed, {how_to_go_on(run_id)}; "
            f"`maingate cancel {drain.obstructed}` ends this workstream alone"
        )
    kept = "landed work stays, nothing has landed in part"
    if drain.exhausted is not None:
        return InterruptedRunError(
            f"{drain.exhausted}: the run stopped; {kept}; "
            f"`maingate resume {run_id} --budget-usd N` continues it"
        )
    return InterruptedRunError(f"run {run_id} was interrupted; {kept}; {how_to_go_on(run_id)}")
