"""Work that a person names: a branch, a glob of branches, a range, a file, or a diff on standard input."""

import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from fnmatch import fnmatchcase
from functools import cached_property
from pathlib import Path
from typing import Final

from maingate.errors import RepositoryError, UsageError
from maingate.git.command import run_git
from maingate.git.repository import Repository, Target
from maingate.git.targets import BRANCHES, full_names, read_head, short_name
from maingate.importers.finished_work.work_keys import key_of_file, key_of_range, printable
from maingate.landing.checkouts.working_trees import Checkout, checkouts_by_branch
from maingate.settings.problems import did_you_mean
from maingate.wording import listed, short

STANDARD_INPUT: Final = "-"
_USUAL_TARGETS: Final = ("main", "master")
_GLOB: Final = re.compile(r"[*?\[]")
_UNFINISHED: Final = ("rebase-merge", "rebase-apply")
_SHOWN: Final = 20


@dataclass(frozen=True, kw_only=True)
class Source:
    """Work that was named.

    Args:
        argument: The words that named it.
        branch: The full name of the branch that it is; None for a range or patches.
        commit: The newest commit of the branch.
        uncommitted: The changes in checkouts of the branch that are not committed, and so do not land.
        key: The name by which another attempt to land the same work is known; None where there is none.
    """

    argument: str
    branch: str | None = None
    commit: str | None = None
    uncommitted: tuple[str, ...] = ()
    key: str | None = None


def source_of_file(argument: str) -> Source:
    """Return the work that is a file or folder of patches, or standard input."""
    key = None if argument == STANDARD_INPUT else key_of_file(argument)
    return Source(argument=argument, key=key)


def require_known(needs: str, sources: Sequence[Source]) -> Source:
    """Return the work that other work needs.

    Raises:
        UsageError: It is none of the work that is named.
    """
    found = next((each for each in sources if needs in (each.argument, each.branch)), None)
    if found is None:
        raise UsageError(f"--needs {needs}: it must land with the same command; name it, too")
    return found


