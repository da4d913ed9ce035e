"""Where each git of a whole run is started, recorded by a `git` that comes first on PATH."""

import os
import shutil
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import pytest

from maingate.bootstrap import Maingate
from maingate.git.command import run_git
from maingate.git.repository import Repository
from support.factories import GitRepo
from support.landing import Landed, land

SHIM = """#!/bin/sh
above=$PWD inside=
while :; do
  [ -e "$above/HEAD" ] && [ -d "$above/objects" ] && [ -d "$above/refs" ] && inside=$above
  [ "$above" = / ] || [ -z "$above" ] && break
  above=${{above%/*}}
done
variables=$(env | sed -n 's/^\\(GIT_[A-Z_]*\\)=.*/\\1/p' | tr '\\n' ' ')
there=$(ls -A | tr '\\n' ' ')
printf '%s\\t%s\\t%s\\t%s\\t%s\\t%s\\n' \
  "$PWD" "$inside" "$GIT_DIR" "$variables" "$there" "$(echo "$*" | tr '\\n\\t' '  ')" >>'{log}'
exec '{git}' "$@"
"""

OURS = {
    "GIT_ATTR_NOSYSTEM",
    "GIT_AUTHOR_EMAIL",
    "GIT_AUTHOR_NAME",
    "GIT_CEILING_DIRECTORIES",
    "GIT_COMMITTER_EMAIL",
    "GIT_COMMITTER_NAME",
    "GIT_CONFIG_COUNT",
    "GIT_CONFIG_GLOBAL",
    "GIT_CONFIG_NOSYSTEM",
    "GIT_DIR",
    "GIT_GRAFT_FILE",
    "GIT_INDEX_FILE",
    "GIT_NO_REPLACE_OBJECTS",
    "GIT_OPTIONAL_LOCKS",
    "GIT_SHALLOW_FILE",
    "GIT_TERMINAL_PROMPT",
    "GIT_WORK_TREE",
}
"""Every variable that a git child may have: each is set by Maingate, none comes from the caller."""

NAMES_OF_GIT = (
    "config",
    "HEAD",
    "commondir",
    "objects/a.txt",
    "refs/heads/main",
    "info/attributes",
    "index-0",
)
"""Paths that git would take for its own, were they below the folder that it runs in."""


@dataclass(frozen=True, kw_only=True)
class Call:
    """One start of git."""

    folder: str
    inside: str
    git_dir: str
    variables: frozenset[str]
    there: str
    words: str


