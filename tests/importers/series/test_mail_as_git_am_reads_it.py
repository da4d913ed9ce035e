"""Mails as `git am` reads them: each mail is given to git, and to both readers of Maingate."""

import base64
import os
import quopri
import subprocess
import tempfile
from collections.abc import Callable, Sequence
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from maingate.errors import UsageError
from maingate.importers.series.mail import MailboxOptions, entries_of_mailbox
from maingate.importers.series.series import ImportedPlan
from maingate.importers.series_entry import Entry
from maingate.patches.intake import Intake, take_in
from support.diff_world import MAX_BYTES, refusal, taken
from support.examples import examples
from support.factories import GitRepo
from support.imported import diffs_of, tasks_of

Import = Callable[..., ImportedPlan]

DIFF = (
    b"diff --git a/f.txt b/f.txt\nindex 5626abf..f719efd 100644\n"
    b"--- a/f.txt\n+++ b/f.txt\n@@ -1 +1 @@\n-one\n+two\n"
)
STAT = b"---\n f.txt | 2 +-\n 1 file changed, 1 insertion(+), 1 deletion(-)\n\n"
END = STAT + DIFF + b"-- \n2.39.5\n\n"
LINE = b"From 0123456789012345678901234567890123456789 Mon Sep 17 00:00:00 2001\n"


def mail(
    sender: bytes = b"Ada <ada@example.org>",
    subject: bytes = b"[PATCH] s",
    date: bytes = b"Mon, 3 Feb 2020 04:05:06 +0530",
    head: bytes = b"",
    body: bytes = b"Body\n" + END,
) -> bytes:
    """Return a mail as `git format-patch` writes it."""
    return LINE + b"From: %s\nDate: %s\nSubject: %s\n%s\n" % (sender, date, subject, head) + body


def coded(charset: str, encoding: str = "8bit") -> bytes:
    """Return the header of a body in a charset and a transfer encoding."""
    return (
        f"MIME-Version: 1.0\nContent-Type: text/plain; charset={charset}\n"
        f"Content-Transfer-Encoding: {encoding}\n"
    ).encode()


def word(text: str, charset: str) -> bytes:
    """Return an encoded word."""
    return f"=?{charset}?B?{base64.b64encode(text.encode(charset)).decode()}?=".encode()


@pytest.fixture
def base(repo: GitRepo) -> GitRepo:
    """Give a repository to which the diff applies."""
    repo.commit({"f.txt": "one\n"}, "base")
    return repo


def by_git(repo: GitRepo, raw: bytes, *options: str) -> tuple[str, str, str]:
    """Return author, date and message of the commit that `git am` makes."""
    repo.git("am", "-q", *options, stdin=raw)
    told = repo.git_bytes("log", "-1", "--date=raw", "--format=%an <%ae>%x00%ad%x00%B").decode()
    author, date, message = told.removesuffix("\n").split("\0")
    return author, date, message


def by_import(raw: bytes, **options: bool) -> Entry:
    """Return the only entry of a mail."""
    (entry,) = entries_of_mailbox(raw, origin="m", options=MailboxOptions(**options))
    assert entry.diff == DIFF
    return entry


def said(entry: Entry) -> tuple[str, str, str]:
    """Return author, date and message of an entry."""
    return entry.author or "", str(entry.date), entry.message + "\n"


def by_intake(raw: bytes) -> tuple[str, str, str]:
    """Return author, date and message of a patch that is a mail."""
    header = taken(raw).header
    assert header is not None
    return header.author or "", str(header.date), header.message or ""


