"""Trials of items: what conflicts with the target, what with one another, and what cannot be told."""

from collections.abc import Callable, Iterator, Sequence
from dataclasses import replace

import pytest

from maingate.commits import Tip
from maingate.git.merge import MergeConflict, merge_trees
from maingate.git.repository import Repository, Target
from maingate.git.scratch_repository import scratch_over
from maingate.landing.trial import pairs
from maingate.landing.trial.trial import try_items
from maingate.landing.trial.values import ConflictTrial, Placed, TrialItem
from maingate.patches.text.quoting import show_path
from maingate.reasons import Reason, ReasonCode
from support.factories import GitRepo

LINES = "".join(f"line {n}\n" for n in range(1, 30))
Files = dict[str, str | bytes | None]
Try = Callable[[Sequence[TrialItem]], ConflictTrial]


def changed(line: int, to: str) -> str:
    """Return the lines with one of them changed."""
    return LINES.replace(f"line {line}\n", f"{to}\n")


@pytest.fixture(name="base")
def _base(repo: GitRepo) -> GitRepo:
    repo.commit({"a.txt": LINES, "b.txt": "b\n", "dir/c.txt": LINES.upper(), "bin": b"\0one"}, "base")
    return repo


@pytest.fixture(name="scratch")
def _scratch(base: GitRepo) -> Iterator[Repository]:
    with Repository.open(base.path) as repository, scratch_over(repository) as scratch:
        yield scratch


def branch(repo: GitRepo, name: str, files: Files, *, start: str = "main") -> None:
    """Commit files on a new branch and come back to main."""
    repo.git("checkout", "-q", "-b", name, start)
    repo.commit(files, name)
    repo.git("checkout", "-q", "main")


def item(scratch: Repository, repo: GitRepo, name: str, *needs: str, start: str = "main") -> TrialItem:
    """Return an item that is merged by the tree that its branch began on."""
    base, tip = scratch.tree_of(repo.head(start)), scratch.tree_of(repo.head(name))

    def place(onto: Tip) -> Placed:
        merged = merge_trees(scratch, base=base, ours=onto.tree, theirs=tip)
        if isinstance(merged, MergeConflict):
            paths = [show_path(path) for path in merged.paths]
            why = Reason(code=ReasonCode.CONFLICT, message="it conflicts", detail={"paths": paths})
            return Placed(tree=onto.tree, refusal=why)
        return Placed(tree=merged)

    return TrialItem(name=name, place=place, needs=needs)


def tried(scratch: Repository, repo: GitRepo, items: Sequence[TrialItem]) -> ConflictTrial:
    """Try items on main."""
    return try_items(scratch, Target(ref="refs/heads/main", commit=repo.head("main")), items)


def states(trial: ConflictTrial) -> dict[str, str]:
    """Return the states of the items."""
    return {each.name: str(each.state) for each in trial.items}


def conflicts(trial: ConflictTrial) -> list[tuple[str, str | None, tuple[str, ...]]]:
    """Return the conflicts as the two names and the paths."""
    return [(each.item, each.other, each.paths) for each in trial.conflicts]


def test_each_conflict_has_both_names_and_the_paths(base: GitRepo, scratch: Repository) -> None:
    """Other places of the same file go together; the same place does not."""
    branch(base, "one", {"a.txt": changed(3, "one"), "dir/c.txt": "one\n"})
    branch(base, "two", {"a.txt": changed(25, "two")})
    branch(base, "three", {"a.txt": changed(3, "three"), "dir/c.txt": "three\n"})
    branch(base, "four", {"new.txt": "four\n"})
    found = tried(
        base_is := scratch, base, [item(base_is, base, each) for each in ("one", "two", "three", "four")]
    )
    assert conflicts(found) == [("three", "one", ("a.txt", "dir/c.txt"))]
    assert states(found) == {"one": "clear", "two": "clear", "three": "held", "four": "clear"}
    assert found.is_ok


