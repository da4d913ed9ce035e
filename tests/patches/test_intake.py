"""Intake: acceptance, repair and refusal of patches; no line is ignored."""

from pathlib import Path

import pytest

from maingate.patches.intake import take_in
from maingate.patches.model import ChangeKind
from maingate.patches.repair_record import RepairKind
from maingate.reasons import Reason, ReasonCode
from support.diff_world import MAX_BYTES, DiffWorld, refusal, taken

BODY = b"@@ -1,3 +1,4 @@ def f():\n a\n-b\n+B\n+BB\n c\n"
PATCH = b"diff --git a/f.py b/f.py\nindex 1234567..89abcde 100644\n--- a/f.py\n+++ b/f.py\n" + BODY
OTHER = b"diff --git a/g b/g\nindex 1234567..89abcde 100644\n--- a/g\n+++ b/g\n@@ -1 +1,2 @@\n x\n+y\n"
NEW = (
    b"diff --git a/new b/new\nnew file mode 100644\nindex 0000000..ce01362\n--- /dev/null\n+++ b/new\n"
    b"@@ -0,0 +1 @@\n+hello\n"
)


def traditional(old: bytes, new: bytes, body: bytes = BODY) -> bytes:
    """Return a diff as `diff -u` writes it."""
    return b"--- %s\n+++ %s\n%s" % (old, new, body)


def renamed(old: bytes, new: bytes) -> bytes:
    """Return the part of a diff that renames a file."""
    return b"diff --git a/%s b/%s\nrename from %s\nrename to %s\n" % (old, new, old, new)


# What surrounds a diff


@pytest.mark.parametrize(
    ("before", "after", "left_out"),
    [
        (b"", b"", None),
        (b"Here is the change you asked for:\n\n", b"\nI hope it helps.\n- it is fast\n+ it is small\n", 4),
        (b"```diff\n", b"```\n", 2),
        (b"Sure!\n\n~~~\n", b"~~~\n\nDone.\n", 4),
        (b"commit 0123456789\nAuthor: A <a@b>\n\n    rename from old to new\n\n", b"", 3),
        (b" f.py | 3 ++-\n 1 file changed, 2 insertions(+), 1 deletion(-)\n\n", b"", 2),
        (b"Index: f.py\n===================================================================\n", b"", None),
        (b"diff algorithm of the parser\nindex the words\nrename to something better\n\n", b"", 3),
        (b"", b"-- \n2.39.5\n\n", None),
        (b"", b"--\n2.39.5\n", None),
        (b"", b"-- \nAda Example\nhttps://example.org\n", None),
        (b"", b"\n\n\n", None),
    ],
)
def test_prose_around_a_diff_is_not_its_business(before: bytes, after: bytes, left_out: int | None) -> None:
    """Prose, fences, mail signatures and listings around a diff change nothing about it; prose is told."""
    intake = taken(before + PATCH + after)
    assert intake.render() == PATCH
    assert [(repair.kind, repair.was) for repair in intake.repairs] == (
        [] if left_out is None else [(RepairKind.PROSE, left_out)]
    )
    assert not intake.needs_base


def test_a_canonical_text_goes_to_git_unchanged() -> None:
    """A text of git's own is rendered byte for byte."""
    assert taken(PATCH + NEW + OTHER).render() == PATCH + NEW + OTHER


def test_prose_between_files_is_left_out() -> None:
    """Explanations between the parts are not given to git."""
    assert (
        taken(PATCH + b"```\n\nAnd now the other:\n\n```diff\n" + OTHER + b"```\n").render() == PATCH + OTHER
    )


def test_scope_is_derived_from_the_text() -> None:
    """Scope counts what the diff does; a diffstat that says otherwise is ignored."""
    intake = taken(b" f.py | 900 ++\n 1 file changed, 900 insertions(+)\n\n" + PATCH + NEW)
    assert intake.scope.as_json() == {
        "files": 2,
        "insertions": 3,
        "deletions": 1,
        "hunks": 2,
        "paths": ["f.py", "new"],
    }


