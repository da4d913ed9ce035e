"""Patches on trees, with the real git: one that applies gives the author's tree, another a reason."""

import os
from collections.abc import Callable
from pathlib import Path

import pytest

from maingate.git.repository import Repository
from maingate.patches.apply.outcomes import Applied, ApplyMethod, NotApplied
from maingate.patches.intake import take_in
from maingate.patches.repair_record import Repair, RepairKind
from maingate.reasons import Reason, ReasonCode
from support.applying import apply_patch
from support.factories import GitRepo

LINES = "".join(f"line {n}\n" for n in range(1, 41))
NUMBERED = [f"line {n}\n" for n in range(1, 41)]
Files = dict[str, str | bytes | None]


@pytest.fixture(name="opened")
def _opened(repo: GitRepo) -> Repository:
    repo.commit({"a.txt": LINES, "b.txt": "b\n", "dir/c.txt": LINES.upper(), "run.sh": "#!/bin/sh\n"}, "base")
    return Repository.open(repo.path)


def apply(opened: Repository, tree: str, diff: bytes) -> Applied | NotApplied:
    """Take a diff in and apply it to a tree."""
    intake = take_in(diff, max_bytes=1 << 20)
    assert not isinstance(intake, Reason), intake
    return apply_patch(opened, tree, intake)


def refusal(outcome: Applied | NotApplied) -> ReasonCode:
    """Return the code of a refusal, which the outcome has to be."""
    assert isinstance(outcome, NotApplied), outcome
    return outcome.reason.code


def applied_by(outcome: Applied | NotApplied) -> tuple[str, ApplyMethod]:
    """Return the tree of a patch that applied, and how it did."""
    assert isinstance(outcome, Applied), outcome
    return outcome.tree, outcome.method


def with_line(number: int, text: str) -> str:
    """Return the numbered lines with one replaced."""
    return "".join(text if n == number else line for n, line in enumerate(NUMBERED, start=1))


def raw_tree(repo: GitRepo, change: Callable[[Path], None]) -> tuple[str, bytes]:
    """Change the working tree freely and return the new tree and its diff, the repository as before."""
    base = repo.head()
    change(repo.path)
    repo.git("add", "-A")
    repo.git("commit", "-q", "-m", "change")
    tree = repo.tree()
    diff = repo.git_bytes(
        "diff", "--binary", "--full-index", "-M", "-C", "--find-copies-harder", base, "HEAD"
    )
    repo.git("reset", "-q", "--hard", base)
    return tree, diff


def binary_change(top: Path) -> None:
    """Add bytes of every value."""
    (top / "image.bin").write_bytes(bytes(range(256)) * 9)


def rename(top: Path) -> None:
    """Move a file, and change it a little."""
    (top / "moved").mkdir()
    (top / "a.txt").rename(top / "moved/a.txt")
    (top / "moved/a.txt").write_text(with_line(20, "changed\n"))


def copy(top: Path) -> None:
    """Copy a file and change the copy."""
    (top / "copy.txt").write_text(with_line(5, "changed\n"))


def swap(top: Path) -> None:
    """Exchange the names of two files."""
    (top / "a.txt").rename(top / "x")
    (top / "dir/c.txt").rename(top / "a.txt")
    (top / "x").rename(top / "dir/c.txt")


def modes(top: Path) -> None:
    """Make one file executable and add another that is."""
    (top / "run.sh").chmod(0o755)
    (top / "new.sh").write_text("#!/bin/sh\necho\n")
    (top / "new.sh").chmod(0o755)


def links(top: Path) -> None:
    """Add a symbolic link, and turn a file into one."""
    (top / "link").symlink_to("dir/c.txt")
    (top / "b.txt").unlink()
    (top / "b.txt").symlink_to("a.txt")


def awkward_names(top: Path) -> None:
    """Add files whose names are not UTF-8, or hold spaces, quotes, tabs, newlines and backslashes."""
    for name in (
        b"caf\xe9.txt",
        b"two words",
        b"q\"uote's",
        b"ta\tb",
        b"new\nline",
        b"back\\slash",
        b"a => b",
        b"b/x ",
    ):
        path = top / os.fsdecode(name)
        path.parent.mkdir(exist_ok=True)
        path.write_bytes(name + b"\n")