class SourceFinder:
    """Finds the work that arguments name, in one repository.

    Args:
        repository: The repository, opened where the command was started.
    """

    def __init__(self, repository: Repository) -> None:
        self._repository = repository
        self._branches = repository.refs_under(BRANCHES)

    def target(self, into: str | None, arguments: Sequence[str]) -> Target:
        """Return the branch to land on; by default the repository's main line.

        That is the branch that `origin` has as its HEAD; or `main` or `master`, if there is only one of them;
        or the branch that the main work tree has checked out.

        Raises:
            RepositoryError: There is no such branch, or which one is meant cannot be told.
        """
        if into is not None:
            return self._repository.resolve_target(into)
        said = run_git(
            "symbolic-ref", "-q", "refs/remotes/origin/HEAD", git_dir=self._repository.git_dir, check=False
        ).stdout
        remote = said.decode(errors="surrogateescape").strip().removeprefix("refs/remotes/origin/")
        if remote and BRANCHES + remote in self._branches:
            return self._repository.resolve_target(BRANCHES + remote)
        usual = [name for name in _USUAL_TARGETS if BRANCHES + name in self._branches]
        if len(usual) == 1:
            return self._repository.resolve_target(BRANCHES + usual[0])
        head = read_head(self._repository.git_dir)
        if head in self._branches and short_name(head) not in (arguments or [short_name(self._here() or "")]):
            return self._repository.resolve_target(head)
        raise RepositoryError(
            "which branch to land on cannot be told: there is no `origin/HEAD`, and not one of main and "
            "master; say it with --into BRANCH"
        )

    def sources(self, arguments: Sequence[str], target: Target) -> list[Source]:
        """Return the work that arguments name, each once; without arguments, the branch checked out here.

        Raises:
            UsageError: An argument names nothing, or nothing that can land.
        """
        found: dict[tuple[str, str | None], Source] = {}
        for source in (
            [source for each in arguments for source in self._named(each, target)]
            if arguments
            else [self._checked_out(target)]
        ):
            found.setdefault((source.branch or source.argument, source.branch), source)
        return list(found.values())

    def _named(self, argument: str, target: Target) -> Iterator[Source]:
        if argument == STANDARD_INPUT:
            yield source_of_file(argument)
        elif (ref := self._ref_of(argument)) is not None:
            if Path(argument).is_file():
                raise UsageError(
                    f"{argument!r} is both a branch and a file: write ./{argument} for the file, or "
                    f"refs/heads/{argument} for the branch"
                )
            yield self._branch(argument, ref, target)
        elif Path(argument).exists():
            yield source_of_file(argument)
        elif ".." in argument:
            key = key_of_range(argument, target, self._repository, self._branches)
            yield Source(argument=argument, key=key)
        elif _GLOB.search(argument):
            yield from self._matching(argument, target)
        else:
            raise UsageError(self._why_nothing(argument, target))

    def _ref_of(self, name: str) -> str | None:
        return next((ref for ref in full_names(name) if ref in self._branches), None)

    def _matching(self, glob: str, target: Target) -> Iterator[Source]:
        names = [short_name(ref) for ref in self._branches]
        matching = sorted(name for name in names if fnmatchcase(name, glob))
        others = [name for name in matching if self._final(BRANCHES + name) != target.ref]
        if not others:
            only = f" but the target {short_name(target.ref)} itself" if matching else ""
            raise UsageError(f"no branch matches {glob!r}{only}")
        for name in others:
            yield self._branch(name, BRANCHES + name, target)

    def _final(self, ref: str) -> str:
        return self._repository.final_name(ref)

    def _here(self) -> str | None:
        return read_head(self._repository.opened_at)

    def _checked_out(self, target: Target) -> Source:
        """Return the branch that is checked out where the command was started.

        Raises:
            UsageError: There is none.
        """
        here, repository = self._here(), self._repository
        if repository.is_bare and repository.opened_at == repository.git_dir:
            raise UsageError("a bare repository has no branch checked out: name the branch to land")
        if here is None:
            rebase = any((repository.opened_at / name).exists() for name in _UNFINISHED)
            if rebase:
                raise UsageError(
                    "a rebase is under way here: finish it (`git rebase --continue`), or name what to land"
                )
            raise UsageError(
                "no branch is checked out here (HEAD is detached): make one with `git switch -c NAME`, or "
                f"name the commits: `maingate land {short_name(target.ref)}..HEAD`"
            )
        if here not in self._branches:
            raise UsageError(f"the branch {short_name(here)} has no commits yet: nothing can land")
        return self._branch(short_name(here), here, target)

    def _branch(self, argument: str, ref: str, target: Target) -> Source:
        if self._final(ref) == target.ref:
            raise UsageError(
                f"{short_name(ref)} is the target itself: name the branch to land, or another target with "
                "--into BRANCH"
            )
        return Source(
            argument=argument,
            branch=ref,
            commit=self._branches[ref],
            key=printable(ref),
            uncommitted=tuple(self._uncommitted(ref)),
        )

    @cached_property
    def _checkouts(self) -> Mapping[str, Sequence[Checkout]]:
        return checkouts_by_branch(self._repository)

    def _uncommitted(self, ref: str) -> Iterator[str]:
        """Yield what is not committed in the checkouts of a branch.

        Raises:
            UsageError: A rebase of it is under way, so that its commits are not its last.
        """
        for checkout in self._checkouts.get(ref, ()):
            if checkout.is_there:
                if any((checkout.git_dir / name).exists() for name in _UNFINISHED):
                    raise UsageError(
                        f"a rebase of {short_name(ref)} is under way in {checkout.top}: finish it, or end it "
                        "with `git rebase --abort`"
                    )
                yield from _changes(checkout)

    def _why_nothing(self, argument: str, target: Target) -> str:
        names = [short_name(ref) for ref in self._branches]
        shown, onto = short(argument), short_name(target.ref)
        for kind, prefix in (("tag", "refs/tags/"), ("remote-tracking branch", "refs/remotes/")):
            if prefix + argument in self._repository.refs_under(prefix):
                return f"{shown!r} is a {kind}, not a branch; to land its commits, write {onto}..{shown}"
        if re.fullmatch("[0-9a-f]{7,40}", argument):
            return f"{shown!r} looks like a commit; to land commits, write {onto}..{shown}"
        hint = did_you_mean(argument, names) or (f"known: {listed(sorted(names), 10)}" if names else "")
        return f"{shown!r} is no branch, range or file{f' ({hint})' if hint else ''}"


def _changes(checkout: Checkout) -> Iterator[str]:
    options = ("--porcelain", "-z", "--no-renames", "--untracked-files=normal", "--ignore-submodules=dirty")
    records = [record for record in checkout.git("status", *options).stdout.split(b"\0") if record]
    names = [record[3:].decode(errors="backslashreplace") for record in records]
    names = list(dict.fromkeys(names))  # one that is removed from the index, and there, has two records
    yield from names[:_SHOWN]
    if len(names) > _SHOWN:
        yield f"and {len(names) - _SHOWN} more"
