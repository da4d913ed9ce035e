"""The mail around a patch: author, date and message, as `git am` reads them."""

import base64
import quopri

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from maingate.git_dates import GitDate
from maingate.patches.intake import take_in
from maingate.reasons import Reason, ReasonCode
from support.diff_world import MAX_BYTES, refusal, taken
from support.factories import GitRepo

DIFF = b"diff --git a/f b/f\n--- a/f\n+++ b/f\n@@ -1 +1 @@\n-a\n+b\n"
WHEN = GitDate(1714972089, "+0200")


def mail(headers: bytes, body: bytes = b"---\n f | 2 +-\n\n" + DIFF + b"-- \n2.39.5\n\n") -> bytes:
    """Return a mail with those headers."""
    return (
        b"From 0123456789012345678901234567890123456789 Mon Sep 17 00:00:00 2001\n" + headers + b"\n" + body
    )


PLAIN = (
    b"From: Ada Example <ada@example.org>\nDate: Mon, 6 May 2024 07:08:09 +0200\n"
    b"Subject: [PATCH 1/3] topic: do it\n"
)


def test_author_date_and_message_are_read() -> None:
    """Subject tags go, the body up to the separator is the message."""
    header = taken(mail(PLAIN, b"Because it\nis right.\n\n---\n f | 2 +-\n\n" + DIFF)).header
    assert header is not None
    assert header.author == "Ada Example <ada@example.org>"
    assert header.date == WHEN
    assert header.message == "topic: do it\n\nBecause it\nis right.\n"


def test_folded_and_encoded_headers_are_undone() -> None:
    """Continuation lines and RFC 2047 words give the text that was meant."""
    headers = (
        b"From: =?UTF-8?q?J=C3=B6rg?= <j@example.org>\nDate: Mon, 6 May 2024 05:08:09 -0000\n"
        b"Subject: [PATCH] =?UTF-8?q?a=20long=20s=C3=BCbject?=\n =?UTF-8?q?=20goes=20on?=\n and on\n"
    )
    header = taken(mail(headers)).header
    assert header is not None
    assert header.author == "Jörg <j@example.org>"
    assert header.date == GitDate(1714972089, "+0000")
    assert header.message == "a long sübject goes on and on\n"


def test_what_git_format_patch_writes_is_read_back(repo: GitRepo) -> None:
    """A real mail of git, with a non-ASCII author and a long subject, gives the commit's own data."""
    repo.commit({"f": "a\n"}, "start")
    message = "ünusual: " + "long subject " * 12 + "end\n\nBody — with dashes\n\nTrailer: x"
    repo.write({"f": "b\n"})
    repo.git(
        "commit",
        "-qam",
        message,
        "--author",
        "Jörg, the 2nd <j@example.org>",
        "--date",
        "2024-05-06T07:08:09+0200",
    )
    intake = taken(repo.git_bytes("format-patch", "-1", "--stdout"))
    assert intake.header is not None
    assert intake.header.author == "Jörg, the 2nd <j@example.org>"
    assert intake.header.date == WHEN
    assert intake.header.message == message + "\n"


@pytest.mark.parametrize(
    "raw", [DIFF, b"Note: this is\nSubject: matter\n\n" + DIFF, b"From: me\nno header\n\n" + DIFF]
)
def test_a_text_that_is_no_mail_has_no_header(raw: bytes) -> None:
    """Prose with a colon is not a mail."""
    assert taken(raw).header is None


def test_a_message_may_quote_what_looks_like_a_diff() -> None:
    """In front of the separator everything is message; without one it could be a damaged diff."""
    quote = b"It failed with\n--- FAIL: TestX (0.00s)\n@@ boom\n+++ y\nindex 1234567..89abcde\n"
    assert taken(mail(PLAIN, quote + b"---\n" + DIFF)).scope.paths == (b"f",)
    assert refusal(mail(PLAIN, quote + DIFF)).code is ReasonCode.FORMAT_INVALID


WORDS = [
    b"diff -u is what I ran\n",
    b"diff -",
    b"diff --git is git's own format\n",
    b"diff --cc shows merges\n",
    b"Index: of the book\nis wrong\n",
    b"--- and so on\n",
    b"--- expected\n+++ actual\n\n",
    b"+++ better\n",
    b"@@ -1 +1 @@ is what I saw\n",
    b"Only in theory: this works\n",
    b"rename from old to new\n",
    b"new file mode 100644\n",
    b"From tess Mon Sep 17 00:00:00 2001\n",
    b"GIT binary patch\n",
    b"-- \nnot a signature\n",
]


