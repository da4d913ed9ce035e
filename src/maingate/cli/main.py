"""Entry point: prints ``--version`` without loading anything else, and passes all else to the commands."""

import sys

INTERRUPTED, OUTSIDE_FAULT = 3, 4
"""Exit codes of ``cli.exit_codes``, which is not loaded yet when these are needed."""


def main() -> None:
    """Run the command line and exit with its exit code."""
    try:
        _main()
    except KeyboardInterrupt:  # before the commands were loaded, which handle it
        print("maingate: interrupted", file=sys.stderr)
        sys.exit(INTERRUPTED)
    except OSError as error:  # without the commands only printing can fail
        from maingate.cli.standard_streams import discard_output, is_reader_gone

        discard_output()
        if not is_reader_gone(error):
            print(f"maingate: {error.filename} could not be written: {error.strerror}", file=sys.stderr)
            sys.exit(OUTSIDE_FAULT)


def _main() -> None:
    from maingate.cli.standard_streams import prepare
    from maingate.cli.utf8_mode import require_utf8_mode

    require_utf8_mode()
    prepare()
    if sys.argv[1:] in (["--version"], ["-V"]):
        from importlib.metadata import version

        print(f"maingate {version('maingate')}", flush=True)
        return
    import gc

    gc.set_threshold(200_000, 20, 50)  # most objects made at start stay: a command that reads collects none
    from maingate.cli.command_tree import app

    try:
        app(prog_name="maingate")
    finally:
        gc.freeze()  # the interpreter exits now: spare it a last collection