def test_a_conflict_with_the_target_is_the_items_own(base: GitRepo, scratch: Repository) -> None:
    """It is a problem, it conflicts with nobody else, and what needs it cannot land either."""
    start = base.head()
    branch(base, "late", {"a.txt": changed(3, "late")})
    branch(base, "other", {"a.txt": changed(3, "other")})
    branch(base, "after", {"b.txt": "after\n"})
    base.commit({"a.txt": changed(3, "main")}, "moved")
    items = [
        item(scratch, base, "late", start=start),
        item(scratch, base, "after", "late", start=start),
        item(scratch, base, "other", start=start),
    ]
    found = tried(scratch, base, items)
    assert conflicts(found) == [("late", None, ("a.txt",)), ("other", None, ("a.txt",))]
    assert states(found) == {"late": "refused", "after": "refused", "other": "refused"}
    assert found.items[1].reason is not None
    assert found.items[1].reason.code is ReasonCode.DEPENDENCY_FAILED
    assert not found.is_ok
    assert found.as_json()["conflicts"][0] == {
        "item": "late",
        "with": "refs/heads/main",
        "kind": "target",
        "paths": ["a.txt"],
    }


def test_an_item_is_tried_on_what_it_needs(base: GitRepo, scratch: Repository) -> None:
    """It conflicts with nothing that it was made on; with others as they are beside that."""
    branch(base, "first", {"a.txt": changed(3, "first")})
    branch(base, "second", {"a.txt": changed(3, "second")}, start="first")
    branch(base, "rival", {"a.txt": changed(3, "rival")})
    branch(base, "apart", {"a.txt": changed(25, "apart")})
    items = [
        item(scratch, base, "apart"),
        item(scratch, base, "first"),
        item(scratch, base, "second", "first", start="first"),
        item(scratch, base, "rival"),
    ]
    found = tried(scratch, base, items)
    assert states(found) == {"apart": "clear", "first": "clear", "second": "clear", "rival": "held"}
    assert conflicts(found) == [("rival", "first", ("a.txt",))]


def test_a_held_item_holds_nobody(base: GitRepo, scratch: Repository) -> None:
    """It is not on board; that both conflict is told all the same."""
    branch(base, "ahead", {"a.txt": changed(3, "ahead")})
    branch(base, "held", {"a.txt": changed(3, "held"), "b.txt": "held\n"})
    branch(base, "beside", {"b.txt": "beside\n"})
    found = tried(scratch, base, [item(scratch, base, each) for each in ("ahead", "held", "beside")])
    assert states(found) == {"ahead": "clear", "held": "held", "beside": "clear"}
    assert conflicts(found) == [("held", "ahead", ("a.txt",)), ("beside", "held", ("b.txt",))]


def test_what_needs_a_held_item_is_held(base: GitRepo, scratch: Repository) -> None:
    """It comes when that one comes."""
    branch(base, "ahead", {"a.txt": changed(3, "ahead")})
    branch(base, "held", {"a.txt": changed(3, "held")})
    branch(base, "needy", {"b.txt": "needy\n"})
    items = [item(scratch, base, "ahead"), item(scratch, base, "held"), item(scratch, base, "needy", "held")]
    found = tried(scratch, base, items)
    assert states(found) == {"ahead": "clear", "held": "held", "needy": "held"}
    assert found.items[2].reason is not None
    assert "needs held" in found.items[2].reason.message


def test_needs_that_conflict_with_one_another_leave_an_item_untried(
    base: GitRepo, scratch: Repository
) -> None:
    """There is no commit to try it on."""
    branch(base, "one", {"b.txt": "one\n"})
    branch(base, "two", {"b.txt": "two\n"})
    branch(base, "both", {"new": "x\n"})
    items = [
        item(scratch, base, "one"),
        item(scratch, base, "two"),
        item(scratch, base, "both", "one", "two"),
    ]
    found = tried(scratch, base, items)
    assert states(found)["both"] == "held"
    assert conflicts(found) == [("two", "one", ("b.txt",))]


CLASHES: list[tuple[str, Files, Files, tuple[str, ...]]] = [
    ("binary", {"bin": b"\0two"}, {"bin": b"\0three"}, ("bin",)),
    ("same-binary", {"bin": b"\0two"}, {"bin": b"\0two"}, ()),
    ("both-add", {"new": "x\n"}, {"new": "y\n"}, ("new",)),
    ("both-add-the-same", {"new": "x\n"}, {"new": "x\n"}, ()),
    ("delete-and-change", {"b.txt": None}, {"b.txt": "c\n"}, ("b.txt",)),
    ("both-delete", {"b.txt": None}, {"b.txt": None, "new": "x\n"}, ()),
    ("file-and-directory", {"new": "x\n"}, {"new/below": "y\n"}, ("new", "new/below")),
    ("directory-and-file", {"new/below": "y\n"}, {"new": "x\n"}, ("new",)),
    ("file-becomes-directory", {"b.txt": None, "b.txt/x": "x\n"}, {"b.txt": "c\n"}, ("b.txt",)),
    (
        "rename-both-ways",
        {"a.txt": None, "x.txt": LINES},
        {"a.txt": None, "y.txt": LINES},
        ("a.txt", "x.txt", "y.txt"),
    ),
    (
        "folder-moved-ahead",
        {"dir/c.txt": None, "to/c.txt": LINES.upper()},
        {"dir/new": "x\n"},
        ("to/new", "dir/new"),
    ),
    ("rename-to-one-name", {"a.txt": None, "x": LINES}, {"dir/c.txt": None, "x": LINES.upper()}, ("x",)),
    ("rename-ahead-of-a-change", {"a.txt": None, "x.txt": LINES}, {"a.txt": changed(3, "z")}, ()),
    ("change-ahead-of-a-rename", {"a.txt": changed(3, "z")}, {"a.txt": None, "x.txt": LINES}, ()),
]