@pytest.fixture(name="calls")
def _calls(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Callable[[], list[Call]]:
    """Record each start of git from now on; the answer returns what was recorded so far."""
    git, log, folder = shutil.which("git"), tmp_path / "calls", tmp_path / "bin"
    folder.mkdir()
    (folder / "git").write_text(SHIM.format(log=log, git=git))
    (folder / "git").chmod(0o755)

    def begin() -> list[Call]:
        if not log.exists():
            monkeypatch.setenv("PATH", f"{folder}{os.pathsep}{os.environ['PATH']}")
            log.touch()
        rows = [line.split("\t") for line in log.read_text().splitlines()]
        return [
            Call(folder=a, inside=b, git_dir=c, variables=frozenset(d.split()), there=e, words=f)
            for a, b, c, d, e, f in rows
        ]

    return begin


def diverged(base: GitRepo, name: str) -> dict[str, bytes]:
    """Give two patches that add a file and edit a line, both of which main has by now; and a good one."""
    lines = "".join(f"{number}\n" for number in range(20))
    base.commit({"other": lines, "third": "x\n"})
    bad = {
        f"bad{number}": base.diff_of(
            {"other": lines.replace("9\n", f"nine {number}\n", 1), name: f"{number}\n"}
        )
        for number in (1, 2)
    }
    base.commit({"other": lines.replace("9\n", "nine\n", 1), name: "of main\n"})
    return bad | {"good": base.diff_of({"third": "x\ny\n"})}


@pytest.mark.parametrize("name", NAMES_OF_GIT)
def test_a_file_that_both_added_is_a_conflict_whatever_its_name(repo: GitRepo, name: str) -> None:
    """Nothing of it lies where the next git looks: each such patch is refused alone, the others land."""
    patches = diverged(repo, name)
    streams = {key: {"critical": key == "good", "tasks": {"t": {"patch": key}}} for key in patches}
    landed = land(repo, patches, workstreams=streams)
    assert [landed.code("bad1/t"), landed.code("bad2/t"), landed.code("good/t")] == [
        "conflict",
        "conflict",
        None,
    ]
    assert {landed.patch_state("bad1/t"), landed.patch_state("bad2/t")} == {"quarantined"}
    assert repo.git("show", f"main:{name}") == "of main"
    assert repo.git("show", "main:third") == "x\ny"


HOSTILE = dict.fromkeys(("GIT_DIR", "GIT_WORK_TREE", "GIT_NAMESPACE", "GIT_ATTR_SOURCE"), "/nonexistent")


def every_way(repo: GitRepo) -> dict[str, bytes]:
    """Give patches of every way: exact, moved, merged, refused, and one that only git itself can merge."""
    patches = diverged(repo, "config")
    lines = "".join(f"line {number}\n" for number in range(40))
    repo.commit({"moved": lines, "merged": lines})
    patches["merged"] = repo.diff_of({"merged": lines.replace("line 20\n", "x\n")})
    named = repo.diff_of({"moved": lines.replace("line 20\n", "x\n")})
    patches["moved"] = b"".join(line for line in named.splitlines(keepends=True) if line[:6] != b"index ")
    repo.commit({"moved": "first\n" + lines, "merged": lines.replace("line 18\n", "y\n")})
    return patches


def test_no_git_runs_where_files_of_a_repository_lie(
    repo: GitRepo, calls: Callable[[], list[Call]], monkeypatch: pytest.MonkeyPatch
) -> None:
    """Neither in a git directory or below one, nor where the caller is; a folder of its own holds nothing.

    Only what moves or looks at a working tree runs in that tree, and says which git directory it means or
    keeps to the one that is there. A tree that is made ready for a checkout lies in a folder of its own below
    the git directory, where git reads nothing; it is the working tree of that command. No variable is the
    caller's.
    """
    patches = every_way(repo)
    streams = {
        key: {"critical": not key.startswith("bad"), "tasks": {"t": {"patch": key, "gates": ["ok"]}}}
        for key in patches
    }
    calls()
    with monkeypatch.context() as callers:
        callers.chdir(repo.path / ".git" / "refs")
        for name, value in HOSTILE.items():
            callers.setenv(name, value)
        landed = land(repo, patches, workstreams=streams, gates={"ok": {"run": "true"}})
        rolled_back(landed)
    seen = calls()
    methods = {task["name"]: task["patch"]["method"] for task in landed.report["tasks"]}
    assert methods == {
        "bad1/t": None,
        "bad2/t": None,
        "good/t": "exact",
        "moved/t": "offset",
        "merged/t": "three_way",
    }
    assert any("--3way" in call.words for call in seen)
    assert any("update-ref" in call.words for call in seen)
    assert any("read-tree" in call.words for call in seen)
    for call in seen:
        is_staged = "/.git/maingate-stage-" in call.folder and "GIT_WORK_TREE" in call.variables
        assert not call.inside or (is_staged and call.folder != call.inside), call
        assert call.variables <= OURS, call
        assert "GIT_DIR" in call.variables or "GIT_CEILING_DIRECTORIES" in call.variables, call
        is_at_a_tree = "GIT_WORK_TREE" in call.variables or call.folder == str(repo.path)
        assert is_at_a_tree or call.folder == "/" or not call.there, call


def rolled_back(landed: Landed) -> None:
    """Take the merged patch back."""
    with Maingate.open(landed.repo.path) as maingate:
        patch = landed.task("merged/t")["patch"]["id"]
        outcome = maingate.rollback.roll_back(
            [patch], label="merged/t", reason="it was wrong", operator="ada"
        )
    assert str(outcome.end) == "rolled_back"


def test_replacements_and_grafts_of_the_repository_do_not_count(repo: GitRepo) -> None:
    """`refs/replace` and `info/grafts` let git show other commits than those that the ids stand for."""
    first = repo.commit({"a": "1\n"})
    second = repo.commit({"a": "2\n"})
    third = repo.commit({"a": "3\n"})
    repo.git("replace", "--graft", third, first)
    with Repository.open(repo.path) as repository:
        assert repository.commits_between(first, third) == [second, third]


def test_git_started_in_a_folder_takes_no_repository_above_it(repo: GitRepo) -> None:
    """A working tree that lost its `.git` is no part of the repository that it happens to lie in."""
    inner = repo.path / "inner"
    inner.mkdir()
    assert run_git("rev-parse", "--git-dir", cwd=inner, check=False).code == 128
    (inner / "HEAD").write_text("ref: refs/heads/main\n")
    (inner / "objects").mkdir()
    (inner / "refs").mkdir()
    assert run_git("rev-parse", "--git-dir", cwd=inner, check=False).code == 128
