"""Access: the caller of a request, its rights in each repository, and how often it may ask."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Final, TypeVar

import anyio.to_thread
from fastapi import Request

from maingate.api.answers.problems import HttpProblemError
from maingate.api.guard.rates import Rate, RateLimiter
from maingate.clock import Clock, SystemClock
from maingate.errors import MaingateError, UsageError
from maingate.roles import Role
from maingate.server.made_for_each import MadeForEach
from maingate.server.served_repositories import Site
from maingate.services.http.sessions import SessionService, new_session
from maingate.services.http.tokens import TokenRow

Found = TypeVar("Found")
Service = TypeVar("Service")

SESSION: Final = "maingate_session"
"""The cookie that holds a browser's session."""

CALLER: Final = "maingate.caller"
"""The key of a request's scope under which its caller is kept once it was recognised."""

_NO_TOKEN: Final = "the token is not valid; `maingate token list` lists those that are"  # noqa: S105 - a message
_NO_SESSION: Final = "the session has ended: log in again"
_READING: Final = frozenset({"GET", "HEAD", "OPTIONS"})


@dataclass(frozen=True, kw_only=True)
class Rates:
    """The permitted rates.

    Args:
        reads: Reading requests of one caller.
        writes: Acting requests of one caller.
        failures: Requests with tokens that are not valid, from one address.
    """

    reads: Rate
    writes: Rate
    failures: Rate


RATES: Final = Rates(
    reads=Rate(per_second=200, burst=400),
    writes=Rate(per_second=20, burst=60),
    failures=Rate(per_second=1, burst=20),
)


@dataclass(frozen=True, kw_only=True)
class Caller:
    """A caller.

    Args:
        name: The operator that its decisions are recorded under.
        roles: Its role in each repository, by the repository's name.
        unknown: The errors of repositories whose record cannot be read, so that its role there is not known.
        is_local: Whether it is the local user, who was asked for no token.
    """

    name: str
    roles: Mapping[str, Role]
    unknown: Mapping[str, MaingateError] = field(default_factory=dict)
    is_local: bool = False


