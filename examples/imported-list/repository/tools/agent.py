"""Stands in for a coding agent: does what its prompt asks for, from a list of what it knows."""

import sys
from pathlib import Path

prompt = Path(sys.argv[1]).read_text()
if "receipt" in prompt:
    prices = Path("prices.py")
    code = '\n\ndef receipt(items):\n    """Return a receipt."""\n    return "\\n".join(line(*item) for item in items)\n'
    prices.write_text(prices.read_text() + code)
if "README" in prompt:
    readme = Path("README.md")
    readme.write_text(readme.read_text() + "\n`receipt` writes a whole receipt.\n")
