"""Mailboxes as series."""

import base64
import quopri
from collections.abc import Callable
from datetime import datetime
from pathlib import Path

import pytest

from maingate.importers.series.mail import is_mail
from maingate.importers.series.series import ImportedPlan, MailboxOptions
from support.factories import GitRepo
from support.imported import diffs_of, tasks_of, tree_after

Import = Callable[..., ImportedPlan]


@pytest.fixture
def mailbox(repo: GitRepo, tmp_path: Path) -> Callable[..., Path]:
    """Give a function that writes what `git format-patch --stdout` prints."""

    def write(*options: str, base: str = "HEAD~2") -> Path:
        box = tmp_path / "series.mbox"
        box.write_bytes(repo.git_bytes("format-patch", "--stdout", *options, f"{base}..HEAD"))
        return box

    return write


def a_history(repo: GitRepo, message: str = "[net] Zoë: second\n\n>From here on\nFrom there on\n") -> None:
    """Arrange a base and two commits, with all that mail is bad at."""
    repo.commit({"a": "1\n", "crlf": "x\r\n", "x.bin": bytes(range(256))}, "base")
    repo.commit({"a": "2\n-- \n", "crlf": "y\r\n"}, "first")
    repo.commit({"ü": "é\n", "x.bin": bytes(reversed(range(256))), "a": "3\n"}, message)


@pytest.mark.parametrize("options", [[], ["--pretty=mboxrd"], ["--attach"], ["--no-signature"], ["-N"]])
def test_a_mailbox_gives_the_tree_of_its_commits(
    repo: GitRepo, do_import: Import, mailbox: Callable[..., Path], options: list[str]
) -> None:
    """What `git format-patch` wrote applies to the very tree, carriage returns and binaries included."""
    a_history(repo)
    made = do_import(mailbox("--binary", *options))
    assert tree_after(repo, "HEAD~2", diffs_of(made)) == repo.tree()


def test_headers_are_decoded(repo: GitRepo, do_import: Import, mailbox: Callable[..., Path]) -> None:
    """Subject, author, date and body are those of the commit; [PATCH n/m] goes, other brackets stay."""
    a_history(repo)
    (_, first), (name, second) = tasks_of(
        do_import(mailbox("--pretty=mboxrd"), mailbox=MailboxOptions(is_mboxrd=True))
    )
    assert (first.title, first.message, first.author) == ("first", None, "Ada Example <ada@example.org>")
    assert (name, second.title) == ("0002-net-zoe-second", "[net] Zoë: second")
    assert second.message == "[net] Zoë: second\n\n>From here on\nFrom there on"
    assert isinstance(second.date, datetime)
    assert second.date.isoformat() == repo.git("log", "-1", "--format=%aI").replace("Z", "+00:00")


@pytest.mark.parametrize("encoding", ["quoted-printable", "base64"])
def test_encoded_bodies_are_decoded(repo: GitRepo, do_import: Import, tmp_path: Path, encoding: str) -> None:
    """A body that a mail server encoded gives the diff back byte for byte."""
    repo.commit({"a": "x = 1\n"})
    diff = repo.diff_of({"a": "x = é\n"})
    body = b"Why: because\n---\n a | 2 +-\n\n" + diff + b"-- \n2.40.0\n\n"
    coded = quopri.encodestring(body) if encoding == "quoted-printable" else base64.encodebytes(body)
    head = "From: =?UTF-8?Q?Zo=C3=AB?= <z@example.org>\nSubject: [PATCH] Fix\n =?UTF-8?B?w6k=?=\n"
    head += "MIME-Version: 1.0\nContent-Type: text/plain; charset=UTF-8\n"
    head += f"Content-Transfer-Encoding: {encoding}\n\n"
    (tmp_path / "one.eml").write_bytes(head.encode() + coded)
    made = do_import(tmp_path / "one.eml")
    ((_, task),) = tasks_of(made)
    assert (task.title, task.message, task.author) == (
        "Fix é",
        "Fix é\n\nWhy: because",
        "Zoë <z@example.org>",
    )
    assert diffs_of(made) == [diff]


def test_a_mailbox_with_carriage_returns_throughout_is_read(
    repo: GitRepo, do_import: Import, mailbox: Callable[..., Path]
) -> None:
    """Carriage returns that transport added are taken off again."""
    repo.commit({"a": "1\n"}, "base")
    repo.commit({"a": "2\n"}, "first")
    box = mailbox(base="HEAD~1")
    box.write_bytes(box.read_bytes().replace(b"\n", b"\r\n"))
    assert tree_after(repo, "HEAD~1", diffs_of(do_import(box))) == repo.tree()


