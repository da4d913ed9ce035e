"""Identifiers of traces and spans, derived from those of runs and their parts.

They are digests, so every process knows them: an export that is repeated is the same spans, and a gate is
told its span before that is exported.
"""

import hashlib
from dataclasses import dataclass

_SPAN_BYTES = 8
_TRACE_BYTES = 16


def trace_id_of(run_id: str) -> int:
    """Return the trace of a run."""
    return _digest(_TRACE_BYTES, "trace", run_id)


def span_id_of(entity_id: str, *part: str) -> int:
    """Return the span of an entity, or of a part of its life such as its second attempt."""
    return _digest(_SPAN_BYTES, "span", entity_id, *part)


def _digest(size: int, *words: str) -> int:
    digest = hashlib.sha256("\0".join(words).encode())
    return int.from_bytes(digest.digest()[:size]) or 1  # zero is no identifier


@dataclass(frozen=True, kw_only=True)
class RunTrace:
    """The trace of a run, for the programs that it starts.

    Args:
        run_id: The run.
        is_sampled: Whether its spans are exported.
    """

    run_id: str
    is_sampled: bool = True

    def parent(self, entity_id: str, *part: str) -> str:
        """Return the value of ``TRACEPARENT`` under which a program puts its spans (W3C Trace Context)."""
        span = span_id_of(entity_id, *part)
        return f"00-{trace_id_of(self.run_id):032x}-{span:016x}-{int(self.is_sampled):02x}"
