"""The hold of a server on a repository: one server at a time takes up its runs.

It is a lease beside those on targets, so a killed server is known to be gone as any other process is. It
keeps other servers away, and no other work: each run takes hold of its target by itself.
"""

from maingate.db.dao import leases
from maingate.db.dao.leases import Lease
from maingate.db.sql.connection import Connection
from maingate.errors import ServerBusyError
from maingate.ids import LeaseHolder
from maingate.landing.lease import LEASE_TIME, hold, server_key, server_of
from maingate.repository_context import RepositoryContext


def living_server(conn: Connection, context: RepositoryContext) -> Lease | None:
    """Return the lease of the server of a repository; None when none is alive."""
    return server_of(conn, context.identity.id, context.clock.now())


def server_named(server: Lease) -> str:
    """Return the words for a server."""
    return f"the server on {server.host} (process {server.pid})"


def require_unserved(conn: Connection, context: RepositoryContext) -> None:
    """Raise if a repository has a server.

    Raises:
        ServerBusyError: It has one, which is alive.
    """
    if (other := living_server(conn, context)) is not None:
        raise ServerBusyError(
            f"{context.repository.root} is served by {server_named(other)} since "
            f"{other.acquired_at:%H:%M:%S} UTC; stop it, or start this one with `--standby`, "
            "which waits for its end"
        )


class ServerHold:
    """The hold of this process on a repository, as its server.

    Args:
        context: The repository and its record.
    """

    def __init__(self, context: RepositoryContext) -> None:
        self._context = context
        self._lease: Lease | None = None

    @property
    def is_taken(self) -> bool:
        """True when this process holds the repository, as far as it knows."""
        return self._lease is not None

    def take(self) -> None:
        """Take hold of the repository.

        Raises:
            ServerBusyError: Another server is alive.
        """
        context = self._context
        with context.database.write() as conn:
            require_unserved(conn, context)
            now = context.clock.now()
            key, holder = server_key(context.identity.id), LeaseHolder.new("server")
            self._lease = hold(conn, key, holder=holder, now=now)

    def renew(self) -> bool:
        """Renew the hold; return whether this process still has it."""
        if self._lease is None:
            return False
        with self._context.database.write() as conn:
            self._lease = leases.renew(conn, self._lease, now=self._context.clock.now(), ttl=LEASE_TIME)
        return self._lease is not None

    def release(self) -> None:
        """Release the hold, if there is one."""
        lease, self._lease = self._lease, None
        if lease is not None:
            with self._context.database.write() as conn:
                leases.release(conn, lease)