def contents(top: Path) -> None:
    """Write what is hard to carry: CRLF, no newline at the end, nothing, bytes in no encoding, lone CRs."""
    (top / "crlf").write_bytes(b"one\r\ntwo\r\n")
    (top / "no-newline").write_bytes(b"one\ntwo")
    (top / "empty").write_bytes(b"")
    (top / "latin").write_bytes(b"caf\xe9\n\xff\xfe\n")
    (top / "cr").write_bytes(b"a\rb\r\nc\x0cd\x1e\xc2\x85e\n")
    (top / "b.txt").write_bytes(b"b")


def deletions(top: Path) -> None:
    """Delete a file, and with another its directory."""
    (top / "b.txt").unlink()
    (top / "dir/c.txt").unlink()


def file_to_directory(top: Path) -> None:
    """Write a directory where a file was, and a file where a directory was."""
    (top / "b.txt").unlink()
    (top / "b.txt").mkdir()
    (top / "b.txt/inside").write_text("x\n")
    (top / "dir/c.txt").unlink()
    (top / "dir").rmdir()
    (top / "dir").write_text("now a file\n")


KINDS = [
    binary_change,
    rename,
    copy,
    swap,
    modes,
    links,
    awkward_names,
    contents,
    deletions,
    file_to_directory,
]


@pytest.mark.parametrize("change", KINDS, ids=lambda change: change.__name__)
def test_every_kind_of_change_lands_byte_exact(
    repo: GitRepo, opened: Repository, change: Callable[[Path], None]
) -> None:
    """Every form of git's diffs gives the tree of its author."""
    tree, diff = raw_tree(repo, change)
    assert apply(opened, repo.tree(), diff) == Applied(tree=tree, method=ApplyMethod.EXACT)


@pytest.mark.parametrize("change", KINDS, ids=lambda change: change.__name__)
def test_every_kind_of_change_is_known_when_it_is_there(
    repo: GitRepo, opened: Repository, change: Callable[[Path], None]
) -> None:
    """Applied a second time, each is `already_applied`, never a conflict and never a change."""
    tree, diff = raw_tree(repo, change)
    assert refusal(apply(opened, tree, diff)) is ReasonCode.ALREADY_APPLIED


def test_line_endings_are_kept(repo: GitRepo, opened: Repository) -> None:
    """A change inside a file with CRLF keeps them, under any configuration of the repository."""
    repo.commit({"crlf": LINES.replace("\n", "\r\n")})
    for name, value in {
        "core.autocrlf": "true",
        "apply.whitespace": "fix",
        "apply.ignoreWhitespace": "change",
    }.items():
        repo.git("config", name, value)
    old = repo.git_bytes("cat-file", "blob", "HEAD:crlf")
    new = old.replace(b"line 7\r\n", b"line seven \r\n")
    blob = opened.write_blob(new)
    entry = opened.entry_at(repo.tree(), b"crlf")
    assert entry is not None
    tree = opened.splice(repo.tree(), {b"crlf": type(entry)(entry.mode, blob)})
    diff = repo.git_bytes("diff", "--full-index", "HEAD", tree)
    assert apply(opened, repo.tree(), diff) == Applied(tree=tree, method=ApplyMethod.EXACT)


def test_submodules_move(repo: GitRepo, opened: Repository) -> None:
    """A submodule is added, moved and removed as any entry of the tree (policy decides if it may)."""
    repo.git("update-index", "--add", "--cacheinfo", f"160000,{'1' * 40},sub")
    one = repo.git("write-tree")
    repo.git("update-index", "--cacheinfo", f"160000,{'2' * 40},sub")
    two = repo.git("write-tree")
    base = repo.tree()
    for old, new in ((base, one), (one, two), (two, base)):
        diff = repo.git_bytes("diff", "--full-index", old, new)
        assert apply(opened, old, diff) == Applied(tree=new, method=ApplyMethod.EXACT)


