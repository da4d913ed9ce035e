"""Retry delays: a pure decision, without clock or chance.

The delay grows exponentially up to a ceiling and has full jitter, so that attempts which failed together are
not retried together. The jitter is derived from the attempt's own name: the same attempt always waits equally
long.
"""

import random
from dataclasses import dataclass
from datetime import timedelta


@dataclass(frozen=True, kw_only=True)
class RetryPolicy:
    """Policy of retries.

    Args:
        delay: The maximum delay before the second attempt; doubled for each further one.
        ceiling: The upper limit of the delay.
        losses: Maximum attempts of a task that may be lost with their worker; counted apart from failures.
    """

    delay: timedelta = timedelta(seconds=1)
    ceiling: timedelta = timedelta(minutes=5)
    losses: int = 5

    def wait(self, subject: str, failures: int) -> timedelta:
        """Return the delay after a number of failures of a subject, from 1."""
        longest = min(self.ceiling, self.delay * (1 << min(failures - 1, 20)))
        return longest * random.Random(f"{subject} {failures}").random()  # noqa: S311 - spreads load, no secret
