"""A live server of a repository in which the demo's story was run."""

from support.live_story import client, hosting, live, own

__all__ = ["client", "hosting", "live", "own"]