# Names


@pytest.mark.parametrize(
    ("old", "new", "path"),
    [
        (b"a/f.py", b"b/f.py", b"f.py"),
        (b"b/f.py", b"a/f.py", b"f.py"),
        (b"i/f.py", b"w/f.py", b"f.py"),
        (b"1/d/f.py", b"2/d/f.py", b"d/f.py"),
        (b"f.py", b"f.py", b"f.py"),
        (b"src/f.py", b"src/f.py", b"src/f.py"),
        (b"orig-1.0/src/f.py", b"new-1.1/src/f.py", b"src/f.py"),
        (b"f.py.orig", b"f.py", b"f.py"),
        (b"f.py\t2024-01-01 10:00:00.000000000 +0100", b"f.py\t2024-01-01 10:00:01.5 +0100", b"f.py"),
        (b"f.py 2024-01-01 10:00:00.000000000 +0100", b"f.py 2024-01-01 10:00:01 +0100", b"f.py"),
        (b"f.py\t(revision 3)", b"f.py\t(working copy)", b"f.py"),
        (b"a/two words\t", b"b/two words\t", b"two words"),
        (b"a/two words", b"b/two words", b"two words"),
        (b'"a/\\303\\244 b"', b'"b/\\303\\244 b"', "ä b".encode()),
        (b'"a/t\\tn\\nq\\"\\\\"', b'"b/t\\tn\\nq\\"\\\\"', b't\tn\nq"\\'),
        (b"a/\xe4", b"b/\xe4", b"\xe4"),
    ],
)
def test_names_of_traditional_diffs(old: bytes, new: bytes, path: bytes) -> None:
    """Prefixes, quotes, stamps and backup names are understood, with git's header and without."""
    (change,) = taken(traditional(old, new)).files
    assert (change.kind, change.old_path, change.new_path) == (ChangeKind.MODIFY, path, path)


@pytest.mark.parametrize(
    ("title", "old", "new", "path"),
    [
        (b"a/two words b/two words", b"a/two words\t", b"b/two words\t", b"two words"),
        (b"f g f g", b"f g\t", b"f g\t", b"f g"),
        (b"a/x b/x b/x b/x", b"a/x b/x\t", b"b/x b/x\t", b"x b/x"),
        (b'"a/\\303\\244" "b/\\303\\244"', b'"a/\\303\\244"', b'"b/\\303\\244"', "ä".encode()),
        (b"old/f newer/f", b"old/f", b"newer/f", b"f"),
        (b"c/d/f w/d/f", b"c/d/f", b"w/d/f", b"d/f"),
        (b"d/f d/f", b"d/f", b"d/f", b"d/f"),
    ],
)
def test_names_of_git_diffs(title: bytes, old: bytes, new: bytes, path: bytes) -> None:
    """The three header lines agree about one file."""
    (change,) = taken(b"diff --git " + title + b"\n" + traditional(old, new)).files
    assert change.path == path


@pytest.mark.parametrize(
    "raw",
    [
        traditional(b"a/f", b"b/g"),
        traditional(b"a/f", b"f"),
        traditional(b"/dev/null", b"/dev/null"),
        b"diff --git a/f b/f\n" + traditional(b"a/g", b"b/g"),
        b"diff --git a/f b/f\n" + traditional(b"a/f", b"b/g"),
        b"diff --git a/f b/g\n" + traditional(b"a/f", b"b/g"),
        b"diff --git a/f\n" + traditional(b"a/f", b"b/f"),
        b'diff --git "a/f b/f\n' + traditional(b"a/f", b"b/f"),
        b'diff --git a/f b/f\n--- "a/f\n+++ b/f\n' + BODY,
        b"diff --git a/f b/f\nold mode 100644\nnew mode 100755\n" + traditional(b"a/f", b"/dev/null2"),
    ],
)
def test_names_that_disagree_are_refused(raw: bytes) -> None:
    """An ambiguous file is never guessed."""
    assert refusal(raw).code is ReasonCode.FORMAT_INVALID