@pytest.mark.parametrize(
    ("ahead", "behind", "paths"), [each[1:] for each in CLASHES], ids=[each[0] for each in CLASHES]
)
def test_pairs_conflict_as_their_landing_would(
    base: GitRepo, scratch: Repository, ahead: Files, behind: Files, paths: tuple[str, ...]
) -> None:
    """Renames, deletions, binary files, files and directories of one name."""
    branch(base, "ahead", ahead)
    branch(base, "behind", behind)
    found = tried(scratch, base, [item(scratch, base, "ahead"), item(scratch, base, "behind")])
    told = {path for _, _, each in conflicts(found) for path in each}
    assert told <= set(paths)
    assert bool(told) == bool(paths)
    assert states(found)["behind"] == ("held" if paths else "clear")


@pytest.mark.parametrize("refused", [b"x.txt", b"y.txt"])
def test_a_change_follows_a_rename_ahead_where_policy_permits_it(
    base: GitRepo, scratch: Repository, refused: bytes
) -> None:
    """The later item is judged by what its merge changes; a refusal holds it, as it does when it lands."""
    branch(base, "ahead", {"a.txt": None, "x.txt": LINES})
    branch(base, "behind", {"a.txt": changed(3, "z"), "new.txt": "new\n"})
    asked: list[set[bytes]] = []

    def judge(into: str, merged: str) -> Reason | None:
        changes = set(scratch.changed_paths(into, merged))
        asked.append(changes)
        reason = Reason(code=ReasonCode.POLICY_VIOLATION, message="not there")
        return reason if refused in changes else None

    later = replace(item(scratch, base, "behind"), judge=judge)
    found = tried(scratch, base, [item(scratch, base, "ahead"), later])
    assert states(found)["behind"] == ("held" if refused == b"x.txt" else "clear")
    assert conflicts(found) == ([("behind", "ahead", ("x.txt",))] if refused == b"x.txt" else [])
    assert asked == [{b"x.txt", b"new.txt"}]


def test_attributes_decide_as_when_landing(base: GitRepo, scratch: Repository) -> None:
    """Each adds an entry to a union log: no conflict, also where one of them has brought the attribute."""
    base.commit({".gitattributes": "log merge=union\n", "log": "log\n", "other": "log\n"}, "union")
    for name in ("one", "two"):
        branch(base, name, {"log": f"log\n{name}\n"})
    branch(base, "rules", {".gitattributes": "* merge=union\n", "other": "log\nrules\n"})
    branch(base, "by-rules", {"other": "log\nby rules\n"})
    branch(base, "against", {"a.txt": changed(3, "x"), "bin": b"\0two"})
    branch(base, "clash", {"bin": b"\0three"})
    names = ["one", "two", "rules", "by-rules", "against", "clash"]
    found = tried(scratch, base, [item(scratch, base, name) for name in names])
    assert conflicts(found) == [("clash", "against", ("bin",))]


def test_modes_links_and_submodules_are_entries_like_others(base: GitRepo, scratch: Repository) -> None:
    """Both sides of one path conflict whatever it is; content and mode of one file do not."""
    base.git("checkout", "-q", "-b", "mode")
    (base.path / "a.txt").chmod(0o755)
    base.commit({}, "mode")
    base.git("checkout", "-q", "main")
    branch(base, "content", {"a.txt": changed(3, "x")})
    for name, to in (("link-one", "a.txt"), ("link-two", "b.txt")):
        base.git("checkout", "-q", "-b", name, "main")
        (base.path / "link").symlink_to(to)
        base.commit({}, name)
    for name, commit in (("sub-one", "1" * 40), ("sub-two", "2" * 40)):
        base.git("checkout", "-q", "-b", name, "main")
        base.git("update-index", "--add", "--cacheinfo", f"160000,{commit},sub")
        base.git("commit", "-q", "-m", name)
    base.git("checkout", "-q", "-f", "main")
    names = ["mode", "content", "link-one", "link-two", "sub-one", "sub-two"]
    found = tried(scratch, base, [item(scratch, base, name) for name in names])
    assert conflicts(found) == [("link-two", "link-one", ("link",)), ("sub-two", "sub-one", ("sub",))]


