"""Locating: doubts are resolved by the base, and git agrees."""

from pathlib import Path

import pytest

from maingate.patches.apply.doubt_resolution import locate
from maingate.patches.intake import Intake
from maingate.patches.repair_record import RepairKind
from maingate.reasons import Reason, ReasonCode
from support.diff_world import DiffWorld, taken

BASE = b"".join(b"line %d\n" % number for number in range(1, 31))
HEAD = b"diff --git a/f b/f\n--- a/f\n+++ b/f\n"


@pytest.fixture
def world(tmp_path: Path) -> DiffWorld:
    """Return an empty repository."""
    return DiffWorld.create(tmp_path / "w")


def files(content: bytes) -> dict[bytes, tuple[str, bytes]]:
    """Return a tree of one file f."""
    return {b"f": ("100644", content)}


def landed(world: DiffWorld, base: bytes, raw: bytes) -> bytes | Reason:
    """Land a patch of f on a base and return f."""
    result = world.landed(world.tree(files(base)), raw)
    assert result is not None
    return result if isinstance(result, Reason) else world.git("cat-file", "blob", f"{result}:f")


def located(base: bytes | None, raw: bytes) -> Intake | Reason:
    """Locate a patch on a base whose every file has one content."""
    return locate(taken(raw), lambda _: base)


def test_nothing_is_read_for_a_patch_without_doubt() -> None:
    """A right patch comes back as the same object."""

    def unread(path: bytes) -> bytes | None:
        raise AssertionError(path)

    intake = taken(HEAD + b"@@ -1,2 +1,3 @@\n line 1\n+new\n line 2\n")
    assert locate(intake, unread) is intake


@pytest.mark.parametrize("header", [b"@@", b"@@ ... @@", b"@@ def f(): @@"])
def test_a_bare_hunk_is_found_by_its_old_side(world: DiffWorld, header: bytes) -> None:
    """Without line numbers the old side must stand in the base exactly once; that is recorded."""
    raw = HEAD + header + b"\n line 9\n-line 10\n+TEN\n"
    assert landed(world, BASE, raw) == BASE.replace(b"line 10\n", b"TEN\n")
    intake = located(BASE, raw)
    assert isinstance(intake, Intake)
    assert [str(repair) for repair in intake.repairs] == [
        "f: hunk 1 belongs to line 9",
        "f: its hunks were given context from the file",
    ]


def test_bare_hunks_may_stand_in_any_order(world: DiffWorld) -> None:
    """They are sorted by where they belong."""
    raw = HEAD + b"@@\n-line 20\n+TWENTY\n@@\n-line 5\n+FIVE\n+more\n"
    wanted = BASE.replace(b"line 20\n", b"TWENTY\n").replace(b"line 5\n", b"FIVE\nmore\n")
    assert landed(world, BASE, raw) == wanted


@pytest.mark.parametrize(
    ("body", "code"),
    [
        (b"@@\n-nowhere\n+x\n", ReasonCode.CONFLICT),
        (b"@@\n+x\n", ReasonCode.FORMAT_INVALID),
        (b"@@\n-line 5\n+a\n@@\n-line 5\n+b\n", ReasonCode.FORMAT_INVALID),
        (b"@@\n line 4\n-line 5\n+a\n@@\n line 4\n-line 5\n line 6\n+b\n", ReasonCode.FORMAT_INVALID),
        (b"@@ -3 +3 @@\n-nowhere\n+x\n+y\n", ReasonCode.FORMAT_INVALID),
    ],
)
def test_what_cannot_be_found_is_refused(body: bytes, code: ReasonCode) -> None:
    """A place is never guessed."""
    reason = located(BASE, HEAD + body)
    assert isinstance(reason, Reason)
    assert reason.code is code


def test_two_places_are_one_too_many() -> None:
    """An old side that stands twice in the base is ambiguous; a right line number decides."""
    base = b"x\n" * 5 + b"y\n" + b"x\n" * 5
    bare = located(base, HEAD + b"@@\n x\n+new\n")
    assert isinstance(bare, Reason)
    assert "several places" in bare.message
    assert isinstance(located(base, HEAD + b"@@ -2 +2 @@\n x\n+new\n"), Intake)


def test_a_file_that_is_not_there_is_a_conflict() -> None:
    """A doubtful change of a missing file cannot be decided."""
    reason = located(None, HEAD + b"@@\n-line 5\n+a\n")
    assert isinstance(reason, Reason)
    assert reason.code is ReasonCode.CONFLICT


@pytest.mark.parametrize("counts", [b"-10 +10", b"-10,0 +10,0", b"-10,2 +10,2", b"-8,3 +3,3"])
def test_recounted_hunks_land_whole(world: DiffWorld, counts: bytes) -> None:
    """With counts too low git drops lines without a word; here they land where they belong."""
    raw = HEAD + b"@@ " + counts + b" @@\n line 10\n-line 11\n+ELEVEN\n+more\n line 12\n"
    assert landed(world, BASE, raw) == BASE.replace(b"line 11\n", b"ELEVEN\nmore\n")


def test_later_hunks_move_with_a_corrected_one(world: DiffWorld) -> None:
    """New line numbers follow from the corrected counts, also among lines that repeat."""
    base = b"".join(b"line %d\nsame\n" % number for number in range(20))
    raw = (
        HEAD + b"@@ -1,2 +1,3 @@\n line 0\n+a\n+b\n+c\n same\n line 1\n"
        b"@@ -20 +21,2 @@\n same\n+in the middle\n"
    )
    lines = base.splitlines(keepends=True)
    wanted = [lines[0], b"a\n", b"b\n", b"c\n", *lines[1:20], b"in the middle\n", *lines[20:]]
    assert landed(world, base, raw) == b"".join(wanted)


