"""Signatures of commits, as git makes them (git-config: commit.gpgSign, gpg.format, user.signingKey).

The program that signs is the person's own and asks its agent for the key; it never asks at a terminal.
"""

import os
import re
import subprocess
import tempfile
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Final, Literal

from maingate.errors import GitError

Format = Literal["openpgp", "x509", "ssh"]
PROGRAMS: Final[dict[str, str]] = {"openpgp": "gpg", "x509": "gpgsm", "ssh": "ssh-keygen"}
"""The program of each format, unless the configuration names another."""

_LITERAL_KEY: Final = re.compile(r"(?:key::|ssh-|ecdsa-|sk-)")
_CREATED: Final = b"\n[GNUPG:] SIG_CREATED "
_LONGEST: Final = 120
"""Seconds that a program may take: an agent may ask the person."""
_LINES: Final = 4


@dataclass(frozen=True, kw_only=True)
class Signer:
    """A key and the program that signs with it.

    Args:
        format: The format of signatures.
        program: The program.
        key: The key, as `user.signingKey` names it; empty for the committer's own.
        key_command: The command that prints an ssh key; empty when there is none.
        top: The folder that the program runs in.
    """

    format: Format
    program: str
    key: str
    key_command: str
    top: Path

    def signed(self, content: bytes, committer: str) -> bytes:
        """Return the content of a commit with its signature.

        Args:
            content: The content.
            committer: ``Name <address>``, by which a key is chosen when none is named.

        Raises:
            GitError: It could not be signed.
        """
        by_format = self._by_ssh if self.format == "ssh" else self._by_gpg
        signature = by_format(content, committer).replace(b"\r", b"").rstrip(b"\n")
        head, _, message = content.partition(b"\n\n")
        return head + b"\ngpgsig " + signature.replace(b"\n", b"\n ") + b"\n\n" + message

    def _by_gpg(self, content: bytes, committer: str) -> bytes:
        words = [self.program, "--status-fd=2", "-bsau", self.key or committer]
        done = self._run(words, content)
        if _CREATED not in b"\n" + done.stderr or not done.stdout:
            raise self._failure(done.stderr)
        return done.stdout

    def _by_ssh(self, content: bytes, committer: str) -> bytes:  # noqa: ARG002 - as _by_gpg
        key = self.key or self._default_key()
        with tempfile.TemporaryDirectory(prefix="maingate-sign-") as name:
            folder, options = Path(name), list[str]()
            if _LITERAL_KEY.match(key):
                (folder / "key").write_text(f"{key.removeprefix('key::')}\n")
                path, options = folder / "key", ["-U"]
            else:
                path = self.top / Path(key).expanduser()
            (folder / "commit").write_bytes(content)
            words = [
                self.program,
                "-Y",
                "sign",
                "-n",
                "git",
                "-f",
                str(path),
                *options,
                str(folder / "commit"),
            ]
            done = self._run(words, b"")
            try:
                return (folder / "commit.sig").read_bytes()
            except FileNotFoundError as error:
                raise self._failure(done.stderr) from error

    def _default_key(self) -> str:
        """Return the key that `gpg.ssh.defaultKeyCommand` prints."""
        if not self.key_command:
            raise GitError("a commit could not be signed: user.signingKey is not set")
        done = self._run(["/bin/sh", "-c", self.key_command], b"")
        key = os.fsdecode(done.stdout).partition("\n")[0].strip()
        if not key:
            raise GitError("a commit could not be signed: gpg.ssh.defaultKeyCommand printed no key")
        return key

    def _run(self, words: Sequence[str], given: bytes) -> "subprocess.CompletedProcess[bytes]":
        env = {name: value for name, value in os.environ.items() if not name.startswith("GIT_")}
        try:
            done = subprocess.run(
                words,
                cwd=self.top,
                env=env,
                input=given,
                capture_output=True,
                check=False,
                timeout=_LONGEST,
                start_new_session=True,
            )
        except subprocess.TimeoutExpired as error:
            raise GitError(
                f"a commit could not be signed: {words[0]} gave no answer within {_LONGEST} s"
            ) from error
        except OSError as error:
            raise GitError(f"a commit could not be signed: {words[0]}: {error.strerror}") from error
        if done.returncode != 0:
            raise self._failure(done.stderr)
        return done

    def _failure(self, stderr: bytes) -> GitError:
        lines = [
            line
            for line in stderr.decode(errors="backslashreplace").splitlines()
            if line.strip() and not line.startswith("[GNUPG:]")
        ]
        said = "; ".join(lines[-_LINES:]) or "it said nothing"
        return GitError(f"a commit could not be signed: {self.program}: {said}")
