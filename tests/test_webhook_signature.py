"""Signatures of webhooks are those of the Standard Webhooks, and nothing else passes."""

import json
from collections.abc import Mapping
from datetime import timedelta

import pytest

from maingate.webhook_signature import (
    InvalidWebhookError,
    key_of,
    new_secret,
    signature_headers,
    verify_webhook,
)

SECRET = "whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw"
OTHER = new_secret(b"o" * 24)
BODY = b'{"test": 2432232314}'
AT = 1614265330
HEADERS = {
    "webhook-id": "msg_p5jXN8AQM9LWM0D4loKWxJek",
    "webhook-timestamp": str(AT),
    "webhook-signature": "v1,g0hM9SsE+OTPJTGt/tmIKtSyZlE3uFJELVlNIOLJ1OE=",
}
"""The example that the specification's own libraries are tested with."""


def signed(body: bytes = BODY, *secrets: str) -> dict[str, str]:
    """Return the headers of a delivery."""
    return signature_headers(secrets or (SECRET,), id="msg_p5jXN8AQM9LWM0D4loKWxJek", at=AT, body=body)


def test_the_example_of_the_specification() -> None:
    """It is signed so, and verified; names of headers may be in any case."""
    assert signed() == HEADERS
    given = {name.title(): value for name, value in HEADERS.items()}
    assert verify_webhook(SECRET, given, BODY, now=AT) == {"test": 2432232314}


def test_any_of_several_secrets_and_signatures_fits() -> None:
    """While a secret is exchanged; signatures of other versions are passed over."""
    both = signed(BODY, OTHER, SECRET)
    assert verify_webhook(SECRET, both, BODY, now=AT) == verify_webhook(OTHER, both, BODY, now=AT)
    assert verify_webhook([OTHER, SECRET], HEADERS, BODY, now=AT)
    strange = HEADERS | {"webhook-signature": f"v1a,{'A' * 88} ,, é {HEADERS['webhook-signature']}"}
    assert verify_webhook(SECRET, strange, BODY, now=AT)


@pytest.mark.parametrize(
    ("changed", "said"),
    [
        ({"webhook-id": "msg_another"}, "no signature fits"),
        ({"webhook-timestamp": str(AT + 1)}, "no signature fits"),
        ({"webhook-signature": HEADERS["webhook-signature"].removeprefix("v1,")}, "no signature fits"),
        ({"webhook-signature": "v1,"}, "no signature fits"),
        ({"webhook-signature": ""}, "has no header webhook-signature"),
        ({"webhook-id": ""}, "has no header webhook-id"),
    ],
)
def test_a_changed_header_is_refused(changed: Mapping[str, str], said: str) -> None:
    """The id and the time are signed, too."""
    with pytest.raises(InvalidWebhookError, match=said):
        verify_webhook(SECRET, {**HEADERS, **changed}, BODY, now=AT)


def test_another_secret_or_body_is_refused() -> None:
    """Down to the last byte."""
    for secret, body in ((OTHER, BODY), (SECRET, BODY + b" ")):
        with pytest.raises(InvalidWebhookError, match="no signature fits"):
            verify_webhook(secret, HEADERS, body, now=AT)


@pytest.mark.parametrize(("now", "is_accepted"), [(AT - 301, False), (AT - 300, True), (AT + 301, False)])
def test_a_delivery_is_accepted_for_some_minutes(*, now: int, is_accepted: bool) -> None:
    """A stranger who has seen one cannot send it again later."""
    if is_accepted:
        assert verify_webhook(SECRET, HEADERS, BODY, now=now)
        return
    with pytest.raises(InvalidWebhookError, match="the clocks may differ by 300 s"):
        verify_webhook(SECRET, HEADERS, BODY, now=now)
    assert verify_webhook(SECRET, HEADERS, BODY, now=now, tolerance=timedelta(hours=1))


def test_a_time_that_is_none_is_refused() -> None:
    """Although it is signed."""
    for text in ("soon", "-1", "9" * 30):
        headers = signature_headers([SECRET], id="m", at=text, body=BODY)  # type: ignore[arg-type]
        with pytest.raises(InvalidWebhookError, match="is no time in seconds"):
            verify_webhook(SECRET, headers, BODY, now=AT)


@pytest.mark.parametrize("body", [b"\xff", b"[]", json.dumps("event").encode()])
def test_a_body_that_is_no_event_is_refused(body: bytes) -> None:
    """The caller gets an object or an error."""
    with pytest.raises(InvalidWebhookError, match="the body is no"):
        verify_webhook(SECRET, signed(body), body, now=AT)


def test_secrets_have_a_form() -> None:
    """The prefix may be left out; what is refused is not in the message."""
    assert key_of(OTHER) == key_of(OTHER.removeprefix("whsec_")) == b"o" * 24
    for text in ("", "whsec_", "not base64!", new_secret(b"o" * 23), new_secret(b"o" * 65), "é"):
        with pytest.raises(ValueError, match="24 to 64 bytes in Base64") as refused:
            key_of(text)
        assert not text.removeprefix("whsec_") or text not in str(refused.value)
