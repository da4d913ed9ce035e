"""The log of a gate keeps the beginning and the end, whatever is written."""

import errno
import os
from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from maingate.uet.process.output_log import EXCERPT_BYTES, OutputLog


def written(path: Path, *chunks: bytes, head: int, tail: int) -> OutputLog:
    """Write chunks into a log and close it."""
    log = OutputLog(path, head=head, tail=tail)
    for chunk in chunks:
        log.write(memoryview(chunk))
    log.close()
    return log


def test_short_output_is_kept_as_it_is(tmp_path: Path) -> None:
    """Output within the bounds is the log, byte for byte."""
    log = written(tmp_path / "deep" / "log", b"one\n", b"two\n", head=4, tail=4)

    assert (tmp_path / "deep" / "log").read_bytes() == b"one\ntwo\n"
    assert log.total == 8


def test_long_output_loses_its_middle(tmp_path: Path) -> None:
    """Beyond the bounds, head and tail stay, and a line tells how much is missing."""
    written(tmp_path / "log", b"abcdefghij", b"klm", head=3, tail=4)

    assert (tmp_path / "log").read_bytes() == b"abc\n[maingate: 6 bytes of output left out here]\njklm"


@settings(suppress_health_check=[HealthCheck.function_scoped_fixture], deadline=None)
@given(chunks=st.lists(st.binary(max_size=40), max_size=12), head=st.integers(0, 20), tail=st.integers(0, 20))
def test_head_and_tail_do_not_depend_on_how_output_arrives(
    tmp_path: Path, chunks: list[bytes], head: int, tail: int
) -> None:
    """However the output is cut into reads, the log holds its first and its last bytes."""
    everything = b"".join(chunks)

    log = written(tmp_path / "log", *chunks, head=head, tail=tail)

    omitted = len(everything) - head - tail
    marker = b"\n[maingate: %d bytes of output left out here]\n" % omitted
    expected = (
        everything[:head] + marker + everything[len(everything) - tail :] if omitted > 0 else everything
    )
    assert (tmp_path / "log").read_bytes() == expected
    assert log.total == len(everything)


def test_excerpt_is_the_end_in_whole_characters(tmp_path: Path) -> None:
    """The excerpt never begins inside a character, and holds nothing that a database refuses."""
    log = written(tmp_path / "log", "ä".encode() * EXCERPT_BYTES, b"\0\xff", head=10, tail=10)

    assert log.excerpt().startswith("ää")
    assert log.excerpt().endswith("ä\N{REPLACEMENT CHARACTER}\N{REPLACEMENT CHARACTER}")
    assert len(log.excerpt().encode()) <= EXCERPT_BYTES + 8


def test_full_disk_costs_the_log_and_not_the_gate(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """When the log cannot be written any more, output is still counted and the excerpt still made."""

    def refuse(*_: object) -> int:
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))

    log = OutputLog(tmp_path / "log", head=100, tail=100)
    with monkeypatch.context() as patch:
        patch.setattr(os, "write", refuse)
        log.write(memoryview(b"hello"))
    log.close()

    assert (log.total, log.excerpt()) == (5, "hello")
    assert "No space left" in log.trouble
