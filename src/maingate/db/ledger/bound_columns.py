"""Binding of rows into the ledger: the columns that are evidence, and the text that binds them.

A row of the ledger states, in ``sets``, what it binds: a column with its value, or with the SHA-256 of a long
one, and under ``*`` one digest over all columns that never change after the row is inserted. The same can be
computed again from the tables.
"""

from collections.abc import Iterable, Mapping, Sequence
from hashlib import sha256
from typing import Any, Final

from sqlalchemy import Boolean, Column, Integer

from maingate.db.schema.tables import ENTITIES, LIFECYCLE, metadata
from maingate.db.sql.columns import JsonList, JsonText, text_of

WHOLE: Final = "*"
"""The key of the digest over all columns that never change."""

SHORT_TEXT: Final = 64
"""Characters up to which a text is bound as it is; a longer one is bound by its digest."""

CHANGING: Final[Mapping[str, frozenset[str]]] = {
    "runs": frozenset({"old_head", "new_head", "retry_of", "traceparent", "reason"}),
    "workstreams": frozenset({"source", "base_commit", "head_commit", "landed_commit", "reason"}),
    "tasks": frozenset(
        {"spec", "retry_count", "lost_count", "attempt", "not_before", "retry_of", "reason"},
    ),
    "workers": frozenset({"reason"}),
    "uet_workers": frozenset({"pid", "pid_started", "reason"}),
    "patches": frozenset(
        {"repairs", "method", "commit", "tree", "quarantine_reason", "reason", "committed_at"}
    ),
    "gates": frozenset(
        {
            *("uet_worker_id", "attempts", "is_flaky", "fault", "exit_code", "output", "log_path"),
            *("duration_ms", "reason"),
        }
    ),
    "breakers": frozenset({"threshold", "cooldown_ms", "opened_at", "reason"}),
}
"""The columns of entities that may change: each change is bound by the row of the ledger that records it.

A column that a migration adds belongs here too, because rows were bound as a whole before there was one.
"""

UNBOUND: Final[Mapping[str, Mapping[str, str]]] = {
    "tasks": {"worker_id": "which worker holds it now; empty as soon as the attempt is over"},
    "workers": {
        "current_load": "how busy it is now",
        "heartbeat_at": "when it was last heard of",
    },
    "breakers": {
        "failures": "a count that each success resets; what a breaker does about it is a transition",
        "probe_task": "which task tries the tool out now",
        "probe_attempt": "which attempt of that task",
        "writes": "how often runs have written it; by it one tells which of two readings is the older",
    },
    "leases": dict.fromkeys(
        ("key", "holder", "host", "pid", "pid_started", "token", "acquired_at", "expires_at"),
        "who controls a target now; what is done under it is on record by itself",
    ),
    "followers": dict.fromkeys(
        ("name", "seq", "updated_at", "failures", "failure", "holder", "held_until"),
        "how far a reader of the ledger has come",
    ),
    "webhooks": dict.fromkeys(
        (
            *("repository_id", "name", "seq", "delivered", "failed", "delivered_at", "failures", "failure"),
            *("failing_since", "tried_at", "next_at", "is_gone", "holder", "held_until"),
        ),
        "how far a receiver of events has come",
    ),
    **{
        name: dict.fromkeys(metadata.tables[name].c.keys(), "counted from the ledger, and again at will")
        for name in ("event_kinds", "duration_kinds", "event_rollups", "duration_rollups", "rollup_hours")
    },
    "tokens": dict.fromkeys(
        (
            *("id", "name", "role", "secret_hash", "created_by", "created_at", "last_used_at"),
            "revoked_at",
        ),
        "who may use the HTTP interface now; an event records each grant and each revocation",
    ),
    "sessions": dict.fromkeys(
        ("id", "token_id", "secret_hash", "created_at", "expires_at", "ended_at"),
        "which browsers use a token now; what is done in a session is on record by itself",
    ),
    "answers": dict.fromkeys(
        ("operator", "key", "fingerprint", "claim", "created_at", "made", "status", "headers", "body"),
        "what was answered to a request, for a day; what was done is on record by itself",
    ),
    "holds": dict.fromkeys(
        ("entity_id", "run_id", "code", "about", "since", "ends_by"),
        "why something waits now, as the process at work says; made anew by each process",
    ),
    "queue_views": dict.fromkeys(
        ("key", "run_id", "view", "at"),
        "what is on board now, as the process at work says; made anew by each process",
    ),
    "queue_controls": dict.fromkeys(
        (
            *("key", "kind", "operator", "reason", "since", "until", "cron", "zone", "seconds"),
            "on_board",
        ),
        "what a queue is ordered to do now; an event records each order",
    ),
    "queue_ranks": dict.fromkeys(
        ("workstream_id", "key", "rank"),
        "how people have ordered a queue now; an event records each move",
    ),
    "queue_items": dict.fromkeys(
        (
            *("workstream_id", "run_id", "target", "offer", "landing", "gates", "terms"),
            *("place", "place_in_run", "state", "reason", "is_blamed", "is_wanted_back"),
        ),
        "a hand-over between living processes; intents and the branch prove which has landed",
    ),
}
"""The columns that are no evidence, each with the reason; they hold a momentary condition."""