def test_a_branch_unrelated_to_the_target_is_tried_as_additions(base: GitRepo, scratch: Repository) -> None:
    """Without a common commit every file of it is new."""
    base.git("checkout", "-q", "--orphan", "alien")
    base.git("rm", "-q", "-rf", ".")
    base.commit({"alien.txt": "x\n"}, "alien")
    base.git("checkout", "-q", "--orphan", "clash")
    base.git("rm", "-q", "-rf", ".")
    base.commit({"b.txt": "other\n"}, "clash")
    base.git("checkout", "-q", "main")

    def added(name: str) -> TrialItem:
        tip = scratch.tree_of(base.head(name))

        def place(onto: Tip) -> Placed:
            merged = merge_trees(scratch, base=None, ours=onto.tree, theirs=tip)
            if isinstance(merged, MergeConflict):
                detail = {"paths": [show_path(path) for path in merged.paths]}
                why = Reason(code=ReasonCode.CONFLICT, message="it conflicts", detail=detail)
                return Placed(tree=onto.tree, refusal=why)
            return Placed(tree=merged)

        return TrialItem(name=name, place=place)

    found = tried(scratch, base, [added("alien"), added("clash")])
    assert conflicts(found) == [("clash", None, ("b.txt",))]


def test_what_is_there_already_is_no_conflict(base: GitRepo, scratch: Repository) -> None:
    """It is neither a problem nor anybody's conflict."""
    start = base.head()
    branch(base, "same", {"b.txt": "new\n"})
    base.commit({"b.txt": "new\n"}, "the same on main")
    branch(base, "next", {"b.txt": "newer\n"})
    found = tried(scratch, base, [item(scratch, base, "same", start=start), item(scratch, base, "next")])
    assert states(found) == {"same": "already_applied", "next": "clear"}
    assert found.is_ok
    assert found.conflicts == ()


def test_missing_content_leaves_one_item_untried_and_stops_no_other(
    base: GitRepo, scratch: Repository
) -> None:
    """In a partial clone, or after a damage, the objects of one branch may be missing."""
    branch(base, "lost", {"a.txt": changed(3, "lost")})
    branch(base, "there", {"a.txt": changed(3, "there")})
    branch(base, "needy", {"b.txt": "x\n"})
    blob = base.git("rev-parse", "lost:a.txt")
    (base.path / ".git" / "objects" / blob[:2] / blob[2:]).unlink()
    items = [item(scratch, base, "lost"), item(scratch, base, "there"), item(scratch, base, "needy", "lost")]
    found = tried(scratch, base, items)
    assert states(found) == {"lost": "untried", "there": "clear", "needy": "untried"}
    assert blob in str(found.items[0].untried)


def test_where_all_change_one_file_each_is_tried_with_the_first_ahead(
    base: GitRepo, scratch: Repository, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The number of merges is bounded, and what was left out is told."""
    monkeypatch.setattr(pairs, "MOST_PAIRS", 12)
    names = [f"b{n}" for n in range(6)]
    for name in names:
        branch(base, name, {"b.txt": name})
    found = tried(scratch, base, [item(scratch, base, name) for name in names])
    assert [each[:2] for each in conflicts(found)] == [
        ("b1", "b0"),
        *[(name, other) for name in names[2:] for other in ("b0", "b1")],
    ]
    assert found.pairs_left_out == 15 - 9
    assert states(found) == {"b0": "clear", **dict.fromkeys(names[1:], "held")}


def test_a_long_stack_is_tried_each_on_the_one_before(base: GitRepo, scratch: Repository) -> None:
    """Every item of a stack changes the same line; none conflicts."""
    names = [f"s{n}" for n in range(30)]
    start, items = "main", []
    for name in names:
        branch(base, name, {"b.txt": name}, start=start)
        needs = [start] if start != "main" else []
        items.append(item(scratch, base, name, *needs, start=start))
        start = name
    found = tried(scratch, base, items)
    assert set(states(found).values()) == {"clear"}
    assert found.conflicts == ()
