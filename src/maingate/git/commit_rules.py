"""The rules by which commits are made: their committer, and whether and how they are signed.

They are the person's and the repository's configuration of git, read once, before anything runs, so that
nothing that a tool or a gate writes is among them; and the settings `committer` and `sign`.
"""

import re
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from typing import Final, Literal, cast

from maingate.errors import GitError, RepositoryError
from maingate.git.command import run_git
from maingate.git.commits import Signature
from maingate.git.config_text import is_true
from maingate.git.persons_programs import settings_in
from maingate.git.signing import PROGRAMS, Format, Signer

MAINGATE_NAME: Final = "Maingate"
MAINGATE_MAIL: Final = "maingate@localhost"
SignMode = Literal["auto", "never", "required"]
"""The values of the setting `sign`; ``auto`` signs if git's configuration demands it (`commit.gpgSign`)."""

_IDENT: Final = re.compile(r"([^<>]*)<([^<>]*)>")


@dataclass(frozen=True, kw_only=True)
class CommitSettings:
    """The settings about commits.

    Args:
        sign: Whether commits are signed.
        committer: ``Name <address>``; None for that of git's configuration.
    """

    sign: SignMode = "auto"
    committer: str | None = None


@dataclass(frozen=True, kw_only=True)
class CommitRules:
    """The rules of one repository.

    Args:
        name: The committer's name.
        mail: The committer's address.
        signer: Signs each commit; None when they are not signed.
    """

    name: str = MAINGATE_NAME
    mail: str = MAINGATE_MAIL
    signer: Signer | None = None

    def committer(self, at: datetime) -> Signature:
        """Return the committer of a commit that is made at a time."""
        return Signature(self.name, self.mail, at)

    def finished(self, content: bytes) -> bytes:
        """Return the content of a commit, signed where commits are.

        Raises:
            GitError: It could not be signed.
        """
        return content if self.signer is None else self.signer.signed(content, f"{self.name} <{self.mail}>")

    def check(self) -> None:
        """Sign something, so that a key that cannot be used is known before work begins.

        Raises:
            RepositoryError: Commits cannot be signed.
        """
        try:
            self.finished(b"tree 0\n\ntrial\n")
        except GitError as error:
            raise RepositoryError(
                f"{error}; commits have to be signed here (commit.gpgSign, or `sign` in maingate.toml): "
                'set user.signingKey to a key that the agent has, or `sign = "never"`'
            ) from error


def read_commit_rules(git_dir: Path, top: Path, given: CommitSettings) -> CommitRules:
    """Read the rules of a repository and its user.

    Args:
        git_dir: Its common git directory.
        top: The top of its working tree; the git directory of a bare one.
        given: The settings.

    Raises:
        GitError: The configuration cannot be read.
    """
    words = ("config", "--includes", "--show-scope", "--list", "-z")
    listed = run_git(*words, git_dir=git_dir, cwd=top, persons_config=True).stdout.split(b"\0")
    pairs = zip(listed[::2], listed[1::2], strict=False)  # git's own options, `-c`, are no configuration
    found = dict(settings_in(b"".join(each + b"\0" for scope, each in pairs if scope != b"command")))
    name, mail = _committer(found, given.committer)
    return CommitRules(name=name, mail=mail, signer=_signer(found, given.sign, top))


def _committer(found: Mapping[str, str], stated: str | None) -> tuple[str, str]:
    """Return name and address: the settings', git's, or Maingate's own where either is missing."""
    if stated is not None and (parts := _IDENT.fullmatch(stated.strip())):
        return parts[1].strip(), parts[2].strip()
    name = found.get("committer.name") or found.get("user.name")
    mail = found.get("committer.email") or found.get("user.email")
    return (name, mail) if name and mail else (MAINGATE_NAME, MAINGATE_MAIL)


def _signer(found: Mapping[str, str], mode: SignMode, top: Path) -> Signer | None:
    demanded = is_true(found.get("commit.gpgsign", ""))
    if mode == "never" or (mode == "auto" and not demanded):
        return None
    kind = found.get("gpg.format", "openpgp").lower()
    if kind not in PROGRAMS:
        raise GitError(f"gpg.format is {kind!r}, which is no format of signatures: openpgp, x509 or ssh")
    usual = found.get("gpg.program") if kind == "openpgp" else None
    return Signer(
        format=cast("Format", kind),
        program=found.get(f"gpg.{kind}.program") or usual or PROGRAMS[kind],
        key=found.get("user.signingkey", ""),
        key_command=found.get("gpg.ssh.defaultkeycommand", ""),
        top=top,
    )
