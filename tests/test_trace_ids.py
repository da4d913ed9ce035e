"""Traces of runs: their own, or that of the program that asked for them."""

import pytest

from maingate.trace_ids import CallerSpan, RunTrace, span_id_of

TRACE, SPAN = "4bf92f3577b34da6a3ce929d0e0e4736", "00f067aa0ba902b7"


@pytest.mark.parametrize(
    ("text", "is_sampled"),
    [
        (f"00-{TRACE}-{SPAN}-01", True),
        (f"00-{TRACE}-{SPAN}-00", False),
        (f" 00-{TRACE}-{SPAN}-03\n", True),
        (f"cc-{TRACE}-{SPAN}-01-what-comes-later", True),
    ],
)
def test_the_span_of_a_caller_is_read(text: str, is_sampled: bool) -> None:
    """Also of later versions of the standard, which may say more; other flags are none of ours."""
    assert CallerSpan.read(text) == CallerSpan(trace=int(TRACE, 16), id=int(SPAN, 16), is_sampled=is_sampled)


@pytest.mark.parametrize(
    "text",
    [
        None,
        "",
        f"ff-{TRACE}-{SPAN}-01",
        f"00-{TRACE}-{SPAN}-01-more",
        f"00-{TRACE.upper()}-{SPAN}-01",
        f"00-{'0' * 32}-{SPAN}-01",
        f"00-{TRACE}-{'0' * 16}-01",
        f"00-{TRACE[:-1]}-{SPAN}-01",
        f"00-{TRACE}-{SPAN}",
    ],
)
def test_one_that_is_not_valid_is_none(text: str | None) -> None:
    """As the standard has it: the run then has a trace of its own."""
    assert CallerSpan.read(text) is None
    assert RunTrace.of("run_1", text) == RunTrace(run_id="run_1")


def test_programs_are_told_the_trace_that_the_run_is_in() -> None:
    """Its own is the same in each process, and another one for each run."""
    joined = RunTrace.of("run_1", f"00-{TRACE}-{SPAN}-00")
    assert joined.parent("gate_1") == f"00-{TRACE}-{span_id_of('gate_1'):016x}-01"
    own = [RunTrace.of(run, None).id for run in ("run_1", "run_1", "run_2")]
    assert own[0] == own[1] != own[2]