class Access:
    """Recognises callers.

    On the loopback interface, and while no token was ever created, every caller is the local user and has all
    rights; it only reads while a repository is absent, whose tokens are not known. Otherwise a token is
    needed, and holds in the repositories in whose record it is.

    Args:
        site: The repositories.
        operator: The local user.
        is_loopback: Whether only this machine can reach the server.
        rates: The permitted rates.
        clock: The time, for rates.
    """

    def __init__(
        self,
        site: Site,
        *,
        operator: str,
        is_loopback: bool,
        rates: Rates = RATES,
        clock: Clock | None = None,
    ) -> None:
        self._site = site
        self._tokens = MadeForEach(site, lambda _, maingate: maingate.tokens)
        self._sessions = MadeForEach(
            site, lambda _, maingate: SessionService(maingate.context, maingate.tokens)
        )
        self._operator, self._is_loopback = operator, is_loopback
        self._without_token: set[str] = set()
        clock = clock or SystemClock()
        self._reads, self._writes = RateLimiter(rates.reads, clock), RateLimiter(rates.writes, clock)
        self._failures = RateLimiter(rates.failures, clock)

    def require_tokens(self) -> None:
        """Refuse to be reached from other machines without a token.

        Raises:
            UsageError: The server is not on the loopback interface, and there is no valid token.
            MaingateError: A record cannot be read.
        """
        if self._is_loopback:
            self._is_open()  # so that each record was read once
            return
        if any(each.has_any(valid=True) for each in self._tokens.values()) or self._site.absent:
            return  # one that is absent may have a token; without any, each request is refused
        raise UsageError(
            "without a token anyone on the network could land on your branches: "
            "`maingate token create NAME --role admin` creates one, `--host 127.0.0.1` stays on this machine"
        )

    def caller(self, request: Request) -> Caller:
        """Return the caller of a request.

        Raises:
            HttpProblemError: It has no valid token, or asks too often.
        """
        address = request.client.host if request.client else ""
        header, session = request.headers.get("authorization"), request.cookies.get(SESSION)
        caller: Caller | None
        if header is not None:
            caller, fault = self._check(address, lambda: self._of_header(header)), _NO_TOKEN
        elif self._is_open():
            caller, fault = self._local_user(), ""
        elif session:  # other sites cannot use it: the cookie is SameSite, and origins are checked
            caller, fault = self._check(address, lambda: self._of_session(session)), _NO_SESSION
        else:
            caller, fault = None, "send a token: `Authorization: Bearer mgt_…`"
        if caller is None:
            raise _unauthenticated(fault)
        rates = self._reads if request.method in _READING else self._writes
        if (wait := rates.take(caller.name)) is not None:
            raise _too_many(wait)
        return caller

    def _local_user(self) -> Caller:
        role = Role.VIEWER if self._site.absent else Role.ADMIN
        return Caller(name=self._operator, roles=dict.fromkeys(self._tokens, role), is_local=True)

    def begin_session(self, token: str, address: str) -> str | None:
        """Begin a browser's session with a token, and return its cookie; None where the token is not valid.

        Raises:
            HttpProblemError: The address has sent too many that were not.
        """
        session = new_session()
        begun = self._check(address, lambda: _any_of(self._sessions, lambda each: each.begin(session, token)))
        return None if begun is None else str(session)

    def end_session(self, cookie: str) -> None:
        """End a browser's session, so that its cookie is worth nothing any more."""
        _, errors = _in_each(self._sessions, lambda each: each.end(cookie))
        for error in errors.values():
            raise error

    def _check(self, address: str, find: Callable[[], Found | None]) -> Found | None:
        """Return what is found by a secret; one that is not valid counts against its address.

        A valid one is let in whatever others send: behind a proxy all callers have one address.
        """
        found = find()
        if found is None and (wait := self._failures.take(address)) is not None:
            raise _too_many(wait)
        return found

    def _of_header(self, header: str) -> Caller | None:
        scheme, _, text = header.partition(" ")
        if scheme.lower() != "bearer":
            return None
        return _caller(*_in_each(self._tokens, lambda each: each.recognise(text.strip())))

    def _of_session(self, cookie: str) -> Caller | None:
        return _caller(*_in_each(self._sessions, lambda each: each.recognise(cookie)))

    def _is_open(self) -> bool:
        """Return whether the local user needs no token: a token that was ever created closes the door.

        A record that cannot be read now has none where it had none when it was read last. Of one that is
        absent it is not known, so that `_local_user` has the right to read alone.
        """
        if not self._is_loopback:
            return False
        has_any, errors = _in_each(self._tokens, lambda each: each.has_any())
        self._without_token |= {repo for repo, is_there in has_any.items() if not is_there}
        for repo, error in errors.items():
            if repo not in self._without_token:
                raise error
        return not any(has_any.values())


def _in_each(
    services: Mapping[str, Service], read: Callable[[Service], Found]
) -> tuple[dict[str, Found], dict[str, MaingateError]]:
    """Return what is read in each repository; one that cannot be read has its error, and stops no other."""
    found: dict[str, Found] = {}
    errors: dict[str, MaingateError] = {}
    for repo, service in services.items():
        try:
            found[repo] = read(service)
        except MaingateError as error:
            errors[repo] = error
    return found, errors


def _any_of(services: Mapping[str, Service], begin: Callable[[Service], bool]) -> bool | None:
    """Return True if something began in a repository; None if it did in none, and each could be read."""
    begun, errors = _in_each(services, begin)
    if any(begun.values()):
        return True
    for error in errors.values():
        raise error
    return None


def _caller(rows: Mapping[str, TokenRow | None], errors: Mapping[str, MaingateError]) -> Caller | None:
    """Return the caller that has a token in some repositories; None where it has one in none.

    Raises:
        MaingateError: It has none in those that can be read, and may have one in another.
    """
    found = {repo: row for repo, row in rows.items() if row is not None}
    if not found:
        for error in errors.values():
            raise error
        return None
    (name,) = {row.name for row in found.values()}
    return Caller(name=name, roles={repo: row.role for repo, row in found.items()}, unknown=errors)


async def caller_of(request: Request) -> Caller:
    """Return the caller of a request, for FastAPI; records are read in a thread, if it is not known yet."""
    known: Caller | None = request.scope.get(CALLER)
    access: Access = request.app.state.access
    return await anyio.to_thread.run_sync(access.caller, request) if known is None else known


def _unauthenticated(detail: str) -> HttpProblemError:
    return HttpProblemError(401, "unauthenticated", detail, headers={"WWW-Authenticate": "Bearer"})


def _too_many(seconds: int) -> HttpProblemError:
    return HttpProblemError(
        429, "too_many_requests", "too many requests; wait a little", headers={"Retry-After": str(seconds)}
    )