@pytest.mark.parametrize("words", WORDS)
def test_words_that_begin_as_a_diff_does_are_a_message(words: bytes) -> None:
    """Only a diff ends a message before its separator; `git am` would cut it, Maingate keeps it."""
    body = words if words.endswith(b"\n") else words + b"\n"
    intake = taken(mail(PLAIN, b"Because:\n" + body + b"and more\n---\n" + DIFF))
    assert intake.scope.paths == (b"f",)
    assert intake.header is not None
    lines = [line.rstrip() for line in body.decode().splitlines()]
    assert intake.header.message == "\n".join(["topic: do it\n\nBecause:", *lines, "and more\n"])


@pytest.mark.parametrize(
    "other",
    [
        DIFF.replace(b"f", b"g"),
        b"diff --git a/run.sh b/run.sh\nold mode 100644\nnew mode 100755\n",
        b"diff --git a/run.sh b/run.sh\nold m0de 100644\nnew m0de 100755\n",
        b"diff -ru a/g b/g\n--- a/g\n+++ b/g\n@@ -1 +1 @@\n-a\n+b\n",
        b"diff -ru a/g b/g\n-- a/g\n++ b/g\n@@ -1 +1 @@\n-a\n+b\n",
        b"Index: g\n=======\n--- a/g\n+++ b/g\n@@ -1 +1 @@\n-a\n+b\n",
        b"Only in b: g\ndiff -ru a/f b/f\n--- a/f\n+++ b/f\n@@ -1 +1 @@\n-a\n+b\n",
        b"--- a/g\n+++ b/g\n@ -1 +1 @@\n-a\n+b\n",
    ],
)
def test_a_diff_before_a_separator_is_never_taken_for_words(other: bytes) -> None:
    """It lands with the rest or the whole is refused; as a part of the message it would be lost."""
    reason = take_in(mail(PLAIN, b"Because\n" + other + b"\n---\n" + DIFF), max_bytes=MAX_BYTES)
    paths = () if isinstance(reason, Reason) else reason.scope.paths
    assert paths == () or len(paths) == 2


@pytest.mark.parametrize(
    "line",
    [b"Only in b: new.txt\n", "Sólo en b/sub: new.txt\n".encode(), b"Nur in b: new.txt.\n"],
)
def test_what_a_recursive_diff_left_out_is_refused(line: bytes) -> None:
    """`diff -r` without `-N` only names a file that one side lacks: landing the rest would land a part."""
    part = DIFF.replace(b"diff --git a/f b/f", b"diff -ru a/f b/f")
    for text in (part + line, line + part, line + line + part, part + line + part.replace(b"f\n", b"g\n")):
        assert "diff -ruN" in refusal(text).message
    assert taken(b"Only in theory: this works.\n\n" + part).scope.paths == (b"f",)


@pytest.mark.parametrize("charset", [b"iso-8859-1", b"no-such-charset"])
def test_a_body_in_another_encoding_becomes_text(charset: bytes) -> None:
    """The stated encoding counts; text that fits none is read as Latin-1. The diff stays bytes."""
    headers = PLAIN + b"Content-Type: text/plain; charset=%s\n" % charset
    intake = taken(mail(headers, b"gr\xfc\xdfe\n---\n" + DIFF.replace(b"+b", b"+\xfc")))
    assert intake.header is not None
    assert intake.header.message == "topic: do it\n\ngrüße\n"
    assert intake.files[0].hunks[0].lines[1] == b"+\xfc\n"


@pytest.mark.parametrize(
    ("encoding", "encode"),
    [(b"base64", base64.encodebytes), (b"quoted-printable", quopri.encodestring), (b"8bit", bytes)],
)
def test_transfer_encodings_are_undone(encoding: bytes, encode: object) -> None:
    """A mail program may have wrapped the text."""
    assert callable(encode)
    body = b"---\n" + DIFF.replace(b"+b", b"+b = \xc3\xa4")
    intake = taken(mail(PLAIN + b"Content-Transfer-Encoding: %s\n" % encoding, encode(body)))
    assert intake.files[0].hunks[0].lines[1] == b"+b = \xc3\xa4\n"


