"""Values for each repository of a site, which may be joined by others while the server runs."""

import threading
from collections.abc import Callable, Iterator, Mapping
from typing import TypeVar

from maingate.server.served_repositories import ServedRepository, Site

Made = TypeVar("Made")


class MadeForEach(Mapping[str, Made]):
    """A value for each repository of a site, by name, made when it is first read. Threads may share it.

    Args:
        site: The repositories.
        make: Makes the value of a repository.
    """

    def __init__(self, site: Site, make: Callable[[str, ServedRepository], Made]) -> None:
        self._site, self._make, self._lock = site, make, threading.Lock()
        self._made: dict[str, Made] = {}

    def __getitem__(self, name: str) -> Made:
        """Return the value of a repository.

        Raises:
            KeyError: The site does not have the repository now.
        """
        if name not in self._made:
            maingate = self._site.repositories[name]
            with self._lock:
                if name not in self._made:
                    self._made[name] = self._make(name, maingate)
        return self._made[name]

    def __iter__(self) -> Iterator[str]:
        """Return an iterator over the names of the repositories."""
        return iter(self._site.repositories)

    def __len__(self) -> int:
        """Return the number of repositories."""
        return len(self._site.repositories)
