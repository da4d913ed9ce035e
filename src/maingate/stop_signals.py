"""The signals that ask a process to stop, handed to the work that it does in its foreground.

The one place that starts an event loop and listens to signals for what a process does itself.
"""

import asyncio
import signal
import threading
from collections.abc import Callable, Coroutine, Sequence
from typing import Any, TypeVar

Result = TypeVar("Result")


def run_to_end(work: Coroutine[Any, Any, Result], *, interrupt: Callable[[int], None]) -> Result:
    """Run a coroutine to its end in a loop of its own.

    Args:
        work: The coroutine.
        interrupt: Called in the loop with the number of each signal that asks the process to stop. Signals
            reach the main thread alone; elsewhere it is never called.
    """
    return asyncio.run(_heeding_signals(work, interrupt))


async def _heeding_signals(work: Coroutine[Any, Any, Result], interrupt: Callable[[int], None]) -> Result:
    loop = asyncio.get_running_loop()
    numbers = _stopping_signals() if threading.current_thread() is threading.main_thread() else ()
    for number in numbers:
        loop.add_signal_handler(number, interrupt, number)
    try:
        return await work
    finally:
        for number in numbers:
            loop.remove_signal_handler(number)


def _stopping_signals() -> Sequence[int]:
    """List the signals that stop work; not those of a terminal that the caller of the process has it ignore.

    So does `nohup` with SIGHUP, and a shell with SIGINT for what it starts in the background. SIGTERM is
    meant for the very process, and always stops it.
    """
    of_terminal = (signal.SIGINT, signal.SIGHUP)
    return [signal.SIGTERM, *(each for each in of_terminal if signal.getsignal(each) is not signal.SIG_IGN)]
