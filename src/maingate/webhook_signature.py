"""Signatures of webhooks, as the Standard Webhooks specification has them (version ``v1``).

The signature is an HMAC-SHA-256 over ``ID.TIMESTAMP.BODY``. While a secret is exchanged there are several:
each signs, and a receiver accepts any that it knows.
"""

import base64
import binascii
import hmac
import json
import time
from collections.abc import Mapping, Sequence
from datetime import timedelta
from typing import Any, Final

ID, TIMESTAMP, SIGNATURE = "webhook-id", "webhook-timestamp", "webhook-signature"
"""The headers of a delivery."""

TOLERANCE: Final = timedelta(minutes=5)
"""Time by which the clocks of sender and receiver may differ; a delivery that is older may be a repetition
by a stranger."""

_PREFIX: Final = "whsec_"
_VERSION: Final = "v1,"
_LEAST, _MOST = 24, 64
"""Bytes of a secret."""


class InvalidWebhookError(ValueError):
    """The delivery is not from the holder of the secret, or it is too old."""


def key_of(secret: str) -> bytes:
    """Return the key of a secret: 24 to 64 bytes in Base64, with or without ``whsec_`` before them.

    Raises:
        ValueError: It is not of that form; the message does not contain it.
    """
    try:
        key = base64.b64decode(secret.strip().removeprefix(_PREFIX), validate=True)
    except (binascii.Error, ValueError):
        key = b""
    if not _LEAST <= len(key) <= _MOST:
        raise ValueError(
            f"a secret is {_LEAST} to {_MOST} bytes in Base64, which may begin with {_PREFIX}; "
            "`maingate webhook secret` makes one"
        )
    return key


def new_secret(key: bytes) -> str:
    """Return a key as a secret that people exchange."""
    return _PREFIX + base64.b64encode(key).decode()


def signature_headers(secrets: Sequence[str], *, id: str, at: int, body: bytes) -> dict[str, str]:  # noqa: A002
    """Return the headers that sign a delivery.

    Args:
        secrets: The secrets, each of which signs.
        id: The identifier of the delivery, the same for each repetition.
        at: The time, in seconds since 1970.
        body: The body.

    Raises:
        ValueError: A secret is not of the form of one.
    """
    signed = " ".join(_VERSION + _signature(key_of(secret), id, str(at), body) for secret in secrets)
    return {ID: id, TIMESTAMP: str(at), SIGNATURE: signed}


def verify_webhook(
    secret: str | Sequence[str],
    headers: Mapping[str, str],
    body: bytes,
    *,
    tolerance: timedelta = TOLERANCE,
    now: float | None = None,
) -> dict[str, Any]:
    """Verify a delivery, and return the event in it.

    The comparison takes the same time wherever a signature is wrong. A receiver gets the same event again
    when its answer was lost: the event's ``event_id``, which is the header ``webhook-id`` too, tells.

    Args:
        secret: The secret, or all that are valid at present.
        headers: The headers of the request; their names in any case.
        body: The body as it was received, byte for byte.
        tolerance: Time by which the clocks may differ.
        now: The time, in seconds since 1970. Defaults to that of this machine.

    Returns:
        The event, as `GET /api/v1/events` has it.

    Raises:
        InvalidWebhookError: A header is missing, no signature fits, the time is beyond the tolerance, or the
            body is no event.
        ValueError: A secret is not of the form of one.
    """
    given = {name.lower(): value for name, value in headers.items()}
    if missing := [name for name in (ID, TIMESTAMP, SIGNATURE) if not given.get(name)]:
        raise InvalidWebhookError(f"the request has no header {missing[0]}")
    keys = [key_of(each) for each in ([secret] if isinstance(secret, str) else secret)]
    wanted = [_signature(key, given[ID], given[TIMESTAMP], body).encode() for key in keys]
    offered = [each.removeprefix(_VERSION) for each in given[SIGNATURE].split() if each.startswith(_VERSION)]
    fits = [hmac.compare_digest(one, other.encode()) for one in wanted for other in offered]
    if not any(fits):
        raise InvalidWebhookError("no signature fits: the secret is another one, or the request was changed")
    _require_recent(given[TIMESTAMP], tolerance, time.time() if now is None else now)
    try:
        event = json.loads(body)
    except ValueError as error:
        raise InvalidWebhookError("the body is no JSON") from error
    if not isinstance(event, dict):
        raise InvalidWebhookError("the body is no event")
    return event


def _require_recent(timestamp: str, tolerance: timedelta, now: float) -> None:
    """Refuse a time beyond the tolerance.

    Raises:
        InvalidWebhookError: It is beyond it, or no time.
    """
    if not (timestamp.isascii() and timestamp.isdecimal() and len(timestamp) < len(str(2**62))):
        raise InvalidWebhookError(f"the header {TIMESTAMP} is no time in seconds")
    if abs(now - int(timestamp)) > tolerance.total_seconds():
        raise InvalidWebhookError(
            f"it was signed {now - int(timestamp):.0f} s ago, "
            f"and the clocks may differ by {tolerance.total_seconds():g} s"
        )


def _signature(key: bytes, id_: str, timestamp: str, body: bytes) -> str:
    digest = hmac.digest(key, f"{id_}.{timestamp}.".encode() + body, "sha256")
    return base64.b64encode(digest).decode()