# offsets and merges


def test_offsets_are_found_and_recorded(repo: GitRepo, opened: Repository) -> None:
    """Without known blobs, context found elsewhere is enough; where it went is noted."""
    diff = _anonymous(repo, with_line(20, "x\n"))
    repo.commit({"a.txt": "first\n" + LINES})
    repo.write({"a.txt": "first\n" + with_line(20, "x\n")})
    repo.git("add", "-A")
    outcome = apply(opened, repo.tree(), diff)
    moved = Repair(kind=RepairKind.OFFSET, said="went to line 18", file=b"a.txt", hunk=1, was=17, now=18)
    assert outcome == Applied(tree=repo.git("write-tree"), method=ApplyMethod.OFFSET, repairs=(moved,))


def test_an_offset_is_no_guess(repo: GitRepo, opened: Repository) -> None:
    """A hunk whose lines occur at several places, none of them the stated one, is ambiguous."""
    stanza = "begin\n  a\n  b\n  c\nend\n"
    patched = stanza * 3 + stanza.replace("  b\n", "  changed\n") + stanza
    repo.commit({"a.txt": stanza * 5})
    diff = b"".join(
        line
        for line in repo.diff_of({"a.txt": patched}).splitlines(keepends=True)
        if not line.startswith(b"index ")
    )
    repo.commit({"a.txt": "x\n" * 7 + stanza * 5})
    refused = apply(opened, repo.tree(), diff)
    assert isinstance(refused, NotApplied)
    assert refused.reason.code is ReasonCode.CONFLICT
    assert "hunk 1 of a.txt fits at several places" in refused.reason.message


def test_an_offset_between_its_neighbours_is_none(repo: GitRepo, opened: Repository) -> None:
    """Lines that stand at several places have one between the hunks before and after them."""
    stanza = "begin\n  a\n  b\n  c\n  d\n  e\n  f\n  g\nend\n"
    base = stanza + "unlike 1\n" + stanza + "unlike 2\n" + stanza
    changed = stanza.replace("  d\n", "  changed\n")
    repo.commit({"a.txt": base})
    after = stanza + "UNLIKE 1\n" + changed + "UNLIKE 2\n" + stanza
    diff = b"".join(
        line
        for line in repo.diff_of({"a.txt": after}).splitlines(keepends=True)
        if not line.startswith(b"index ")
    )
    repo.commit({"a.txt": "x\n" * 3 + base})
    repo.write({"a.txt": "x\n" * 3 + after})
    repo.git("add", "-A")
    assert applied_by(apply(opened, repo.tree(), diff)) == (repo.git("write-tree"), ApplyMethod.OFFSET)


def test_known_blobs_are_merged(repo: GitRepo, opened: Repository) -> None:
    """With blobs that the repository has, the patch is merged, also where its context changed."""
    diff = repo.diff_of({"a.txt": with_line(20, "x\n")})
    changed = with_line(18, "other\n")
    repo.commit({"a.txt": changed})
    repo.write({"a.txt": changed.replace("line 20\n", "x\n")})
    repo.git("add", "-A")
    assert applied_by(apply(opened, repo.tree(), diff)) == (repo.git("write-tree"), ApplyMethod.THREE_WAY)


def test_a_merge_knows_better_than_an_offset(repo: GitRepo, opened: Repository) -> None:
    """Of two stanzas with the same lines the right one is changed, though an offset would take the other."""
    stanza = "begin\n  a\n  b\n  c\nend\n"
    filler = "".join(f"filler {n}\n" for n in range(8))
    repo.commit({"s": stanza + filler + stanza.replace("b", "B")})
    base = stanza + filler + stanza
    repo.commit({"s": base})
    diff = repo.diff_of({"s": stanza + filler + stanza.replace("  b\n", "  changed\n")})
    moved = filler + "more\n" + stanza + filler + stanza
    repo.commit({"s": moved})
    repo.write({"s": filler + "more\n" + stanza + filler + stanza.replace("  b\n", "  changed\n")})
    repo.git("add", "-A")
    outcome = apply(opened, repo.tree(), diff)
    assert applied_by(outcome) == (repo.git("write-tree"), ApplyMethod.THREE_WAY)