def test_a_cover_letter_is_left_out_and_told(
    repo: GitRepo, do_import: Import, mailbox: Callable[..., Path]
) -> None:
    """A mail without a patch becomes no task."""
    a_history(repo)
    made = do_import(mailbox("--cover-letter"))
    assert made.tasks == 2
    (left_out,) = made.skipped
    assert left_out.startswith("series.mbox, mail 1: ")


@pytest.mark.parametrize(
    ("raw", "expected"),
    [
        (b"From 123 Mon Sep 17 00:00:00 2001\nFrom: a\n", True),
        (b"Received: x\nSubject: y\n\nbody", True),
        (b"diff --git a/x b/x\n", False),
        (b"Description: fix\nIndex: x\n", False),
        (b"Some words about it\n\nFrom: me\n", False),
        (b"", False),
    ],
)
def test_mails_are_told_from_bare_diffs(raw: bytes, expected: bool) -> None:
    """A mail begins with its headers, among them a sender or a subject."""
    assert is_mail(raw) is expected


def a_letter(message: str, diff: bytes, subject: bytes = b"Subject here") -> bytes:
    """Return a mail as `git format-patch` writes it."""
    return (
        b"From 0123456789012345678901234567890123456789 Mon Sep 17 00:00:00 2001\n"
        b"From: Ada Example <ada@example.org>\nDate: Mon, 6 May 2024 07:08:09 +0200\nSubject: "
        + subject
        + b"\n\n"
        + message.encode()
        + b"\n---\n a | 2 +-\n\n"
        + diff
        + b"-- \n2.40.0\n\n"
    )


@pytest.mark.parametrize(
    "words",
    [
        "From tess Mon Sep 17 00:00:00 2001",
        "From tess Mon Sep 17 00:00:00 2001\n\nFrom ben Tue Sep 18 00:00:00 2001",
        "From tess Mon Sep 17 00:00:00 2001\nFrom: nobody knows\nhere",
        "diff -u is what I ran",
        "Index: of the book",
        "diff --git is git's own",
        "--- expected",
    ],
)
def test_words_of_a_message_are_neither_another_mail_nor_a_diff(
    repo: GitRepo, do_import: Import, tmp_path: Path, words: str
) -> None:
    """Author, message and diff stay together, whatever a line of the message begins with."""
    repo.commit({"a": "1\n"})
    diff = repo.diff_of({"a": "2\n"})
    box = tmp_path / "series.mbox"
    box.write_bytes(a_letter(f"Why:\n{words}\nmore", diff) + a_letter("Other", diff))
    made = do_import(box)
    assert not made.skipped
    tasks = [task for _, task in tasks_of(made)]
    assert [task.message for task in tasks] == [
        f"Subject here\n\nWhy:\n{words}\nmore",
        "Subject here\n\nOther",
    ]
    assert {task.author for task in tasks} == {"Ada Example <ada@example.org>"}
    assert diffs_of(made) == [diff, diff]


@pytest.mark.parametrize("charset", ["iso-8859-1", "big5", "utf-16-le", "koi8-r"])
def test_mails_in_other_charsets_keep_their_words(
    repo: GitRepo, do_import: Import, tmp_path: Path, charset: str
) -> None:
    """Names, subject and body are decoded here: whether git can depends on how it was built."""
    word = {"iso-8859-1": "Körper", "big5": "李小龍", "utf-16-le": "Körper", "koi8-r": "Ёлка"}[charset]
    repo.commit({"a": "1\n"})
    diff = repo.diff_of({"a": "x = é\n"})
    coded = base64.b64encode(word.encode(charset)).decode()
    body = ("" if charset == "utf-16-le" else word).encode(charset) + b"\n---\n\n" + diff
    head = f"From: =?{charset}?b?{coded}?= <li@example.org>\nSubject: [PATCH] =?{charset}?B?{coded}?= it\n"
    head += f"Content-Type: text/plain; charset={charset}\nContent-Transfer-Encoding: base64\n\n"
    (tmp_path / "one.eml").write_bytes(head.encode() + base64.encodebytes(body))
    made = do_import(tmp_path / "one.eml")
    ((_, task),) = tasks_of(made)
    assert (task.author, task.title) == (f"{word} <li@example.org>", f"{word} it")
    assert (task.message or "").partition("\n\n")[2] == ("" if charset == "utf-16-le" else word)
    assert diffs_of(made) == [diff]
