"""A person's repository: its objects, refs and history; the person's checkout is never worked in.

Objects are read and written in this process (pygit2); refs that others watch are moved by git itself, as
compare-and-swap. Every thread has library handles of its own, because libgit2's cannot be shared.
"""

from collections.abc import Sequence
from datetime import datetime
from pathlib import Path
from types import TracebackType
from typing import TYPE_CHECKING, Self

from maingate.errors import GitError, RepositoryError
from maingate.git.command import require_git, run_git
from maingate.git.commit_rules import (
    MAINGATE_MAIL,
    MAINGATE_NAME,
    CommitRules,
    CommitSettings,
    read_commit_rules,
)
from maingate.git.commits import Commit, Signature, commit_content, message_with_trailers
from maingate.git.library import failures, handle_on, oid, opened, translated
from maingate.git.merge_rules import MergeRules, read_merge_rules
from maingate.git.objects import Blob
from maingate.git.plain_repository import plain_git_dir
from maingate.git.refs import RefChange, RefMoved, RefStore
from maingate.git.repository_format import require_known_format
from maingate.git.targets import Target, resolve_target
from maingate.git.trees import GitEntry

if TYPE_CHECKING:
    import pygit2

__all__ = [
    "MAINGATE_MAIL",
    "MAINGATE_NAME",
    "Blob",
    "Commit",
    "GitEntry",
    "RefChange",
    "RefMoved",
    "Repository",
    "Signature",
    "Target",
]


class Repository(RefStore):
    """An open repository. Threads may share it; ``close`` or leaving ``with`` removes temporary files.

    Args:
        opened_at: The git directory found from the path that was given; a linked worktree has its own.
        git_dir: The common git directory, with objects and refs.
        root: The top of the main working tree, or the git directory of a bare repository.
        is_bare: Whether it has no main working tree.
    """

    def __init__(self, *, opened_at: Path, git_dir: Path, root: Path, is_bare: bool) -> None:
        super().__init__(git_dir)
        self.root, self.is_bare, self.opened_at = root, is_bare, opened_at
        self._merge_rules: MergeRules | None = None
        self._commit_rules: CommitRules | None = None
        self.commit_settings = CommitSettings()

    @classmethod
    def open(cls, path: Path) -> "Repository":
        """Open the repository that a path is in.

        Raises:
            RepositoryError: There is none, or it is of a kind that Maingate cannot work on.
            UnknownFormatError: It is of a format that no command can work with.
            GitError: git itself is missing or too old.
        """
        require_git()
        if not path.exists():
            raise RepositoryError(f"{path} does not exist")
        if (plain := plain_git_dir(path)) is not None:
            return cls(opened_at=plain, git_dir=plain, root=plain.parent, is_bare=False)
        return cls._opened_by_the_library(path)

    @classmethod
    def _opened_by_the_library(cls, path: Path) -> "Repository":
        import pygit2  # noqa: PLC0415 - only here is it sure to be needed

        found = pygit2.discover_repository(str(path))
        if found is None:
            raise RepositoryError(
                f"{path} is not in a git repository: run this inside one, or make one with `git init`"
            )
        opened_at = Path(found)
        common = _common_dir(opened_at)
        require_known_format(common)
        try:
            handle = handle_on(common)
        except failures() as error:
            raise _cannot_open(common, error) from error
        root = common if handle.is_bare else _main_work_tree(path, common, handle)
        return cls(opened_at=opened_at, git_dir=common, root=root, is_bare=handle.is_bare)

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    @property
    def merge_rules(self) -> MergeRules:
        """The rules of merges, as they were when they were read first, or last by ``read_merge_rules``."""
        return self._merge_rules or self.read_merge_rules()

    def read_merge_rules(self) -> MergeRules:
        """Read the rules of merges anew: a run does so before anything of it runs.

        Raises:
            GitError: The configuration cannot be read.
        """
        self._merge_rules = read_merge_rules(self.git_dir, self.root)
        return self._merge_rules

    @property
    def commit_rules(self) -> CommitRules:
        """The rules of commits, as they were when they were read first, or last by ``read_commit_rules``."""
        return self._commit_rules or self.read_commit_rules(self.commit_settings)

    def read_commit_rules(self, settings: CommitSettings) -> CommitRules:
        """Read the rules of commits anew: a run does so before anything of it runs.

        Raises:
            GitError: The configuration cannot be read.
        """
        self.commit_settings = settings
        self._commit_rules = read_commit_rules(self.git_dir, self.root, settings)
        return self._commit_rules

    def resolve_target(self, name: str | None = None) -> Target:
        """Find the branch to land on.

        Args:
            name: A branch, short or in full; None means the one checked out where the repository was opened.

        Raises:
            RepositoryError: There is no such branch, it has no commit, or it is not a branch.
        """
        return resolve_target(self, name, opened_at=self.opened_at)

    def resolve_commit(self, revision: str) -> str:
        """Return the id of the commit of one of git's revision expressions.

        Raises:
            RepositoryError: There is none.
        """
        import pygit2  # noqa: PLC0415 - only here is it sure to be needed

        try:
            return str(self.handle.revparse_single(revision).peel(pygit2.Commit).id)
        except failures() as error:
            message = f"{revision!r} is not a commit in {self.root}"
            if self.is_shallow:
                message += "; it is a shallow clone, `git fetch --unshallow` brings the rest"
            raise RepositoryError(message) from error

    def commit(
        self,
        *,
        tree: str,
        parents: Sequence[str],
        message: str | bytes,
        date: datetime,
        author: Signature | None = None,
        trailers: Sequence[tuple[str, str]] = (),
        is_trial: bool = False,
    ) -> str:
        """Store a commit and return its id; the same arguments give the same id, unless commits are signed.

        Args:
            tree: Its tree.
            parents: Its parents, first parent first.
            message: Its message; bytes are not changed.
            date: The time of the commit, aware.
            author: The author of the change; the committer by default.
            trailers: Lines such as ``Maingate-Run: …`` at the end of the message.
            is_trial: Whether it will not land as it is: then it is not signed.

        Raises:
            GitError: It could not be signed.
        """
        committer = self.commit_rules.committer(date)
        content = commit_content(
            tree=tree,
            parents=parents,
            message=message_with_trailers(message, trailers),
            author=(author or committer).as_bytes(),
            committer=committer.as_bytes(),
        )
        return self.write_commit(content) if is_trial else self.finish_commit(content)

    def finish_commit(self, content: bytes) -> str:
        """Store a commit that may land, signed where commits are, and return its id.

        Raises:
            GitError: It could not be signed.
        """
        return self.write_commit(self.commit_rules.finished(content))

    def merge_base(self, one: str, other: str) -> str | None:
        """Return the best common ancestor of two commits; None when the repository has none."""
        with translated(f"find the merge base of {one} and {other}"):
            found = self.handle.merge_base(oid(one), oid(other))
        return None if found is None else str(found)

    def is_ancestor(self, ancestor: str, descendant: str) -> bool:
        """Return whether a commit is in the history of another, or the same one."""
        if ancestor == descendant:
            return True
        with translated(f"compare {ancestor} and {descendant}"):
            return self.handle.descendant_of(oid(descendant), oid(ancestor))

    def commits_between(self, old: str, new: str, *, first_parent: bool = True) -> list[str]:
        """Return the commits of ``new`` that are not in ``old``, oldest first."""
        options = ["--first-parent"] if first_parent else ["--topo-order"]
        said = run_git("rev-list", "--reverse", *options, new, f"^{old}", "--", git_dir=self.git_dir).stdout
        return said.decode().split()


