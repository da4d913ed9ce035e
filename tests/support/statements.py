"""The statements that are sent to a database of SQLite, so that a test can count them."""

import sqlite3
from collections.abc import Iterator
from contextlib import contextmanager

from sqlalchemy import Connection


@contextmanager
def statements_sent(conn: Connection) -> Iterator[list[str]]:
    """Collect the statements that are sent over a connection in the context."""
    asked: list[str] = []
    driver = conn.connection.driver_connection
    assert isinstance(driver, sqlite3.Connection)
    driver.set_trace_callback(asked.append)
    try:
        yield asked
    finally:
        driver.set_trace_callback(None)
    assert asked
