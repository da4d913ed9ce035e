"""The leases that this process has, by who holds: a table that several threads read and change."""

import threading

from maingate.db.dao.leases import Lease
from maingate.ids import LeaseHolder
from maingate.landing.lease import is_of_run


class HeldLeases:
    """The leases of this process; safe to use in several threads."""

    def __init__(self) -> None:
        self._of: dict[LeaseHolder, dict[str, Lease]] = {}
        self._lock = threading.Lock()

    def of(self, holder: LeaseHolder) -> list[Lease]:
        """Return the leases that a holder has at this moment, those on targets first."""
        with self._lock:
            return sorted(self._of.get(holder, {}).values(), key=lambda lease: (is_of_run(lease), lease.key))

    def target_of(self, holder: LeaseHolder) -> Lease | None:
        """Return the lease of a holder on a target; None if it has none."""
        return next((lease for lease in self.of(holder) if not is_of_run(lease)), None)

    def has_key(self, key: str) -> bool:
        """Return whether a holder has the lease of a key."""
        with self._lock:
            return any(key in held for held in self._of.values())

    def holders(self) -> tuple[LeaseHolder, ...]:
        """Return all that hold something."""
        with self._lock:
            return tuple(self._of)

    def has(self, lease: Lease) -> bool:
        """Return whether a lease is still here, renewed or not."""
        with self._lock:
            return self._is_here(lease)

    def add(self, lease: Lease) -> None:
        """Add a lease."""
        with self._lock:
            self._of.setdefault(lease.holder, {})[lease.key] = lease

    def renew(self, lease: Lease) -> None:
        """Replace a lease by its renewed form, unless it has been taken out."""
        with self._lock:
            if self._is_here(lease):
                self._of[lease.holder][lease.key] = lease

    def take_out(self, lease: Lease) -> None:
        """Take a lease out, if it is here."""
        with self._lock:
            if self._is_here(lease):
                held = self._of[lease.holder]
                del held[lease.key]
                if not held:
                    del self._of[lease.holder]

    def _is_here(self, lease: Lease) -> bool:
        present = self._of.get(lease.holder, {}).get(lease.key)
        return present is not None and present.token == lease.token
