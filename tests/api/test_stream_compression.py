"""Streams are compressed in blocks that clients have at once, for clients who accept that."""

import zlib

import pytest

from maingate.api.stream_compression import BEGINNING, block, is_accepted


def test_each_block_is_had_as_soon_as_it_has_come_and_wherever_a_client_began() -> None:
    """Nothing refers to a block before it, and a block of nothing is nothing."""
    blocks = [block(text) for text in (b"a" * 1000, b"", b"a" * 1000 + b"b")]
    assert blocks[1] == b""
    for began in (0, 2):
        client = zlib.decompressobj(zlib.MAX_WBITS | 16)
        got = client.decompress(BEGINNING) + b"".join(map(client.decompress, blocks[began:]))
        assert got == (b"a" * 1000 if began == 0 else b"") + b"a" * 1000 + b"b"


@pytest.mark.parametrize(
    ("header", "is_wanted"),
    [
        (None, False),
        ("", False),
        ("identity, br", False),
        ("gzip", True),
        ("deflate, GZIP;q=0.5", True),
        ("x-gzip", True),
        ("gzip;q=0", False),
        ("gzip; q=0.000, br", False),
        ("gzip;q=0.001", True),
        ("gzipped", False),
    ],
)
def test_a_client_says_whether_it_accepts_them(header: str | None, *, is_wanted: bool) -> None:
    """A weight of nothing refuses it."""
    assert is_accepted(header) == is_wanted
