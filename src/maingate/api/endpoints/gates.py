"""Gates: their executions, and the log of each."""

import re
from typing import Annotated, Final

from fastapi import APIRouter, Header, Query, Request, Response

from maingate.api.answers.json_answer import answer
from maingate.api.answers.problems import HttpProblemError
from maingate.api.description import described, described_text
from maingate.api.lists.filters import Fields, NamePart, OfPatch, OfRun, OfWorkstream, States, one
from maingate.api.lists.merged_pages import PageWanted, fields_of, list_answer, picked
from maingate.api.permitted_repositories import AtDesk, RepoName
from maingate.api.schemas.gates import GateItem, Gates
from maingate.queries.changes import parts_of_list
from maingate.queries.details import listing
from maingate.queries.details.gate_log import MOST_BYTES, LogPiece, log_piece

router = APIRouter(prefix="/api/v1", tags=["gates"])

_RANGE: Final = re.compile(r"bytes=(\d{1,12})?-(\d{1,12})?")


@router.get("/gates", summary="List executions of gates, newest first", responses=described(Gates))
def list_gates(  # noqa: PLR0917 - the parameters of a query
    request: Request,
    desk: AtDesk,
    wanted: PageWanted,
    state: States,
    run: OfRun = None,
    workstream: OfWorkstream = None,
    patch: OfPatch = None,
    name: NamePart = None,
    repo: RepoName = None,
) -> Response:
    """List executions of gates, newest first."""
    among = {"run_id": one(run), "workstream_id": one(workstream), "patch_id": one(patch), "state": state}
    shows = parts_of_list("gates", run)
    return list_answer(
        request, desk, listing.gates_page, shows=shows, among=among, name=name, repo=repo, wanted=wanted
    )


@router.get("/gates/{gate_id}", summary="Read an execution of a gate", responses=described(GateItem))
def get_gate(request: Request, desk: AtDesk, gate_id: str, fields: Fields = None) -> Response:
    """Read an execution of a gate."""
    repo, maingate = desk.of(gate_id, kind="gate")
    found = listing.gate(maingate.context, gate_id) | {"repo": repo}
    return answer(request, picked(found, fields_of(fields)), version=found["version"])


@router.get(
    "/gates/{gate_id}/log",
    summary="Read a gate's log",
    responses=described_text("text/plain", "The log, or a piece of it.")
    | {206: {"description": "The piece that was asked for.", "content": {"text/plain": {}}}},
)
def get_log(
    desk: AtDesk,
    gate_id: str,
    tail: Annotated[int | None, Query(ge=1, le=MOST_BYTES, description="Only the last bytes.")] = None,
    ranged: Annotated[str | None, Header(alias="Range", max_length=100)] = None,
) -> Response:
    """Read the log of a gate, also while it runs: its beginning, its end (`tail`), or a `Range` of bytes."""
    _, maingate = desk.of(gate_id, kind="gate")
    start, length = (None, tail) if tail is not None else _wanted(ranged)
    piece = log_piece(maingate.context, gate_id, start=start, length=length)
    if piece.start >= piece.size and piece.size and start:
        raise HttpProblemError(
            416,
            "range_not_satisfiable",
            f"the log has {piece.size} bytes",
            headers={"Content-Range": f"bytes */{piece.size}"},
        )
    return _log_answer(piece)


def _wanted(ranged: str | None) -> tuple[int | None, int]:
    """Return the first byte and the length of a range; without one the beginning."""
    found = None if ranged is None else _RANGE.fullmatch(ranged.strip())
    if found is None:
        return 0, MOST_BYTES
    first, last = found[1], found[2]
    if first is None:
        return None, int(last or MOST_BYTES)
    return int(first), (int(last) - int(first) + 1 if last and int(last) >= int(first) else MOST_BYTES)


def _log_answer(piece: LogPiece) -> Response:
    headers = {"Accept-Ranges": "bytes", "X-Total-Bytes": str(piece.size)}
    is_whole = len(piece.content) == piece.size
    if not is_whole and piece.content:
        end = piece.start + len(piece.content) - 1
        headers["Content-Range"] = f"bytes {piece.start}-{end}/{piece.size}"
    return Response(
        piece.content, 200 if is_whole or not piece.content else 206, headers, "text/plain; charset=utf-8"
    )