def test_a_stated_line_may_have_become_another(repo: GitRepo, opened: Repository) -> None:
    """A stanza put in above moves its like to the stated line; the one that was meant is changed."""
    stanza = "begin\n  a\n  b\n  c\nend\n"
    repo.commit({"s": stanza * 6})
    diff = repo.diff_of({"s": stanza * 3 + stanza.replace("  b\n", "  changed\n") + stanza * 2})
    repo.commit({"s": "begin\n  a\n  new\n  c\nend\n" + stanza * 6})
    meant = "begin\n  a\n  new\n  c\nend\n" + stanza * 3 + stanza.replace("  b\n", "  changed\n") + stanza * 2
    repo.write({"s": meant})
    repo.git("add", "-A")
    outcome = apply(opened, repo.tree(), diff)
    assert applied_by(outcome) == (repo.git("write-tree"), ApplyMethod.THREE_WAY)


def test_repeated_lines_are_no_obstacle(repo: GitRepo, opened: Repository) -> None:
    """When the merge agrees with the stated line, the patch applied exactly."""
    stanza = "begin\n  a\n  b\n  c\nend\n"
    repo.commit({"s": stanza * 6 + "end of file\n"})
    new = stanza * 3 + stanza.replace("  b\n", "  changed\n") + stanza * 2
    diff = repo.diff_of({"s": new + "end of file\n"})
    repo.commit({"s": stanza * 6 + "another end\n"})
    repo.write({"s": new + "another end\n"})
    repo.git("add", "-A")
    outcome = apply(opened, repo.tree(), diff)
    assert outcome == Applied(tree=repo.git("write-tree"), method=ApplyMethod.EXACT)


def test_a_conflict_of_the_merge_is_a_conflict(repo: GitRepo, opened: Repository) -> None:
    """Lines that were changed meanwhile conflict, though the same lines occur elsewhere too."""
    stanza = "begin\n  a\n  b\n  c\nend\n"
    filler = "".join(f"filler {n}\n" for n in range(8))
    repo.commit({"s": filler + stanza + filler})
    diff = repo.diff_of({"s": filler + stanza.replace("  b\n", "  theirs\n") + filler})
    repo.commit({"s": filler + stanza.replace("  b\n", "  ours\n") + filler + stanza + filler})
    outcome = apply(opened, repo.tree(), diff)
    assert refusal(outcome) is ReasonCode.CONFLICT
    assert isinstance(outcome, NotApplied)
    assert outcome.reason.detail["paths"] == ["s"]


@pytest.mark.parametrize("where", ["tracked", "info"])
def test_a_merge_goes_by_the_merge_drivers(repo: GitRepo, opened: Repository, where: str) -> None:
    """Entries of a union changelog from several patches are all kept, as `git am -3` keeps them."""
    if where == "info":
        (repo.path / ".git/info").mkdir(exist_ok=True)
        (repo.path / ".git/info/attributes").write_text("CHANGELOG merge=union\n")
    rules: Files = {"docs/.gitattributes": "CHANGELOG merge=union\n"} if where == "tracked" else {}
    repo.commit({**rules, "docs/CHANGELOG": "# Changes\n- zero\n"})
    diff = repo.diff_of({"docs/CHANGELOG": "# Changes\n- two\n- zero\n", "new": "new\n"})
    repo.commit({"docs/CHANGELOG": "# Changes\n- one\n- zero\n"})
    repo.write({"docs/CHANGELOG": "# Changes\n- one\n- two\n- zero\n", "new": "new\n"})
    repo.git("add", "-A")
    outcome = apply(opened, repo.tree(), diff)
    assert applied_by(outcome) == (repo.git("write-tree"), ApplyMethod.THREE_WAY)


