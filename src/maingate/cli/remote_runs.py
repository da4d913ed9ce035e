"""Runs on a server that may be on another machine: submitted, followed and shown as if it were here."""

import os
import time
from collections import Counter
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, Final

import typer

from maingate.errors import InterruptedRunError, UsageError
from maingate.ids import RunId, new_id
from maingate.state.holds import HoldCode
from maingate.trace_ids import TRACEPARENT
from maingate.wording import extra_adds, listed

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping, Sequence

    from maingate.cli.run_follower import Outcome
    from maingate.cli.views.run_watcher import RunWatcher
    from maingate.client import Client, RefusedError
    from maingate.orchestrator.progress import News, Progress, Subject

TOKEN: Final = "MAINGATE_TOKEN"  # noqa: S105 - its name
"""The variable with the token for a server."""

LOOKED_AT: Final = 100
"""Newest runs in which the beginning of an id is looked up."""

LOOK_SECONDS: Final = 1.0
"""Seconds between two reports."""

_TURNS: Final = frozenset({HoldCode.SERVER, HoldCode.TARGET})
"""The waits for a turn."""

Server = Annotated[
    str | None,
    typer.Option("--server", metavar="URL", help="Use the server at this address, such as http://host:8470."),
]
Repo = Annotated[
    str | None,
    typer.Option("--repo", metavar="NAME", help="The server's name of the repository, if it has several."),
]
TokenFile = Annotated[
    Path | None,
    typer.Option(
        "--token-file", metavar="FILE", help="Read the token for the server there. [default: $MAINGATE_TOKEN]"
    ),
]


@contextmanager
def client_of(url: str, token_file: Path | None) -> "Iterator[Client]":
    """Open a client for a server.

    Raises:
        UsageError: Packages are missing, the token, or a proxy or certificates that the environment names,
            cannot be used, or the server refuses a request.
        ServerFaultError: The server cannot be reached.
    """
    try:
        from maingate.client import Client, RefusedError, ServerFaultError
    except ImportError as error:
        raise UsageError(f"`--server` needs more packages ({error}); {extra_adds('server')}") from error
    if not url.startswith(("http://", "https://")):
        raise UsageError(f"--server {url} is no address of a server: write http://HOST:PORT or https://HOST")
    token = _token(token_file)
    try:
        opened = Client(url, token=token)
    except (ImportError, OSError, ValueError) as error:
        raise UsageError(
            f"--server {url} cannot be asked from here: {error}; see to HTTP_PROXY, HTTPS_PROXY, ALL_PROXY "
            "and SSL_CERT_FILE in the environment"
        ) from error
    try:
        with opened as client:
            yield client
    except RefusedError as error:
        raise UsageError(_refusal(url, error, has_token=token is not None)) from error
    except ServerFaultError as error:
        raise ServerFaultError(f"{url}: {error}") from error


def _refusal(url: str, error: "RefusedError", *, has_token: bool) -> str:
    """Return a refusal in the words of the command line, which has options where requests have fields."""
    if error.code == "unauthenticated" and not has_token:
        return f"{url} asks for a token: put it into {TOKEN}, or name its file with --token-file"
    if error.code == "unauthenticated":
        return f"{url} does not take the token; `maingate token list` in its repository lists the valid ones"
    return str(error).replace("with `repo`", "with --repo")


def page_of(url: str, run_id: str) -> str:
    """Return the address of the page of a run."""
    return f"{url.rstrip('/')}/runs/{run_id}"


def require_server(**options: object) -> None:
    """Refuse options that are about a server where none is named.

    Raises:
        UsageError: One is given.
    """
    for name, value in options.items():
        if value is not None:
            raise UsageError(f"--{name.replace('_', '-')} is for a server; add `--server URL`")


def _token(file: Path | None) -> str | None:
    if file is None:
        return os.environ.get(TOKEN) or None
    try:
        return file.read_text(encoding="utf-8").strip()
    except (OSError, UnicodeError) as error:
        raise UsageError(f"--token-file {file} cannot be read: {error}") from error


def run_remotely(
    client: "Client",
    plan: Path,
    *,
    url: str,
    repo: str | None,
    workers: int | None,
    no_gate: bool,
    progress_on_stderr: bool,
) -> "Outcome":
    """Submit a plan with its files, and follow its run until it has ended or stopped, with progress.

    Ctrl-C ends the following, and leaves the run to the server.

    Raises:
        PlanError: The plan has problems.
        RefusedError: The server refuses it.
        ServerFaultError: The server cannot be reached.
    """
    from maingate.cli.views.plan_warnings import print_notes
    from maingate.client import read_submission

    submitted = client.submit(
        read_submission(plan), repo=repo, workers=workers, traceparent=os.environ.get(TRACEPARENT)
    )
    print_notes(submitted.raw.get("notes", ()), no_gate=no_gate)
    return follow_remotely(client, RunId(submitted.id), url=url, progress_on_stderr=progress_on_stderr)