def test_mails_with_parts_or_damage_are_refused() -> None:
    """A mail that cannot be unwrapped with certainty is refused."""
    parts = PLAIN + b'Content-Type: multipart/mixed; boundary="x"\n'
    assert refusal(mail(parts)).code is ReasonCode.FORMAT_INVALID
    wrapped = base64.encodebytes(b"---\n" + DIFF)[:-3]
    damaged = mail(PLAIN + b"Content-Transfer-Encoding: base64\n", wrapped)
    assert refusal(damaged).code is ReasonCode.FORMAT_INVALID


def test_the_body_may_name_another_author() -> None:
    """As with `git am`, a `From:` line that begins the body is the real author's."""
    header = taken(mail(PLAIN, b"From: Bob <bob@example.org>\n\nText\n---\n" + DIFF)).header
    assert header is not None
    assert header.author == "Bob <bob@example.org>"
    assert header.message == "topic: do it\n\nText\n"


@pytest.mark.parametrize("field", [b"", b"nonsense", b"Mon, 99 Foo 2024"])
def test_a_date_that_is_none_is_left_out(field: bytes) -> None:
    """A damaged date does not keep a patch from landing."""
    header = taken(mail(b"From: a@b.org\nSubject: x\nDate: %s\n" % field)).header
    assert header is not None
    assert header.date is None
    assert header.author == "a@b.org <a@b.org>"


def test_hostile_headers_cost_little() -> None:
    """A header without end or depth is no header; the diff is read all the same."""
    assert taken(b"From: " + b"(" * 100_000 + b"\nSubject: x\n\n---\n" + DIFF).header is None
    assert taken(b"From: a@b.org\nSubject: x\n" + b" more\n" * 100_000 + b"\n---\n" + DIFF).header is None


HEADER_PIECES = [
    b"=?utf-8?q?=00<x>?=",
    b"=?utf-7?q?+2AA-?=",
    b"=?x?b?!?=",
    b"<a@b.c>",
    b"Ada",
    b"\xff",
    b",",
    b'"',
]
DATE_PIECES = [b"Mon, 6 May", b" 99999999999999999999 ", b"2024", b" 25:61:61", b" +9999", b" -0000", b"(x"]


@given(
    name=st.lists(st.sampled_from(HEADER_PIECES)),
    date=st.lists(st.sampled_from(DATE_PIECES)),
    charset=st.sampled_from([b"utf-7", b"unicode_escape", b"hex", b"idna", b"utf-16", b"\xff"]),
    body=st.binary(max_size=20),
)
@example(name=[], date=[], charset=b"utf-7", body=b"diff -")
@example(name=[], date=[], charset=b"utf-7", body=b"diff --git ")
@example(name=[], date=[], charset=b"utf-7", body=b"Index: ")
def test_any_mail_gives_text_that_can_be_stored(
    name: list[bytes], date: list[bytes], charset: bytes, body: bytes
) -> None:
    """The result of any mail can be stored, and git accepts its author."""
    headers = b"From: %s\nSubject: %s\nDate: %s\nContent-Type: text/plain; charset=%s\n" % (
        *(b" ".join(name), b" ".join(name)),
        *(b"".join(date), charset),
    )
    header = taken(mail(headers, body.replace(b"\0", b"") + b"\\ud800 +2AA-\n---\n" + DIFF)).header
    assert header is not None
    for text in (header.author or "", header.message or ""):
        assert "\0" not in text
        assert text.encode().decode() == text
    assert header.author is None or (header.author.count("<") == 1 and "\n" not in header.author)
    assert header.date is None or len(header.date.zone) == 5


@pytest.mark.parametrize(
    "charset", ["unicode_escape", "Unicode-Escape", "raw_unicode_escape", "undefined", "x-none"]
)
def test_a_charset_that_is_none_is_not_interpreted(charset: str) -> None:
    """Python has codecs that are no mail's charset; escapes in a message stay what they are."""
    headers = PLAIN + f"Content-Type: text/plain; charset={charset}\n".encode()
    header = taken(mail(headers, b"body \\x41\n---\n\n" + DIFF)).header
    assert header is not None
    assert header.message is not None
    assert "\\x41" in header.message