@pytest.mark.parametrize(
    ("attribute", "wanted"),
    [
        ("-merge", ReasonCode.CONFLICT),
        ("binary", ReasonCode.CONFLICT),
        ("merge=binary", ReasonCode.CONFLICT),
        ("merge=mine", ReasonCode.ALREADY_APPLIED),
        ("merge=unknown", None),
        ("merge", None),
        ("merge=union", None),
        ("text", None),
    ],
)
def test_a_file_that_git_does_not_merge_by_lines_is_not_put_together(
    repo: GitRepo, opened: Repository, attribute: str, wanted: ReasonCode | None
) -> None:
    """Both sides have changed it, in places far apart: the attributes decide, as for `git merge`."""
    repo.git("config", "merge.mine.driver", "true")
    repo.commit({".gitattributes": f"a.txt {attribute}\n"})
    diff = repo.diff_of({"a.txt": with_line(5, "five\n")}, "--text")
    repo.commit({"a.txt": with_line(30, "thirty\n")})
    outcome = apply(opened, repo.tree(), diff)
    if wanted is None:
        assert isinstance(outcome, Applied)
        made = repo.git("show", f"{outcome.tree}:a.txt").splitlines()
        assert {"five", "thirty"} <= {*made}
    else:
        assert refusal(outcome) is wanted


@pytest.mark.parametrize("named", ["f merge=mine\n", ""])
def test_a_driver_may_keep_the_other_side(repo: GitRepo, opened: Repository, named: str) -> None:
    """As for `git am -3`: the rest of the patch lands, and a patch of such files alone is there already."""
    repo.git("config", "merge.mine.driver", "true")
    if not named:
        repo.git("config", "merge.default", "mine")
    repo.commit({".gitattributes": named, "f": "0\n"})
    alone, with_more = repo.diff_of({"f": "theirs\n"}), repo.diff_of({"f": "theirs\n", "new": "new\n"})
    repo.commit({"f": "ours\n"})
    assert refusal(apply(opened, repo.tree(), alone)) is ReasonCode.ALREADY_APPLIED
    repo.write({"new": "new\n"})
    repo.git("add", "-A")
    assert applied_by(apply(opened, repo.tree(), with_more)) == (
        repo.git("write-tree"),
        ApplyMethod.THREE_WAY,
    )


def test_part_of_a_patch_may_be_there_already(repo: GitRepo, opened: Repository) -> None:
    """With known blobs, a half that is there already is recognised and the other half lands."""
    diff = repo.diff_of({"a.txt": with_line(5, "x\n"), "dir/c.txt": "new\n"})
    repo.commit({"a.txt": with_line(5, "x\n")})
    repo.write({"dir/c.txt": "new\n"})
    repo.git("add", "-A")
    outcome = apply(opened, repo.tree(), diff)
    assert applied_by(outcome) == (repo.git("write-tree"), ApplyMethod.THREE_WAY)


def test_a_renamed_file_is_merged_at_its_new_place(repo: GitRepo, opened: Repository) -> None:
    """A rename with changes goes onto a base in which the file changed elsewhere."""
    tree, diff = raw_tree(repo, rename)
    assert tree != repo.tree()
    repo.commit({"a.txt": "first\n" + LINES})
    repo.write({"moved/a.txt": "first\n" + with_line(20, "changed\n"), "a.txt": None})
    repo.git("add", "-A")
    assert applied_by(apply(opened, repo.tree(), diff)) == (repo.git("write-tree"), ApplyMethod.THREE_WAY)


def test_an_edit_follows_a_file_that_was_moved_since(repo: GitRepo, opened: Repository) -> None:
    """Its index line names a state of the history that has the file; once landed, it is known."""
    diff = repo.diff_of({"a.txt": with_line(20, "changed\n"), "new.txt": "new\n"})
    repo.commit({"a.txt": "first\n" + LINES})
    repo.commit({"a.txt": None, "moved/a.txt": "first\n" + LINES})
    repo.write({"moved/a.txt": "first\n" + with_line(20, "changed\n"), "new.txt": "new\n"})
    repo.git("add", "-A")
    outcome = apply(opened, repo.tree(), diff)
    assert applied_by(outcome) == (repo.git("write-tree"), ApplyMethod.THREE_WAY)
    assert isinstance(outcome, Applied)
    assert outcome.elsewhere == (b"moved/a.txt",)
    repo.commit({})
    assert refusal(apply(opened, repo.tree(), diff)) is ReasonCode.ALREADY_APPLIED


