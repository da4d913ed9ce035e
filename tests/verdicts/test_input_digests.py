"""What globs select in a tree has one digest as long as a checkout shows the same there."""

from collections.abc import Iterator, Mapping

import pytest

from maingate.git.repository import Repository
from maingate.verdicts.input_digests import InputDigests
from support.factories import GitRepo

Files = Mapping[str, str | bytes]

BASE: Files = {
    "src/a.py": "a\n",
    "src/deep/b.py": "b\n",
    "src/run.sh": "true\n",
    "lib/c.py": "c\n",
    "docs/d.md": "d\n",
    "README": "read me\n",
}


@pytest.fixture
def repository(repo: GitRepo) -> Iterator[Repository]:
    """Open the repository."""
    repo.commit({"first": "x"})
    with Repository.open(repo.path) as opened:
        yield opened


class Trees:
    """Makes trees: files, and what else has a mode of its own.

    Args:
        repo: Where.
    """

    def __init__(self, repo: GitRepo) -> None:
        self._repo = repo

    def make(
        self,
        files: Files,
        *,
        links: Mapping[str, str] | None = None,
        modules: Mapping[str, str] | None = None,
        executable: str | None = None,
    ) -> str:
        """Return the id of a tree; names may be such that no file system has them."""
        lines = []
        for name, content in files.items():
            mode = "100755" if name == executable else "100644"
            lines.append(f"{mode} {self._blob(content)} 0\t{name}")
        lines += [f"120000 {self._blob(target)} 0\t{name}" for name, target in (links or {}).items()]
        lines += [f"160000 {commit} 0\t{name}" for name, commit in (modules or {}).items()]
        self._repo.git("read-tree", "--empty")
        stdin = "".join(f"{line}\0" for line in lines).encode(errors="surrogateescape")
        self._repo.git("update-index", "-z", "--index-info", stdin=stdin)
        return self._repo.git("write-tree")

    def _blob(self, content: str | bytes) -> str:
        data = content.encode() if isinstance(content, str) else content
        return self._repo.git("hash-object", "-w", "--stdin", stdin=data)


@pytest.fixture
def trees(repo: GitRepo) -> Trees:
    """Give what makes trees."""
    return Trees(repo)


A, B = "1" * 40, "2" * 40

MATTERS: dict[str, dict[str, object]] = {
    "the content of an input": {"files": {"src/a.py": "A\n"}},
    "the mode of an input": {"executable": "src/run.sh"},
    "one more input": {"files": {"src/z.py": ""}},
    "an input whose name is not UTF-8": {"files": {"src/\udce9": ""}},
    "an input whose name has a newline": {"files": {"src/x\ny.py": ""}},
    "an input whose name ends in a newline": {"files": {"src/x.py\n": ""}},
    "attributes at the root": {"files": {".gitattributes": "* text eol=crlf\n"}},
    "a macro at the root": {"files": {".gitattributes": "[attr]odd text eol=crlf\n"}},
    "attributes in the folder of an input": {"files": {"src/.gitattributes": "*.py ident\n"}},
    "attributes deeper": {"files": {"src/deep/.gitattributes": "*.py eol=crlf\n"}},
    "attributes that are a link": {"links": {".gitattributes": "README"}},
    "a submodule among the inputs": {"modules": {"src/sub": A}},
    "a link among the inputs": {"links": {"src/link": "../lib/c.py"}},
}


def changed(trees: Trees, change: Mapping[str, object], base: Files = BASE) -> str:
    """Make the base with one change."""
    given = dict(change)
    files = given.pop("files", {})
    assert isinstance(files, dict)
    return trees.make({**base, **files}, **given)  # type: ignore[arg-type] # one of the keywords


@pytest.mark.parametrize("change", MATTERS.values(), ids=MATTERS.keys())
def test_what_decides_how_an_input_looks_is_in_the_digest(
    repository: Repository, trees: Trees, change: Mapping[str, object]
) -> None:
    """One thing is changed at a time, and the digest is another."""
    digests = InputDigests(repository, ["src/**"])
    assert digests.of(changed(trees, change)) != digests.of(trees.make(BASE))


