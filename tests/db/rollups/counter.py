"""One process that rolls up, three rows at a time: `counter.py URL`."""

import sys
from datetime import UTC, datetime

from maingate.db.engine import open_database
from maingate.db.rollups import store


def main(url: str) -> None:
    """Roll up all that is there."""
    database = open_database(url)
    while store.advance(database, at=datetime.now(UTC), batch=3):
        pass
    database.close()


if __name__ == "__main__":
    main(sys.argv[1])