def _common_dir(git_dir: Path) -> Path:
    """Return the common git directory, which a linked worktree's git directory names in a file."""
    pointer = git_dir / "commondir"
    if not pointer.is_file():
        return git_dir.resolve()
    return (git_dir / pointer.read_text().strip()).resolve()


def _main_work_tree(path: Path, common: Path, handle: "pygit2.Repository") -> Path:
    """Return the top of the main working tree.

    Args:
        path: The path by which the repository was found.
        common: The common git directory.
        handle: Opened there; unless configured, its working tree is the folder around.

    Raises:
        RepositoryError: It is unknown, because a separate git directory does not name it; or the git
            directory lies in it, where patches reach it.
    """
    top = Path(handle.workdir)
    if (top / ".git").resolve() == common:
        return top
    if "core.worktree" not in handle.config:
        found = [_work_tree_around(each, common) for each in (path.resolve(), top)]
        top = next(filter(None, found), common)
    if top == common:
        raise RepositoryError(
            f"nothing in {common} says where the files of its main work tree are: run this there, or say it "
            f"with `git --git-dir={common} config core.worktree PATH`"
        )
    if is_among_files(common, top):
        raise RepositoryError(
            f"the git directory {common} lies among the files of its work tree {top}, where patches could "
            "write into it: move it out of there, or call it `.git`"
        )
    return top


def is_among_files(path: Path, top: Path) -> bool:
    """Return whether a path lies in a working tree where a patch can name it; `.git` cannot be named."""
    path, top = path.resolve(), top.resolve()
    return path.is_relative_to(top) and ".git" not in path.relative_to(top).parts


def _work_tree_around(path: Path, common: Path) -> Path | None:
    """Return the working tree that a path is in, if it points to this git directory."""
    if path.is_relative_to(common):
        return None
    try:
        found = opened(path)
    except GitError:
        return None
    return Path(found.workdir) if found.workdir and Path(found.path).resolve() == common else None


def _cannot_open(git_dir: Path, error: Exception) -> RepositoryError:
    if "not owned" in str(error):
        return RepositoryError(
            f"{git_dir} belongs to another user: "
            f"if you trust it, run `git config --global --add safe.directory {git_dir.parent}`"
        )
    return RepositoryError(f"{git_dir} cannot be opened: {error}")
