"""Identifiers of traces and spans, derived from those of runs and their parts.

They are digests, so every process knows them: an export that is repeated is the same spans, and a gate is
told its span before that is exported. A run that was asked for within a trace is in that trace.
"""

import hashlib
import re
from dataclasses import dataclass
from typing import Final, Self

_SPAN_BYTES = 8
_TRACE_BYTES = 16
_WRITTEN: Final = re.compile(r"(?!ff)([0-9a-f]{2})-([0-9a-f]{32})-([0-9a-f]{16})-([0-9a-f]{2})(-.*)?")
_SAMPLED: Final = 1

TRACEPARENT: Final = "TRACEPARENT"
"""The variable that names the span of the program that starts another one."""


def span_id_of(entity_id: str, *part: str) -> int:
    """Return the span of an entity, or of a part of its life such as its second attempt."""
    return _digest(_SPAN_BYTES, "span", entity_id, *part)


def _digest(size: int, *words: str) -> int:
    digest = hashlib.sha256("\0".join(words).encode())
    return int.from_bytes(digest.digest()[:size]) or 1  # zero is no identifier


@dataclass(frozen=True, kw_only=True)
class CallerSpan:
    """The span of the program that asked for a run.

    Args:
        trace: Its trace.
        id: Its identifier.
        is_sampled: Whether it is exported.
    """

    trace: int
    id: int
    is_sampled: bool

    @classmethod
    def read(cls, text: str | None) -> Self | None:
        """Return the span that a ``traceparent`` (W3C Trace Context) names; None for one that is invalid."""
        found = None if text is None else _WRITTEN.fullmatch(text.strip())
        if found is None or (found[1] == "00" and found[5]):
            return None
        trace, span, flags = (int(part, 16) for part in found.group(2, 3, 4))
        return cls(trace=trace, id=span, is_sampled=bool(flags & _SAMPLED)) if trace and span else None


@dataclass(frozen=True, kw_only=True)
class RunTrace:
    """The trace of a run.

    Args:
        run_id: The run.
        caller: The span that its own is under; None for a trace of its own.
        is_sampled: Whether its spans are exported.
    """

    run_id: str
    caller: CallerSpan | None = None
    is_sampled: bool = True

    @classmethod
    def of(cls, run_id: str, traceparent: str | None) -> Self:
        """Return the trace of a run that was asked for with this ``traceparent``."""
        return cls(run_id=run_id, caller=CallerSpan.read(traceparent))

    @property
    def id(self) -> int:
        """The identifier of the trace."""
        return _digest(_TRACE_BYTES, "trace", self.run_id) if self.caller is None else self.caller.trace

    def parent(self, entity_id: str, *part: str) -> str:
        """Return the ``traceparent`` under which a program that the run starts puts its spans."""
        return f"00-{self.id:032x}-{span_id_of(entity_id, *part):016x}-{int(self.is_sampled):02x}"
