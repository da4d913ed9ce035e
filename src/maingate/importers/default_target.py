"""The target that an imported plan names, so that it means the same branch wherever it is run."""

from collections.abc import Iterator
from pathlib import Path

from maingate.errors import UsageError
from maingate.git.targets import BRANCHES, full_names, short_name
from maingate.importers.git_call import ask_git


def default_target(repo: Path, source: str = "") -> tuple[str | None, str]:
    """Return the branch to name as a plan's target, and a note where it is not the one checked out there.

    A range ``main..feature`` lands on the branch that it begins at. Else it is the branch checked out in the
    main work tree: in a linked one, it is most often the work itself.

    Args:
        repo: A folder of the repository; it may be none.
        source: The source of a series.
    """
    first = source.partition("..")[0] if ".." in source and not Path(source).exists() else ""
    if first and (begun := _branch_of(first, repo)) is not None:
        return begun, ""
    main, here = (
        next(_checked_out(repo, "--git-common-dir"), None),
        next(_checked_out(repo, "--git-dir"), None),
    )
    last = _branch_of(source.rpartition("..")[2], repo) if first else None
    if main is None or main == last:
        return None, ""
    return main, f"target: {main}, the branch of the main work tree; here {here} is" if here != main else ""


def _branch_of(name: str, repo: Path) -> str | None:
    """Return the short name of the branch that a name stands for; None when there is none."""
    there = (
        ref
        for ref in full_names(name)
        if _asked(repo, "for-each-ref", "--format=%(refname)", ref).strip() == ref
    )
    ref = next(there, "")
    return short_name(ref) if ref.startswith(BRANCHES) else None


def _checked_out(repo: Path, folder: str) -> Iterator[str]:
    """Yield the branch of a git directory's HEAD that has a commit, if there is one."""
    git_dir = _asked(repo, "rev-parse", "--path-format=absolute", folder).strip()
    if not git_dir:
        return
    ref = _asked(repo, f"--git-dir={git_dir}", "symbolic-ref", "--quiet", "HEAD").strip()
    if ref and (branch := _branch_of(ref, repo)) is not None:
        yield branch


def _asked(repo: Path, *arguments: str) -> str:
    """Return the output of git; empty where it has no answer."""
    if not repo.is_dir():
        return ""
    try:
        return ask_git(arguments, cwd=repo).decode(errors="surrogateescape")
    except UsageError:
        return ""
