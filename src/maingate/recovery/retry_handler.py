"""When a failed attempt is followed by another: a pure decision, without clock or chance.

The delay grows exponentially up to a ceiling and is spread over the whole of it (full jitter), so that what
failed together is not tried again together. The jitter is drawn from the attempt's own name: the same attempt
waits equally long wherever and whenever it is asked.
"""

import random
from dataclasses import dataclass
from datetime import timedelta


@dataclass(frozen=True, kw_only=True)
class RetryPolicy:
    """How attempts follow each other.

    Args:
        delay: The longest wait before the second attempt; doubled for each further one.
        ceiling: What it never exceeds.
        losses: How many attempts of a task may be lost with their worker; counted apart from failures.
    """

    delay: timedelta = timedelta(seconds=1)
    ceiling: timedelta = timedelta(minutes=5)
    losses: int = 5

    def wait(self, subject: str, failures: int) -> timedelta:
        """Say how long to wait after so many failures of a subject, from 1."""
        longest = min(self.ceiling, self.delay * (1 << min(failures - 1, 20)))
        return longest * random.Random(f"{subject} {failures}").random()  # noqa: S311 - spreads load, no secret