WORDS = {
    "big5": "李小龍", "iso-2022-jp": "山田", "shift_jis": "山田", "euc-kr": "김철수", "gb18030": "王明",
    "koi8-r": "Иван", "windows-1252": "“q” € é", "iso-8859-15": "€é", "iso-8859-1": "Körper",
    "utf-8": "Žofie",
}  # fmt: skip
BODIES = {charset: text.encode(charset) + b"\n" + END for charset, text in WORDS.items()}
MAILS = {
    **{f"header in {name}": mail(word(text, name) + b" <a@b>", b"[PATCH] " + word(text, name))
       for name, text in WORDS.items()},
    **{f"author in the body in {name}": mail(body=b"From: " + word(text, name) + b" <r@e>\n\nB\n" + END)
       for name, text in WORDS.items()},
    **{f"body in {name}": mail(head=coded(name), body=body) for name, body in BODIES.items()},
    **{f"body in {name}, quoted-printable": mail(head=coded(name, "quoted-printable"),
       body=quopri.encodestring(body)) for name, body in BODIES.items()},
    **{f"body in {name}, base64": mail(head=coded(name, "base64"), body=base64.encodebytes(body))
       for name, body in BODIES.items()},
    "bytes in the header": mail("Žofie <a@b>".encode(), "[PATCH] Žž".encode(), body="Žž\n".encode() + END),
    "latin-1 in the header": mail(b"Zofi\xe9 <a@b>", b"[PATCH] \xe9", body=b"\xe9\n" + END),
    "a charset for each line": mail(body=b"\xe9\n" + "é\n".encode() + END),
    "another charset than it says": mail(head=coded("utf-8"), body=b"\xe9\n" + END),
    "words that follow each other": mail(subject=b"[PATCH] =?UTF-8?q?=C3=A9a?=\n =?UTF-8?q?b=C3=A9?= c"),
    "a letter in two words": mail(subject=b"[PATCH] =?UTF-8?q?=C3?=\n =?UTF-8?q?=A9?= c"),
    "a name in quotes": mail(b'"Last, First" <ada@example.org>'),
    "a name as a comment": mail(b"ada@example.org (Ada Lovelace)"),
    "a word in quotes": mail(b'"=?UTF-8?q?Ad=C3=A9?=" <ada@example.org>'),
    "no name": mail(b"ada@example.org"),
    "no address": mail(b"Ada <>"),
    "an address without an end": mail(b"Ada Example <a@b"),
    "author in the body": mail(body=b"From: Real <r@e>\nSubject: other\n\nBody\n" + END),
    "date in the body": mail(body=b"Date: Tue, 4 Feb 2020 04:05:06 -0130\n\nBody\n" + END),
    "subject over two lines in the body": mail(body=b"Subject: very long\n subject\n\nBody\n" + END),
    "a whole header in the body": mail(body=b">" + LINE + b"From: R <r@e>\nSubject: o\n\nBody\n" + END),
    "From that was escaped": mail(body=b"text\n\n>From here\n>>From there\n" + END),
    "From in the message": mail(body=b"text\n\nFrom here on\n" + END),
    "blank lines": mail(body=b"\n\na  \n\n\n\nb\n\n" + END),
    "carriage returns": mail().replace(b"\n", b"\r\n"),
    "scissors": mail(body=b"chat\n\n-- >8 --\nSubject: cut\n\nBody\n" + END),
    "a word beside plain letters": mail(subject=b"[PATCH] x=?UTF-8?q?=C3=A9?=y =?UTF-8?q?=C3=A9?= z"),
    "spaces in the subject": mail(subject=b"[PATCH]  two  spaces\n\tand a tab"),
    "a colon before the subject": mail(subject=b"[PATCH]: s"),
    "a comment behind the address": mail(b"Ada <ada@example.org> (work)"),
    "a subject in the body that nothing names": mail(body=b"[PATCH] other\nFrom: R <r@e>\n\nB\n" + END),
    "escaped From of a mail that is in no mailbox": mail(body=b"\n>From here\n" + END).removeprefix(LINE),
    "flowed": mail(
        head=b"MIME-Version: 1.0\nContent-Type: text/plain; charset=utf-8; format=flowed\n",
        body=b"One \nparagraph.\n\n  stuffed\n" + END,
    ),
    "flowed, with spaces to delete": mail(
        head=b"MIME-Version: 1.0\nContent-Type: text/plain; format=flowed; delsp=yes\n",
        body=b"One \nparagraph.\n" + END,
    ),
}  # fmt: skip