SAME: dict[str, dict[str, object]] = {
    "another file": {"files": {"README": "other\n"}},
    "one more file elsewhere": {"files": {"docs/e.md": "e\n", "srcs/a.py": "x\n"}},
    "attributes in a folder without inputs": {"files": {"docs/.gitattributes": "* eol=crlf\n"}},
    "attributes beside, of a like name": {"files": {"src/gitattributes": "x", "lib/.gitattributes": "x"}},
    "a link elsewhere": {"links": {"docs/link": "../src"}},
    "a submodule elsewhere": {"modules": {"vendor": A}},
    "the mode of another file": {"executable": "README"},
}


@pytest.mark.parametrize("change", SAME.values(), ids=SAME.keys())
def test_what_does_not_matter_leaves_the_digest(
    repository: Repository, trees: Trees, change: Mapping[str, object]
) -> None:
    """What is no input and decides about none may change."""
    digests = InputDigests(repository, ["src/**", "!src/gitattributes"])
    assert digests.of(changed(trees, change)) == digests.of(trees.make(BASE))


LINKED: dict[str, tuple[dict[str, str], dict[str, object]]] = {
    "the file that a link leads to": ({"src/link": "../lib/c.py"}, {"files": {"lib/c.py": "C\n"}}),
    "a file below the folder": ({"src/link": "../lib"}, {"files": {"lib/c.py": "C\n"}}),
    "a link in place of the folder": ({"all": "lib"}, {"files": {"lib/c.py": "C\n"}}),
    "attributes where it leads to": ({"src/link": "../lib"}, {"files": {"lib/.gitattributes": "* ident\n"}}),
    "attributes above there": (
        {"src/link": "../lib/in/er"},
        {"files": {"lib/.gitattributes": "* ident\n", "lib/in/er/x": "x"}},
    ),
    "what was not there": ({"src/link": "../new"}, {"files": {"new": ""}}),
    "a link by way of a link": ({"src/link": "../way/c.py", "way": "lib"}, {"files": {"lib/c.py": "C\n"}}),
    "a link below the folder": ({"src/link": "../lib", "lib/on": "../docs"}, {"files": {"docs/d.md": "D\n"}}),
}


@pytest.mark.parametrize(("links", "change"), LINKED.values(), ids=LINKED.keys())
def test_what_is_seen_through_a_link_is_in_the_digest(
    repository: Repository, trees: Trees, links: dict[str, str], change: dict[str, object]
) -> None:
    """A link among the inputs, or in place of a folder of theirs, shows what stands elsewhere in the tree."""
    before = trees.make({**BASE, "lib/in/er/x": "x"}, links=links)
    after = changed(trees, {**change, "links": links}, {**BASE, "lib/in/er/x": "x"})
    digests = InputDigests(repository, ["src/**", "all/*.py"])
    assert digests.of(before) != digests.of(after)


@pytest.mark.parametrize(
    "target", ["../../outside", "/etc/passwd", "a.py", "../lib/c.py", "../lib", "none/x"]
)
def test_a_link_leaves_other_files_out_of_the_digest(
    repository: Repository, trees: Trees, target: str
) -> None:
    """What a link does not lead to, directly, does not matter."""
    links = {"src/link": target}
    digests = InputDigests(repository, ["src/**"])
    before, after = trees.make(BASE, links=links), trees.make({**BASE, "docs/d.md": "D\n"}, links=links)
    assert digests.of(before) == digests.of(after)


@pytest.mark.parametrize("module", ["all", "all/of"])
def test_a_submodule_in_place_of_a_folder_of_inputs_counts(
    repository: Repository, trees: Trees, module: str
) -> None:
    """Where inputs would be below a submodule, its commit is in the digest."""
    digests = InputDigests(repository, ["all/of/it/*.py"])
    made = {digests.of(trees.make(BASE, modules=at)) for at in ({module: A}, {module: B}, {})}
    assert len(made) == 3


def test_a_tree_without_inputs_has_one_digest(repository: Repository, trees: Trees) -> None:
    """Attributes decide nothing where there is nothing."""
    digests = InputDigests(repository, ["absent/**"])
    with_attributes = trees.make({**BASE, ".gitattributes": "* eol=crlf\n"})
    assert digests.of(trees.make(BASE)) == digests.of(with_attributes)
