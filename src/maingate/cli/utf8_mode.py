"""Python's UTF-8 mode, for a process in which names of files could only be ASCII.

Imports the standard library only: the entry point uses this module before all others.
"""

import codecs
import os
import sys


def require_utf8_mode() -> None:
    """Start this program again in UTF-8 mode, if names of files are ASCII here.

    In the locale C, Python reads and writes names, arguments and environments as UTF-8, unless `PYTHONUTF8=0`
    or a setting like it forbids that. Then a file, a command or a variable that a plan names with another
    letter could not be passed to the system at all. It is the same process that goes on: its id, its streams
    and its environment stay.
    """
    if codecs.lookup(sys.getfilesystemencoding()).name == "ascii" and sys.executable:
        os.execv(sys.executable, [sys.orig_argv[0], "-X", "utf8", *sys.orig_argv[1:]])  # noqa: S606