def follow_remotely(client: "Client", run_id: RunId, *, url: str, progress_on_stderr: bool) -> "Outcome":
    """Follow a run of a server until it has ended or stopped, with progress.

    Ctrl-C ends the following, and leaves the run to the server.

    Raises:
        RefusedError: The server refuses to report it.
        ServerFaultError: The server cannot be reached any more; the message says how to follow the run later.
    """
    from maingate.cli.run_follower import Outcome
    from maingate.cli.views.progress import watcher
    from maingate.client import ServerFaultError

    report: dict[str, Any] | None = None
    interruption = None
    again = f"`maingate status --server {url} --watch {run_id}` follows it"
    with watcher(stderr=progress_on_stderr) as view:
        try:
            report = _followed(client, run_id, view)
            if report["state"] in {"pending", "running"}:
                stopped = report["stopped"] or {"message": f"run {run_id} is not under way any more"}
                interruption = InterruptedRunError(stopped["message"])
        except KeyboardInterrupt:
            interruption = InterruptedRunError(f"the server goes on with run {run_id}; {again}")
        except ServerFaultError as error:
            raise ServerFaultError(
                f"{error}; run {run_id} is on its record, and it goes on with it when it is back: {again}"
            ) from error
    return Outcome(
        report=report or report_of(client, run_id), interruption=interruption, page=page_of(url, run_id)
    )


def report_of(client: "Client", run_id: str | None, *, repo: str | None = None) -> dict[str, Any]:
    """Read the report of a run, by its id or the beginning of it, or of the newest one.

    Raises:
        UsageError: There is no run yet, or the newest ones have no such beginning, or several have it.
    """
    if run_id is None:
        newest = client.runs(repo=repo, limit=1).items
        if not newest:
            raise UsageError(
                "no runs on this server yet; `maingate land --server URL` or "
                "`maingate run --server URL PLAN` starts one"
            )
        run_id = newest[0].id
    elif len(run_id) < len(new_id("run")):
        run_id = _begun(run_id, [each.id for each in client.runs(repo=repo, limit=LOOKED_AT).items])
    return dict(client.run(run_id).raw)


def _begun(beginning: str, ids: "Sequence[str]") -> str:
    found = [each for each in ids if each.startswith(beginning)]
    if len(found) == 1:
        return found[0]
    if found:
        raise UsageError(f"{beginning!r} is the beginning of {listed(found)}: write more of it")
    raise UsageError(
        f"none of the newest {len(ids)} runs of the server has an id that begins with {beginning!r}"
    )


def _followed(client: "Client", run_id: RunId, view: "RunWatcher") -> dict[str, Any]:
    """Show reports of a run until it has ended or stopped, and return the last one."""
    seen, told = Reports(report_of(client, run_id)), ""
    view.started(seen)
    while True:
        report = seen.report
        if not is_under_way(report):
            return report
        time.sleep(LOOK_SECONDS)
        view.happened(seen.take(report_of(client, run_id)))
        wait = turn_of(seen.report)
        if wait and wait != told:
            view.notice(f"waiting for {wait}")
        told = wait


def turn_of(report: "Mapping[str, Any]") -> str:
    """Return the turn that a run waits for: its place in the server's line, or a target that another run has.

    It is empty for a run that works, or is landed by another one.
    """
    waits = [report, *report["workstreams"]]
    found = [each["waiting"]["for"] for each in waits if (each["waiting"] or {}).get("code") in _TURNS]
    return str(found[0]) if found else ""


def is_under_way(report: "Mapping[str, Any]") -> bool:
    """Return whether a process works on a run, or a server is to start one."""
    is_queued = (report["waiting"] or {}).get("code") == HoldCode.SERVER
    return report["state"] in {"pending", "running"} and (report["alive"] or is_queued)


class Reports:
    """The newest of several reports of a run; it is a ``ProgressView``.

    Args:
        report: The first report.
    """

    def __init__(self, report: dict[str, Any]) -> None:
        self.report = report

    def take(self, report: dict[str, Any]) -> "list[News]":
        """Take the next report, and return the changes of state since the one before."""
        before, self.report = self.report, report
        news = list(_changes("task", before["tasks"], report["tasks"]))
        news += _changes("workstream", before["workstreams"], report["workstreams"])
        return [*news, *_changes("run", [before], [report])]

    def progress(self) -> "Progress":
        """Return the progress as the newest report has it."""
        from maingate.orchestrator.progress import Progress, WorkstreamProgress
        from maingate.state.run import RunState
        from maingate.state.task import TASK, TaskState
        from maingate.state.workstream import WorkstreamState

        report = self.report
        streams = {task["name"]: task["name"].partition("/")[0] for task in report["tasks"]}
        total = Counter(streams.values())
        ended = Counter(
            streams[task["name"]] for task in report["tasks"] if TASK.is_terminal(TaskState(task["state"]))
        )
        return Progress(
            run_id=RunId(report["run_id"]),
            name=report["name"],
            state=RunState(report["state"]),
            tasks_ended=ended.total(),
            tasks_total=total.total(),
            seconds=report["seconds"] or 0.0,
            workstreams=tuple(
                WorkstreamProgress(
                    name=stream["name"],
                    state=WorkstreamState(stream["state"]),
                    tasks_ended=ended[stream["name"]],
                    tasks_total=total[stream["name"]],
                    note=(stream["waiting"] or {}).get("for", ""),
                )
                for stream in report["workstreams"]
            ),
            gates=(),
        )


def _changes(
    subject: "Subject", before: "list[dict[str, Any]]", after: "list[dict[str, Any]]"
) -> "Iterator[News]":
    from maingate.orchestrator.progress import News
    from maingate.reasons import Reason

    states = {each["name"]: each["state"] for each in before}
    for each in after:
        if each["state"] != states[each["name"]]:
            yield News(
                entity=subject,
                name=each["name"],
                state_from=states[each["name"]],
                state_to=each["state"],
                trigger="",
                reason=None if each["reason"] is None else Reason.from_json(each["reason"]),
            )