@pytest.mark.parametrize("is_moved", [True, False])
def test_a_removal_of_a_file_that_was_moved_is_a_conflict(
    repo: GitRepo, opened: Repository, is_moved: bool
) -> None:
    """It is somewhere still; of one that is gone, it is done already."""
    diff = repo.diff_of({"a.txt": None})
    repo.commit({"a.txt": None, **({"moved.txt": LINES} if is_moved else {})})
    wanted = ReasonCode.CONFLICT if is_moved else ReasonCode.ALREADY_APPLIED
    assert refusal(apply(opened, repo.tree(), diff)) is wanted


@pytest.mark.parametrize("is_edited", [False, True])
def test_a_series_follows_a_file_that_was_moved_since(
    repo: GitRepo, opened: Repository, is_edited: bool
) -> None:
    """As for `git am -3`, by its content: no history has the file that the second patch was made on."""
    first = repo.diff_of({"a.txt": with_line(5, "five\n")})
    repo.commit({"a.txt": with_line(5, "five\n")})
    second = repo.diff_of({"a.txt": with_line(5, "five\n").replace("line 20\n", "twenty\n")})
    repo.git("reset", "-q", "--hard", "HEAD~1")
    repo.commit({"a.txt": None, "moved.txt": ("first\n" if is_edited else "") + LINES})
    outcome = apply(opened, repo.tree(), first)
    repo.git("read-tree", "-u", "--reset", applied_by(outcome)[0])
    repo.git("commit", "-q", "-m", "first")
    outcome = apply(opened, repo.tree(), second)
    if is_edited:
        assert refusal(outcome) is ReasonCode.CONFLICT
    else:
        made = repo.git("show", f"{applied_by(outcome)[0]}:moved.txt").splitlines()
        assert ("five" in made, "twenty" in made, len(made)) == (True, True, 40)


def test_a_pure_rename_takes_the_file_as_it_is(repo: GitRepo, opened: Repository) -> None:
    """A rename that changes no line moves whatever the file has become, as git sees it."""
    diff = repo.diff_of({"b.txt": None, "c.txt": "b\n"})
    repo.commit({"b.txt": "changed\n"})
    repo.write({"b.txt": None, "c.txt": "changed\n"})
    repo.git("add", "-A")
    assert apply(opened, repo.tree(), diff) == Applied(tree=repo.git("write-tree"), method=ApplyMethod.EXACT)


# without context


def test_no_context_is_enough_on_the_very_file(repo: GitRepo, opened: Repository) -> None:
    """A diff without context lands on the file it was made from, insertions, changes and deletions alike."""
    new = with_line(10, "").replace("line 20\n", "twenty\n").replace("line 30\n", "line 30\nmore\n")
    diff = repo.diff_of({"a.txt": new}, "-U0")
    repo.write({"a.txt": new})
    repo.git("add", "-A")
    assert applied_by(apply(opened, repo.tree(), diff)) == (repo.git("write-tree"), ApplyMethod.EXACT)


def test_no_context_is_merged_or_refused_elsewhere(repo: GitRepo, opened: Repository) -> None:
    """On another state of the file only a merge knows where a line goes; a line number never does."""
    more = LINES.replace("line 30\n", "line 30\nmore\n")
    named, anonymous = repo.diff_of({"a.txt": more}, "-U0"), _anonymous(repo, more, "-U0")
    repo.commit({"a.txt": "first\n" + LINES})
    repo.write({"a.txt": "first\n" + more})
    repo.git("add", "-A")
    outcome = apply(opened, repo.tree(), named)
    assert applied_by(outcome) == (repo.git("write-tree"), ApplyMethod.THREE_WAY)
    assert refusal(apply(opened, repo.tree(), anonymous)) is ReasonCode.CONFLICT


# refusals


