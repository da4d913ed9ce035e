"""The type of a transaction, for all who are handed one: SQLAlchemy itself is known to this package alone."""

from sqlalchemy import Connection

__all__ = ["Connection"]