@pytest.mark.parametrize(
    "raw",
    [
        b'--- /dev/null\n+++ "b/n\\000x"\n@@ -0,0 +1 @@\n+x\n',
        b'diff --git "a/n\\000x" "b/n\\000x"\nold mode 100644\nnew mode 100755\n',
        b"diff --git a/n\0x b/n\0x\nnew file mode 100644\n--- /dev/null\n+++ b/n\0x\n@@ -0,0 +1 @@\n+x\n",
        b'diff --git a/a.txt "b/n\\000x"\nsimilarity index 100%\nrename from a.txt\nrename to "n\\000x"\n',
    ],
)
def test_a_name_with_a_nul_is_refused(raw: bytes) -> None:
    """No file can be called so, on no system: the text is at fault, not whoever asks the disk for it."""
    assert refusal(raw).code is ReasonCode.FORMAT_INVALID


@pytest.mark.parametrize(
    ("context", "name", "path"),
    [
        (b"", b"b/new", b"new"),
        (b"", b"lib/new", b"lib/new"),
        (b"", b"new", b"new"),
        (traditional(b"x/f", b"x/f"), b"b/new", b"b/new"),
        (traditional(b"old/f", b"young/f"), b"young/new", b"new"),
    ],
)
def test_a_lone_name_follows_the_other_files(context: bytes, name: bytes, path: bytes) -> None:
    """The names of the other files decide whether a new file's only name has a prefix."""
    intake = taken(context + traditional(b"/dev/null", name, b"@@ -0,0 +1 @@\n+x\n"))
    assert intake.files[-1].new_path == path
    assert intake.files[-1].kind is ChangeKind.ADD


@pytest.mark.parametrize(
    ("old", "new", "body", "kind"),
    [
        (
            b"f\t1970-01-01 00:00:00.000000000 +0000",
            b"f\t2024-01-01 10:00:00 +0000",
            b"@@ -0,0 +1 @@\n+x\n",
            "add",
        ),
        (b"f\t1970-01-01 01:00:00 +0100", b"f\t2024-01-01 10:00:00 +0000", b"@@ -0,0 +1 @@\n+x\n", "add"),
        (b"f\t1969-12-31 19:00:00 -0500", b"f\t2024-01-01 10:00:00 +0000", b"@@ -0,0 +1 @@\n+x\n", "add"),
        (b"f\t2024-01-01 10:00:00 +0000", b"f\t1970-01-01 00:00:00 +0000", b"@@ -1 +0,0 @@\n-x\n", "delete"),
        (b"f\t(nonexistent)", b"f\t(working copy)", b"@@ -0,0 +1 @@\n+x\n", "add"),
        (
            b"f\t1970-01-01 00:00:00 +0000",
            b"f\t1970-01-01 00:00:00 +0000",
            b"@@ -1 +1 @@\n-x\n+y\n",
            "modify",
        ),
    ],
)
def test_stamps_of_the_epoch_mean_no_file(old: bytes, new: bytes, body: bytes, kind: str) -> None:
    """`diff -N` dates a missing file to the epoch; a real file of that date has content."""
    (change,) = taken(traditional(old, new, body)).files
    assert change.kind == kind


# Extended headers


