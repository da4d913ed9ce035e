"""The entry point: answers ``--version`` without loading anything, hands everything else to the commands."""

import sys

INTERRUPTED, OUTSIDE_FAULT = 3, 4
"""The exit codes of ``cli.exit_codes``, which is not loaded yet when they are needed here."""


def main() -> None:
    """Run the command line and leave with its exit code."""
    try:
        _main()
    except KeyboardInterrupt:  # before the commands were there to handle it
        print("maingate: interrupted", file=sys.stderr)
        sys.exit(INTERRUPTED)
    except OSError as error:  # of what is answered without the commands, and only printing can fail there
        from maingate.cli.streams import discard_output, is_reader_gone

        discard_output()
        if not is_reader_gone(error):
            print(f"maingate: {error.filename} could not be written: {error.strerror}", file=sys.stderr)
            sys.exit(OUTSIDE_FAULT)


def _main() -> None:
    from maingate.cli.streams import prepare

    prepare()
    if sys.argv[1:] in (["--version"], ["-V"]):
        from importlib.metadata import version

        print(f"maingate {version('maingate')}", flush=True)
        return
    import gc

    gc.set_threshold(50_000, 20, 50)  # most of what is made at start stays, and looking it over again costs
    from maingate.cli.tree import app

    try:
        app(prog_name="maingate")
    finally:
        gc.freeze()  # or the interpreter, which ends now, looks all of it over for garbage once more
