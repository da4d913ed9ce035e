"""Translation of drivers' errors into messages for people: the fault, the database, the next step."""

import sqlite3
from typing import Final

from sqlalchemy import URL

from maingate.errors import DatabaseError, InvariantError, MaingateError
from maingate.wording import as_text

_BUSY: Final = "another process is writing to it and did not finish in time; try again"
_ADVICE: Final = (
    ("database is locked", f"{_BUSY} (`fuser FILE` tells which process has the file open)"),
    ("lock timeout", _BUSY),
    ("database or disk is full", "the disk is full; make room and run `maingate resume`"),
    ("no space left", "the disk is full; make room and run `maingate resume`"),
    ("could not extend file", "its disk is full; make room and run `maingate resume`"),
    ("readonly database", "it is read-only; make the file and its folder writable"),
    ("read-only", "it is read-only; make it writable"),
    ("permission denied", "access is denied; give its role or file the rights it needs"),
    ("unable to open database file", "the file cannot be opened; check its folder and its permissions"),
    (
        "file is not a database",
        "the file is something else than a database; move it away or name another one",
    ),
    ("malformed", "the file is damaged; restore a copy, or move it away to start anew"),
    ("disk i/o error", "the disk reports an error; check it, then run `maingate resume`"),
    ("no such table", "its tables are not there; restore a copy of it, or name another one"),
    ("no such column", "its tables are others than this version made; restore a copy, or name another one"),
    ("no column named", "its tables are others than this version made; restore a copy, or name another one"),
    ("does not exist", "something in it is missing; check its name, or restore a copy"),
    ("password authentication failed", "the password is refused; check MAINGATE_DATABASE_URL"),
    ("is the server running", "nothing answers there; start the server or check MAINGATE_DATABASE_URL"),
    ("connection refused", "nothing answers there; start the server or check MAINGATE_DATABASE_URL"),
    ("connection failed", "it cannot be reached; start the server or check MAINGATE_DATABASE_URL"),
    ("terminating connection", "the server ended the connection; run `maingate resume`"),
    ("server closed the connection", "the server ended the connection; run `maingate resume`"),
)


def shown(url: URL) -> str:
    """Return an address for people, without its password."""
    if url.database is not None:
        url = url.set(database=as_text(url.database))
    return url.render_as_string(hide_password=True)


def translate(error: BaseException, where: str) -> MaingateError | None:
    """Return the program's own error for a driver's; None for another error.

    Args:
        error: The error that was raised below SQLAlchemy.
        where: The address of the database, without a password.
    """
    if not isinstance(error, sqlite3.Error) and type(error).__module__.split(".")[0] != "psycopg":
        return None
    return meaning(error, where)


def meaning(error: BaseException, where: str) -> MaingateError:
    """Return the program's own error for one that a driver raised."""
    said = " ".join(str(error).split())
    if "IntegrityError" in {kind.__name__ for kind in type(error).__mro__}:
        return InvariantError(f"the database {where} refused what would break an invariant: {said}")
    advice = next((advice for sign, advice in _ADVICE if sign in said.lower()), None)
    if advice is None:
        return DatabaseError(f"the database {where} could not be used: {said}")
    return DatabaseError(f"the database {where} could not be used: {advice} ({said})")
