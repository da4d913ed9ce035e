"""The desk of a request: its caller, and the repositories in which the caller may do something."""

import re
from collections.abc import Iterator, Sequence
from typing import Annotated, Final

from fastapi import Depends, Query, Request

from maingate.api.answers.problems import HttpProblemError
from maingate.api.guard.access import Caller, caller_of
from maingate.bootstrap import Maingate
from maingate.errors import UnknownEntityError
from maingate.ids import ENTITY_OF_PREFIX
from maingate.roles import Role
from maingate.server.served_repositories import Site, UnservedRepository
from maingate.wording import listed

_ID: Final = re.compile(rf"({'|'.join(ENTITY_OF_PREFIX)})_[0-9A-HJKMNP-TV-Z]{{26}}")

RepoName = Annotated[
    str | None,
    Query(alias="repo", max_length=200, description="A repository of this server, by its name."),
]


class Desk:
    """A caller, and what it may reach.

    Args:
        site: The repositories.
        caller: The caller.
    """

    def __init__(self, site: Site, caller: Caller) -> None:
        self._site, self.caller = site, caller

    @property
    def operator(self) -> str:
        """The name that decisions are recorded under."""
        return self.caller.name

    def readable(self, name: str | None = None) -> Iterator[tuple[str, Maingate]]:
        """Return the repositories that may be read, or the one of a name."""
        if name is not None:
            yield name, self.repository(name, Role.VIEWER)
            return
        for each, maingate in self._site:
            if each in self.caller.roles:
                yield each, maingate

    def unserved(self) -> Sequence[UnservedRepository]:
        """Return those that cannot be served, for the local user and those who are `admin` in another."""
        may_see = self.caller.is_local or Role.ADMIN in self.caller.roles.values()
        return self._site.unserved() if may_see else ()

    def require_whole(self) -> None:
        """Refuse to answer for all repositories while the caller's role in one is not known.

        Raises:
            MaingateError: The record of one cannot be read.
        """
        for error in self.caller.unknown.values():
            raise error

    def one(self, name: str | None, role: Role) -> tuple[str, Maingate]:
        """Return the repository of a name; without a name the only one.

        Raises:
            HttpProblemError: There are several and none is named, or the caller lacks the role.
            UnknownEntityError: There is none of that name.
        """
        if name is None:
            known = [each for each, _ in self.readable()]
            if len(known) != 1:
                raise HttpProblemError(
                    400, "repository_needed", f"name a repository with `repo`: {listed(known, 10)}"
                )
            name = known[0]
        return name, self.repository(name, role)

    def repository(self, name: str, role: Role) -> Maingate:
        """Return the repository of a name.

        Raises:
            UnknownEntityError: There is none that the caller may read.
            HttpProblemError: The caller lacks the role.
            MaingateError: Its record cannot be read.
        """
        maingate = self._site[name]
        if (error := self.caller.unknown.get(name)) is not None:
            raise error
        if (has := self.caller.roles.get(name)) is None:
            raise UnknownEntityError(name, f"this server has no repository {name!r} that you may read")
        if not has.includes(role):
            raise HttpProblemError(403, "forbidden", self._why_not(name, role, has), role=str(role))
        return maingate

    def _why_not(self, name: str, needed: Role, has: Role) -> str:
        absent = listed(sorted(self._site.absent), 10)
        if self.caller.is_local and absent:
            return (
                f"this needs the role {needed}; without a token you may only read while {absent} cannot be "
                f"served, because its tokens are not known: send one of {name}, made by `maingate token "
                "create`, or start the server without the other"
            )
        return f"this needs the role {needed}; {self.caller.name} is {has} in {name}"

    def of(
        self, entity_id: str, role: Role = Role.VIEWER, *, kind: str | None = None
    ) -> tuple[str, Maingate]:
        """Return the repository of an entity.

        Args:
            entity_id: Its whole identifier.
            role: The role that is needed there.
            kind: The prefix of its identifier; None for any.

        Raises:
            UnknownEntityError: There is no such entity of that kind that the caller may read.
            HttpProblemError: The caller lacks the role.
        """
        written = _ID.fullmatch(entity_id)
        if written is None or kind not in {None, written[1]}:
            raise UnknownEntityError(entity_id, _unknown(entity_id))
        name, _ = self._site.find(entity_id)
        if name not in self.caller.roles and name not in self.caller.unknown:
            raise UnknownEntityError(entity_id, _unknown(entity_id))
        return name, self.repository(name, role)


def _unknown(entity_id: str) -> str:
    return f"not found: {entity_id[:64]!r}; the lists of this interface have the identifiers"


async def desk_of(request: Request, caller: Annotated[Caller, Depends(caller_of)]) -> Desk:
    """Return the desk of a request, for FastAPI."""
    return Desk(request.app.state.site, caller)


AtDesk = Annotated[Desk, Depends(desk_of)]
"""The desk, as a parameter of an endpoint."""
