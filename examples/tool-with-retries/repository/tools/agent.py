"""Stands in for a coding agent: reads a prompt, edits the files, and learns from what a gate said."""

import sys
from pathlib import Path

PRICES = Path("prices.py")
CARELESS = "return cents - cents * percent / 100"
CAREFUL = "return cents - cents * percent // 100"

prompt = Path(sys.argv[1]).read_text()
# On a retry the prompt also has the reason, the end of the gate's output and the refused patch.
answer = CAREFUL if "whole cents" in prompt.partition("This is attempt")[2] else CARELESS
PRICES.write_text(
    PRICES.read_text() + f'\n\ndef discounted(cents, percent):\n    """Return a price after a discount."""\n    {answer}\n'
)
print(f"wrote: {answer}")