RECOMPUTED: Final[Mapping[str, frozenset[str]]] = {
    **{table.name: frozenset(LIFECYCLE) for table in ENTITIES.values()},
    **{name: frozenset(metadata.tables[name].c.keys()) for name in ("state_transitions", "events", "facts")},
    "counters": frozenset({"name", "value", "head"}),
    "record": frozenset({"id"}),
}
"""The columns that the audit recomputes from the ledger: states of entities, and the ledger's own."""


def fixed_columns(table: str) -> tuple[str, ...]:
    """Return the columns of a table that are evidence and never change, in its order."""
    others = {*CHANGING.get(table, ()), *UNBOUND.get(table, ()), *RECOMPUTED.get(table, ())}
    return tuple(column.name for column in metadata.tables[table].columns if column.name not in others)


FACTS: Final = tuple(
    name for name in metadata.tables if name not in {*CHANGING, *RECOMPUTED} and fixed_columns(name)
)
"""The tables, beside those of entities, whose rows are evidence."""


def digest_of(values: Iterable[Any]) -> str:
    """Return the digest over stored values, in the order given."""
    text = ",".join([_written(value) for value in values])
    return sha256(f"[{text}]".encode()).hexdigest()


def form_of(value: Any) -> Any:
    """Return the form in which one stored value is bound."""
    plain = _plain(value)
    if type(plain) is str and len(plain) > SHORT_TEXT:
        return f"sha256:{sha256(plain.encode(errors='surrogatepass')).hexdigest()}"
    return plain


def empty_of(column: Column[Any]) -> Any:
    """Return the stored value that a column of a new row has by default, which need not be bound."""
    if column.nullable:
        return None
    return next((empty for kind, empty in _EMPTY if isinstance(column.type, kind)), "")


def bound_text(values: Mapping[str, Any]) -> str | None:
    """Return the text by which a row of the ledger binds columns with their stored values; None for none.

    It is the text of `canonical`, without its cost: names of columns need no escaping.
    """
    if not values:
        return None
    pairs = []
    for name in sorted(values) if len(values) > 1 else values:
        value = values[name]
        if value is None:
            pairs.append(f'"{name}":null')
        elif type(value) is int:
            pairs.append(f'"{name}":{value}')
        else:
            pairs.append(f'"{name}":{text_of(form_of(value))}')
    return f"{{{','.join(pairs)}}}"


def bound_text_of_creation(fixed: Sequence[Any], begun: Mapping[str, Any]) -> str:
    """Return the text by which an entity's first row binds its columns.

    Args:
        fixed: The stored values of the columns that never change.
        begun: The values of the other columns that are not empty.
    """
    return bound_text({WHOLE: digest_of(fixed), **begun}) or ""


_EMPTY: Final = ((Integer, 0), (Boolean, 0), (JsonList, "[]"), (JsonText, "{}"))


def _written(value: Any) -> str:
    """Return a stored value as bytes that no value of another kind has."""
    if isinstance(value, bytes | bytearray | memoryview):
        return f"sha256:{sha256(value).hexdigest()}"
    return text_of(_plain(value))


def _plain(value: Any) -> Any:
    """Return a stored value as every database gives it: booleans as numbers, other kinds as lists."""
    if value is None or type(value) in _AS_IT_IS:
        return value
    if isinstance(value, bool):
        return int(value)
    return value if isinstance(value, str | int) else [type(value).__name__, repr(value)]


_AS_IT_IS: Final = frozenset({str, int})
