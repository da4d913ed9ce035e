"""``maingate serve``: host the runs of repositories, and answer for them over HTTP."""

import os
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from maingate.cli.commands.run import Workers
from maingate.cli.decision_options import operator_name
from maingate.errors import UsageError
from maingate.wording import extra_adds

if TYPE_CHECKING:
    from maingate.server.served_repositories import Site
    from maingate.settings.model import ServerSettings

MOST_PORT = 65_535


def serve(
    repo: Annotated[
        list[Path] | None,
        typer.Option(
            "--repo",
            metavar="PATH",
            help="A repository to serve; may be given several times. [default: those of the settings, or the "
            "one here]",
        ),
    ] = None,
    host: Annotated[
        str | None, typer.Option("--host", metavar="ADDRESS", help="Listen there. [default: 127.0.0.1]")
    ] = None,
    port: Annotated[
        int | None,
        typer.Option(
            "--port",
            metavar="N",
            min=0,
            max=MOST_PORT,
            help="Listen at this port; 0 for any. [default: 8470]",
        ),
    ] = None,
    workers: Workers = None,
    standby: Annotated[
        bool, typer.Option("--standby", help="Wait for the end of another server, instead of failing.")
    ] = False,
) -> None:
    """Serve repositories: take up their runs, and answer over HTTP. `run` and `resume` hand runs to it.

    SIGTERM or Ctrl-C once lets running gates finish, for a limited time; twice stops them at once. All runs
    go on when a server starts again.

    Exit codes: 0 it was stopped, 2 the settings, the address or all repositories are not in order, 4 another
    server has the repository, or the database failed. A repository that cannot be served stops no other: the
    log says why, and it is served as soon as it can be.
    """
    try:
        from maingate.server.lifecycle import serve as serve_site
    except ImportError as error:
        raise UsageError(f"`maingate serve` needs more packages ({error}); {extra_adds('server')}") from error
    from maingate.api.app import create_app
    from maingate.api.guard.access import Access
    from maingate.api.guard.protection import LOOPBACK_NAMES
    from maingate.pages.app import add_pages
    from maingate.server import log
    from maingate.server.listen_socket import PortTakenError, is_local, listen
    from maingate.server.served_repositories import Site
    from maingate.server.systemd import inherited_socket

    here = None if repo else _settings_here()
    paths = repo or (here and here.repositories) or [Path.cwd()]
    with log.written_log(), Site.open(paths) as site:
        settings = here or next(maingate.context.settings.server for _, maingate in site)
        try:
            listening = inherited_socket(os.environ) or listen(
                settings.host if host is None else host, settings.port if port is None else port
            )
        except PortTakenError:
            if not standby:
                _require_unserved(site)
            raise
        with listening:
            is_loopback = is_local(listening)
            access = Access(site, operator=operator_name(), is_loopback=is_loopback)
            access.require_tokens()
            app = add_pages(create_app(site, access=access, hosts=LOOPBACK_NAMES if is_loopback else None))
            serve_site(
                app, site, listening, workers=workers, drain_time=settings.drain_time, is_standby=standby
            )


def _require_unserved(site: "Site") -> None:
    """Raise if a repository has a server, which then is what is in the way.

    Raises:
        ServerBusyError: One has.
    """
    from maingate.services.handover.server_hold import require_unserved

    for _, maingate in site:
        with maingate.context.database.read() as conn:
            require_unserved(conn, maingate.context)


def _settings_here() -> "ServerSettings":
    """Return the settings of the server in the repository that it is started in."""
    from maingate.git.repository import Repository
    from maingate.settings import load_settings
    from maingate.state_folder import settings_files

    with Repository.open(Path.cwd()) as repository:
        return load_settings(None, os.environ, files=settings_files(repository)).server