def test_numbers_that_contradict_each_other_are_checked(world: DiffWorld) -> None:
    """When a tool removed a hunk, git would search from the wrong line; the old side decides."""
    base = b"same\n" * 10 + b"x\n" + b"same\n" * 10
    raw = HEAD + b"@@ -10,3 +25,4 @@\n same\n x\n+new\n same\n"
    assert landed(world, base, raw) == base.replace(b"x\n", b"x\nnew\n")


def test_hunks_without_context_get_some(world: DiffWorld) -> None:
    """With -U0 git takes a line number's word, and deletes the wrong one of equal lines; the base helps."""
    base = b"a\nsame\nb\nsame\nsame\nc\n"
    new = b"same\nb\nsame\nX\nsame\n"
    old_tree, new_tree = world.tree(files(base)), world.tree(files(new))
    raw = world.diff(old_tree, new_tree, "-U0")
    assert world.landed(old_tree, raw) == new_tree
    assert taken(raw).is_zero_context
    intake = located(base, raw)
    assert isinstance(intake, Intake)
    assert not intake.is_zero_context
    assert [repair.kind for repair in intake.repairs] == [RepairKind.CONTEXT]


def test_hunks_without_context_on_another_base_stay_loose() -> None:
    """If the stated lines differ, the place is unproven, and the result is marked so."""
    intake = located(b"other\n" + BASE, HEAD + b"@@ -5 +5 @@\n-line 5\n+a\n")
    assert isinstance(intake, Intake)
    assert intake.is_zero_context
    assert intake.files[0].hunks[0].old_start == 5


def test_several_parts_of_one_file_are_merged(world: DiffWorld) -> None:
    """Each part may mean the base, or the file as changed by those before: the lines themselves decide."""
    first = HEAD + b"@@ -1,2 +1,3 @@\n line 1\n+new\n line 2\n"
    wanted = BASE.replace(b"line 1\n", b"line 1\nnew\n").replace(b"line 20\n", b"TWENTY\n")
    for start in (19, 20):
        second = HEAD + b"@@ -%d,3 +%d,3 @@\n line 19\n-line 20\n+TWENTY\n line 21\n" % (start, start)
        assert landed(world, BASE, first + second) == wanted
    clash = HEAD + b"@@ -1,2 +1,2 @@\n-line 1\n+ONE\n line 2\n"
    assert isinstance(landed(world, BASE, first + clash), Reason)


def test_a_file_that_some_tool_forgot_to_call_new() -> None:
    """An old side without lines is a new file where there is none, and an empty one where there is one."""
    raw = b"--- a/f\n+++ b/f\n@@ -0,0 +1 @@\n+x\n"
    made, filled = located(None, raw), located(b"", raw)
    assert isinstance(made, Intake)
    assert isinstance(filled, Intake)
    assert (made.files[0].kind, filled.files[0].kind) == ("add", "modify")
    assert [str(repair) for repair in made.repairs] == ["f: it does not exist, so the patch makes it"]


# Line endings


def test_crlf_files_keep_their_line_endings(world: DiffWorld) -> None:
    """Git's diff of a CRLF file has LF headers and CRLF content: both are kept."""
    base, new = BASE.replace(b"\n", b"\r\n"), BASE.replace(b"\n", b"\r\n").replace(b"line 9\r", b"NINE\r")
    raw = world.diff(world.tree(files(base)), world.tree(files(new)))
    assert taken(raw).render() == raw
    assert landed(world, base, raw) == new


@pytest.mark.parametrize("ending", [b"\n", b"\r\n"])
def test_a_text_sent_with_crlf_fits_the_base_it_was_made_for(world: DiffWorld, ending: bytes) -> None:
    """When the whole text has CRLF, the base tells whether that is the transport's or the file's own."""
    base = BASE.replace(b"\n", ending)
    new = base.replace(b"line 9" + ending, b"NINE" + ending)
    raw = world.diff(world.tree(files(BASE)), world.tree(files(BASE.replace(b"line 9\n", b"NINE\n"))))
    assert landed(world, base, raw.replace(b"\n", b"\r\n")) == new


@pytest.mark.parametrize("ending", [b"\n", b"\r\n"])
def test_new_files_of_a_crlf_text_follow_the_others(ending: bytes) -> None:
    """A new file has no base: the changed files decide; else they came from the transport."""
    new = b"diff --git a/n b/n\nnew file mode 100644\n--- /dev/null\n+++ b/n\n@@ -0,0 +1 @@\n+x\n"
    change = HEAD + b"@@ -1,2 +1,3 @@\n line 1\n+new\n line 2\n"
    intake = located(BASE.replace(b"\n", ending), (change + new).replace(b"\n", b"\r\n"))
    assert isinstance(intake, Intake)
    assert intake.files[1].hunks[0].lines == (b"+x" + ending,)
    alone = located(None, new.replace(b"\n", b"\r\n"))
    assert isinstance(alone, Intake)
    assert alone.files[0].hunks[0].lines == (b"+x\n",)


# A text that ends within a line


def test_an_open_end_is_proved_by_base_or_object_id(world: DiffWorld) -> None:
    """A cut last line is refused, a whole one without newline lands."""
    new = BASE + b"last line\n"
    old_tree, new_tree = world.tree(files(BASE)), world.tree(files(new))
    addition = world.diff(old_tree, new_tree)
    context = world.diff(new_tree, old_tree, "-R")
    for raw in (addition, context):
        assert world.landed(old_tree, raw[:-1]) == new_tree
        reason = world.landed(old_tree, raw[:-3])
        assert isinstance(reason, Reason)
        assert reason.code is ReasonCode.FORMAT_INVALID
