"""Equal keys mean that a gate sees the same."""

import os
from collections.abc import Iterator, Mapping
from pathlib import Path

import pytest
from hypothesis import HealthCheck, event, example, given, settings
from hypothesis import strategies as st
from pathspec import GitIgnoreSpec

from maingate.git.repository import Repository
from maingate.uet.process.command import CommandSpec
from maingate.uet.worktree.worktree import Worktree
from maingate.verdicts.input_digests import InputDigests
from maingate.verdicts.keys import OF_THE_JOB
from maingate.workers.artifacts import Artifacts
from maingate.workers.jobs import Job
from maingate.workers.local.job_execution import execute
from support.examples import examples
from support.factories import GitRepo

CONTENTS = (b"a\nb\n", b"a\r\nb\n", b"$Id$\n", "é\n".encode(), b"")
ATTRIBUTES = (
    b"* text eol=crlf\n",
    b"*.py ident\n",
    b"[attr]odd text eol=crlf\n* odd\n",
    b"*.txt text working-tree-encoding=UTF-16LE\n",
    b"* -text\n",
    b"# a comment\n",
    b"src/** text eol=crlf\n",
)
FOLDERS = ("", "src/", "src/in/", "lib/", "lib/in/")
TARGETS = (
    "a.py",
    "in",
    "../lib",
    "../lib/in",
    "lib/a.py",
    "../src/a.py",
    "..",
    "/etc/hostname",
    "on",
    "../x/..",
)
INPUTS = (["src/**"], ["*.py"], ["/src/in/"], ["src/a*", "!src/a.txt"], ["lib/**", "x.txt"], ["src/on/*.txt"])

Tree = Mapping[str, tuple[str, bytes]]
"""Mode and content by path."""

FILES = st.builds(
    lambda folder, name, mode, content: (folder + name, (mode, content)),
    st.sampled_from(FOLDERS),
    st.sampled_from(("a.py", "a.txt", "x.txt")),
    st.sampled_from(("100644", "100755")),
    st.sampled_from(CONTENTS),
)
ATTRIBUTE_FILES = st.builds(
    lambda folder, content: (f"{folder}.gitattributes", ("100644", content)),
    st.sampled_from(FOLDERS),
    st.sampled_from(ATTRIBUTES),
)
LINKS = st.builds(
    lambda folder, name, target: (folder + name, ("120000", target.encode())),
    st.sampled_from(FOLDERS),
    st.sampled_from(("on", "in.py", "a.py")),
    st.sampled_from(TARGETS),
)
ENTRIES = st.one_of(FILES, ATTRIBUTE_FILES, LINKS)
ALWAYS = {f"{folder}{name}": ("100644", b"$Id$\na\nb\n") for folder in FOLDERS for name in ("a.py", "x.txt")}
"""What every tree begins with, so that there is something to read wherever attributes and links lead to."""
LINK = ("120000", b"../lib")


def commit_of(repo: GitRepo, tree: Tree) -> str:
    """Commit a tree."""
    lines = []
    for path, (mode, content) in tree.items():
        blob = repo.git("hash-object", "-w", "--stdin", stdin=content)
        lines.append(f"{mode} {blob} 0\t{path}\0")
    repo.git("read-tree", "--empty")
    repo.git("update-index", "-z", "--index-info", stdin="".join(lines).encode())
    return repo.git("commit-tree", "-m", "x", repo.git("write-tree"))


def as_seen(top: Path, inputs: list[str]) -> dict[str, object]:
    """Read all that matches, by the names that a gate uses, through links too."""
    spec = GitIgnoreSpec.from_lines(inputs)
    found: dict[str, object] = {}

    def look(folder: Path, name: str, depth: int) -> None:
        for path in folder.iterdir():
            shown = f"{name}{path.name}"
            if path.name == ".git" or depth == 0:  # each job has a repository of its own
                continue
            if path.is_dir() and path.resolve().is_relative_to(top.resolve()):
                look(path, f"{shown}/", depth - 1)
            if spec.match_file(shown) and (path.is_symlink() or path.is_file()):
                at = path.readlink() if path.is_symlink() else None
                is_here = path.is_file() and path.resolve().is_relative_to(top.resolve())
                content = (path.read_bytes(), path.stat().st_mode) if is_here else None
                found[shown] = (at, content)

    look(top, "", 4)
    return found