def test_every_kind_of_header_is_understood() -> None:
    """Renames, copies, modes, deletions and empty files need no hunks."""
    raw = (
        b"diff --git a/o b/n\nsimilarity index 100%\nrename from o\nrename to n\n"
        b"diff --git a/c b/d\nsimilarity index 100%\ncopy from c\ncopy to d\n"
        b"diff --git a/m b/m\nold mode 100644\nnew mode 100755\n"
        b"diff --git a/e b/e\nnew file mode 100644\nindex 0000000..e69de29\n"
        b"diff --git a/z b/z\ndeleted file mode 100755\nindex e69de29..0000000\n"
    )
    intake = taken(raw)
    assert [change.kind for change in intake.files] == ["rename", "copy", "modify", "add", "delete"]
    assert [change.paths for change in intake.files] == [
        (b"o", b"n"),
        (b"c", b"d"),
        (b"m",),
        (b"e",),
        (b"z",),
    ]
    assert intake.scope.paths == (b"d", b"e", b"m", b"n", b"o", b"z")
    assert intake.render() == raw


@pytest.mark.parametrize(
    "header",
    [
        b"old mode 100644\n",
        b"new mode 100755\n",
        b"old mode 100644\nnew mode 100666\n",
        b"new file mode 040000\n",
        b"new file mode 10064\n",
        b"new file mode 100644\ndeleted file mode 100644\n",
        b"new file mode 100644\nold mode 100644\nnew mode 100755\n",
        b"rename from f\n",
        b"rename from f\nrename to f\n",
        b"rename from f\ncopy to f\n",
        b"similarity index 100\n",
        b"index 1234567..89abcde 100644\n",
        b"index 0000000..89abcde\nnew file mode 100644\n",
        b"new file mode 100644\n",
        b"deleted file mode 100644\nindex 1234567..0000000\n",
        b"index 12..34\n",
        b"odl mode 100644\nnew mode 100755\n",
        b"old mode 100644\nold mode 100644\nnew mode 100755\n",
        b"GIT binary patch\n",
    ],
)
def test_headers_that_are_cut_or_contradict_themselves_are_refused(header: bytes) -> None:
    """A header that promises more than follows was cut; git would apply what is left of it."""
    assert refusal(PATCH + b"diff --git a/f b/f\n" + header).code is ReasonCode.FORMAT_INVALID


def test_a_new_empty_file_needs_proof_at_the_end_of_the_text() -> None:
    """Behind a bare `new file mode` the content may have been cut off, unless something follows."""
    bare = b"diff --git a/e b/e\nnew file mode 100644\n"
    assert refusal(bare).code is ReasonCode.FORMAT_INVALID
    assert [change.path for change in taken(bare + PATCH).files] == [b"e", b"f.py"]


def test_a_new_file_without_its_mode_line() -> None:
    """A hand-made header may forget the mode; a machine's header with an index line was damaged."""
    body = b"--- /dev/null\n+++ b/f\n@@ -0,0 +1 @@\n+x\n"
    intake = taken(b"diff --git a/f b/f\n" + body)
    assert intake.files[0].new_mode == 0o100644
    assert [str(repair) for repair in intake.repairs] == ["f: `new file mode` was missing: taken as 100644"]
    assert refusal(b"diff --git a/f b/f\nindex 0000000..587be6b\n" + body).code is ReasonCode.FORMAT_INVALID


def test_a_change_of_type_is_a_deletion_and_a_creation() -> None:
    """Git writes a file that becomes a link as two parts of one path."""
    raw = (
        b"diff --git a/f b/f\ndeleted file mode 100644\nindex 587be6b..0000000\n--- a/f\n+++ /dev/null\n"
        b"@@ -1 +0,0 @@\n-x\n"
        b"diff --git a/f b/f\nnew file mode 120000\nindex 0000000..1de5659\n--- /dev/null\n+++ b/f\n"
        b"@@ -0,0 +1 @@\n+target\n\\ No newline at end of file\n"
    )
    intake = taken(raw)
    assert [change.kind for change in intake.files] == ["delete", "add"]
    assert intake.render() == raw


