"""Run the command line with ``python -m maingate``."""

from maingate.cli.main import main

if __name__ == "__main__":
    main()
