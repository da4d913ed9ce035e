"""The process of one hosted run: it does the work of `maingate resume`, without a person.

Each run has a process of its own. Signals, the garbage collector, the working directory, the environment,
orphans of commands and the library handles of git belong to a process and not to a thread; a fault in native
code, or a lack of memory, then ends one run and not the server.
"""

import os
import signal
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Final

from maingate.bootstrap import Maingate
from maingate.errors import InterruptedRunError, MaingateError, TargetBusyError
from maingate.ids import RunId
from maingate.orchestrator.progress import News, ProgressView
from maingate.server.log import LOG, written_log
from maingate.services.handover.run_queue import RunOptions
from maingate.system.process_tree import die_with_parent

DONE: Final = 0
"""Exit code: the run has ended, or has stopped because that was wanted."""
FAULT: Final = 1
"""Exit code: something outside the run failed; it may go on later."""
BUSY: Final = 75
"""Exit code: another process holds the target."""

MODULE: Final = "maingate.server.run_process"


def arguments(repository: Path, run_id: RunId, *, workers: int | None, is_only_asked: bool) -> list[str]:
    """Return the arguments of the process of a run that this process starts.

    Args:
        repository: A path in its repository.
        run_id: The run.
        workers: How many gates run at once, where the run has no option that says so.
        is_only_asked: Whether to apply requests to the run only.
    """
    return [str(os.getpid()), str(repository), run_id, str(workers or 0), str(int(is_only_asked))]


def main(words: Sequence[str]) -> int:
    """Run a run to its end, unless the server is gone by now; return the exit code."""
    parent, repository, run_id, workers, is_only_asked = words
    die_with_parent(signal.SIGTERM)
    if os.getppid() != int(parent):
        return DONE
    with written_log():
        return _logged(Path(repository), RunId(run_id), int(workers) or None, is_only_asked == "1")


def _logged(repository: Path, run_id: RunId, workers: int | None, is_only_asked: bool) -> int:
    """Run a run to its end, and log how that went; return the exit code."""
    log = LOG.bind(run_id=run_id, pid=os.getpid())
    try:
        with Maingate.open(repository, create=False) as maingate:
            return _run(maingate, run_id, workers, is_only_asked=is_only_asked)
    except InterruptedRunError as error:
        log.info("run_stopped", reason=str(error))
    except TargetBusyError as error:
        log.info("target_busy", reason=str(error))
        return BUSY
    except MaingateError as error:
        log.error("run_faulted", reason=str(error))  # noqa: TRY400 - its message says it all
        return FAULT
    except Exception:
        log.exception("run_faulted")
        return FAULT
    return DONE


def _run(maingate: Maingate, run_id: RunId, workers: int | None, *, is_only_asked: bool) -> int:
    maingate.execution.take_hold(run_id)
    options = RunOptions.of_run(maingate.context, run_id)
    listener = LogListener(run_id)
    state = maingate.execution.execute(
        run_id,
        workers=options.workers or workers,
        listener=listener,
        budget_usd=options.budget_usd,
        is_only_asked=is_only_asked,
    )
    LOG.info("run_left" if is_only_asked else "run_ended", run_id=run_id, state=str(state))
    return DONE


class LogListener:
    """Writes the start of a run and the notices about it to the log.

    Args:
        run_id: The run.
    """

    def __init__(self, run_id: RunId) -> None:
        self._log = LOG.bind(run_id=run_id)

    def started(self, view: ProgressView) -> None:
        """Log the start; from now on the run hears that it is to stop, also if that was asked before."""
        signal.pthread_sigmask(signal.SIG_UNBLOCK, {signal.SIGTERM})
        now = view.progress()
        self._log.info("run_started", name=now.name, tasks=now.tasks_total, tasks_ended=now.tasks_ended)

    def happened(self, news: Sequence[News]) -> None:
        """Ignore the news: the record has it."""

    def notice(self, text: str) -> None:
        """Log the notice."""
        self._log.info("notice", text=text)


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
