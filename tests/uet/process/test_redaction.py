"""Secrets are blotted out of what is written down, however it was cut into pieces."""

import json

from hypothesis import given
from hypothesis import strategies as st

from maingate.uet.process.redaction import MARK, Redactor, redact

SECRETS = st.lists(st.text("ab", min_size=1, max_size=7), min_size=1, max_size=4)


def test_a_secret_is_blotted_out_of_text_and_bytes() -> None:
    """Nothing of it is left, and what is around it stays."""
    assert redact("key=hunter2!", ["hunter2"]) == f"key={MARK}!"
    assert redact(b"hunter2hunter2", ["hunter2"]) == 2 * MARK.encode()


def test_a_secret_as_json_writes_it_is_blotted_out() -> None:
    """Agents print JSON."""
    secret = 'a"b\\c\u00e9'
    assert redact(json.dumps({"key": secret}), [secret]) == json.dumps({"key": MARK})
    assert redact(json.dumps({"k": secret}, ensure_ascii=False), [secret]) == json.dumps({"k": MARK})


def test_a_line_of_a_key_file_is_a_secret() -> None:
    """A log shows such a file line by line, and may indent it."""
    key = "-----BEGIN KEY-----\nMIIEpAIBAAKCAQEA1234\n-----END KEY-----\n"
    assert "MIIE" not in redact("  MIIEpAIBAAKCAQEA1234", [key])


def test_what_is_too_short_to_be_a_secret_stays() -> None:
    """A `1` is in everything."""
    assert redact("1 of 100", ["1", "", "100"]) == "1 of 100"


def test_bytes_that_are_no_text_stay() -> None:
    """A log may hold anything."""
    assert redact(b"\xff\xfehunter2\xff", ["hunter2"]) == b"\xff\xfe" + MARK.encode() + b"\xff"
    assert redact("\udcff", ["hunter2"]) == "\udcff"


@given(SECRETS, st.lists(st.binary(max_size=6) | st.sampled_from([b"a", b"b", b"abab", b"aabb"])))
def test_pieces_make_no_difference(secrets: list[str], pieces: list[bytes]) -> None:
    """What was cut anywhere comes out as if it had come at once, and a secret that was found is told."""
    redactor = Redactor(secrets)
    out = b"".join(redactor.feed(piece) for piece in pieces) + redactor.flush()

    assert out == redact(b"".join(pieces), secrets)
    assert redactor.has_found is (MARK.encode() in out)


@given(SECRETS, st.text("ab", max_size=30))
def test_no_secret_is_left(secrets: list[str], text: str) -> None:
    """Whatever the overlaps: no secret is in the result."""
    clean = redact(text, secrets).replace(MARK, "|")
    assert not any(secret in clean for secret in secrets if len(secret) >= 4)