@pytest.mark.parametrize(
    "raw",
    [
        NEW + NEW,
        NEW + NEW.replace(b"new file", b"deleted file"),
        PATCH + renamed(b"f.py", b"n"),
        renamed(b"a", b"n") + renamed(b"b", b"n"),
        renamed(b"a", b"n") + renamed(b"a", b"m"),
    ],
)
def test_parts_that_claim_one_file_in_two_ways_are_refused(raw: bytes) -> None:
    """No order of such parts is more right than another."""
    assert refusal(raw).code is ReasonCode.FORMAT_INVALID


# Not a diff that can be taken


@pytest.mark.parametrize(
    ("raw", "words"),
    [
        (b"\xef\xbb\xbf" + PATCH, "byte-order mark"),
        (PATCH.decode().encode("utf-16"), "byte-order mark"),
        (PATCH.decode().encode("utf-16-le"), "NUL"),
        (PATCH + b"\xef\xbb\xbf" + OTHER, "byte-order mark"),
        (b"prose\0\n" + PATCH, "NUL"),
        (b"hello\n", "no diff"),
        (b"\x00\x01\x02garbage", "NUL"),
        (b"diff --cc f\nindex 1,2..3\n--- a/f\n+++ b/f\n@@@ -1,2 -1,2 +1,3 @@@\n", "combined"),
        (b"diff --combined f\n", "combined"),
        (b"*** a/f\n--- b/f\n***************\n*** 1,2 ****\n", "context diff"),
        (b"1c1\n< a\n---\n> b\n", "ed diff"),
        (b"*** Begin Patch\n*** Update File: f\n@@\n-a\n+b\n*** End Patch\n", "no unified diff"),
        (PATCH + b"Binary files a/x and b/x differ\n", "git diff --binary"),
        (b"diff --git a/x b/x\nindex 1..2\nBinary files a/x and b/x differ\n", "header"),
        (PATCH + b"\nSubmodule lib 1234567..89abcde:\n  > work\n", "submodule"),
    ],
)
def test_what_is_no_unified_diff_is_named(raw: bytes, words: str) -> None:
    """Other formats and encodings are refused with a message that says what to do."""
    reason = refusal(raw)
    assert reason.code is ReasonCode.FORMAT_INVALID
    assert words in reason.message


@pytest.mark.parametrize("raw", [b"", b"\n", b" \t\r\n\n"])
def test_nothing_is_an_empty_patch(raw: bytes) -> None:
    """Zero bytes and blank text are an empty patch."""
    assert refusal(raw).code is ReasonCode.EMPTY_PATCH


@pytest.mark.parametrize(
    "raw",
    [
        b"diff --git a/f b/f\n",
        b"diff --git a/f b/f\nold mode 100644\nnew mode 100644\n",
        traditional(b"a/f", b"b/f", b"@@ -1,2 +1,2 @@\n a\n b\n"),
    ],
)
def test_headers_without_effect_are_an_empty_patch(raw: bytes) -> None:
    """A diff that changes nothing is empty when it stands alone, and damage beside one that does."""
    assert refusal(raw).code is ReasonCode.EMPTY_PATCH
    assert refusal(raw + OTHER).code is ReasonCode.FORMAT_INVALID


def test_a_patch_over_the_limit_is_not_parsed() -> None:
    """Size is the first thing that is looked at."""
    reason = take_in(b"x" * 11, max_bytes=10)
    assert isinstance(reason, Reason)
    assert reason.code is ReasonCode.FORMAT_INVALID
    assert "11 bytes" in reason.message


