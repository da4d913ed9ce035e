"""Addresses of databases, folders and receivers in the settings: checked when read, not when used.

Only absolute paths are taken: settings hold for a repository, whatever folder a command is called from.
"""

import re
from pathlib import Path
from typing import Final
from urllib.parse import urlsplit

from pydantic_core import PydanticCustomError

_POSTGRESQL: Final = re.compile(
    r"(?:[^:/]*(?::[^@]*)?@)?(?:\[[^/?]+\]|[^/:?]*)(?::\d*)?(?:[/?].*)?", re.ASCII | re.DOTALL
)
"""User and password, a host or an address in brackets, a port, and what follows them."""

_EXAMPLES: Final = "write postgresql+psycopg://user@host/name or sqlite:////absolute/path.db"


def check_database_url(url: str) -> str:
    """Check the address of a database, without a connection, and return it.

    Messages show only its kind, since it may contain a password.

    Raises:
        PydanticCustomError: It is no address, names another kind of database, one in memory, or a relative
            path.
    """
    scheme, separator, rest = url.partition("://")
    if not separator or not scheme:
        raise _invalid("is not the address of a database", _EXAMPLES)
    if scheme == "sqlite":
        _check_sqlite(rest)
    elif scheme not in ("postgresql", "postgres", "postgresql+psycopg"):
        raise _invalid(f"databases of the kind {scheme!r} cannot be used", _EXAMPLES)
    elif not _POSTGRESQL.fullmatch(rest):
        raise _invalid("is not an address of PostgreSQL", "write postgresql+psycopg://user@host:5432/name")
    return url


def check_otlp_endpoint(url: str) -> str:
    """Check the address of a receiver of traces, without a connection, and return it.

    Raises:
        PydanticCustomError: It is no address of HTTP.
    """
    scheme, separator, rest = url.partition("://")
    if scheme not in {"http", "https"} or not separator or not rest.strip("/"):
        raise _invalid("is not the address of a receiver of traces", "write http://host:4318")
    return url


def absolute_folder(value: object) -> object:
    """Return a folder as a path, `~` being the user's home.

    Raises:
        PydanticCustomError: It is a relative path.
    """
    if not isinstance(value, str | Path):
        return value
    try:
        path = Path(value).expanduser()
    except RuntimeError as error:
        raise _invalid(f"there is no such home: {str(value)!r}", "write an absolute path") from error
    if not path.is_absolute():
        raise _invalid(
            f"{str(value)!r} is a relative path", f"write an absolute path, such as {str(path.absolute())!r}"
        )
    return path


def check_receiver_url(url: str) -> str:
    """Check the address of a receiver of webhooks, without a connection, and return it.

    Messages do not show it, since it may contain a secret.

    Raises:
        PydanticCustomError: It is no address of HTTP, or has a user's name, a password or a fragment.
    """
    hint = "write https://host/path"
    try:
        parts = urlsplit(url)
        is_address = parts.scheme in ("http", "https") and bool(parts.hostname) and parts.port != 0
    except ValueError:
        is_address = False
    if not is_address or not url.isascii() or not url.isprintable() or " " in url:
        raise _invalid("is not an address of HTTP", hint)
    if "@" in parts.netloc or parts.fragment:
        raise _invalid("has a user's name, a password or a fragment", f"{hint}; the secret signs deliveries")
    return url


def _check_sqlite(rest: str) -> None:
    hint = "write sqlite:////absolute/path.db, with four slashes"
    path = rest.partition("?")[0].removeprefix("/")
    if path in ("", ":memory:") or "mode=memory" in rest:
        raise _invalid("a database in memory would lose the record", hint)
    if not path.removeprefix("file:").startswith("/"):
        raise _invalid(f"the path of the database is relative: {path!r}", hint)


def _invalid(message: str, hint: str) -> PydanticCustomError:
    return PydanticCustomError("address_invalid", "{message}", {"message": message, "hint": hint})
