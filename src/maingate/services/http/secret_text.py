"""Secrets as people and browsers carry them: a mark, an identifier, and a secret that is stored as a hash."""

import hashlib
import hmac
import re
import secrets
from dataclasses import dataclass
from typing import Final, Self

_SECRET_BYTES: Final = 32
_WRITTEN: Final = re.compile(r"([a-z]+)_([0-9A-Z]{26})_([A-Za-z0-9_-]{20,100})")
_NO_HASH: Final = hashlib.sha256(b"no secret").hexdigest()


@dataclass(frozen=True, kw_only=True)
class SecretText:
    """A secret with its identifier, written ``mark_id_secret``.

    Args:
        mark: The mark, such as ``mgt``.
        id: The identifier, a ULID.
        secret: The secret itself.
    """

    mark: str
    id: str
    secret: str

    @classmethod
    def new(cls, mark: str, entity_id: str) -> Self:
        """Return a new secret.

        Args:
            mark: The mark.
            entity_id: The identifier, with its prefix, which is not written.
        """
        return cls(mark=mark, id=entity_id.rpartition("_")[2], secret=secrets.token_urlsafe(_SECRET_BYTES))

    @classmethod
    def read(cls, mark: str, text: str) -> Self | None:
        """Return the secret that a text is; None for one that is not written like it."""
        found = _WRITTEN.fullmatch(text)
        if found is None or found[1] != mark:
            return None
        return cls(mark=mark, id=found[2], secret=found[3])

    @property
    def hash(self) -> str:
        """The hash that is stored."""
        return hashlib.sha256(self.secret.encode()).hexdigest()

    def has_hash(self, stored: str | None) -> bool:
        """Return whether a stored hash is that of the secret, in constant time, also where there is none."""
        is_same = hmac.compare_digest(self.hash, _NO_HASH if stored is None else stored)
        return is_same and stored is not None

    def __str__(self) -> str:
        """Return the text."""
        return f"{self.mark}_{self.id}_{self.secret}"
