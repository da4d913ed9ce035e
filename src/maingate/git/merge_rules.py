"""The rules by which a user and a repository want files to be merged, as `git merge` goes by them.

These are the merge drivers and other settings of merges in their configuration, the strategy and its options
for merges into a branch (``branch.<name>.mergeOptions``, ``pull.twohead``), and their attributes besides the
tracked ``.gitattributes``: the repository's ``info/attributes`` and the user's own file. They are read once,
before anything runs, so that nothing a tool or a gate writes is among them.

Other settings do not count: the form of what lands (``merge.ff``, ``merge.log``, ``--squash`` …) is the
plan's, and no conflict is written into a file (``merge.conflictStyle``).
"""

import os
import re
import shlex
from collections.abc import Container, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Final

from maingate.errors import RepositoryError
from maingate.git.command import run_git
from maingate.git.config_text import is_true
from maingate.git.persons_programs import place_of, settings_in
from maingate.git.signature_check import OF_SIGNATURES, SignatureCheck

_OF_MERGES: Final = re.compile(
    r"merge\.(default|renames|renamelimit|directoryrenames|renormalize)"
    r"|merge\..+\.(driver|recursive|name)|diff\.(renames|renamelimit|algorithm)"
    r"|pull\.twohead",
    re.DOTALL,
)
_CONVERSIONS: Final = re.compile(
    r"core\.(autocrlf|eol)|filter\..+\.(clean|smudge|process|required)", re.DOTALL
)
_OPTIONS: Final = re.compile(r"branch\.(?P<branch>.+)\.mergeoptions", re.DOTALL)
_PLACEHOLDER: Final = re.compile("%[%OAB]")
_STRATEGIES: Final = frozenset({"ort", "recursive"})
"""The strategies that merge two commits without a working tree of their files."""
_STRATEGY_OPTIONS: Final = re.compile(
    r"ours|theirs|patience|histogram|diff-algorithm=\w+|ignore-space-change|ignore-all-space"
    r"|ignore-space-at-eol|ignore-cr-at-eol|(no-)?renormalize|no-renames|find-renames(=\d+%?)?"
    r"|rename-threshold=\d+%?"
)
_ALGORITHM_SINCE: Final = (2, 46)
"""The first git whose merges go by ``diff.algorithm``; `git merge-tree` is told it."""
_VERIFYING: Final = frozenset({"--verify-signatures", "--no-verify-signatures"})
_VERIFY: Final = "merge.verifysignatures"


@dataclass(frozen=True, kw_only=True)
class MergeRules:
    """The rules of one repository.

    Args:
        settings: Name and value of each setting, in git's order: of equal names the last counts.
        conversions: The same of line ends and filters, for merges of what both sides would store anew
            (``merge.renormalize``).
        options: The options of merges into a branch (``branch.<name>.mergeOptions``), by its short name.
        of_user: The content of the user's attributes file.
        of_repository: The content of the repository's ``info/attributes``.
        place: Shell commands that lead to where drivers run.
        signatures: The settings about signatures: which git asks for, and how it checks them.
        top: The top of the working tree, where relative paths in those begin.
    """

    settings: tuple[tuple[str, str], ...] = ()
    conversions: tuple[tuple[str, str], ...] = ()
    options: Mapping[str, str] = field(default_factory=dict)
    of_user: bytes = b""
    of_repository: bytes = b""
    place: str = ""
    signatures: tuple[tuple[str, str], ...] = ()
    top: Path = Path(os.sep)

    def settings_in(self, folder: Path, into: str | None) -> list[tuple[str, str]]:
        """Return the settings of a merge.

        Args:
            folder: The folder that git runs in: it leaves the files that a driver is to merge there.
            into: Full name of the branch that is merged into; None for no branch.
        """
        conversions = self.conversions if self._renormalizes(into) else ()
        found = [(name, self.place + value if _is_filter(name) else value) for name, value in conversions]
        return found + [
            (name, self.place + _in_folder(value, folder) if name.endswith(".driver") else value)
            for name, value in self.settings
        ]

    def command_words(self, into: str | None) -> Sequence[str] | None:
        """Return the words of the `git merge` that merges into a branch; None where the usual strategy does.

        Args:
            into: Full name of the branch; None for no branch, as of `git rebase`.

        Raises:
            RepositoryError: Maingate cannot merge as they say.
        """
        if into is None:
            return None
        branch = into.removeprefix("refs/heads/")
        name, value = f"branch.{branch}.mergeOptions", self.options.get(branch, "")
        words = list(_strategy_words(name, value))
        strategies = _named_strategies(words) or self._usual_strategies()
        for strategy in strategies:
            if strategy not in _STRATEGIES:
                raise _unknown(name if "-s" in words else "pull.twohead", f"-s {strategy}")
        return None if "-X" not in words and set(strategies) <= {"ort"} else words

    def require_known(self, into: str) -> None:
        """Raise unless Maingate can merge into a branch as they say.

        Args:
            into: Full name of the branch.

        Raises:
            RepositoryError: It cannot.
        """
        self.command_words(into)
        if (check := self.signature_check(into)) is not None:
            check.require_known_level()

    def signature_check(self, into: str) -> SignatureCheck | None:
        """Return the check of the commits that are merged into a branch; None where git asks for none.

        Args:
            into: Full name of the branch.
        """
        branch = into.removeprefix("refs/heads/")
        options = self.options.get(branch, "").split()
        asked = [
            ("merge.verifySignatures", is_true(said)) for name, said in self.signatures if name == _VERIFY
        ]
        asked += [
            (f"branch.{branch}.mergeOptions", word == "--verify-signatures")
            for word in options
            if word in _VERIFYING
        ]
        if not asked or not asked[-1][1]:
            return None
        settings = tuple(each for each in self.signatures if each[0] != _VERIFY)
        return SignatureCheck(settings=settings, top=self.top, asked_by=asked[-1][0])

    def tree_options(self, version: tuple[int, ...]) -> Sequence[str]:
        """Return the options of `git merge-tree` by which it merges as `git merge` of that version does."""
        named = [value for name, value in self.settings if name == "diff.algorithm"]
        return (f"-Xdiff-algorithm={named[-1]}",) if named and version >= _ALGORITHM_SINCE else ()

    def _usual_strategies(self) -> list[str]:
        named = [value for name, value in self.settings if name == "pull.twohead"]
        return named[-1].split() if named else []

    def _renormalizes(self, into: str | None) -> bool:
        words = list(self.command_words(into) or ())
        said = [is_true(value) for name, value in self.settings if name == "merge.renormalize"]
        said += [word == "renormalize" for word in words if word in {"renormalize", "no-renormalize"}]
        return bool(said) and said[-1]