@pytest.mark.parametrize(
    ("before", "meanwhile"),
    [
        ({"a.txt": with_line(20, "theirs\n")}, {"a.txt": with_line(20, "ours\n")}),
        ({"new": "theirs\n"}, {"new": "ours\n"}),
        ({"new": "theirs\n"}, {"new/inside": "ours\n"}),
        ({"new/inside": "theirs\n"}, {"new": "ours\n"}),
        ({"new/in/deep": "theirs\n"}, {"new": "ours\n"}),
        ({"b.txt": None}, {"b.txt": "ours\n"}),
        ({"b.txt": "x\n"}, {"b.txt": None}),
        ({"b.txt": None, "moved": "b\n"}, {"b.txt": None}),
    ],
    ids=[
        "content",
        "exists",
        "directory-there",
        "file-above",
        "file-far-above",
        "deletes-changed",
        "changes-gone",
        "renames-gone",
    ],
)
@pytest.mark.parametrize("blobs", ["known", "unknown"])
def test_what_does_not_fit_is_a_conflict(
    repo: GitRepo, opened: Repository, before: Files, meanwhile: Files, blobs: str
) -> None:
    """A patch made on a state that has gone conflicts and names the paths; nothing is replaced in silence."""
    diff = repo.diff_of(before)
    if blobs == "unknown":
        diff = b"".join(line for line in diff.splitlines(keepends=True) if not line.startswith(b"index "))
    repo.commit(meanwhile)
    outcome = apply(opened, repo.tree(), diff)
    assert refusal(outcome) is ReasonCode.CONFLICT
    assert isinstance(outcome, NotApplied)
    assert set(outcome.reason.detail["paths"]) <= {*before, *meanwhile}
    assert outcome.reason.detail["git"]


def test_changes_that_are_there_are_already_applied(repo: GitRepo, opened: Repository) -> None:
    """The same change made meanwhile by somebody else, at another line even, is recognised without blobs."""
    diff = _anonymous(repo, with_line(20, "x\n"))
    repo.commit({"a.txt": "first\n" + with_line(20, "x\n")})
    assert refusal(apply(opened, repo.tree(), diff)) is ReasonCode.ALREADY_APPLIED


def test_a_patch_that_changes_nothing_is_empty(repo: GitRepo, opened: Repository) -> None:
    """A text which names files but changes nothing in them is `empty_patch`."""
    text = b"diff --git a/a.txt b/a.txt\nold mode 100644\nnew mode 100644\n"
    intake = take_in(text, max_bytes=1 << 20)
    code = intake.code if isinstance(intake, Reason) else refusal(apply_patch(opened, repo.tree(), intake))
    assert code is ReasonCode.EMPTY_PATCH


def test_nothing_but_objects_is_written(repo: GitRepo, opened: Repository) -> None:
    """Index, refs, working tree and configuration are as before, whether a patch applies or not."""
    good, bad = repo.diff_of({"a.txt": "x\n"}), repo.diff_of({"a.txt": "y\n"})
    tree = repo.tree()
    git = repo.path / ".git"

    def state() -> dict[str, bytes]:
        kept = (path for path in git.rglob("*") if path.is_file() and "objects" not in path.parts)
        return {str(path): path.read_bytes() for path in kept}

    before = state()
    done = apply(opened, tree, good)
    assert isinstance(done, Applied)
    assert refusal(apply(opened, done.tree, bad)) is ReasonCode.CONFLICT
    assert state() == before
    assert repo.git("status", "--porcelain") == ""


def test_an_edited_hunk_is_noted(repo: GitRepo, opened: Repository) -> None:
    """People may edit a hunk by hand; that the result is not what the index line names is said, no more."""
    diff = repo.diff_of({"a.txt": with_line(20, "x\n")}).replace(b"+x\n", b"+edited\n")
    outcome = apply(opened, repo.tree(), diff)
    assert isinstance(outcome, Applied)
    [repair] = outcome.repairs
    assert repair.kind is RepairKind.RESULT
    assert str(repair) == "a.txt: the content is not the one that the patch's index line names"


