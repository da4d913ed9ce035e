"""The page for newcomers: its blocks run as they are, and print what the page shows."""

from pathlib import Path
from typing import Final

from support.page_blocks import Block, blocks_of, run_blocks

PAGE: Final = Path(__file__).parents[2] / "docs" / "GETTING_STARTED.md"


def test_every_block_runs_and_prints_what_is_shown(tmp_path: Path) -> None:
    """In a home with nothing in it, from the first to the last."""
    blocks = blocks_of(PAGE)
    assert len(blocks) > 5
    for block, printed in run_blocks(blocks, home=tmp_path):
        assert block.missing_in(printed) == [], printed


def test_the_comparison_can_fail() -> None:
    """A line that is not printed, or not in its order, is found."""
    block = Block(commands="", shown=("a…", "b"))
    assert block.missing_in("abc\nb\n") == []
    assert block.missing_in("b\nabc\n") == ["b"]