def read_merge_rules(git_dir: Path, top: Path) -> MergeRules:
    """Read the rules of a repository and its user.

    Args:
        git_dir: Its common git directory.
        top: The top of its working tree; the git directory of a bare one.

    Raises:
        GitError: The configuration cannot be read.
    """
    listed = run_git("config", "--includes", "--list", "-z", git_dir=git_dir, cwd=top, persons_config=True)
    settings = settings_in(listed.stdout)
    options = {
        found["branch"]: value for name, value in settings if (found := _OPTIONS.fullmatch(name)) is not None
    }
    return MergeRules(
        settings=tuple(each for each in settings if _OF_MERGES.fullmatch(each[0])),
        conversions=tuple(each for each in settings if _CONVERSIONS.fullmatch(each[0])),
        options=options,
        of_user=_content(_users_attributes(git_dir, top, {name for name, _ in settings})),
        of_repository=_content(git_dir / "info" / "attributes"),
        place=place_of(git_dir, top),
        signatures=tuple(
            each for each in settings if each[0] == _VERIFY or OF_SIGNATURES.fullmatch(each[0]) is not None
        ),
        top=top,
    )


def _users_attributes(git_dir: Path, top: Path, names: Container[str]) -> Path:
    if "core.attributesfile" in names:
        words = ("config", "--includes", "--type=path", "--get", "core.attributesFile")
        told = run_git(*words, git_dir=git_dir, cwd=top, persons_config=True, check=False)
        if told.code == 0:
            return top / os.fsdecode(told.stdout.rstrip(b"\n"))
    config = os.environ.get("XDG_CONFIG_HOME") or os.path.expanduser("~/.config")  # noqa: PTH111 - as git does
    return Path(config) / "git" / "attributes"


def _content(path: Path) -> bytes:
    try:
        return path.read_bytes()
    except (FileNotFoundError, NotADirectoryError):
        return b""


def _strategy_words(name: str, value: str) -> Iterator[str]:
    """Yield the strategies and their options among the options of a merge: ``-s``, ``-X`` and their values.

    Raises:
        RepositoryError: Maingate cannot merge as they say.
    """
    try:
        words = iter(shlex.split(value))
    except ValueError as error:
        raise RepositoryError(f"{name} cannot be read: {error}; see `git config {name}`") from error
    for word in words:
        option, has_value, given = word.partition("=")
        if option in {"-s", "--strategy"}:
            yield from ("-s", given if has_value else next(words, ""))
        elif option in {"-X", "--strategy-option"}:
            yield from ("-X", _known(name, given if has_value else next(words, "")))
        elif word.startswith("-X"):
            yield from ("-X", _known(name, word.removeprefix("-X")))
        elif word.startswith("-s"):
            yield from ("-s", word.removeprefix("-s"))
        elif word.startswith("--strat"):
            raise _unknown(name, word)


def _known(name: str, option: str) -> str:
    if _STRATEGY_OPTIONS.fullmatch(option) is None:
        raise _unknown(name, f"-X {option}")
    return option


def _named_strategies(words: Sequence[str]) -> list[str]:
    return [value for word, value in zip(words[::2], words[1::2], strict=True) if word == "-s"]


def _unknown(name: str, word: str) -> RepositoryError:
    strategies = " and ".join(sorted(_STRATEGIES))
    why = f"`{word}`: Maingate knows the strategies {strategies} and their options, written in full"
    return _unfit(name, why)


def _unfit(name: str, why: str) -> RepositoryError:
    return RepositoryError(
        f"{name} has {why}; change it for this repository with `git config {name} …`, or remove it"
    )


def _is_filter(name: str) -> bool:
    return name.startswith("filter.") and not name.endswith(".required")


def _in_folder(command: str, folder: Path) -> str:
    """Return a driver's command with its files named in full: it runs elsewhere."""
    return _PLACEHOLDER.sub(lambda at: at[0] if at[0] == "%%" else f"{folder}/{at[0]}", command)