@pytest.mark.parametrize("raw", MAILS.values(), ids=MAILS)
def test_author_date_and_message_are_those_of_git_am(raw: bytes, base: GitRepo) -> None:
    """Both readers, of imports and of patches in plans, have what git has."""
    expected = by_git(base, raw)
    assert said(by_import(raw)) == expected
    assert by_intake(raw) == expected


def test_names_that_git_am_loses_are_kept() -> None:
    """Blanks around an address, quotes within quotes, and two letters hide no name."""
    for sender, author in (
        (b"Ada Example < a@b >", "Ada Example <a@b>"),
        (b'"Ada \\"the\\" first" <a@b>', 'Ada "the" first <a@b>'),
        (b"Bo <b@x>", "Bo <b@x>"),
        (b"Ada <a@b>, Bob <c@d>", "Ada <a@b>"),
    ):
        assert by_import(mail(sender)).author == by_intake(mail(sender))[0] == author


def test_fields_in_a_body_that_cannot_be_read_replace_nothing() -> None:
    """The mail's own stay."""
    raw = mail(body=b"From: nobody knows\nDate: now\nSubject: other\n\nBody\n" + END)
    assert by_intake(raw) == ("Ada <ada@example.org>", "1580682906 +0530", "other\n\nBody\n")


def test_scissors_cut_on_request(base: GitRepo) -> None:
    """As with `git am --scissors`; without the option, the line is told."""
    raw = mail(body=b"chat\n\n  - - >8 - - cut here - - >8 - -\nSubject: cut\nFrom: R <r@e>\n\nBody\n" + END)
    assert said(by_import(raw, cuts_at_scissors=True)) == by_git(base, raw, "--scissors")
    (note,) = by_import(raw).notes
    assert note == "the message has a scissors line; --scissors takes only the text below it"
    assert by_import(raw, cuts_at_scissors=True).notes == ()


def test_escaped_lines_are_undone_on_request(base: GitRepo) -> None:
    """As with `git am --patch-format=mboxrd`; without it they stay, as git has it, and are told."""
    base.git("checkout", "-q", "-b", "other")
    base.commit({"f.txt": "two\n"}, "s\n\nFrom here on\n>From there")
    for form, is_mboxrd in (("mboxrd", True), ("email", False)):
        raw = base.git_bytes("format-patch", "-1", "--stdout", "--abbrev=7", f"--pretty={form}")
        entry = by_import(raw, is_mboxrd=is_mboxrd)
        assert entry.message == "s\n\nFrom here on\n>From there"
        assert len(entry.notes) is not is_mboxrd
    assert by_import(raw, is_mboxrd=True).message == "s\n\nFrom here on\nFrom there"


def parts(*bodies: tuple[bytes, bytes]) -> bytes:
    """Return a mail of parts, each a header and a body."""
    pieces = b"".join(b"--=x=\n" + head + b"\n" + body + b"\n" for head, body in bodies)
    head = b'MIME-Version: 1.0\nContent-Type: multipart/mixed;\n boundary="=x="\n'
    return mail(
        b"Carla Carrier <c@x>", b"please apply", head=head, body=b"preamble\n" + pieces + b"--=x=--\n"
    )


ATTACHED = b'Content-Type: text/x-patch; name="0001-s.patch"\nContent-Transfer-Encoding: base64\n'
WORDS_PART = (b"Content-Type: text/plain; charset=utf-8\n", b"Hello,\nplease apply.\n")


@pytest.mark.parametrize(
    "attached",
    [
        (ATTACHED, base64.encodebytes(mail())),
        (b"Content-Type: message/rfc822\n", mail().removeprefix(LINE)),
        (b'Content-Type: application/octet-stream; name="0001.patch"\n', mail()),
    ],
)
def test_an_attached_patch_has_its_own_author(attached: tuple[bytes, bytes]) -> None:
    """The mail around it is only its envelope, and that is told."""
    entry = by_import(parts(WORDS_PART, attached, (b"Content-Type: image/png\n", b"\x89PNG\n")))
    assert said(entry) == ("Ada <ada@example.org>", "1580682906 +0530", "s\n\nBody\n")
    (note,) = entry.notes
    assert "attached mail" in note


