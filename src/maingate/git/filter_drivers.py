"""The filter drivers (gitattributes) that a user and a repository have configured, such as git-lfs.

A filter decides the content that is stored. Without it, a tool's patch would store the raw content of a large
or a secret file, and gates would see pointers. So the git that writes slots and takes patches has the drivers
of the user and of the repository, and no others: they are read once, before anything runs. Nothing that a
tool or a gate writes is among them.

A driver runs where it does for a `git add` of the person (``git.persons_programs``), and gets the content on
standard input. One that fails is an error, also where the configuration does not require it: git would store
the raw content. Standard library and few modules of ``git`` only: a UET worker process imports this.
"""

import json
import os
import re
from collections.abc import Mapping
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Final

from maingate.errors import GitError
from maingate.git.command import run_git
from maingate.git.config_text import section_lines
from maingate.git.persons_programs import as_variables, place_of, settings_in

_NAME: Final = re.compile(r"filter\..+\.(clean|smudge|process|required)", re.DOTALL)
_TRANSPORT: Final = re.compile(r"protocol\.(?P<name>.+)\.allow")
_FAILURE: Final = re.compile(r"(?:clean|smudge) filter .* failed|external filter .* failed|filter-process")
_PREFIX: Final = re.compile("^(?:error|fatal|warning): ")
FILTER_TIMEOUT: Final = 600.0
"""Seconds that writing the files of a commit may take where filters take part."""


@dataclass(frozen=True, kw_only=True)
class FilterDrivers:
    """The drivers that are configured.

    Args:
        settings: Name and value of each setting of a driver, in git's order: of equal names the last counts.
        transports: Protocols by which submodules may be fetched, and whether (`protocol.<name>.allow`); they
            count for the git of jobs alone.
        place: Shell commands that lead to where the drivers run.
    """

    settings: tuple[tuple[str, str], ...] = ()
    transports: tuple[tuple[str, str], ...] = ()
    place: str = ""

    @cached_property
    def drivers(self) -> Mapping[str, Mapping[str, str]]:
        """The drivers by name, each with its settings; one without a program changes nothing."""
        found: dict[str, dict[str, str]] = {}
        for name, value in self.settings:
            driver, _, part = name.removeprefix("filter.").rpartition(".")
            found.setdefault(driver, {})[part] = value
        return found

    def variables(self) -> dict[str, str]:
        """Return the variables by which a git command has these drivers, and each of them must work."""
        return as_variables(self._pairs())

    def as_config(self) -> str:
        """Return these drivers, and the transports, as the lines of a configuration file of git."""
        named = [(*name.removeprefix("filter.").rpartition(".")[::2], value) for name, value in self._pairs()]
        drivers = [section_lines("filter", driver, [(part, value)]) for driver, part, value in named]
        allowed = [section_lines("protocol", name, [("allow", value)]) for name, value in self.transports]
        return "".join([*drivers, *allowed])

    def to_text(self) -> str:
        """Return what ``from_text`` reads back."""
        return json.dumps([self.settings, self.transports, self.place])

    @classmethod
    def from_text(cls, text: str) -> "FilterDrivers":
        """Return the drivers that ``to_text`` has written down."""
        settings, transports, place = json.loads(text)
        return cls(
            settings=tuple((name, value) for name, value in settings),
            transports=tuple((name, value) for name, value in transports),
            place=place,
        )

    def _pairs(self) -> list[tuple[str, str]]:
        pairs = []
        for driver, parts in self.drivers.items():
            programs = {part: parts[part] for part in ("clean", "smudge", "process") if parts.get(part)}
            pairs += [(f"filter.{driver}.{part}", self.place + command) for part, command in programs.items()]
            if "process" in programs or {"clean", "smudge"} <= programs.keys():
                pairs.append((f"filter.{driver}.required", "true"))
            elif "required" in parts:
                pairs.append((f"filter.{driver}.required", parts["required"]))
        return pairs


NONE: Final = FilterDrivers()
"""No drivers at all."""


def read_drivers(git_dir: Path, top: Path) -> FilterDrivers:
    """Read the drivers of the user's, the machine's and the repository's configuration.

    Args:
        git_dir: The repository's common git directory.
        top: The top of its working tree; the git directory of a bare one.

    Raises:
        GitError: The configuration cannot be read.
    """
    listed = run_git("config", "--includes", "--list", "-z", git_dir=git_dir, cwd=top, persons_config=True)
    settings = settings_in(listed.stdout)
    filters = tuple(each for each in settings if _NAME.fullmatch(each[0]))
    allowed = [(_TRANSPORT.fullmatch(name), value) for name, value in settings]
    return FilterDrivers(
        settings=filters,
        transports=tuple((found["name"], value) for found, value in allowed if found is not None),
        place=place_of(git_dir, top) if filters else "",
    )


def filters_of(attributes: bytes) -> dict[bytes, str]:
    """Return the driver of each path that has one, from the output of ``git check-attr -z filter``."""
    fields = attributes.split(b"\0")
    return {
        path: os.fsdecode(value)
        for path, value in zip(fields[::3], fields[2::3], strict=False)
        if value not in {b"unspecified", b"unset", b"set"}
    }


def failure_told(error: GitError) -> str:
    """Return what git says about a filter that failed, each sentence once; else what the error says."""
    lines = dict.fromkeys(_PREFIX.sub("", line) for line in (error.stderr or "").splitlines() if line.strip())
    return "; ".join(lines) or str(error)


def is_filter_failure(said: str) -> bool:
    """Return whether git's complaint is about a filter."""
    return _FAILURE.search(said) is not None
