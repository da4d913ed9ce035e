"""The repositories that a server has, by name, and the phase that the server is in."""

import os
from collections.abc import Callable, Collection, Iterator, Mapping, Sequence
from contextlib import ExitStack
from dataclasses import dataclass, replace
from enum import StrEnum
from functools import cached_property
from pathlib import Path
from types import MappingProxyType, TracebackType
from typing import TYPE_CHECKING, Final, Self

from maingate.bootstrap import Maingate
from maingate.errors import MaingateError, OutsideFaultError, UnknownEntityError, UsageError
from maingate.queries.names import owners_of
from maingate.server.log import LOG
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


@dataclass(frozen=True, kw_only=True)
class UnservedRepository:
    """A repository that the server was given and cannot serve now.

    Args:
        name: Its name.
        path: A path in it.
        error: Why it is not served.
        is_open: Whether its record can be read: only its runs are not taken up here.
    """

    name: str
    path: Path
    error: MaingateError
    is_open: bool = False


class Site:
    """The repositories of a server. Threads may share it.

    A repository that cannot be opened is absent: it holds up no other, and joins when it can be opened.

    Use it as a context manager, or ``close`` it.

    Args:
        repositories: The opened repositories, by name. ``Site.open`` chooses the names.

    Attributes:
        repositories: The opened repositories, by name; replaced as a whole when one joins.
        absent: Those that cannot be opened, by name; replaced as a whole, too.
        phase: The phase of the server.
        hosted: Returns the runs that have a process now; safe in any thread.
        not_held: Returns why this server does not hold opened repositories, by name; safe in any thread.
    """

    def __init__(self, repositories: Mapping[str, ServedRepository]) -> None:
        self.repositories: Mapping[str, ServedRepository] = MappingProxyType(dict(repositories))
        self.absent: Mapping[str, UnservedRepository] = MappingProxyType({})
        self.phase = Phase.STARTING
        self.hosted: Callable[[], Sequence[HostedRun]] = lambda: ()
        self.not_held: Callable[[], Mapping[str, MaingateError]] = dict
        self._wake: Callable[[], None] = lambda: None

    def wake(self) -> None:
        """Wake the host, to take up runs that were just admitted or resumed; safe in any thread."""
        for _, maingate in self:
            maingate.wake()

    def call_when_woken(self, wake: Callable[[], None]) -> None:
        """Set the call that has runs taken up, also for repositories that join later."""
        self._wake = wake
        for _, maingate in self:
            maingate.wake = wake

    @classmethod
    def open(cls, paths: Sequence[Path]) -> Self:
        """Open the repositories around some paths, in this order; those that cannot be opened are absent.

        Args:
            paths: Any path in each repository; a repository that is named twice counts once.

        Raises:
            MaingateError: There is none, or none can be opened; the reasons of all are named.
        """
        if not paths:
            raise UsageError("no repository to serve; give `--repo PATH`, or set `[server] repositories`")
        site = cls({})
        with ExitStack() as closing:
            closing.callback(site.close)
            for path in paths:
                try:
                    site._join(_opened(path))
                except MaingateError as error:
                    site._miss(path, error)
            if not site.repositories:
                raise none_served(site.unserved())
            closing.pop_all()
        return site

    def open_absent(self) -> None:
        """Try to open the absent repositories; those that can be opened join."""
        for each in self.absent.values():
            try:
                maingate = _opened(each.path)
            except MaingateError as error:
                if str(error) != str(each.error):
                    self._put_absent(each.name, replace(each, error=error))
                continue
            self._join(maingate, freed=each.name)
            self._put_absent(each.name, None)  # last: until then it is absent, and never unknown

    def unserved(self) -> Sequence[UnservedRepository]:
        """Return the repositories that cannot be opened, and those that this server does not hold."""
        not_held = [
            UnservedRepository(
                name=name, path=self.repositories[name].repository.root, error=error, is_open=True
            )
            for name, error in self.not_held().items()
        ]
        return [*self.absent.values(), *not_held]

    def _join(self, maingate: ServedRepository, *, freed: str | None = None) -> None:
        """Add an opened repository, unless it is there already, also by the name of an absent one."""
        identity = maingate.context.identity.id
        if any(each.context.identity.id == identity for _, each in self):
            maingate.close()
            return
        maingate.database.use_little_memory()
        maingate.wake = self._wake
        taken = {*self.repositories, *(name for name in self.absent if name != freed)}
        name = _free_name(maingate.repository.root, taken)
        self.repositories = MappingProxyType({**self.repositories, name: maingate})

    def _miss(self, path: Path, error: MaingateError) -> None:
        """Note that a repository cannot be opened, unless that is known of the same path."""
        real = os.path.realpath(path)
        if all(os.path.realpath(each.path) != real for each in self.absent.values()):
            name = _free_name(Path(real), {*self.repositories, *self.absent})
            self._put_absent(name, UnservedRepository(name=name, path=path.absolute(), error=error))

    def _put_absent(self, name: str, unserved: UnservedRepository | None) -> None:
        """Set what is known of an absent repository; None for one that is absent no more."""
        absent = {**self.absent, name: unserved}
        self.absent = MappingProxyType({key: each for key, each in absent.items() if each is not None})
        if unserved is not None:
            LOG.error(
                "repository_absent", repository=name, path=str(unserved.path), reason=str(unserved.error)
            )

    def __getitem__(self, name: str) -> ServedRepository:
        """Return a repository by name.

        Raises:
            UnknownEntityError: The server has none of that name.
            OutsideFaultError: It cannot be opened now.
        """
        try:
            return self.repositories[name]
        except KeyError:
            if name in self.absent:
                raise _not_now(name) from None
            known = listed(list(self.repositories), _SHOWN)
            raise UnknownEntityError(
                name, f"this server has no repository {name!r}; it has {known}"
            ) from None

    def __iter__(self) -> Iterator[tuple[str, ServedRepository]]:
        """Return an iterator over the names and repositories: as they were given, then those that joined."""
        return iter(self.repositories.items())

    def find(self, entity_id: str) -> tuple[str, ServedRepository]:
        """Return the repository, with its name, that has the entity of an id, or of the beginning of one.

        Several repositories may share a database; the one whose run it is counts. A repository that is a copy
        has the runs of the original in its record, to read only.

        Raises:
            UnknownEntityError: None has it.
            MaingateError: None has it of those whose records can be read; an absent one may have it.
        """
        others, errors = [], list[MaingateError]()
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
        errors += [_not_now(name) for name in self.absent]
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


