"""Run the command line with ``python -m maingate``."""

from maingate.cli.app import main

if __name__ == "__main__":
    main()