def test_each_attached_patch_is_one(do_import: Import, tmp_path: Path) -> None:
    """In their order."""
    other = mail(b"Bob <b@x>", b"[PATCH 2/2] t", body=b"---\n" + DIFF.replace(b"f.txt", b"g.txt"))
    (tmp_path / "m.eml").write_bytes(parts(WORDS_PART, (ATTACHED, base64.encodebytes(mail())), (b"", other)))
    made = do_import(tmp_path / "m.eml")
    assert [(task.title, task.author) for _, task in tasks_of(made)] == [
        ("s", "Ada <ada@example.org>"),
        ("t", "Bob <b@x>"),
    ]
    assert diffs_of(made) == [DIFF, DIFF.replace(b"f.txt", b"g.txt")]


HTML = (b"Content-Type: text/html\n", b"<p>diff --git a/g b/g</p>\n")
OF_PARTS = {
    "attached": ((ATTACHED, base64.encodebytes(DIFF)),),
    "inline": ((b"Content-Type: text/x-patch\nContent-Disposition: inline\n", DIFF),),
    "quoted-printable": ((coded("utf-8", "quoted-printable"), quopri.encodestring(DIFF)),),
}


@pytest.mark.parametrize("rest", OF_PARTS.values(), ids=OF_PARTS)
def test_parts_that_are_no_mails_are_one_text(base: GitRepo, rest: Sequence[tuple[bytes, bytes]]) -> None:
    """A message and its attached diff, as `git format-patch --attach` writes them, in another charset."""
    body = "Körper\n".encode("latin-1") + STAT
    raw = parts((coded("iso-8859-1"), body), *rest)
    expected = by_git(base, raw)
    assert said(by_import(raw)) == expected
    assert by_intake(raw) == expected
    assert [str(repair.kind) for repair in taken(raw).repairs] == ["mail_parts", "charset"]


def test_of_alternatives_a_plan_takes_the_plain_text() -> None:
    """A mail program sends HTML beside the text; inside of further parts, too."""
    head = b'Content-Type: multipart/alternative; boundary="=y="\n'
    text = b"Content-Type: text/plain\n\nBody\n" + END
    inner = b"--=y=\n" + text + b"--=y=\n" + HTML[0] + b"\n" + HTML[1] + b"--=y=--\n"
    raw = parts((head, inner))
    assert by_intake(raw)[2] == "please apply\n\nBody\n"
    assert taken(raw).scope.paths == (b"f.txt",)


@pytest.mark.parametrize(
    "attached",
    [(ATTACHED, base64.encodebytes(mail())), (b"Content-Type: message/rfc822\n", mail()[len(LINE) :])],
)
def test_an_attached_patch_in_a_plan_has_its_own_author(attached: tuple[bytes, bytes]) -> None:
    """As in an import; the repair says so."""
    raw = parts(WORDS_PART, attached)
    assert by_intake(raw) == ("Ada <ada@example.org>", "1580682906 +0530", "s\n\nBody\n")
    (repair,) = taken(raw).repairs
    assert (str(repair.kind), "attached mail" in repair.said) == ("mail_parts", True)


@pytest.mark.parametrize(
    "raw",
    [
        mail() + mail(subject=b"[PATCH 2/2] t", body=b"---\n" + DIFF.replace(b"f.txt", b"g.txt")),
        mail(subject=b"[PATCH 0/1] cover", body=b"*** BLURB ***\n-- \n2.39.5\n\n") + mail(),
        parts(WORDS_PART, *[(ATTACHED, base64.encodebytes(mail()))] * 2),
    ],
    ids=["mailbox", "cover letter", "attached"],
)
def test_several_mails_are_no_single_patch(raw: bytes) -> None:
    """Each is a commit of its own: in a plan they are refused, not joined under the first one's message."""
    assert "each of which is a commit of its own" in refusal(raw).message