@pytest.fixture(scope="module")
def shared(tmp_path_factory: pytest.TempPathFactory) -> Iterator[tuple[GitRepo, Repository, list[Worktree]]]:
    """Give a repository with two slots, for all examples: each is a commit of its own."""
    folder = tmp_path_factory.mktemp("property")
    repo = GitRepo.create(folder / "repo")
    with Repository.open(repo.path) as repository:
        yield repo, repository, [Worktree(folder / name, repo.path / ".git") for name in ("one", "two")]


@example(
    base={
        ".gitattributes": ("100644", b"* text eol=crlf\n"),
        "a.py": ("100644", b"a\nb\n"),
        "src/on": ("120000", b".."),
    },
    change={".gitattributes": ("100644", b"* text eol=crlf\n")},
    inputs=["src/**"],
)
@settings(
    max_examples=examples(60),
    deadline=None,
    suppress_health_check=[HealthCheck.function_scoped_fixture],
)
@given(
    base=st.lists(ENTRIES, max_size=5).map(lambda entries: {**ALWAYS, **dict(entries)}),
    change=st.lists(ENTRIES, min_size=1, max_size=2).map(dict),
    inputs=st.sampled_from(INPUTS),
)
@example(base={**ALWAYS, "src/on": LINK}, change={"lib/a.py": ("100644", b"x\n")}, inputs=["src/**"])
@example(
    base={**ALWAYS, "src/on": ("120000", b"../way"), "way": ("120000", b"lib")},
    change={"lib/a.py": ("100644", b"x\n")},
    inputs=["src/**"],
)
def test_equal_digests_of_inputs_mean_equal_bytes_in_the_worktree(
    shared: tuple[GitRepo, Repository, list[Worktree]], base: Tree, change: Tree, inputs: list[str]
) -> None:
    """Whatever files, attributes and links there are: where the digest is one, what is read there is one."""
    repo, repository, slots = shared
    commits = [commit_of(repo, tree) for tree in (without_clashes(base), without_clashes({**base, **change}))]
    digests = InputDigests(repository, inputs)
    first, second = (digests.of(repository.tree_of(commit)) for commit in commits)
    event("equal" if first == second else "different")
    if first != second:
        return
    for slot, commit in zip(slots, commits, strict=True):
        slot.move(commit)
    assert as_seen(slots[0].tree, inputs) == as_seen(slots[1].tree, inputs)


def without_clashes(tree: Tree) -> Tree:
    """Leave out what would be below a file or link."""
    return {
        path: entry
        for path, entry in tree.items()
        if not any("/".join(path.split("/")[:end]) in tree for end in range(1, path.count("/") + 1))
    }


def test_a_gate_finds_only_what_is_in_its_key_or_of_its_job(repo: GitRepo, tmp_path: Path) -> None:
    """Two jobs of one gate differ in no variable but those that are named as theirs; all others are given."""
    commit = repo.commit({"a": "a\n"})
    given_to_gates = {"PATH": os.environ["PATH"], "LANG": "C.UTF-8", "MINE": "x"}
    seen = []
    with pytest.MonkeyPatch.context() as patch:
        for name in list(os.environ):
            patch.delenv(name)
        for name, value in given_to_gates.items():
            patch.setenv(name, value)
        for number in (1, 2):
            gate = CommandSpec(name="g", run=("env", "-0"), env={"OWN": "y"})
            job = Job(job_id=f"j{number}", commit=commit, command=gate, log=f"log{number}")
            slot = Worktree(tmp_path / f"slot{number}", repo.path / ".git")
            assert execute(job, worktree=slot, artifacts=Artifacts(tmp_path)).passed
            pairs = [line.partition("=") for line in (tmp_path / job.log).read_text().split("\0") if line]
            seen.append({name: value for name, _, value in pairs})
    rest = [{name: value for name, value in each.items() if name not in OF_THE_JOB} for each in seen]
    assert rest[0] == rest[1] == {**given_to_gates, "OWN": "y"}
    assert seen[0].keys() - rest[0].keys() == OF_THE_JOB
