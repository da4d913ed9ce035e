"""Constants of the line between a control process and its fork server, for both ends.

The control process imports this alone, and nothing of a worker.
"""

from typing import Final

READY: Final = b"ready\n"
"""The greeting of the fork server, once workers can be forked."""

PASSED: Final = 5
"""Number of descriptors that come with the request for a worker: standard streams and its slot's locks."""

LONGEST: Final = 65536
"""Bytes of a request or an answer, with the newline that ends it."""