@pytest.mark.parametrize(
    "damage",
    [
        b"dif --git a/g b/g\nold mode 100644\nnew mode 100755\n",
        OTHER.replace(b"diff --git", b"dif --git"),
        OTHER.replace(b"diff --git a/g b/g\n", b""),
        OTHER.replace(b"--- a/g\n", b""),
        OTHER.replace(b"+++ b/g\n", b""),
        OTHER.replace(b"+++ b/g\n", b"++ b/g\n"),
        OTHER.replace(b"@@ -1 +1,2 @@\n", b""),
        OTHER.replace(b"@@ -1 +1,2 @@\n", b"@@ -1 +1,x @@\n"),
        OTHER.replace(b"@@ -1 +1,2 @@\n", b"@@ -1,1 +1,2\n"),
        OTHER.replace(b"@@ -1 +1,2 @@\n", b"@ -1,1 +1,2 @@\n"),
        OTHER.replace(b"@@ -1 +1,2 @@\n", b"@@ 1,1 1,2 @@\n"),
        OTHER.replace(b"index ", b"indx "),
        b"\n--- a/g\n",
        b"\n+++ b/g\n",
        b"\n@@ -1 +1 @@\n",
        b"\nrename from x\nrename to y\n",
        b"\nliteral 12\n",
        b"\n\\ No newline at end of file\n",
        b"\nindex 1234567..89abcde\n",
        b"garbage\n-x\n+y\n",
    ],
)
def test_a_damaged_later_part_is_never_ignored(damage: bytes) -> None:
    """Git skips what it does not recognise and applies the rest; here the whole is refused."""
    assert refusal(PATCH + damage).code is ReasonCode.FORMAT_INVALID


# Counts


@pytest.mark.parametrize("end", [b"-- \n2.39.5\n", b"```\n", OTHER, b"\n" + OTHER, b"Index: x\n", b""])
@pytest.mark.parametrize(
    "counts", [b"-1,2 +1,4", b"-1,3 +1,3", b"-1,2 +1,3", b"-1 +1", b"-1,0 +1,0", b"-1,3 +1,1"]
)
def test_counts_that_are_too_low_are_corrected(counts: bytes, end: bytes) -> None:
    """Git would drop the lines that are not counted; they are counted again and that is recorded."""
    intake = taken(PATCH.replace(b"-1,3 +1,4", counts) + end)
    hunk = intake.files[0].hunks[0]
    assert (hunk.old_count, hunk.new_count, len(hunk.lines)) == (3, 4, 5)
    [recounted] = [repair for repair in intake.repairs if repair.kind is RepairKind.COUNTS]
    assert (recounted.hunk, recounted.now) == (1, "3,4")
    assert intake.needs_base


@pytest.mark.parametrize("end", [b"-- \n2.39.5\n", b"```\n", OTHER])
@pytest.mark.parametrize("counts", [b"-1,4 +1,5", b"-1,5 +1,4", b"-1,3 +1,9", b"-1,4 +1,4"])
def test_counts_that_are_too_high_are_corrected_where_the_text_goes_on(counts: bytes, end: bytes) -> None:
    """The following text proves that the hunk was not cut."""
    hunk = taken(PATCH.replace(b"-1,3 +1,4", counts) + end).files[0].hunks[0]
    assert (hunk.old_count, hunk.new_count) == (3, 4)


@pytest.mark.parametrize("end", [b"", b"\n\n", b"That was it.\n"])
@pytest.mark.parametrize("counts", [b"-1,6 +1,7", b"-1,3 +1,9"])
def test_counts_that_are_too_high_at_the_end_mean_truncation(counts: bytes, end: bytes) -> None:
    """Nothing proves that the hunk was whole."""
    assert refusal(PATCH.replace(b"-1,3 +1,4", counts) + end).code is ReasonCode.FORMAT_INVALID


def test_a_deleted_line_that_looks_like_a_header_is_a_line() -> None:
    """Right counts are believed: `--- x` and `+++ y` within a hunk are its lines."""
    body = b"@@ -1,3 +1,3 @@\n a\n--- x\n+++ y\n c\n"
    intake = taken(traditional(b"a/f", b"b/f", body) + OTHER)
    assert intake.files[0].hunks[0].lines[1:3] == (b"--- x\n", b"+++ y\n")
    assert not intake.needs_base