def test_a_date_that_cannot_be_read_is_told() -> None:
    """`git am` refuses such a mail; the commit has the time at which it is made."""
    raw = mail(date=b"last week")
    (repair,) = taken(raw).repairs
    assert (str(repair.kind), repair.was, repair.now) == ("date", "last week", None)
    (note,) = by_import(raw).notes
    assert "cannot be read" in note


def test_scissors_in_a_plan_cut_on_request_and_are_told(base: GitRepo) -> None:
    """As `git am --scissors`."""
    raw = MAILS["scissors"]
    cut = take_in(raw, max_bytes=MAX_BYTES, cuts_at_scissors=True)
    assert isinstance(cut, Intake)
    assert cut.header is not None
    assert cut.header.message == by_git(base, raw, "--scissors")[2]
    for intake, words in ((cut, "left out"), (taken(raw), "`scissors: true`")):
        (repair,) = intake.repairs
        assert (str(repair.kind), words in repair.said) == ("scissors", True)


def test_a_diff_that_was_joined_by_a_mail_program_is_refused() -> None:
    """With `format=flowed` a space at a line's end joins it with the next: the counts tell."""
    two = b"@@ -1 +1,2 @@\n-one\n+two \n+three\n"
    raw = mail(
        head=b"Content-Type: text/plain; format=flowed\n",
        body=b"---\n" + DIFF.replace(DIFF[DIFF.index(b"@@") :], two) + QUOTED,
    )
    assert "format=flowed" in refusal(raw).message


HEADERS = [
    b"From: Real <r@e>\n",
    b"From: Real <r@e>\n indented\n",
    b"Subject: other [x] s\n",
    b"Subject: folded\n next\n",
    b"Date: Tue, 4 Feb 2020 04:05:06 -0130\n",
]
"""Fields at the beginning of a body, each once: git takes a second one for text, or not, by its own rules."""
PIECES = [
    *(b"Text\n", b"\n", b"trailing  \n", b"> quoted\n", b" indented\n", b"-----\n", b"--\n", b"-- >8 --\n"),
    *(b">From here\n", b"From here\n", b"Signed-off-by: A <a@b>\n", b"\t\n"),
]
TAGS = [b"[PATCH] ", b"[PATCH v2 3/7] ", b"[RFC] ", b"[net-next]", b"Re: ", b"RE:", b": ", b"[open ", b"x  y"]


@given(
    tags=st.lists(st.sampled_from(TAGS), max_size=4),
    headers=st.lists(st.sampled_from(HEADERS), max_size=3, unique_by=lambda header: header[:4]),
    pieces=st.lists(st.sampled_from(PIECES), max_size=6),
    name=st.sampled_from([b"Ada", b'"L, F"', b"A (B)", b"", b"Ada  Two"]),
    has_carriage_returns=st.booleans(),
)
@settings(max_examples=examples(120), deadline=None)
def test_any_mail_is_read_as_git_mailinfo_reads_it(
    tags: list[bytes], headers: list[bytes], pieces: list[bytes], name: bytes, has_carriage_returns: bool
) -> None:
    """Name, subject and message of mails that are put together from odd pieces."""
    begin = [*headers, b"\n"] if headers else []
    raw = mail(name + b" <a@b>", b"".join(tags) + b"s", body=b"".join([*begin, *pieces]) + END)
    raw = raw.replace(b"\n", b"\r\n") if has_carriage_returns else raw
    with tempfile.TemporaryDirectory() as folder:
        message = Path(folder, "message")
        words = ["git", "mailinfo", "--encoding=UTF-8", str(message), os.devnull]
        clean = raw.replace(b"\r\n", b"\n")  # as git mailsplit gives it on
        done = subprocess.run(words, input=clean, capture_output=True, check=True, cwd=folder)
        told = dict(line.split(": ", 1) for line in done.stdout.decode().splitlines() if ": " in line)
        whole = f"{told.get('Subject', '')}\n\n".encode() + message.read_bytes()
    tidy = subprocess.run(["git", "stripspace"], input=whole, capture_output=True, check=True)
    expected = tidy.stdout.decode()
    author, _, got = by_intake(raw)
    assert (author, got) == (f"{told['Author']} <{told['Email']}>", expected)