def none_served(unserved: Sequence[UnservedRepository]) -> MaingateError:
    """Return the error of a server that can serve none of its repositories, with the reasons of all."""
    errors = [each.error for each in unserved]
    if len(errors) == 1:
        return errors[0]
    is_fault = all(isinstance(each, OutsideFaultError) for each in errors)
    lines = [
        "none of the repositories can be served:",
        *(f"  {each.path}: {each.error}" for each in unserved),
    ]
    return (OutsideFaultError if is_fault else UsageError)("\n".join(lines))


def _opened(path: Path) -> ServedRepository:
    """Return the repository around a path.

    Raises:
        MaingateError: It cannot be opened.
    """
    try:
        return ServedRepository.open(path)
    except OSError as error:  # such as a disk that has gone
        raise OutsideFaultError(f"{path} cannot be read: {error.strerror or error}") from error


def _not_now(name: str) -> OutsideFaultError:
    return OutsideFaultError(
        f"this server cannot open the repository {name!r} now; its log and its front page say why, "
        "and it tries again each second"
    )


def _free_name(root: Path, taken: Collection[str]) -> str:
    """Return the name of a repository's folder, with a number where another one has it."""
    folder = root.parent if root.name == ".git" else root
    stem = as_text(folder.name.removesuffix(".git")) or "repository"
    number, name = 1, stem
    while name in taken:
        number += 1
        name = f"{stem}-{number}"
    return name