def test_objects_borrowed_from_another_repository_count(
    repo: GitRepo, opened: Repository, tmp_path: Path
) -> None:
    """A repository that borrows its objects, by absolute or relative path, is worked on like any other."""
    tree, diff = raw_tree(repo, rename)
    assert isinstance(opened, Repository)
    repo.git("clone", "-q", "--shared", str(repo.path), str(tmp_path / "shared"))
    alternates = tmp_path / "shared/.git/objects/info/alternates"
    for path in (
        str(repo.path / ".git/objects"),
        os.path.relpath(repo.path / ".git/objects", alternates.parent.parent),
    ):
        alternates.write_text(path + "\n")
        borrowed = Repository.open(tmp_path / "shared")
        assert apply(borrowed, repo.tree(), diff) == Applied(tree=tree, method=ApplyMethod.EXACT)


def _anonymous(repo: GitRepo, content: str, *options: str) -> bytes:
    """Return the diff that gives a.txt a content, without the index line that names its blobs."""
    diff = repo.diff_of({"a.txt": content}, *options)
    return b"".join(line for line in diff.splitlines(keepends=True) if not line.startswith(b"index "))


def two_hunks(opened: Repository, repo: GitRepo) -> bytes:
    """Return a diff that changes two places of a file and adds another, without the ids of its files."""
    base = repo.head()
    changed = LINES.replace("line 5\n", "FIVE\n").replace("line 30\n", "THIRTY\n")
    repo.commit({"a.txt": changed, "new.txt": "new\n"}, "change")
    diff = repo.git_bytes("diff", base, "HEAD")
    repo.git("reset", "-q", "--hard", base)
    assert opened.tree_of(base)
    return b"".join(line for line in diff.splitlines(keepends=True) if not line.startswith(b"index "))


FIVE, THIRTY = ("line 5\n", "FIVE\n"), ("line 30\n", "THIRTY\n")


@pytest.mark.parametrize(
    ("files", "said"),
    [
        ({"a.txt": LINES.replace(*FIVE).replace("line 30\n", "other\n")}, "hunk 1 of 2 of a.txt"),
        (
            {"a.txt": LINES.replace(*THIRTY).replace("line 5\n", "other\n"), "new.txt": "new\n"},
            "hunk 2 of 2 of a.txt, new.txt",
        ),
        ({"a.txt": LINES.replace(*FIVE)}, "hunk 1 of 2 of a.txt"),
        ({"a.txt": LINES.replace(*FIVE).replace(*THIRTY), "new.txt": "other\n"}, "a.txt"),
        ({"new.txt": "new\n"}, "new.txt"),
        ({"a.txt": LINES.replace("line 5\n", "other\n")}, None),
    ],
)
def test_a_refusal_names_the_parts_that_are_there_already(
    opened: Repository, repo: GitRepo, files: Files, said: str | None
) -> None:
    """Half of a patch may have landed by another way; a person or tool has to make the rest."""
    diff = two_hunks(opened, repo)
    repo.commit(files, "meanwhile")
    outcome = apply(opened, repo.tree(), diff)
    assert isinstance(outcome, NotApplied)
    assert outcome.reason.code is ReasonCode.CONFLICT
    told = f"; a part of it is there already: {said};"
    assert (
        (told in outcome.reason.message) == ("there already" in outcome.reason.message) == (said is not None)
    )


def test_a_hunk_without_a_place_is_named_where_it_is_there(opened: Repository, repo: GitRepo) -> None:
    """As models write them: the place is searched, and not found where the change is made already."""
    repo.commit({"a.txt": LINES.replace("line 5\n", "FIVE\n")}, "meanwhile")
    diff = (
        b"--- a/a.txt\n+++ b/a.txt\n"
        b"@@ ... @@\n line 4\n-line 5\n+FIVE\n line 6\n@@ ... @@\n line 29\n-line 30\n+THIRTY\n line 31\n"
    )
    outcome = apply(opened, repo.tree(), diff)
    assert isinstance(outcome, NotApplied)
    assert "a part of it is there already: hunk 1 of 2 of a.txt" in outcome.reason.message