def test_a_patch_beside_attached_mails_is_refused() -> None:
    """Which of them is meant is not ours to say."""
    with pytest.raises(UsageError, match="m: the mail has a patch of its own beside attached mails"):
        by_import(parts((b"", END), (ATTACHED, base64.encodebytes(mail()))))


QUOTED = b"diff --git a/g.txt b/g.txt\n--- a/g.txt\n+++ b/g.txt\n@@ -1 +1 @@\n-a\n+b\n"


@pytest.mark.parametrize("gap", [b"", b"\n", b"\nwhich was wrong\n", b"@@ damaged\n"])
def test_a_diff_that_the_message_quotes_is_not_applied(gap: bytes) -> None:
    """The diffstat says where the message ends; `git am` would apply both."""
    raw = mail(body=b"This undoes\n" + QUOTED + gap + END)
    assert [change.path for change in taken(raw).files] == [b"f.txt"]
    entry = by_import(raw)
    assert entry.message == "s\n\n" + (b"This undoes\n" + QUOTED + gap).decode().strip()
    assert by_intake(raw)[2] == entry.message + "\n"


CONTRADICTIONS = {
    "a part is missing": STAT.replace(b" 1 file changed, 1 ins", b" g | 1 +\n 2 files changed, 2 ins") + DIFF,
    "lines are missing": STAT.replace(b"1 insertion(+)", b"2 insertions(+)") + DIFF,
    "another file": STAT.replace(b"f.txt", b"h.txt") + DIFF,
    "a file that it would create": STAT.replace(b"\n\n", b"\n create mode 100644 new\n\n") + DIFF,
    "more than it says": STAT + DIFF + QUOTED,
    "two of a kind": b"\n" + QUOTED + b"\n---\n\n" + DIFF,
    "a quoted mail": STAT + QUOTED + b"\nwas wrong\n" + STAT + DIFF,
}


@pytest.mark.parametrize("body", CONTRADICTIONS.values(), ids=CONTRADICTIONS)
def test_a_mail_that_contradicts_itself_is_refused(body: bytes) -> None:
    """Its diffstat and `---` are held against what would change."""
    raw = mail(body=b"Body\n" + body)
    assert any(words in refusal(raw).message for words in ("contradicts itself", "stands before the `---`"))
    with pytest.raises(UsageError, match=r"m: .*(contradicts itself|stands before the `---`)"):
        list(entries_of_mailbox(raw, origin="m"))


def test_what_git_writes_never_contradicts_itself(repo: GitRepo) -> None:
    """Renames, modes, links, binaries and odd names have diffstats that agree with their diffs."""
    start = repo.commit(
        {"a": "1\n2\n3\n4\n", "b\tc": "x\n", "bin": bytes(range(256)), "d/e/f": "1\n"}, "base"
    )
    repo.git("mv", "a", "ä b")
    repo.commit({"ä b": "1\n2\n3\n5\n"}, "rename")
    (repo.path / "d/e/f").chmod(0o755)
    repo.commit({"bin": bytes(reversed(range(256)))}, "mode and binary")
    repo.git("rm", "-q", "b\tc")
    (repo.path / "b\tc").symlink_to("bin")
    repo.commit({"new": "no end", "empty": "", "d/" + "long" * 40: "x\n"}, "link, new, empty, long")
    repo.git("mv", "d/e/f", "d/g")
    repo.commit({"new": None}, "away")
    for options in ((), ("--stat=40,10,2",), ("-M", "-C"), ("--no-renames",), ("-p", "--stat")):
        raw = repo.git_bytes("format-patch", "--stdout", "--binary", "--full-index", *options, start)
        entries = list(entries_of_mailbox(raw, origin="m"))
        assert [entry.message.split("\n")[0] for entry in entries] == [
            "rename",
            "mode and binary",
            "link, new, empty, long",
            "away",
        ]
        for entry in entries:
            taken(entry.diff)
