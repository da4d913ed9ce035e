"""The check of a query that the types of an endpoint do not make: each parameter is known, and given once."""

from collections import Counter
from collections.abc import Iterable
from typing import Any, get_origin

from fastapi import Request
from fastapi.dependencies.models import Dependant
from fastapi.exceptions import RequestValidationError


async def check_query(request: Request) -> None:
    """Refuse a request with a parameter that its endpoint does not have, or with two values for one.

    A misspelt filter would answer with the whole list, and of two values one would be passed over in silence.

    Raises:
        RequestValidationError: With each such parameter.
    """
    route = request.scope["route"]
    lists = _are_lists(route.dependant)
    errors: list[dict[str, Any]] = []
    for name, count in Counter(name for name, _ in request.query_params.multi_items()).items():
        if name not in lists:
            errors.append(_error(name, f"there is no such parameter; known: {_known(lists)}"))
        elif count > 1 and not lists[name]:
            errors.append(_error(name, f"is given {count} times, and has one value"))
    if errors:
        raise RequestValidationError(errors)


def _known(names: Iterable[str]) -> str:
    """Return the names of an endpoint's parameters."""
    return ", ".join(sorted(names)) or "none"


def _error(name: str, message: str) -> dict[str, Any]:
    """Return a fault of a parameter in the form of pydantic."""
    return {"type": "value_error", "loc": ("query", name), "msg": message}


def _are_lists(dependant: Dependant) -> dict[str, bool]:
    """Return for each parameter of an endpoint, by its public name, whether it takes several values."""
    own = {each.alias: get_origin(each.field_info.annotation) is list for each in dependant.query_params}
    for part in dependant.dependencies:
        own |= _are_lists(part)
    return own
