"""`maingate land --server`: work of this clone is sent to a server, which lands it in its repository."""

import os
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final, NoReturn

from maingate.cli.exit_codes import ExitCode, code_of_run
from maingate.cli.landing_output import LandingOutput
from maingate.cli.remote_runs import client_of, follow_remotely, page_of, report_of
from maingate.errors import InterruptedRunError, RepositoryError, UsageError
from maingate.ids import RunId
from maingate.trace_ids import TRACEPARENT

if TYPE_CHECKING:
    from maingate.cli.land_command import LandCommand
    from maingate.client import Client
    from maingate.git.repository import Repository, Target
    from maingate.importers.finished_work.sources import Source

Json = dict[str, Any]

MOST_PACK: Final = 45 * 1024 * 1024
"""Bytes of commits that are sent at most; with what is around them they are as much as a server takes."""

_MOST_LINE: Final = 1000
_MOST_NOTES: Final = 100


def land_remotely(wanted: "LandCommand", *, url: str, repo: str | None, token_file: Path | None) -> NoReturn:
    """Send work to a server, follow its landing, and exit as `maingate land` does.

    Ctrl-C ends the following, and leaves the run to the server.

    Raises:
        UsageError: The work or the request is not in order, or the server refuses it.
        ServerFaultError: The server cannot be reached; the message says what is known of the landing.
        InterruptedRunError: It was interrupted, or its run was.
    """
    from maingate.git.repository import Target

    with client_of(url, token_file) as client:
        found = client.land_target(into=wanted.into, repo=repo)
        target = Target(ref=found["ref"], commit=found["commit"])
        sources, body = _request(wanted, target)
        answer = _sent(client, body, url=url, repo=repo)
        items = [
            {**item, "uncommitted": list(source.uncommitted)}
            for item, source in zip(answer.pop("items"), sources, strict=True)
        ]
        run_id, preview = answer["run_id"], answer.pop("preview")
        page = None if run_id is None else page_of(url, run_id)
        told = LandingOutput(ref=target.ref, items=items, as_json=wanted.as_json, page=page)
        told.begin()
        if preview is not None:
            told.end_preview(preview)
        if run_id is None:
            told.end(answer, code_of_run(answer["state"]))
        if not wanted.waits:
            told.end(report_of(client, run_id), ExitCode.DONE)
        outcome = follow_remotely(client, RunId(run_id), url=url, progress_on_stderr=wanted.as_json)
    told.outcome(outcome)


def _request(wanted: "LandCommand", target: "Target") -> "tuple[list[Source], Json]":
    """Return the work that is named, and the request that brings it."""
    from maingate.importers.finished_work.sources import STANDARD_INPUT, require_known

    opened = _repository(wanted.work)
    try:
        sources = _sources(wanted.work, target, opened)
        is_given = any(source.argument == STANDARD_INPUT for source in sources)
        standard_input = wanted.standard_input(sys.stdin.buffer) if is_given else b""
        tips = [source.commit for source in sources if source.commit is not None]
        pack = _pack(opened, tips, target) if opened is not None and tips else None
        body = {
            "work": [_work(source, standard_input) for source in sources],
            "pack": pack,
            "into": target.ref,
            "needs": None if wanted.needs is None else require_known(wanted.needs, sources).argument,
            **wanted.as_request(),
        }
    finally:
        if opened is not None:
            opened.close()
    return sources, body


def _repository(work: Sequence[str]) -> "Repository | None":
    """Return the repository around the working folder; None where the work is files, and there is none.

    Raises:
        RepositoryError: There is none, and the work is branches or ranges.
    """
    from maingate.git.repository import Repository

    try:
        return Repository.open(Path.cwd())
    except RepositoryError:
        if not work or not all(_is_file(each) for each in work):
            raise
        return None


def _is_file(argument: str) -> bool:
    return argument == "-" or Path(argument).exists()


def _sources(work: Sequence[str], target: "Target", opened: "Repository | None") -> "list[Source]":
    from maingate.importers.finished_work.sources import SourceFinder, source_of_file

    if opened is None:
        return [source_of_file(each) for each in dict.fromkeys(work)]
    return SourceFinder(opened).sources(work, target)


def _pack(opened: "Repository", tips: Sequence[str], target: "Target") -> Json:
    """Return the commits that the server does not have, as far as that can be told here.

    Raises:
        UsageError: They are more than a server takes.
    """
    from maingate.client.submission import base64_json
    from maingate.git.packs import pack_of
    from maingate.importers.finished_work.work_keys import target_here

    pack = pack_of(opened, tips, target_here(opened, target))
    if len(pack) > MOST_PACK:
        raise UsageError(
            f"the commits to send have {len(pack)} bytes, more than the {MOST_PACK} that a server takes: "
            "fetch the branch that they are to land on from the server's repository, so that only new ones "
            "are sent"
        )
    return base64_json(pack)


def _work(source: "Source", standard_input: bytes) -> Json:
    """Return a piece of work as it is sent: a branch by its newest commit, other work by its patches."""
    from maingate.client.submission import file_json
    from maingate.importers.finished_work.given_patches import read_given

    key = {} if source.key is None else {"key": _line(source.key)}
    if source.branch is not None:
        return {"argument": source.argument, "branch": source.branch, "commit": source.commit, **key}
    given = read_given(source, standard_input)
    patches = [
        {
            "diff": file_json(entry.diff),
            "origin": _line(entry.origin),
            "message": entry.message,
            "author": entry.author,
            "date": None if entry.date is None else entry.date.as_plan_text(),
        }
        for entry in given.entries
    ]
    notes = [_line(note) for note in given.notes[:_MOST_NOTES]]
    title = _line(given.title)
    return {"argument": source.argument, "title": title, "patches": patches, "notes": notes, **key}


def _line(text: str) -> str:
    """Return text as one line of letters that can be printed."""
    return "".join(letter if letter.isprintable() else "?" for letter in text)[:_MOST_LINE] or "?"


def _sent(client: "Client", body: Json, *, url: str, repo: str | None) -> Json:
    """Send a request; if it is not known what became of it, say so with the next step."""
    from maingate.client import ServerFaultError

    unknown = (
        f"it is not known whether the server took the work: `maingate status --server {url}` shows its "
        "newest run; landing it again lands nothing twice"
    )
    try:
        return client.land(body, repo=repo, traceparent=os.environ.get(TRACEPARENT))
    except ServerFaultError as error:
        raise ServerFaultError(f"{error}; {unknown}") from error
    except KeyboardInterrupt as error:
        raise InterruptedRunError(f"interrupted while it was sent; {unknown}") from error
