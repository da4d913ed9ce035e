"""Errors of the client: the problem documents of a server, and a server that cannot be reached."""

from collections.abc import Mapping
from http import HTTPStatus
from typing import Any

from maingate.errors import MaingateError, OutsideFaultError, PlanError, Problem, UsageError


class RefusedError(UsageError):
    """The server refused a request.

    Args:
        document: Its problem document.
    """

    def __init__(self, document: Mapping[str, Any]) -> None:
        self.status, self.code = int(document["status"]), str(document["code"])
        self.document = document
        super().__init__(str(document["detail"]))


class ServerFaultError(OutsideFaultError):
    """The server could not be reached, or failed."""


def _phrase(status: int) -> str:
    """Return the words for a status; proxies have statuses of their own."""
    try:
        return HTTPStatus(status).phrase
    except ValueError:
        return f"it answered {status}"


def error_of(status: int, document: Mapping[str, Any]) -> MaingateError:
    """Return the error that a problem document stands for; a plan's problems are those of a plan here."""
    told: dict[str, Any] = {"code": "unknown", "detail": _phrase(status), **document, "status": status}
    if told["code"] == "plan_invalid":
        try:
            return PlanError([Problem(**each) for each in told["problems"]])
        except (KeyError, TypeError):
            return RefusedError(told)
    if status >= HTTPStatus.INTERNAL_SERVER_ERROR:
        return ServerFaultError(f"the server failed: {told['detail']}")
    return RefusedError(told)