def test_the_header_of_a_following_file_is_no_line_of_a_miscounted_hunk() -> None:
    """Counting again ends where another traditional part begins."""
    intake = taken(
        traditional(b"a/f", b"b/f", BODY.replace(b"-1,3 +1,4", b"-1 +1")) + traditional(b"a/g", b"b/g")
    )
    assert [change.path for change in intake.files] == [b"f", b"g"]
    assert intake.files[0].hunks[0].old_count == 3


def test_the_mail_signature_is_no_deleted_line() -> None:
    """With one count too many git takes `-- ` for a deletion."""
    intake = taken(PATCH.replace(b"-1,3", b"-1,4") + b"-- \n2.39.5\n\n")
    assert intake.files[0].hunks[0].lines[-1] == b" c\n"


def test_a_deleted_dash_is_no_signature() -> None:
    """A hunk may end in a deleted `- ` line."""
    body = b"@@ -1,2 +1 @@\n a\n-- \n"
    assert taken(traditional(b"a/f", b"b/f", body) + OTHER).files[0].hunks[0].lines[-1] == b"-- \n"
    low = taken(traditional(b"a/f", b"b/f", body.replace(b"-1,2", b"-1")) + OTHER)
    assert low.files[0].hunks[0].lines[-1] == b"-- \n"


def test_lines_behind_a_blank_one_are_more_than_prose() -> None:
    """A count that ends at a stripped blank line may have lost the rest: that is not called prose."""
    assert refusal(PATCH + b"\n+more\n c\n").code is ReasonCode.FORMAT_INVALID
    assert taken(PATCH + b"\n indented prose\n").render() == PATCH


def test_blank_context_lines_may_have_lost_their_space() -> None:
    """Many editors strip trailing spaces; GNU diff itself can write such lines."""
    intake = taken(traditional(b"a/f", b"b/f", b"@@ -1,3 +1,4 @@\n a\n\n+b\n c\n"))
    assert intake.files[0].hunks[0].lines[1] == b" \n"
    assert not intake.needs_base


def test_bare_hunks_wait_for_the_base() -> None:
    """`@@` without numbers has lines, but no place yet, and is not rendered before it has."""
    intake = taken(traditional(b"a/f", b"b/f", b"@@ ... @@\n a\n-b\n+c\n@@\n x\n+y\n"))
    assert [(hunk.old_start, hunk.old_count, hunk.new_count) for hunk in intake.files[0].hunks] == [
        (None, 2, 2),
        (None, 1, 2),
    ]
    with pytest.raises(ValueError, match="not located"):
        intake.render()


@pytest.mark.parametrize(
    "body",
    [
        b"@@ -1,2 +1,2 @@\n-a\n\\ No newline at end of file\n-b\n+a\n+b\n",
        b"@@ -1,2 +1,2 @@\n a\n\\ No newline at end of file\n-b\n+c\n",
        b"@@ -1 +1 @@\n\\ No newline at end of file\n-b\n+c\n",
        b"@@ -1 +1 @@\n-b\n+c\n\\ No newline at end of file\n\\ No newline at end of file\n",
        b"@@ -1 +1 @@\n-b\n+c\n\\ No newl",
        b"@@ -1 +1 @@\n",
        b"@@ -0,0 +1 @@",
        b"@@\n",
        b"",
    ],
)
def test_damaged_hunks_are_refused(body: bytes) -> None:
    """Markers in wrong places and hunks without lines are damage."""
    assert refusal(traditional(b"a/f", b"b/f", body)).code is ReasonCode.FORMAT_INVALID


# The end of the text


def test_a_missing_last_newline_is_proved_or_recorded() -> None:
    """The base proves context, an object id a new file; an addition without ids is taken as whole."""
    context = taken(PATCH[:-1])
    assert context.needs_base
    assert taken(NEW[:-1]).render() == NEW
    assert refusal(NEW[:-2]).code is ReasonCode.FORMAT_INVALID
    bare = taken(traditional(b"/dev/null", b"b/f", b"@@ -0,0 +1 @@\n+x"))
    assert bare.files[0].hunks[0].lines == (b"+x\n",)
    said = ["f: the text ended without a newline; its last line was taken as whole"]
    assert [str(repair) for repair in bare.repairs] == said


