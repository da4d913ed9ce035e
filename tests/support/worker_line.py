"""A worker process and the line to it, for tests that are its control process."""

import subprocess
import sys
from pathlib import Path

from maingate.workers.local.protocol import Message, decode, encode
from support.factories import GitRepo

MODULE = "maingate.workers.local.uet_process"


class Worker:
    """A worker process whose control process is the test."""

    def __init__(self, repo: GitRepo, slot: Path, heartbeat: float = 60.0) -> None:
        options = ["--slot", str(slot), "--source", str(repo.path / ".git")]
        options += ["--artifacts", str(slot.parents[1] / "logs"), "--heartbeat", str(heartbeat)]
        self.process = subprocess.Popen(
            [sys.executable, "-I", "-m", MODULE, *options],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            bufsize=0,
        )

    def say(self, message: Message) -> None:
        """Send a message."""
        self.say_raw(encode(message))

    def say_raw(self, data: bytes) -> None:
        """Send bytes."""
        assert self.process.stdin is not None
        self.process.stdin.write(data)

    def hear(self) -> Message:
        """Wait for the next message."""
        assert self.process.stdout is not None
        return decode(self.process.stdout.readline())

    def end(self) -> int:
        """Close the line and return the exit code."""
        assert self.process.stdin is not None
        self.process.stdin.close()
        code = self.process.wait(20)
        for stream in (self.process.stdout, self.process.stderr):
            assert stream is not None
            stream.close()
        return code
