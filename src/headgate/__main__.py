"""Run the command line with ``python -m headgate``."""

from headgate.cli.app import main

if __name__ == "__main__":
    main()