# Binary data


@pytest.fixture(scope="module")
def binary(tmp_path_factory: pytest.TempPathFactory) -> bytes:
    """Return git's diff of a new, a changed and a deleted binary file."""
    world = DiffWorld.create(tmp_path_factory.mktemp("binary") / "w")
    noise = [bytes((i * i * (7 + k) + k) % 251 for i in range(700)) + b"\0" for k in range(4)]
    old = world.tree({b"changed": ("100644", noise[0]), b"gone": ("100644", noise[1])})
    new = world.tree({b"changed": ("100644", noise[2]), b"made": ("100644", noise[3])})
    return world.diff(old, new, "--no-renames")


def test_binary_data_is_read_to_its_end(binary: bytes) -> None:
    """Forward and backward data are decoded, and the text goes to git unchanged."""
    intake = taken(binary)
    assert [change.kind for change in intake.files] == ["modify", "delete", "add"]
    assert intake.render() == binary
    assert (intake.scope.insertions, intake.scope.deletions) == (0, 0)


def test_damage_anywhere_in_binary_data_is_found(binary: bytes) -> None:
    """A changed letter or a missing line makes the whole patch invalid; git would take what is before."""
    lines = binary.splitlines(keepends=True)
    for index, line in enumerate(lines):
        if line[:1] == b"z" or line.startswith((b"literal", b"GIT binary")):
            assert refusal(b"".join(lines[:index] + lines[index + 1 :])).code is ReasonCode.FORMAT_INVALID
        if line[:1] == b"z":
            broken = line[:20] + (b"0" if line[20:21] != b"0" else b"1") + line[21:]
            assert (
                refusal(b"".join([*lines[:index], broken, *lines[index + 1 :]])).code
                is ReasonCode.FORMAT_INVALID
            )


def test_binary_data_without_full_ids_is_refused(binary: bytes) -> None:
    """Git refuses it too; here the message says what to do."""
    (line,) = [
        line for line in binary.splitlines() if line.startswith(b"index ") and line.endswith(b" 100644")
    ]
    old, new = line.split()[1].split(b"..")
    short = binary.replace(line, b"index %s..%s 100644" % (old[:7], new[:7]))
    assert "--binary" in refusal(short).message


def test_a_bomb_of_zeros_is_refused() -> None:
    """A small text cannot claim more memory than a multiple of the limit."""
    raw = b"diff --git a/f b/f\nindex %s..%s 100644\nGIT binary patch\nliteral 99999999999\nKc$@)\n\n"
    raw %= (b"1" * 40, b"2" * 40)
    reason = take_in(raw, max_bytes=MAX_BYTES)
    assert isinstance(reason, Reason)
    assert "too large" in reason.message


def test_names_with_everything_round_trip(tmp_path: Path) -> None:
    """Git's own quoting of hostile names is understood and written again."""
    world = DiffWorld.create(tmp_path / "w")
    names = [
        b"sp ace",
        b"t\tab",
        b'q"uote',
        b"back\\slash",
        b"n\nl",
        b"\xff\xfe",
        "ä".encode(),
        b"x b/x",
        b"-- ",
    ]
    base = world.tree(dict.fromkeys(names, ("100644", b"a\nb\nc\n")))
    new = world.tree(dict.fromkeys(names, ("100755", b"a\nB\nc\n")))
    raw = world.diff(base, new)
    assert sorted(taken(raw).scope.paths) == sorted(names)
    assert taken(raw).render() == raw
    assert world.landed(base, world.diff(base, new, config={"core.quotePath": "false"})) == new
