"""Run Alembic's migrations on a connection that is already open."""

from pathlib import Path
from typing import Final

from alembic import command
from alembic.config import Config
from alembic.script import ScriptDirectory
from sqlalchemy import Connection

_FOLDER: Final = Path(__file__).parent


def configuration() -> Config:
    """Return Alembic's configuration; it lives here because a wheel would not carry an ini file."""
    config = Config()
    config.set_main_option("script_location", str(_FOLDER).replace("%", "%%"))
    config.set_main_option("path_separator", "os")
    return config


def known_revisions() -> list[str]:
    """List the revisions that this program knows, oldest first."""
    script = ScriptDirectory.from_config(configuration())
    return [revision.revision for revision in script.walk_revisions()][::-1]


def run(connection: Connection, to: str) -> None:
    """Migrate to a revision within the connection's transaction."""
    config = configuration()
    config.attributes["connection"] = connection
    command.upgrade(config, to)
