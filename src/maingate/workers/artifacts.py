"""Artifacts of jobs, the logs and the captured patches, by id.

A job names its artifacts and knows no path, so that it means the same wherever it runs. On this machine they
are files of one folder: that of the run's logs.

Standard library only: a UET worker process imports this.
"""

from pathlib import Path


class Artifacts:
    """The files behind the ids of artifacts.

    Args:
        folder: Where they are.
    """

    def __init__(self, folder: Path) -> None:
        self.folder = folder.absolute()

    def path_of(self, artifact: str) -> Path:
        """Return the file of an artifact, whether it exists or not."""
        return self.folder / artifact

    def read(self, artifact: str) -> bytes:
        """Return the content of an artifact; empty when there is none."""
        try:
            return self.path_of(artifact).read_bytes()
        except FileNotFoundError:
            return b""
