"""The check of a commit's signature, as `git merge` makes it where it merges signed commits only.

`git merge` takes a commit whose signature is good and whose key is trusted: marginally at least, or as much
as ``gpg.minTrustLevel`` says (git-config, git-merge ``--verify-signatures``). The program that checks it, its
keys and its lists of signers are the person's own, read once, before anything runs.
"""

import re
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from maingate.errors import RepositoryError
from maingate.git.command import GitResult, run_git
from maingate.git.objects import ObjectStore
from maingate.git.persons_programs import as_variables

OF_SIGNATURES: Final = re.compile(
    r"gpg\.(program|format|mintrustlevel)|gpg\.(openpgp|x509|ssh)\.program"
    r"|gpg\.ssh\.(allowedsignersfile|revocationfile)"
)
"""The settings by which git checks a signature."""

_FORMAT: Final = "--format=%G?%x00%GS%x00%GK"
_GOOD: Final = frozenset("GU")
"""Git's letters for a good signature, by a key that is trusted or by another."""
_LEVELS: Final = ("undefined", "never", "marginal", "fully", "ultimate")
_LEVEL: Final = "gpg.mintrustlevel"
_USUAL: Final = "marginal"
_LONGEST: Final = 120.0
"""Seconds that a check may take: a program may look a key up."""
_SIGNATURE: Final = re.compile(rb"^gpgsig(-sha256)? ", re.MULTILINE)
_CANNOT: Final = re.compile("^error: |No such file")
_FAULTS: Final = {
    "B": "has a bad signature",
    "X": "has a signature that has expired",
    "Y": "has a signature by a key that has expired",
    "R": "has a signature by a key that was revoked",
    "E": "has a signature that cannot be checked",
}


@dataclass(frozen=True, kw_only=True)
class SignatureCheck:
    """The check of signatures in one repository.

    Args:
        settings: Name and value of git's settings for it.
        top: The folder that relative paths among them begin at.
        asked_by: The setting that asks for signed commits.
    """

    settings: tuple[tuple[str, str], ...]
    top: Path
    asked_by: str

    @property
    def level(self) -> str:
        """The least trust in a key that is enough."""
        named = [value.lower() for name, value in self.settings if name == _LEVEL]
        return named[-1] if named else _USUAL

    def require_known_level(self) -> None:
        """Raise unless git knows the level of trust that is asked for.

        Raises:
            RepositoryError: It does not.
        """
        if self.level not in _LEVELS:
            raise RepositoryError(
                f"gpg.minTrustLevel is {self.level!r}, which is no level of trust; set it to one of "
                f"{', '.join(_LEVELS)} with `git config gpg.minTrustLevel …`, or remove it"
            )

    def fault_of(self, store: ObjectStore, commit: str) -> str | None:
        """Return why `git merge` would refuse a commit, as a sentence about it; None where it would not.

        Raises:
            RepositoryError: Git does not know the level of trust that is asked for.
            GitError: The check did not come to an end.
        """
        self.require_known_level()
        if not store.has_object(commit):
            return "is not there any more, so that its signature cannot be checked"
        told = self._ask(
            store, "-c", "log.showSignature=false", "show", "--no-patch", "--no-notes", _FORMAT, commit
        )
        said, signer, key = told.stdout.decode(errors="backslashreplace").rstrip("\n").split("\0")
        if said == "N" and not _is_signed(store, commit):
            return "is not signed"
        by = f" by {signer}" if signer else f" by the key {key}" if key else ""
        if remark := _remark(told.stderr):
            return f"{_FAULTS['E']}{remark}"
        if said not in _GOOD:
            return f"{_FAULTS.get(said, _FAULTS['E'])}{by}"
        checked = self._ask(store, "verify-commit", commit, check=False)
        if checked.code == 0:
            return None
        why = _remark(checked.stderr)
        return f"has a signature{by}, and that key is not trusted as much as needed ({self.level}){why}"

    def _ask(self, store: ObjectStore, *words: str, check: bool = True) -> GitResult:
        return run_git(
            *words,
            git_dir=store.git_dir,
            cwd=self.top,
            env=as_variables([*self.settings, (_LEVEL, self.level)]),
            check=check,
            timeout=_LONGEST,
            runs_programs=True,
        )


def _is_signed(store: ObjectStore, commit: str) -> bool:
    told = run_git("cat-file", "commit", commit, git_dir=store.git_dir)
    return _SIGNATURE.search(told.stdout.partition(b"\n\n")[0]) is not None


def _remark(stderr: str) -> str:
    """Return what git, or the program, says about a check that it could not make."""
    said = (line.removeprefix("error: ") for line in stderr.splitlines() if _CANNOT.search(line))
    lines = list(dict.fromkeys(said))
    return f" ({'; '.join(lines)})" if lines else ""
