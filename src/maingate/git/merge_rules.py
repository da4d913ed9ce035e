"""The rules by which a user and a repository want files to be merged, as `git merge` goes by them.

These are the merge drivers and other settings of merges in their configuration, and their attributes besides
the tracked ``.gitattributes``: the repository's ``info/attributes`` and the user's own file. They are read
once, before anything runs, so that nothing a tool or a gate writes is among them.
"""

import os
import re
import shlex
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Final, Literal

from maingate.git.command import run_git
from maingate.git.persons_programs import place_of, settings_in

Side = Literal["ours", "theirs"]
_OF_MERGES: Final = re.compile(
    r"merge\.(default|renames|renamelimit|directoryrenames|renormalize)"
    r"|merge\..+\.(driver|recursive|name)|diff\.(renames|renamelimit)",
    re.DOTALL,
)
_OPTIONS: Final = re.compile(r"branch\.(?P<branch>.+)\.mergeoptions", re.DOTALL)
_SIDES: Final[Mapping[str, Side]] = {"ours": "ours", "theirs": "theirs"}
_PLACEHOLDER: Final = re.compile("%[%OAB]")
_FAVOURED: Final = "maingate-favoured"


@dataclass(frozen=True, kw_only=True)
class MergeRules:
    """The rules of one repository.

    Args:
        settings: Name and value of each setting, in git's order: of equal names the last counts.
        options: The options of merges into a branch (``branch.<name>.mergeOptions``), by its short name.
        of_user: The content of the user's attributes file.
        of_repository: The content of the repository's ``info/attributes``.
        place: Shell commands that lead to where drivers run.
    """

    settings: tuple[tuple[str, str], ...] = ()
    options: Mapping[str, tuple[str, ...]] = field(default_factory=dict)
    of_user: bytes = b""
    of_repository: bytes = b""
    place: str = ""

    def settings_in(
        self, folder: Path, into: str | None, *, favours: Side | None = None
    ) -> list[tuple[str, str]]:
        """Return the settings of a merge.

        Args:
            folder: The folder that git runs in: it leaves the files that a driver is to merge there.
            into: Full name of the branch that is merged into; None for no branch.
            favours: The side that is taken where both sides changed the same lines.
        """
        found = [
            (name, self.place + _in_folder(value, folder) if name.endswith(".driver") else value)
            for name, value in self.settings
        ]
        found += [setting for option in self._options_of(into) for setting in _setting_of(option)]
        if favours:
            found += [("merge.default", _FAVOURED), (f"merge.{_FAVOURED}.driver", _favouring(favours))]
        return found

    def favoured(self, into: str | None) -> Side | None:
        """Return the side that merges into a branch favour where both changed the same lines."""
        sides = [_SIDES[option] for option in self._options_of(into) if option in _SIDES]
        return sides[-1] if sides else None

    def _options_of(self, into: str | None) -> Sequence[str]:
        return self.options.get((into or "").removeprefix("refs/heads/"), ())


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
        found["branch"]: tuple(_strategy_options(value))
        for name, value in settings
        if (found := _OPTIONS.fullmatch(name)) is not None
    }
    return MergeRules(
        settings=tuple(each for each in settings if _OF_MERGES.fullmatch(each[0])),
        options=options,
        of_user=_content(_users_attributes(git_dir, top)),
        of_repository=_content(git_dir / "info" / "attributes"),
        place=place_of(git_dir, top),
    )


def _users_attributes(git_dir: Path, top: Path) -> Path:
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


def _strategy_options(value: str) -> Iterator[str]:
    """Yield the strategy options (`-X`) among the options of a merge."""
    words = iter(shlex.split(value))
    for word in words:
        if word in {"-X", "--strategy-option"}:
            yield next(words, "")
        elif word.startswith("--strategy-option="):
            yield word.partition("=")[2]
        elif word.startswith("-X"):
            yield word.removeprefix("-X")


def _setting_of(option: str) -> Iterator[tuple[str, str]]:
    if option in {"renormalize", "no-renormalize"}:
        yield "merge.renormalize", str(option == "renormalize").lower()
    elif option in {"no-renames", "find-renames"}:
        yield "merge.renames", str(option == "find-renames").lower()


def _in_folder(command: str, folder: Path) -> str:
    """Return a driver's command with its files named in full: it runs elsewhere."""
    return _PLACEHOLDER.sub(lambda at: at[0] if at[0] == "%%" else f"{folder}/{at[0]}", command)


def _favouring(side: Side) -> str:
    """Return a driver that takes one side's lines where both changed them, or its file, if it is no text."""
    whole = "cp %B %A" if side == "theirs" else "true"
    return f"git merge-file -q --{side} %A %O %B || {whole}"
