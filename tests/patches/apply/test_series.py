"""Several patches in one go: the same trees as one by one, or no answer at all."""

import random

import pytest

from maingate.git.repository import Repository
from maingate.patches.apply.outcomes import Applied
from maingate.patches.apply.series import apply_series
from maingate.patches.intake import Intake, take_in
from support.applying import apply_patch
from support.factories import GitRepo

TEXT = "".join(f"line {number}\n" for number in range(30))


def intakes(*diffs: bytes) -> list[Intake]:
    """Take patches in that are in order."""
    taken = [take_in(diff, max_bytes=1 << 20) for diff in diffs]
    return [intake for intake in taken if isinstance(intake, Intake)]


def history(repo: GitRepo, *steps: dict[str, str | bytes | None]) -> tuple[str, list[bytes], list[str]]:
    """Commit steps; return the tree before, the diffs and the trees after each."""
    start = repo.tree()
    diffs, trees = [], []
    for step in steps:
        before = repo.head()
        repo.commit(step)
        diffs.append(repo.git_bytes("diff", "--binary", "--full-index", "-M", before, "HEAD"))
        trees.append(repo.tree())
    return start, diffs, trees


@pytest.fixture
def base(repo: GitRepo) -> GitRepo:
    """Return a repository with a few files."""
    repo.commit({"a.txt": TEXT, "b.txt": TEXT, "dir/c.txt": "c\n"})
    return repo


def test_gives_the_tree_after_each_patch(base: GitRepo) -> None:
    """Edits of the same file, a new file edited next, a rename, a deletion."""
    start, diffs, trees = history(
        base,
        {"a.txt": TEXT.replace("line 3\n", "three\n")},
        {"a.txt": TEXT.replace("line 3\n", "3\n").replace("line 20\n", "20\n"), "new.txt": "1\n2\n3\n"},
        {"new.txt": "1\ntwo\n3\n"},
        {"b.txt": None, "moved/b.txt": TEXT},
        {"dir/c.txt": None},
        {"dir2": "another file\n"},
    )
    with Repository.open(base.path) as repository:
        made = apply_series(repository, start, intakes(*diffs))
    assert made is not None
    assert [applied.tree for applied in made] == trees
    assert {applied.method for applied in made} == {"exact"}


@pytest.mark.parametrize("at", [0, 1, 2])
def test_one_that_does_not_apply_gives_no_answer(base: GitRepo, at: int) -> None:
    """The culprit is found one by one."""
    start, diffs, _ = history(
        base,
        {"a.txt": TEXT.replace("line 3\n", "x\n")},
        {"b.txt": TEXT.replace("line 5\n", "y\n")},
        {"n": "n\n"},
    )
    diffs[at] = (
        diffs[at].replace(b"+", b"+", 1) if at == 2 else diffs[at].replace(b" line 4\n", b" line four\n")
    )
    if at == 2:
        diffs[at] = (
            b"diff --git a/dir b/dir\nnew file mode 100644\n--- /dev/null\n+++ b/dir\n@@ -0,0 +1 @@\n+x\n"
        )
    with Repository.open(base.path) as repository:
        assert apply_series(repository, start, intakes(*diffs)) is None


def test_a_hunk_that_fits_elsewhere_gives_no_answer(base: GitRepo) -> None:
    """A hunk that git would place with an offset is decided one by one."""
    start, diffs, _ = history(base, {"a.txt": TEXT.replace("line 20\n", "x\n")}, {"n": "n\n"})
    shifted = diffs[0].replace(b"@@ -18,7 +18,7 @@", b"@@ -15,7 +15,7 @@").replace(b"index ", b"index 0")
    assert shifted != diffs[0]
    with Repository.open(base.path) as repository:
        assert apply_series(repository, start, intakes(shifted, diffs[1])) is None


def test_a_patch_that_is_there_already_gives_no_answer(base: GitRepo) -> None:
    """The same creation twice."""
    start, diffs, _ = history(base, {"n": "n\n"})
    with Repository.open(base.path) as repository:
        assert apply_series(repository, start, intakes(diffs[0], diffs[0])) is None


@pytest.mark.parametrize("seed", range(8))
def test_agrees_with_one_by_one_on_random_edits(base: GitRepo, seed: int) -> None:
    """Random edits, each on the one before, some of them not in order: the same outcome, or none."""
    chance = random.Random(seed)
    steps: list[dict[str, str | bytes | None]] = []
    now = {"a.txt": TEXT.splitlines(keepends=True), "b.txt": TEXT.splitlines(keepends=True)}
    for number in range(12):
        name = chance.choice(sorted(now))
        lines = now[name]
        at = chance.randrange(len(lines))
        lines[at : at + chance.randrange(3)] = [f"{number} {chance.random()}\n"] * chance.randrange(1, 3)
        steps.append({name: "".join(lines)})
    start, diffs, _ = history(base, *steps)
    if seed % 2:
        chance.shuffle(diffs)
    with Repository.open(base.path) as repository:
        series = apply_series(repository, start, intakes(*diffs))
        tree, single = start, []
        for intake in intakes(*diffs):
            outcome = apply_patch(repository, tree, intake)
            if not isinstance(outcome, Applied):
                break
            single.append(outcome)
            tree = outcome.tree
    if series is None:
        assert seed % 2, "in order, everything applies exactly"
    else:
        assert series == single
