"""Queries of events in requests: the language of the command line, and where a query is at fault."""

from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import replace
from datetime import UTC, datetime
from types import MappingProxyType
from typing import Annotated, Final

from fastapi import Query

from maingate.api.answers.problems import HttpProblemError
from maingate.monitoring.event_query_language import (
    EventSearch,
    QueryError,
    UnsuitedQueryError,
    parse,
    place_of,
)
from maingate.queries.events.search import resolved
from maingate.repository_context import RepositoryContext

LONGEST_QUERY: Final = 2_000

QueryText = Annotated[
    str | None,
    Query(
        max_length=LONGEST_QUERY,
        description="A query such as `type:gate severity:error since:7d`; times without a zone are in UTC.",
    ),
]


def search_of(
    context: RepositoryContext,
    q: str | None,
    filters: Mapping[str, str | None] = MappingProxyType({}),
    since: datetime | None = None,
) -> EventSearch:
    """Return the query of a request, with the filters that are parameters of their own.

    Args:
        context: The repository and its record.
        q: The text of the query, in which entities may be named.
        filters: The values of filters, which are ids; None for those that were not given.
        since: Only events from this moment on.

    Raises:
        HttpProblemError: The query has problems, or both state the same.
        MaingateError: The query names an entity that there is not, or several.
    """
    given = {key: value for key, value in filters.items() if value is not None}
    with in_query(q):
        search = parse(q or "", now=datetime.now(UTC), zone=UTC)
        twice = [key for key in given if key in search.wanted]
        twice += ["since"] if since is not None and search.since is not None else []
        if twice:
            raise UnsuitedQueryError(f"{twice[0]} is stated twice: in the query and beside it", twice)
    named = resolved(context, search)
    wanted = {**named.wanted, **{key: (value,) for key, value in given.items()}}
    return replace(named, wanted=wanted, since=named.since if since is None else since)


@contextmanager
def in_query(q: str | None) -> Iterator[None]:
    """Answer faults of a query with a problem document that points at their places.

    Args:
        q: The text of the query.

    Raises:
        HttpProblemError: Instead of `QueryError` and `UnsuitedQueryError`.
    """
    try:
        yield
    except QueryError as error:
        raise _problem(error.problems) from error
    except UnsuitedQueryError as error:
        raise _problem([(place_of(q or "", error.keys), str(error))]) from error


def _problem(problems: Sequence[tuple[int, str]]) -> HttpProblemError:
    errors = [{"in": "query.q", "position": position, "message": text} for position, text in problems]
    position, text = problems[0]
    more = f" (and {len(problems) - 1} more)" if len(problems) > 1 else ""
    return HttpProblemError(400, "query_invalid", f"query, at {position + 1}: {text}{more}", errors=errors)
