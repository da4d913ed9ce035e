"""The repositories that a server has, by name, and the phase that the server is in."""

from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import ExitStack
from enum import StrEnum
from functools import cached_property
from pathlib import Path
from types import MappingProxyType, TracebackType
from typing import TYPE_CHECKING, Final, Self

from maingate.bootstrap import Maingate
from maingate.errors import MaingateError, UnknownEntityError, UsageError
from maingate.queries.names import owners_of
from maingate.services.operator import OperatorService, answered_by_server
from maingate.wording import as_text, listed

if TYPE_CHECKING:
    from maingate.server.hosted_run import HostedRun

_SHOWN: Final = 10


class Phase(StrEnum):
    """The phases of a server, in their order."""

    STARTING = "starting"
    """It does not host runs yet."""
    READY = "ready"
    """It takes runs up."""
    DRAINING = "draining"
    """It is about to end: running gates finish, and no run is taken up."""


class ServedRepository(Maingate):
    """The services of a repository as the server's own process uses them.

    Each run has a process of its own, which answers the requests to it, too.
    """

    wake: Callable[[], None] = staticmethod(lambda: None)

    @cached_property
    def operator(self) -> OperatorService:
        """Carries out what an operator decides; a run that is not under way gets a process for it."""
        wake = lambda: self.wake()  # noqa: E731, PLW0108 - the call is replaced when the host begins
        return OperatorService(self.context, answered_by_server(self.context, wake))


class Site:
    """The repositories of a server. Threads may share it.

    Use it as a context manager, or ``close`` it.

    Args:
        repositories: The opened repositories, by name. ``Site.open`` chooses the names.

    Attributes:
        phase: The phase of the server.
        hosted: Returns the runs that have a process now; safe in any thread.
    """

    def __init__(self, repositories: Mapping[str, ServedRepository]) -> None:
        self.repositories: Final = MappingProxyType(dict(repositories))
        self.phase = Phase.STARTING
        self.hosted: Callable[[], Sequence[HostedRun]] = lambda: ()

    def wake(self) -> None:
        """Wake the host, to take up runs that were just admitted or resumed; safe in any thread."""
        for _, maingate in self:
            maingate.wake()

    def call_when_woken(self, wake: Callable[[], None]) -> None:
        """Set the call that has runs taken up."""
        for _, maingate in self:
            maingate.wake = wake

    @classmethod
    def open(cls, paths: Sequence[Path]) -> Self:
        """Open the repositories around some paths, in this order.

        Args:
            paths: Any path in each repository; a repository that is named twice counts once.

        Raises:
            UsageError: There is none, or one cannot be worked on.
            SettingsError: The settings of one have problems.
        """
        if not paths:
            raise UsageError("no repository to serve; give `--repo PATH`, or set `[server] repositories`")
        opened: dict[str, ServedRepository] = {}
        with ExitStack() as closing:
            for path in paths:
                maingate = ServedRepository.open(path)
                if any(each.context.identity.id == maingate.context.identity.id for each in opened.values()):
                    maingate.close()
                    continue
                closing.callback(maingate.close)
                maingate.database.use_little_memory()
                opened[_free_name(maingate, opened)] = maingate
            site = cls(opened)
            closing.pop_all()
        return site

    def __getitem__(self, name: str) -> ServedRepository:
        """Return a repository by name.

        Raises:
            UnknownEntityError: The server has none of that name.
        """
        try:
            return self.repositories[name]
        except KeyError:
            known = listed(list(self.repositories), _SHOWN)
            raise UnknownEntityError(
                name, f"this server has no repository {name!r}; it has {known}"
            ) from None

    def __iter__(self) -> Iterator[tuple[str, ServedRepository]]:
        """Return an iterator over the names and repositories, in the order in which they were given."""
        return iter(self.repositories.items())

    def find(self, entity_id: str) -> tuple[str, ServedRepository]:
        """Return the repository, with its name, that has the entity of an id, or of the beginning of one.

        Several repositories may share a database; the one whose run it is counts. A repository that is a copy
        has the runs of the original in its record, to read only.

        Raises:
            UnknownEntityError: None has it.
            MaingateError: None has it of those whose records can be read.
        """
        others, errors = [], []
        for name, maingate in self:
            try:
                owners = owners_of(maingate.context, entity_id)
            except MaingateError as error:  # it is told unless another repository has the entity
                errors.append(error)
                continue
            if maingate.context.identity.id in owners:
                return name, maingate
            if owners and (None in owners or not maingate.context.is_shared):
                others.append((name, maingate))
        if others:
            return others[0]
        raise errors[0] if errors else UnknownEntityError(entity_id)

    def close(self) -> None:
        """Close the repositories."""
        with ExitStack() as closing:
            for _, maingate in self:
                closing.callback(maingate.close)

    def __enter__(self) -> Self:
        """Return itself."""
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        """Close it."""
        self.close()


def _free_name(maingate: ServedRepository, taken: Mapping[str, ServedRepository]) -> str:
    """Return the name of a repository's folder, with a number where another one has it."""
    root = maingate.repository.root
    folder = root.parent if root.name == ".git" else root
    stem = as_text(folder.name.removesuffix(".git")) or "repository"
    number, name = 1, stem
    while name in taken:
        number += 1
        name = f"{stem}-{number}"
    return name
